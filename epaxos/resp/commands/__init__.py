"""The session commands: what a connection answers by itself, without the replica.

Clients find their way with these commands.  Words and manners are those of Redis 7.0.15, against which
`tests/resp/test_differential.py` holds them; the intended differences are listed there.
"""
