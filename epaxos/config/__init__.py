"""The configuration: an ini file, read into plain data."""
