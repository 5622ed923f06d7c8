"""The Redis protocol for clients."""
