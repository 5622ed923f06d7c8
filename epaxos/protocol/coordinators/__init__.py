"""The coordinator's role: a replica brings instances to a decision, and reads to an answer."""
