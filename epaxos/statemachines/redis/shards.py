"""The dictionary of the key-value store, made of many small ones, so that nothing done to it takes long.

A Python dictionary does some things in one step that takes as long as it is large: it grows, it is
copied, it is freed.  With some millions of keys such a step stops the replica for hundreds of
milliseconds.  Here the hash of a key says in which of SHARDS dictionaries it lies, so a step touches
one of these only.

A snapshot (`ShardedDict.entries`) is taken in no time: from then on, the values that are about to be
changed are kept aside until the snapshot has been read so far.  It is read shard by shard, also by
another thread.  Any number of snapshots may be read at once; one that nobody refers to any more costs
nothing.

Bulk operations work on whole columns of keys: nothing is done key by key but by C code.
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
"""One byte of the hash is the number of the shard.  A shard of a state of 100 million keys takes as long
to copy as a dictionary of 400,000: about 15 ms."""

_HASH_BYTES = sys.hash_info.width // 8
_BYTE = _HASH_BYTES - 3
"""Which byte of the hash: a shard itself, being a dictionary, goes by the low ones."""
_SHIFT = 8 * _BYTE
_FIRST = _BYTE if sys.byteorder == "little" else 7 - _BYTE

V = TypeVar("V")
D = TypeVar("D")


def _numbers(keys: Collection[bytes]) -> bytes:
    """The number of each key's shard."""
    return pack(f"{len(keys)}q", *map(hash, keys))[_FIRST::8]


def _do(calls: Iterable[object]) -> None:
    """Go through an iterator for what it does."""
    deque(calls, maxlen=0)


class Snapshot(Generic[V]):
    """The entries of one moment, to be read once.

    What the shards hold now is what they held then, but for the keys in `_before`: it has their values
    of then, None where there was none.  A key is noted there before it is changed.  Therefore a shard
    may be copied at any time, also by another thread, when `_before` is looked at after that.  Every
    step that matters, of either thread, is one call of C code.
    """

    __slots__ = ("__weakref__", "_before", "_read", "_shards", "_unused")

    def __init__(self, shards: list[dict[bytes, V]]) -> None:
        self._shards = shards.copy()
        self._before: list[dict[bytes, V | None]] = [{} for _ in range(SHARDS)]
        self._unused: dict[bytes, V | None] = {}
        self._read = 0

    @property
    def is_read(self) -> bool:
        """Whether every shard was copied: what is changed from now on does not matter."""
        return self._read == SHARDS

    def note(self, numbers: bytes, keys: Iterable[bytes], values: Iterable[V | None]) -> None:
        """These keys, in the shards of these numbers, are about to be changed; `values`: what they are."""
        _do(map(dict.setdefault, map(self._before.__getitem__, numbers), keys, values))
        self._unused.clear()

    def __iter__(self) -> Iterator[tuple[bytes, V]]:
        assert not self._read, "a snapshot is read once"
        return chain.from_iterable(map(self._take, range(SHARDS)))

    def _take(self, number: int) -> Iterable[tuple[bytes, V]]:
        """The entries of the next shard."""
        entries: dict[bytes, Any] = self._shards[number].copy()
        self._shards[number] = {}  # it may be nobody else's any more
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
    """A dictionary with the usual methods, and some for many keys at once.

    One thread may change it; values are never None.
    """

    __slots__ = ("_shards", "_snapshots")

    def __init__(self) -> None:
        self._shards: list[dict[bytes, V]] = [{} for _ in range(SHARDS)]
        self._snapshots: list[ref[Snapshot[V]]] = []

    def entries(self) -> Snapshot[V]:
        """What it holds now."""
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
        """Give each key its value.  A key that is there twice gets the later value."""
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
        """For each key something with the methods that are for one key, where it may be looked up and
        changed, before anything else is done."""
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
        """Forget everything.  Returns the dictionaries that nobody needs now: they take long to free."""
        old, self._shards = self._shards, [{} for _ in range(SHARDS)]
        watching, self._snapshots = self._watching(), []
        return [] if watching else old

    # -- snapshots

    def _watching(self) -> list[Snapshot[V]]:
        """The snapshots that are not yet read."""
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
