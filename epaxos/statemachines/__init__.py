"""The state machines of this project; Twisted plugins may add others."""
