"""Numbers that only grow, for locks: `SET key value NX PX ms FENCE`.

Whoever takes a lock gets a number above all numbers that were given for this key before, whatever became of
the key meanwhile.  A resource that refuses smaller numbers than it has seen is then safe from a holder that
does not know that its time is over.

The keys of a database share SLOTS counters, so the state stays small.  A number is at least the time of its
batch, in units of 1/2048 ms: so a cluster that was restored from a backup begins above what the lost one has
given, provided that its clocks are not behind those of the lost one.  Up to the year 2100 it is below 2^53,
the largest integer that programs with floating-point numbers can count to.
"""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32

from epaxos.statemachines.redis.names import name_of

__all__ = ["Fences", "slot_name"]

SLOTS = 1024
UNITS = 2048


def slot_name(key: bytes) -> bytes:
    """The key that everybody writes, in the database of `key`, who takes a number of its counter."""
    return b"\0fence\0%d" % (crc32(key) % SLOTS)


class Fences:
    """The counters: a part of the state."""

    def __init__(self) -> None:
        self._last: dict[bytes, int] = {}

    def next(self, database: int, key: bytes, now_ms: int) -> int:
        """The next number for this key."""
        slot = name_of(database, slot_name(key))
        number = self._last[slot] = max(self._last.get(slot, 0) + 1, now_ms * UNITS)
        return number

    def copy(self) -> dict[bytes, int]:
        """The counters as they are now."""
        return dict(self._last)

    def put_back(self, counters: dict[bytes, int]) -> None:
        """Hold what `copy` gave."""
        self._last = dict(counters)

    def entries(self) -> list[tuple[bytes, bytes]]:
        """See Part."""
        return [(slot, b"%d" % last) for slot, last in sorted(self._last.items())]

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """See Part."""
        self._last = {slot: int(last) for slot, last in entries}
