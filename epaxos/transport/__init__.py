"""How messages travel between replicas."""
