"""What clients and operators see of a replica: the Redis protocol, and HTTP."""
