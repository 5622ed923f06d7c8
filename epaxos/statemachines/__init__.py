"""What the replicated commands act on; more come as Twisted plugins."""
