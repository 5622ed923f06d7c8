"""Programs around a cluster: a local one, the demo, a small Redis client."""
