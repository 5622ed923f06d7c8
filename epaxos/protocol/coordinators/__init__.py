"""What a replica does for an instance or a read that it brings to a decision."""
