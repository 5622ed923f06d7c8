"""What a real browser shows of a real cluster."""
