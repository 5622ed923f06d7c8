"""Every write has a number and leaves it behind, so that a lost write is a hole that can be seen.

LevelDB checks what it reads, but some losses it takes for the end of its log: a log file that is gone,
cut or zeroed, and the end of a manifest.  The numbers of the latest writes, more than its logs can hold,
must therefore be there without a gap; and `folder.py` keeps, outside the database, the number
that must be there at least.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from epaxos.storage.leveldb.records import WRITE_PREFIX, decode_number, encode_number, write_key

__all__ = ["WriteSequence"]

KEPT_WRITES = 200_000
"""Bounds what the numbers take when a replica is often restarted, and the time to read them.

The smallest writes that change anything take about 120 bytes: so many fill LevelDB's two logs.
"""
REMOVED_PER_WRITE = 4


class WriteSequence:
    """The numbers of the writes that the database shows: `first` to `last`, none missing.

    The number of a write is removed after `kept_bytes` more, or `kept_writes` more, were written.
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
        """Take up from what the database holds under WRITE_PREFIX.  ValueError: writes are missing."""
        writes = list(held)
        if not writes:
            raise ValueError("it does not show a single write")
        numbers = [decode_number(key[len(WRITE_PREFIX) :]) for key, _ in writes]
        first, last = decode_number(writes[-1][1]), numbers[-1]
        if numbers[0] != first or len(numbers) != last - first + 1:
            raise ValueError(f"of the writes {first} to {last} not all are there")
        return cls(first, last, kept_bytes, kept_writes)

    def add_to(self, batch: Any) -> None:
        """Number the write that `batch` (a write batch of LevelDB) is going to be."""
        self.last += 1
        removable = max(self._removable, self.last - self._kept_writes)
        for _ in range(REMOVED_PER_WRITE):
            if self.first > removable:
                break
            batch.delete(write_key(self.first))
            self.first += 1
        batch.put(write_key(self.last), encode_number(self.first))

    def written(self, size: int) -> None:
        """The write took `size` bytes."""
        self._bytes += size
        if self._bytes - self._steps[-1][1] >= self._step_bytes:
            self._steps.append((self.last, self._bytes))
        while len(self._steps) > 1 and self._bytes - self._steps[0][1] > self._kept_bytes:
            self._removable = self._steps.popleft()[0]
