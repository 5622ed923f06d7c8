"""Which writes the event loop does itself, and whether the disk is fast enough for that."""

from __future__ import annotations

from collections.abc import Sequence

from epaxos.storage.leveldb.shared import Item

__all__ = ["DiskPace", "is_brief"]

BRIEF_S = 0.002
"""The longest time, in seconds, that a write should take in the event loop."""
BRIEF_BYTES_MAX = 256 << 10
"""The most bytes of batches that are written in the event loop."""
BRIEF_DROPPED_MAX = 2000
"""The most deletions that are written in the event loop; a thousand take about 2 ms."""
SLOW_WRITES = 8
"""The disk is slow when this many writes in a row took longer than BRIEF_S.  A single one may have
waited for a processor."""
STALL_S = 0.05
"""A single write that takes this long, in seconds, shows a slow disk, because after a second of such
writes the other replicas would suspect this one."""
SLOW_GROUPS = 1000
"""The number of groups that go to the thread before the event loop tries a slow disk again."""


class DiskPace:
    """Whether the disk is fast enough for the event loop to wait for it."""

    def __init__(self) -> None:
        self._slow_writes = 0
        self._groups_left = 0

    def is_fast(self) -> bool:
        """Whether the event loop may write the next group.  To be asked once for each group."""
        if self._groups_left:
            self._groups_left -= 1
        return not self._groups_left

    def on_write(self, seconds: float) -> None:
        """The event loop waited `seconds` for a write."""
        if seconds < BRIEF_S:
            self._slow_writes = 0
            return
        self._slow_writes += 1 if seconds < STALL_S else SLOW_WRITES
        if self._slow_writes >= SLOW_WRITES:
            self._groups_left = SLOW_GROUPS


def is_brief(group: Sequence[Item]) -> bool:
    """Whether the group is small enough for the event loop to write it on a fast disk."""
    size = dropped = 0
    for write_set, _ in group:
        if write_set.checkpoint is not None:
            return False
        size += sum(len(batch.payload) for _, batch in write_set.batches)
        dropped += len(write_set.dropped)
    return size <= BRIEF_BYTES_MAX and dropped <= BRIEF_DROPPED_MAX
