"""The consensus core: pure state and rules.  No reactor, socket, disk, clock or randomness of its own."""
