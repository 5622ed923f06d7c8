"""What operators see of a replica."""
