"""The Redis-like store, `state_machine = kv`."""
