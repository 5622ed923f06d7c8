"""The order in which SCAN goes through the keys of a database.

Python's dictionaries have no order that another replica, or this one after a restart, shares.  So each key
has a position, which its hash alone decides, and a cursor is a position: whoever goes on from it finds every
key that is there all the time, wherever and whenever that is.

The index finds the keys from a position on.  It is made when the first SCAN comes.  It may know of keys that
are gone, and know a key twice, so that a deletion or a new value costs it nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from hashlib import blake2b

__all__ = ["POSITIONS", "KeyIndex", "position_of"]

POSITION_BITS = 52
"""A cursor is a number that floating point holds exactly, because some clients hold it so."""
SLOTS = 2**14
_SLOT_SHIFT = POSITION_BITS - 14
_SHIFT = 56 - POSITION_BITS
POSITIONS = 2**POSITION_BITS
FREED_SLOTS = 64
FREED_NOTES = 1024
"""What a write frees of an index that was given up, in about 0.1 ms."""
STEP_KEYS = 2048
"""The keys of a step, which takes about 3 ms."""
SPARE_KEYS = 100_000
"""The index is made anew when it knows of this number of keys more than twice those that there are, or when
this number of keys is new since it was used."""


def position_of(key: bytes) -> int:
    """The place of `key` in the order: a number of POSITION_BITS bits.

    It is the same everywhere and for ever.  The hash is one for which nobody finds many keys of one position.
    """
    return int.from_bytes(blake2b(key, digest_size=7, person=b"epaxos scan").digest(), "big") >> _SHIFT


class KeyIndex:
    """The keys of a dictionary by their positions.  `parts`: all its keys, in lists; `replaced`: the index
    that was there before.

    Whoever changes the dictionary calls `note` with keys that may be new.
    """

    def __init__(self, parts: Iterator[list[bytes]], replaced: KeyIndex | None = None) -> None:
        self._slots: list[list[bytes]] = [[] for _ in range(SLOTS)]
        self._filled = bytearray(SLOTS)  # for each slot whether it has keys
        self._building = _in_steps(parts)
        self._recent: list[Collection[bytes]] = []
        self._recent_keys = 0
        self._keys = 0
        self._is_given_up = False
        self._replaced = [] if replaced is None else replaced._slots

    def note(self, keys: Collection[bytes]) -> bool:
        """Keys that may be new are set; the collection does not change any more.

        When nobody has used the index since many keys were set, it is given up, and freed bit by bit.
        Returns False when nothing is left of it.
        """
        if not self._is_given_up:
            self._recent.append(keys)
            self._recent_keys += len(keys)
            self._is_given_up = self._recent_keys > SPARE_KEYS
            return True
        del self._recent[-FREED_NOTES:]
        del self._slots[-FREED_SLOTS:]
        return bool(self._slots or self._recent)

    def is_worn(self, keys: int) -> bool:
        """Whether another index should be made, where `keys` is the number of keys that there are."""
        return self._is_given_up or self._keys > 2 * keys + SPARE_KEYS

    def discarded(self) -> dict[bytes, list[bytes]]:
        """What takes long to free of an index that nobody uses any more."""
        return {b"%d" % number: keys for number, keys in enumerate(self._slots)}

    def build(self) -> Iterator[None]:
        """Make the index complete; None after each step.  It may be dropped, and called again."""
        while self._replaced:
            del self._replaced[-16 * FREED_SLOTS :]
            yield
        for some in self._building:
            self._add(some)
            yield
        while self._recent:
            keys: list[bytes] = []
            while self._recent and len(keys) < STEP_KEYS:
                keys += self._recent.pop()
            self._recent_keys -= len(keys)
            self._add(keys)
            yield

    def from_position(
        self, start: int, is_present: Callable[[bytes], bool]
    ) -> Iterator[list[tuple[int, bytes]]]:
        """The keys from the position `start` on that are there, as `is_present` says, each with its position.

        They come in order, in lists that are one step each.  The index is complete, and nothing changes
        meanwhile.
        """
        number = self._filled.find(1, start >> _SLOT_SHIFT)
        while number >= 0:
            yield from self._in_slot(number, start, is_present)
            number = self._filled.find(1, number + 1)

    def _in_slot(
        self, number: int, start: int, is_present: Callable[[bytes], bool]
    ) -> Iterator[list[tuple[int, bytes]]]:
        """The keys of one slot.  What is gone from it is forgotten."""
        held = self._slots[number]
        there = list(filter(is_present, dict.fromkeys(held)))
        self._keys += len(there) - len(held)
        self._slots[number] = there
        self._filled[number] = bool(there)
        found: list[tuple[int, bytes]] = []
        for first in range(0, len(there), STEP_KEYS):
            if first:
                yield []
            found += [(position_of(key), key) for key in there[first : first + STEP_KEYS]]
        yield sorted(entry for entry in found if entry[0] >= start)

    def _add(self, keys: Collection[bytes]) -> None:
        slots, filled = self._slots, self._filled
        for key in keys:
            number = position_of(key) >> _SLOT_SHIFT
            slots[number].append(key)
            filled[number] = 1
        self._keys += len(keys)


def _in_steps(parts: Iterator[list[bytes]]) -> Iterator[list[bytes]]:
    for part in parts:
        for start in range(0, len(part), STEP_KEYS):
            yield part[start : start + STEP_KEYS]
