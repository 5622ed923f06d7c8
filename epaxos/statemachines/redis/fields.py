"""The value of a hash: the values of its fields by their names."""

from __future__ import annotations

from epaxos.statemachines.redis.named import Named

__all__ = ["Fields"]


class Fields(Named):
    """A hash."""

    __slots__ = ()

    type_name = "hash"
    letter = b"h"
