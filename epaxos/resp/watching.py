"""What the connections of one replica watch: see `epaxos.interfaces.composites`."""

from __future__ import annotations

from epaxos.interfaces import Command
from epaxos.interfaces.composites import Owner, lives_ended

__all__ = ["WATCHED_MAX", "Watching"]

WATCHED_MAX = 1000
"""Keys that all clients of a replica watch at a time, because marks are a part of the state."""


class Watching:
    """The marks of the life of this process, of replica `replica`; no other process has had this `life`."""

    def __init__(self, replica: int, life: bytes) -> None:
        self._replica = replica
        self._life = life
        self.keys = 0
        """The keys that are watched; one that two connections watch counts twice."""
        self.has_begun = False
        """Whether the marks of earlier lives have ended."""

    def owner(self, client_id: int) -> Owner:
        """Of the mark of a connection."""
        return Owner(self._replica, b"%b:%d" % (self._life, client_id))

    def begin(self) -> tuple[Command, ...]:
        """What has to run before the first mark is made."""
        return () if self.has_begun else (lives_ended(self._replica, self._life),)
