"""The numbers of writes: each write leaves its number in the database, so a lost write is a visible gap.

LevelDB checks what it reads, but it takes some losses for the end of its log: a log file that is missing,
cut or zeroed, and a cut end of its own manifest.  Therefore the numbers of the latest writes, more than
its logs can hold, must be there without a gap, and `folder.py` keeps the lowest number that the last of
them may have outside the database.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from epaxos.storage.leveldb.records import WRITE_PREFIX, decode_number, encode_number, write_key

__all__ = ["WriteSequence"]

KEPT_WRITES = 200_000
"""The most numbers that are kept.  It bounds their bytes and the time to read them when a replica is
restarted often.

The smallest writes that change anything take about 120 bytes, so this many fill LevelDB's two logs.
"""
REMOVED_PER_WRITE = 4
"""The most old numbers that one write removes."""


class WriteSequence:
    """The numbers of writes that the database holds: `first` to `last`, without a gap.

    The number of a write is removed once `kept_bytes` bytes, or `kept_writes` writes, came after it.
    """

    def __init__(self, first: int, last: int, kept_bytes: int, kept_writes: int = KEPT_WRITES) -> None:
        self.first = first
        self.last = last
        self._kept_writes = kept_writes
        self._kept_bytes = kept_bytes
        self._step_bytes = max(1, kept_bytes // 16)
        self._bytes = 0
        self._steps: deque[tuple[int, int]] = deque([(last, 0)])
        self._removable = first - 1

    @classmethod
    def restore(
        cls, held: Iterable[tuple[bytes, bytes]], kept_bytes: int, kept_writes: int = KEPT_WRITES
    ) -> WriteSequence:
        """Continue the sequence that the database holds under WRITE_PREFIX.

        Raises ValueError when writes are missing.
        """
        writes = list(held)
        if not writes:
            raise ValueError("it does not show a single write")
        numbers = [decode_number(key[len(WRITE_PREFIX) :]) for key, _ in writes]
        first, last = decode_number(writes[-1][1]), numbers[-1]
        if numbers[0] != first or len(numbers) != last - first + 1:
            raise ValueError(f"of the writes {first} to {last} not all are there")
        return cls(first, last, kept_bytes, kept_writes)

    def add_to(self, batch: Any) -> None:
        """Give the next number to the write that `batch`, a write batch of LevelDB, will be."""
        self.last += 1
        removable = max(self._removable, self.last - self._kept_writes)
        for _ in range(REMOVED_PER_WRITE):
            if self.first > removable:
                break
            batch.delete(write_key(self.first))
            self.first += 1
        batch.put(write_key(self.last), encode_number(self.first))

    def on_written(self, size: int) -> None:
        """The write was done, and has `size` bytes."""
        self._bytes += size
        if self._bytes - self._steps[-1][1] >= self._step_bytes:
            self._steps.append((self.last, self._bytes))
        while len(self._steps) > 1 and self._bytes - self._steps[0][1] > self._kept_bytes:
            self._removable = self._steps.popleft()[0]
