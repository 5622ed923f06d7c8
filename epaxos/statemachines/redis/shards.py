"""The dictionary of the key-value store: many small dictionaries, so that no single step takes long.

A Python dictionary grows, is copied and is freed in one step, whose time is proportional to its size.  With
millions of keys such a step stops the replica for hundreds of milliseconds.  Here the hash of a key chooses
one of SHARDS dictionaries, so a step touches only one of them.

A snapshot (`ShardedDict.entries`) takes no time: after it, values that are about to change are kept until
their shard of the snapshot has been read.  A snapshot is read shard by shard, also in another thread.  Any
number of snapshots may be read at the same time; one without a reference costs nothing.

Bulk operations work on whole columns of keys: only C code handles single keys.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, repeat
from operator import setitem
from struct import pack
from typing import Any, Generic, TypeVar, overload
from weakref import ref

from epaxos.statemachines.redis.positions import KeyIndex

__all__ = ["SHARDS", "Gathered", "ShardedDict", "Snapshot"]

SHARDS = 256
"""The number of shards, because one byte of the hash is the number of the shard.  With 100 million keys the
copy of a shard takes as long as that of a dictionary of 400,000 keys: about 15 ms."""

GATHERED_MAX = 400_000
"""The most entries that are gathered.  With a quarter of them it takes 6 % longer, with ten times as many 9 %
less."""

_HASH_BYTES = sys.hash_info.width // 8
_BYTE = _HASH_BYTES - 3
"""The byte of the hash that chooses the shard; the dictionary of a shard uses the low bytes."""
_SHIFT = 8 * _BYTE
_FIRST = _BYTE if sys.byteorder == "little" else 7 - _BYTE

V = TypeVar("V")
D = TypeVar("D")


def _numbers(keys: Collection[bytes]) -> bytes:
    """The number of each key's shard."""
    return pack(f"{len(keys)}q", *map(hash, keys))[_FIRST::8]


def _do(calls: Iterable[object]) -> None:
    """Run an iterator for its side effects."""
    deque(calls, maxlen=0)


class Snapshot(Generic[V]):
    """The entries of one moment, which can be read once.

    The shards still hold what they held at that moment, except for the keys in `_before`, which has their
    old values, None where there was none.  A key is noted there before it changes.  Therefore a shard may be
    copied at any time, also in another thread, provided that `_before` is consulted after the copy.  Every
    step that matters, in both threads, is one call of C code.
    """

    __slots__ = ("__weakref__", "_before", "_read", "_shards", "_unused")

    def __init__(self, shards: list[dict[bytes, V]]) -> None:
        self._shards = shards.copy()
        self._before: list[dict[bytes, V | None]] = [{} for _ in range(SHARDS)]
        self._unused: dict[bytes, V | None] = {}
        self._read = 0

    @property
    def is_read(self) -> bool:
        """Whether every shard has been copied, so that later changes need no note."""
        return self._read == SHARDS

    def note(self, numbers: bytes, keys: Iterable[bytes], values: Iterable[V | None]) -> None:
        """These keys, in the shards of these numbers, are about to change; `values`: their values so far."""
        _do(map(dict.setdefault, map(self._before.__getitem__, numbers), keys, values))
        self._unused.clear()

    def __iter__(self) -> Iterator[tuple[bytes, V]]:
        return chain.from_iterable(map(dict.items, self.by_shard()))

    def by_shard(self) -> Iterator[dict[bytes, V]]:
        """The entries, a shard at a time."""
        if self._read:
            raise RuntimeError("a snapshot can be read only once")
        return map(self._take, range(SHARDS))

    def _take(self, number: int) -> dict[bytes, V]:
        """The entries of the next shard."""
        entries: dict[bytes, Any] = self._shards[number].copy()
        self._shards[number] = {}  # so that the shard is freed if nobody else uses it
        before = self._before[number]
        self._before[number] = self._unused
        self._read = number + 1
        if before:
            changed = before.copy()
            entries.update(changed)
            if None in changed.values():
                _do(map(entries.pop, [key for key, value in changed.items() if value is None]))
        return entries


