"""The type stream: entries in the order of their ids, and groups of consumers that share them."""
