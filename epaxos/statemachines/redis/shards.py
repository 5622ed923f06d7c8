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
from collections.abc import Collection, Iterable, Iterator
from itertools import chain, repeat
from operator import setitem
from struct import pack
from typing import Any, Generic, TypeVar, overload
from weakref import ref

__all__ = ["SHARDS", "ShardedDict", "Snapshot"]

SHARDS = 256
"""The number of shards, because one byte of the hash is the number of the shard.  With 100 million keys the
copy of a shard takes as long as that of a dictionary of 400,000 keys: about 15 ms."""

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
        if self._read:
            raise RuntimeError("a snapshot can be read only once")
        return chain.from_iterable(map(self._take, range(SHARDS)))

    def _take(self, number: int) -> Iterable[tuple[bytes, V]]:
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
        return entries.items()


class ShardedDict(Generic[V]):
    """A dictionary with the usual methods, and with methods for many keys at once.

    Only one thread may change it; values are never None.
    """

    __slots__ = ("_shards", "_snapshots")

    def __init__(self) -> None:
        self._shards: list[dict[bytes, V]] = [{} for _ in range(SHARDS)]
        self._snapshots: list[ref[Snapshot[V]]] = []

    def entries(self) -> Snapshot[V]:
        """The entries of this moment."""
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
        if len(keys) == 1 and not self._snapshots:
            for key, value in zip(keys, values):
                self._shards[hash(key) >> _SHIFT & 255][key] = value
            return
        numbers = _numbers(keys)
        if self._snapshots:
            self._note(numbers, keys)
        _do(map(setitem, map(self._shards.__getitem__, numbers), keys, values))

    def update(self, pairs: Iterable[tuple[bytes, V]]) -> None:
        """See dict.  When the pairs are a dict already, `set_all` is faster."""
        new = dict(pairs)
        self.set_all(new, new.values())

    def dicts_of(self, keys: Collection[bytes]) -> Iterator[dict[bytes, V] | ShardedDict[V]]:
        """For each key a dictionary in which it may be looked up and changed, before any other change."""
        if self._snapshots and self._watching():
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
        self._shards[hash(key) >> _SHIFT & 255][key] = value

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

    def clear(self) -> list[dict[bytes, V]]:
        """Remove all keys.  Returns the dictionaries that nobody needs now; freeing them takes long."""
        old, self._shards = self._shards, [{} for _ in range(SHARDS)]
        watching, self._snapshots = self._watching(), []
        return [] if watching else old

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
