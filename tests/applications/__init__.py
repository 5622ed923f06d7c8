"""Programs that use packages of others as people do, at a cluster of real replicas."""
