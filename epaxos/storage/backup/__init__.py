"""Backups: copies of the state at the beginning of an epoch."""
