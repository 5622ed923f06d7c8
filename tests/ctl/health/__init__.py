"""What the statuses of all members say together."""
