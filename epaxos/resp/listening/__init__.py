"""Who listens to which channels, and how messages are handed out."""
