"""The consensus core: pure state and rules, without reactor, socket, disk, clock or own randomness."""
