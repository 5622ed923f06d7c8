"""What all commands of a batch have in common: its time, its chance, and what it writes."""

from __future__ import annotations

from collections.abc import Container

from epaxos.interfaces import Command

__all__ = ["NOTHING", "Everything", "Moment"]

_MASK = 2**64 - 1

NOTHING: Command = (b"\0NOTHING",)
"""A command of the table without any effect."""


class Everything(Container[bytes]):
    """The names that a barrier writes."""

    def __contains__(self, name: object) -> bool:
        return True


class Moment:
    """What all commands of a batch have in common.

    `now_ms`: milliseconds since 1970; `seed`: 64 bits; both are the leader's.  `writes`: the names that the
    batch writes.  `is_put_off`: a command of the batch has to run again, and so have all behind it: what a
    client has sent later must not take effect before it.  `is_full`: the script that runs now was proposed by
    a replica without memory to spare.  `rights`: those of the user whose script runs now (`Access.text`);
    empty where it may do everything.
    """

    def __init__(self, now_ms: int, seed: int, writes: Container[bytes]) -> None:
        self.now_ms = now_ms
        self.writes = writes
        self.is_put_off = False
        self.is_full = False
        self.rights = b""
        self._chance = seed

    def place(self) -> int:
        """How far the row of numbers has come."""
        return self._chance

    def go_back(self, place: int) -> None:
        """Go on with the row from here."""
        self._chance = place

    def draw(self, below: int) -> int:
        """A number from 0 to `below` - 1, the next of a row that the seed alone decides (splitmix64)."""
        self._chance = (self._chance + 0x9E3779B97F4A7C15) & _MASK
        z = self._chance
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return ((z ^ (z >> 31)) * below) >> 64