class ShardedDict(Generic[V]):
    """A dictionary with the usual methods, and with methods for many keys at once.

    Only one thread may change it; values are never None.  `generation`: it rises with each snapshot.  A value
    that can be changed in place has to be copied first if it may be older than the last one.
    """

    __slots__ = ("_index", "_shards", "_snapshots", "generation")

    def __init__(self) -> None:
        self._index: KeyIndex | None = None
        self._shards: list[dict[bytes, V]] = [{} for _ in range(SHARDS)]
        self._snapshots: list[ref[Snapshot[V]]] = []
        self.generation = 0

    def entries(self) -> Snapshot[V]:
        """The entries of this moment."""
        self.generation += 1
        snapshot = Snapshot(self._shards)
        self._snapshots.append(ref(snapshot))
        return snapshot

    # -- many keys

    def get_all(self, keys: Collection[bytes]) -> list[V | None]:
        """The value of each key."""
        if len(keys) == 1:
            return [self._shards[hash(key) >> _SHIFT & 255].get(key) for key in keys]
        return list(map(dict.get, map(self._shards.__getitem__, _numbers(keys)), keys))

    def set_all(self, keys: Collection[bytes], values: Iterable[V]) -> None:
        """Set each key to its value.  A key that occurs twice gets the later value."""
        if len(keys) == 1 and not self._snapshots and self._index is None:
            for key, value in zip(keys, values):
                self._shards[hash(key) >> _SHIFT & 255][key] = value
            return
        numbers = _numbers(keys)
        if self._snapshots:
            self._note(numbers, keys)
        before = len(self) if self._index is not None else 0
        _do(map(setitem, map(self._shards.__getitem__, numbers), keys, values))
        if self._index is not None and len(self) > before:
            self._note_new(list(keys))

    def update_shards(self, keys: Iterable[Iterable[bytes]], values: Iterable[Iterable[V]]) -> None:
        """Set keys to their values, which come by shard.  There may be no snapshot; an index is dropped."""
        assert not self._snapshots
        self._index = None
        for shard, shard_keys, shard_values in zip(self._shards, keys, values):
            shard.update(zip(shard_keys, shard_values))

    def update(self, pairs: Iterable[tuple[bytes, V]]) -> None:
        """See dict.  When the pairs are a dict already, `set_all` is faster."""
        new = dict(pairs)
        self.set_all(new, new.values())

    def dicts_of(self, keys: Collection[bytes]) -> Iterator[dict[bytes, V] | ShardedDict[V]]:
        """For each key a dictionary in which it may be looked up and changed, before any other change."""
        if self._index is not None or (self._snapshots and self._watching()):
            return repeat(self, len(keys))
        return map(self._shards.__getitem__, _numbers(keys))

    # -- as a dict

    def __len__(self) -> int:
        return sum(map(len, self._shards))

    def __contains__(self, key: bytes) -> bool:
        return key in self._shards[hash(key) >> _SHIFT & 255]

    def __setitem__(self, key: bytes, value: V) -> None:
        if self._snapshots:
            self._note(_numbers((key,)), (key,))
        shard = self._shards[hash(key) >> _SHIFT & 255]
        if self._index is not None and key not in shard:
            self._note_new((key,))
        shard[key] = value

    @overload
    def get(self, key: bytes) -> V | None: ...

    @overload
    def get(self, key: bytes, default: D) -> V | D: ...

    def get(self, key: bytes, default: Any = None) -> Any:
        """See dict."""
        return self._shards[hash(key) >> _SHIFT & 255].get(key, default)

    def pop(self, key: bytes, default: D) -> V | D:
        """See dict."""
        if self._snapshots:
            self._note(_numbers((key,)), (key,))
        return self._shards[hash(key) >> _SHIFT & 255].pop(key, default)

    def clear(self) -> list[dict[bytes, Any]]:
        """Remove all keys.  Returns the dictionaries that nobody needs now; freeing them takes long."""
        old, self._shards = self._shards, [{} for _ in range(SHARDS)]
        watching, self._snapshots = self._watching(), []
        index, self._index = self._index, None
        discarded: list[dict[bytes, Any]] = [] if watching else [*old]
        if index is not None:
            discarded.append(index.discarded())
        return discarded

    def take_away(self) -> object:
        """Remove all keys; what is returned brings them back (`put_back`)."""
        taken = (self._shards, self._snapshots)
        self._shards, self._snapshots, self._index = [{} for _ in range(SHARDS)], [], None
        return taken

    def left_of(self, taken: Any) -> list[dict[bytes, Any]]:
        """The dictionaries that nobody needs, when what `take_away` has returned is not put back."""
        shards, snapshots = taken
        alive = [snapshot for one in snapshots if (snapshot := one()) and not snapshot.is_read]
        return [] if alive else [*shards]

    def put_back(self, taken: Any) -> None:
        """Hold again what `take_away` has returned, and nothing else.  No snapshot was made since."""
        self._shards, self._snapshots = taken
        self._index = None

    def exchange(self, other: ShardedDict[V]) -> None:
        """Hold what `other` holds, and let it hold what this one has held; at once.

        Values that can be changed in place are copied before the next change, because snapshots of before
        may show them.
        """
        self._shards, other._shards = other._shards, self._shards
        self._snapshots, other._snapshots = other._snapshots, self._snapshots
        self._index, other._index = other._index, self._index
        self.generation = other.generation = max(self.generation, other.generation) + 1

    # -- all keys

    def shards(self) -> Sequence[Mapping[bytes, V]]:
        """All shards, in an order that means nothing.  Nobody may change them."""
        return self._shards

    def index(self) -> KeyIndex:
        """The index of the keys by their positions; a new one, which is not built, where there is none."""
        if self._index is None or self._index.is_worn(len(self)):
            self._index = KeyIndex(map(list, self._shards), self._index)
        return self._index

    def _note_new(self, keys: Collection[bytes]) -> None:
        if self._index is not None and not self._index.note(keys):
            self._index = None

    # -- snapshots

    def _watching(self) -> list[Snapshot[V]]:
        """The snapshots that are not completely read."""
        found = [snapshot for one in self._snapshots if (snapshot := one()) and not snapshot.is_read]
        if len(found) != len(self._snapshots):
            self._snapshots = list(map(ref, found))
        return found

    def _note(self, numbers: bytes, keys: Collection[bytes]) -> None:
        watching = self._watching()
        if watching:
            values = self.get_all(keys)
            for snapshot in watching:
                snapshot.note(numbers, keys, values)


class Gathered(Generic[V]):
    """Entries for a `ShardedDict`, gathered by shard: the processor's cache has room for one shard and not
    for all, so many keys in any order are set in half of the time.

    Until `settle` the dictionary does not have them, and nobody else may change it.
    """

    __slots__ = ("_count", "_keys", "_values")

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._count = 0
        self._keys: list[list[bytes]] = [[] for _ in range(SHARDS)]
        self._values: list[list[V]] = [[] for _ in range(SHARDS)]

    def set_all(self, keys: Collection[bytes], values: Iterable[V], data: ShardedDict[V]) -> None:
        """As `data.set_all`, at the latest with `settle(data)`."""
        numbers = _numbers(keys)
        _do(map(list.append, map(self._keys.__getitem__, numbers), keys))
        _do(map(list.append, map(self._values.__getitem__, numbers), values))
        self._count += len(keys)
        if self._count >= GATHERED_MAX:
            self.settle(data)

    def settle(self, data: ShardedDict[V]) -> None:
        """Set what was gathered."""
        if self._count:
            data.update_shards(self._keys, self._values)
            self._begin()
