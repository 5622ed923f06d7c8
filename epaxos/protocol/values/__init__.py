"""The plain immutable values of the protocol."""
