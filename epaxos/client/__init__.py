"""Talking to a replica as its clients do."""
