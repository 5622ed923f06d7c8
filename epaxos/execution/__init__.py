"""In which order committed instances run.  Pure, like `protocol`."""
