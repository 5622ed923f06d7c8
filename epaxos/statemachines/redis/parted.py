"""A large dictionary of bytes: PARTS dictionaries, so that no step takes long, and a copy takes none.

A hash of the field that is the same in every process chooses the part.  So all replicas that did the same
have the fields in the same order: part by part, and in a part in the order of their insertion.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from operator import setitem
from struct import pack
from typing import Generic, TypeVar
from zlib import crc32

from epaxos.statemachines.redis.discards import discard

__all__ = ["PARTS", "Parted"]

V = TypeVar("V")

PARTS = 256
"""The number of parts, because the highest byte of the hash is the number of the part.  A part of a hash of a
million fields has 4,000, and is copied in 0.1 ms."""


class Parted(Generic[V]):
    """Values by fields, with what is needed of the methods of a dict.

    A copy shares every part with the original, until one of the two is about to change the part.  Only one
    thread may change them; the parts of one that nobody changes may be read in another thread.
    """

    __slots__ = ("_count", "_dicts", "_owned")

    def __init__(self, fields: Iterable[tuple[bytes, V]] = ()) -> None:
        self._dicts: list[dict[bytes, V]] = [{} for _ in range(PARTS)]
        self._owned = bytearray(b"\1" * PARTS)
        """For each part whether nobody else has it."""
        self._count = 0
        for name, value in fields:
            self._dicts[crc32(name) >> 24][name] = value
            self._count += 1

    def copy(self) -> Parted[V]:
        """Independent of this one, whichever of the two changes."""
        copied: Parted[V] = Parted.__new__(Parted)
        copied._dicts = self._dicts.copy()
        copied._count = self._count
        copied._owned = bytearray(PARTS)
        self._owned = bytearray(PARTS)
        return copied

    def __del__(self) -> None:
        discard(self._dicts)

    def __len__(self) -> int:
        return self._count

    def get(self, name: bytes) -> V | None:
        """See dict."""
        return self._dicts[crc32(name) >> 24].get(name)

    def put(self, name: bytes, value: V) -> bool:
        """Set a value.  Returns whether its name is a new one."""
        number = crc32(name) >> 24
        part = self._dicts[number] if self._owned[number] else self._own(number)
        size = len(part)
        part[name] = value
        if size == len(part):
            return False
        self._count += 1
        return True

    __setitem__ = put

    def pop(self, name: bytes, default: None) -> V | None:
        """See dict."""
        number = crc32(name) >> 24
        if name not in self._dicts[number]:
            return default
        self._count -= 1
        return self._own(number).pop(name)

    def update(self, fields: Iterable[tuple[bytes, V]]) -> None:
        """See dict; the order in a part is that of the fields."""
        names, values = zip(*fields)
        numbers = pack(f">{len(names)}I", *map(crc32, names))[::4]
        for number in dict.fromkeys(numbers):
            self._own(number)
        deque(map(setitem, map(self._dicts.__getitem__, numbers), names, values), maxlen=0)
        self._count = sum(map(len, self._dicts))

    def parts(self) -> Iterator[dict[bytes, V]]:
        """The parts in their order.  Nobody may change them."""
        return iter(self._dicts)

    def part(self, number: int) -> dict[bytes, V]:
        """One part.  Nobody may change it."""
        return self._dicts[number]

    def _own(self, number: int) -> dict[bytes, V]:
        if not self._owned[number]:
            self._dicts[number] = self._dicts[number].copy()
            self._owned[number] = 1
        return self._dicts[number]
