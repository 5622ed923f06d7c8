"""The durable memory of a replica."""
