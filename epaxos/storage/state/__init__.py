"""The state of the state machine in checked files that are only appended to."""
