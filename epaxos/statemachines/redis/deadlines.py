"""Which keys are due when, as far as this replica knows: what ends keys that nobody touches.

It is no part of the state, and nothing that a command does depends on it.  A key stands in the bucket of a
second, or of a minute or so while that is far away.  A deadline that is moved to later leaves the key in its
bucket: when the bucket comes, the state says when the key is due, and it goes to a later one.  So each key
stands in one place, and a session that is prolonged with each request costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from itertools import repeat

from epaxos.statemachines.redis.names import DATABASES
from epaxos.statemachines.redis.shards import ShardedDict

__all__ = ["CHUNK_KEYS", "Deadlines", "Due"]

CHUNK_KEYS = 1000
"""Keys that stand together.  Small dictionaries grow and are freed in no time."""
FAR_S = 128
COARSE_S = 64
"""Deadlines that are FAR_S or more away share buckets of COARSE_S seconds, so that a few keys with deadlines
all over the year do not take a bucket each."""
AGAIN_S = 3
"""A key that was found due is found again after this time, if it is still there."""
SPARE = 10_000
"""The index is swept when it has this number of keys more than twice those of the store: most of them have
lost their deadlines by plain SETs, which look at none."""

Due = tuple[int, bytes, int]
"""A database, a key, and its deadline in milliseconds since 1970."""


class _Chunk(dict[bytes, None]):
    """Keys of one database in one bucket."""

    def __init__(self, database: int, second: int) -> None:
        super().__init__()
        self.database = database
        self.second = second


class Deadlines:
    """The index of a store.

    `deadline(database, key)`: that of a key in the state, None where there is none.  `keys()`: the number of
    keys of the state.  `removed`: how many keys were removed whose bucket had come, and was not taken here.
    """

    def __init__(self, deadline: Callable[[int, bytes], int | None], keys: Callable[[], int]) -> None:
        self.removed = 0
        self._deadline = deadline
        self._keys = keys
        self._chunk_of: list[ShardedDict[_Chunk] | None] = [ShardedDict(), *[None] * (DATABASES - 1)]
        self._buckets: dict[int, list[_Chunk]] = {}
        self._seconds: list[int] = []  # a heap of those that have a bucket
        self._to_sweep: list[_Chunk] = []
        self._now_s = 0

    def __len__(self) -> int:
        """The number of keys that stand here."""
        return sum(len(chunk_of) for chunk_of in self._chunk_of if chunk_of is not None)

    def count(self, database: int) -> int:
        """The number of keys of this database that stand here."""
        chunk_of = self._chunk_of[database]
        return 0 if chunk_of is None else len(chunk_of)

    def keys_of(self, database: int) -> ShardedDict[_Chunk]:
        """The keys of this database that stand here.  Nobody may change it."""
        chunk_of = self._chunk_of[database]
        return ShardedDict() if chunk_of is None else chunk_of

    # -- what happens to keys

    def add(self, database: int, key: bytes, deadline_ms: int) -> None:
        """The key has got this deadline."""
        second, chunk_of = self._second(deadline_ms), self._chunks(database)
        chunk = chunk_of.get(key)
        if chunk is not None:
            if chunk.second <= second:
                return
            del chunk[key]
        chunk = self._open_chunk(database, second)
        chunk[key] = None
        chunk_of[key] = chunk

    def add_all(self, database: int, keys: Sequence[bytes], deadline_ms: int) -> None:
        """These keys, all of them different, have got this deadline."""
        second, chunk_of = self._second(deadline_ms), self._chunks(database)
        found = chunk_of.get_all(keys)
        if found.count(None) < len(found):
            moved: list[bytes] = []
            for key, chunk in zip(keys, found):
                if chunk is None or chunk.second > second:
                    moved.append(key)
                    if chunk is not None:
                        del chunk[key]
            keys = moved
        while keys:
            chunk = self._open_chunk(database, second)
            room = CHUNK_KEYS - len(chunk)
            some, keys = keys[:room], keys[room:]
            chunk.update(dict.fromkeys(some))
            chunk_of.set_all(some, repeat(chunk))

    def _second(self, deadline_ms: int) -> int:
        """That of the bucket in which a key with this deadline stands."""
        second = -(-deadline_ms // 1000)
        return second - second % COARSE_S if second - self._now_s >= FAR_S else second

    def _chunks(self, database: int) -> ShardedDict[_Chunk]:
        chunk_of = self._chunk_of[database]
        if chunk_of is None:
            chunk_of = self._chunk_of[database] = ShardedDict()
        return chunk_of

    def _open_chunk(self, database: int, second: int) -> _Chunk:
        bucket = self._bucket(second)
        for chunk in bucket[: -DATABASES - 1 : -1]:
            if chunk.database == database and len(chunk) < CHUNK_KEYS:
                return chunk
        bucket.append(_Chunk(database, second))
        return bucket[-1]

    def _bucket(self, second: int) -> list[_Chunk]:
        bucket = self._buckets.get(second)
        if bucket is None:
            bucket = self._buckets[second] = []
            heappush(self._seconds, second)
        return bucket

    def gone(self, database: int, key: bytes) -> None:
        """The key, which had a deadline, was removed."""
        chunk_of = self._chunk_of[database]
        chunk = None if chunk_of is None else chunk_of.pop(key, None)
        if chunk is not None:
            del chunk[key]
            if chunk.second <= self._now_s:
                self.removed += 1

    # -- what is due

    def is_due(self, now_ms: int) -> bool:
        """Whether a bucket has come in which keys stand."""
        self._now_s = now_ms // 1000
        seconds, buckets = self._seconds, self._buckets
        while seconds and seconds[0] <= self._now_s:
            bucket = buckets[seconds[0]]
            while bucket and not bucket[-1]:
                bucket.pop()
            if bucket:
                return True
            del buckets[heappop(seconds)]
        return False

    def take(self, now_ms: int) -> list[Due]:
        """Those keys of one chunk whose bucket has come that are due.  They are found again after a while.

        The others go to later buckets, or away when they have no deadline any more.
        """
        if not self.is_due(now_ms):
            return []
        chunk = self._buckets[self._seconds[0]].pop()
        database = chunk.database
        deadlines = [(key, self._deadline(database, key)) for key in chunk]
        due = [(database, key, at_ms) for key, at_ms in deadlines if at_ms is not None and at_ms <= now_ms]
        if len(due) < len(chunk):
            for key, at_ms in deadlines:
                if at_ms is None or at_ms > now_ms:
                    self._leave(chunk, key)
                    if at_ms is not None:
                        self.add(database, key, at_ms)
        chunk.second = self._now_s + AGAIN_S
        self._bucket(chunk.second).append(chunk)
        return due

    def _leave(self, chunk: _Chunk, key: bytes) -> None:
        chunk_of = self._chunk_of[chunk.database]
        assert chunk_of is not None
        del chunk[key]
        chunk_of.pop(key, None)

    def sweep(self) -> None:
        """If too many keys stand here that have no deadline any more, look at the next CHUNK_KEYS of them."""
        if self._to_sweep:
            chunk = self._to_sweep.pop()
            for key in [key for key in chunk if self._deadline(chunk.database, key) is None]:
                self._leave(chunk, key)
        elif len(self) > 2 * self._keys() + SPARE:
            self._to_sweep = [chunk for bucket in self._buckets.values() for chunk in bucket]

    def swap(self, one: int, other: int) -> None:
        """The keys of these two databases have changed places."""
        chunk_of = self._chunk_of
        chunk_of[one], chunk_of[other] = chunk_of[other], chunk_of[one]
        places = {one: other, other: one}
        for bucket in self._buckets.values():
            for chunk in bucket:
                chunk.database = places.get(chunk.database, chunk.database)
