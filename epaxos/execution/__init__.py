"""The order in which committed instances run.  Pure, like `protocol`."""
