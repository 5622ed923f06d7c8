"""Values by ids, in the order of the ids: what is pending.

The pairs lie in chunks, which a copy shares until one of the two is about to change one.  How they are parted
into chunks is no part of the state.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

from epaxos.statemachines.redis.discards import discard

__all__ = ["CHUNK_PAIRS", "IdMap"]

V = TypeVar("V")

CHUNK_PAIRS = 512
"""The pairs of a chunk, at most: it is copied in 2 µs."""


class _Chunk(Generic[V]):
    """Ids and their values.  `owner`: who may change it."""

    __slots__ = ("ids", "owner", "values")

    def __init__(self, owner: object, ids: list[int], values: list[V]) -> None:
        self.owner = owner
        self.ids = ids
        self.values = values


class IdMap(Generic[V]):
    """Values by ids.  A copy is independent, and made at once, whatever the number of pairs is."""

    __slots__ = ("_chunks", "_count", "_firsts", "_owner")

    def __init__(self) -> None:
        self._chunks: list[_Chunk[V]] = []
        self._firsts: list[int] = []
        """For each chunk a number that is not above its ids, and above those of the chunks before."""
        self._owner = object()
        self._count = 0

    def copy(self) -> IdMap[V]:
        """Independent of this one, whichever of the two changes."""
        copied: IdMap[V] = IdMap()
        copied._chunks = self._chunks.copy()
        copied._firsts = self._firsts.copy()
        copied._count = self._count
        self._owner = object()
        return copied

    def __del__(self) -> None:
        if len(self._chunks) > 2:
            discard(self._chunks)

    def __len__(self) -> int:
        return self._count

    # -- reading

    def first(self) -> int:
        """The lowest id; there is one."""
        return self._chunks[0].ids[0]

    def last(self) -> int:
        """The highest id; there is one."""
        return self._chunks[-1].ids[-1]

    def get(self, number: int) -> V | None:
        """The value of an id, None where there is none."""
        if not self._chunks:
            return None
        chunk = self._chunks[self._chunk_at(number)]
        place = bisect_left(chunk.ids, number)
        return chunk.values[place] if place < len(chunk.ids) and chunk.ids[place] == number else None

    def some_from(self, start: int) -> tuple[Sequence[int], Sequence[V]]:
        """The next ids from `start` on, at most CHUNK_PAIRS, and their values; none when that was all."""
        for number in range(self._chunk_at(start), len(self._chunks)):
            chunk = self._chunks[number]
            place = bisect_left(chunk.ids, start)
            if place < len(chunk.ids):
                return chunk.ids[place:], chunk.values[place:]
        return (), ()

    def pairs(self) -> Iterator[tuple[int, V]]:
        """All ids and their values.  Nobody may change this meanwhile."""
        for chunk in self._chunks:
            yield from zip(chunk.ids, chunk.values)

    # -- changing

    def set(self, number: int, value: V) -> None:
        """Set the value of an id, which may be new."""
        if not self._chunks or number > self._chunks[-1].ids[-1]:
            self.extend([number], [value])
            return
        at = self._chunk_at(number)
        chunk = self._own(at)
        place = bisect_left(chunk.ids, number)
        if place < len(chunk.ids) and chunk.ids[place] == number:
            chunk.values[place] = value
            return
        chunk.ids.insert(place, number)
        chunk.values.insert(place, value)
        self._count += 1
        self._firsts[at] = min(self._firsts[at], number)
        if len(chunk.ids) > CHUNK_PAIRS:
            middle = CHUNK_PAIRS // 2
            upper = _Chunk(self._owner, chunk.ids[middle:], chunk.values[middle:])
            del chunk.ids[middle:], chunk.values[middle:]
            self._chunks.insert(at + 1, upper)
            self._firsts.insert(at + 1, upper.ids[0])

    def extend(self, ids: Sequence[int], values: Sequence[V]) -> None:
        """Add ids, which rise and are above all others, and their values."""
        start = 0
        while start < len(ids):
            chunk = self._own(len(self._chunks) - 1) if self._chunks else None
            if chunk is None or len(chunk.ids) >= CHUNK_PAIRS:
                chunk = _Chunk(self._owner, [], [])
                self._chunks.append(chunk)
                self._firsts.append(ids[start])
            end = start + CHUNK_PAIRS - len(chunk.ids)
            chunk.ids += ids[start:end]
            chunk.values += values[start:end]
            start = end
        self._count += len(ids)

    def pop(self, number: int) -> V | None:
        """Remove an id; the value that it had, None where there was none."""
        if not self._chunks:
            return None
        at = self._chunk_at(number)
        ids = self._chunks[at].ids
        place = bisect_left(ids, number)
        if place == len(ids) or ids[place] != number:
            return None
        chunk = self._own(at)
        del chunk.ids[place]
        value = chunk.values.pop(place)
        self._count -= 1
        if not chunk.ids:
            del self._chunks[at], self._firsts[at]
        return value

    def _chunk_at(self, number: int) -> int:
        return max(0, bisect_right(self._firsts, number) - 1)

    def _own(self, at: int) -> _Chunk[V]:
        chunk = self._chunks[at]
        if chunk.owner is not self._owner:
            chunk = self._chunks[at] = _Chunk(self._owner, chunk.ids.copy(), chunk.values.copy())
        return chunk
