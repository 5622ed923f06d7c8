"""What has been taken of the state of another replica, on the disk of this one, beside its own state."""

from __future__ import annotations

from collections.abc import Callable

from epaxos.verify.simulation.contents import FileName
from epaxos.verify.simulation.state_bytes import good_part

__all__ = ["Incoming"]

SYNCED_EVERY = 4
"""Of the bytes that were taken, those that wait to be synced are synced at this number."""


class Incoming:
    """Files that came from the replica with the uid `source`.  0: from nobody."""

    def __init__(self) -> None:
        self.source = 0
        self._files: dict[FileName, bytes] = {}
        self._unsynced: list[tuple[FileName, int]] = []  # a file, and its length before it grew

    def clear(self) -> None:
        """Nothing is taken from anybody."""
        self.begin(0)

    def begin(self, source: int) -> None:
        """From now on take from `source`.  Of what is there from this replica, whole pieces stay."""
        if source != self.source:
            self._files = {}
            self.source = source
        self._unsynced = []
        self._cut()

    def _cut(self) -> None:
        lengths = {name: good_part(data).length for name, data in self._files.items()}
        self._files = {name: self._files[name][:length] for name, length in lengths.items() if length}

    @property
    def files(self) -> dict[FileName, bytes]:
        """What there is of each file."""
        return dict(self._files)

    def length(self, name: FileName) -> int:
        """How much there is of a file, in bytes."""
        return len(self._files.get(name, b""))

    def take(self, name: FileName, data: bytes) -> bool:
        """A file grows.  False: these bytes are wrong, and the last good piece is again the last."""
        before = self._files.get(name, b"")
        good = good_part(before + data)
        if not good.is_all:
            self._files[name] = before[: good_part(before).length]
            return False
        self._files[name] = before + data
        self._unsynced.append((name, len(before)))
        if len(self._unsynced) >= SYNCED_EVERY:
            self.sync()
        return True

    def sync(self) -> None:
        """What was taken survives everything from now on."""
        self._unsynced = []

    def crash(self, survivors: Callable[[int], int]) -> None:
        """The process has ended.  `survivors(limit)` tells how many of what was taken and not synced, less
        than `limit`, is left."""
        if self._unsynced:
            for name, length in reversed(self._unsynced[survivors(len(self._unsynced) + 1) :]):
                self._files[name] = self._files.get(name, b"")[:length]
        self._unsynced = []
        self._cut()
