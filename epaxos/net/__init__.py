"""Twisted plumbing that knows nothing of this project."""
