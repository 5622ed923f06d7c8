"""The first start of a cluster: its uuid, and the list of its first members."""
