"""The deadlines of many keys: which are due, and when the next one is."""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["Deadlines"]

K = TypeVar("K", bound=Hashable)


class Deadlines(Generic[K]):
    """At most one deadline for each key, in seconds on the clock of `Replica.tick`.

    Keys that are due at the same time come out in the order in which they were set.
    """

    def __init__(self) -> None:
        self._due: dict[K, tuple[float, int]] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._sets = 0

    def set(self, key: K, at: float) -> None:
        """Make `key` due at the time `at`, instead of any time set before."""
        self._sets += 1
        self._due[key] = (at, self._sets)
        heapq.heappush(self._heap, (at, self._sets, key))
        if len(self._heap) > 64 and len(self._heap) > 4 * len(self._due):
            self._heap = [(at, turn, key) for key, (at, turn) in self._due.items()]
            heapq.heapify(self._heap)

    def clear(self, key: K) -> None:
        """Remove the deadline of `key`, if it has one."""
        self._due.pop(key, None)

    def pop_due(self, now: float) -> list[K]:
        """Remove and return the keys that are due at the time `now`."""
        due = []
        while self._heap and self._heap[0][0] <= now:
            at, turn, key = heapq.heappop(self._heap)
            if self._due.get(key) == (at, turn):
                del self._due[key]
                due.append(key)
        return due

    def next(self) -> float | None:
        """When the next key is due; None without keys."""
        while self._heap:
            at, turn, key = self._heap[0]
            if self._due.get(key) == (at, turn):
                return at
            heapq.heappop(self._heap)
        return None

    def __len__(self) -> int:
        return len(self._due)
