"""The session commands: what a connection answers by itself, without the replica.

Clients set up connections and learn about the server with these commands.  Texts and behaviour are those
of Redis 7.0.15: `tests/resp/test_differential.py` compares them, and lists the intended differences.
"""
