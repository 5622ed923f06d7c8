"""Sets of integers in one piece: a head, and the numbers in their order, all of one width."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from struct import Struct, iter_unpack, pack

from epaxos.statemachines.redis.dump.errors import BadData
from epaxos.statemachines.redis.dump.lists import ELEMENTS_MAX, STEP_ELEMENTS
from epaxos.statemachines.redis.dump.numbers import number_of

__all__ = ["INTSET_MEMBERS", "elements_of_intset", "intset_of"]

INTSET_MEMBERS = 512
"""A set of at most this number of members, all of them integers, is written as an intset: the limit that
Redis has by default.  An intset that is read may be longer."""
_HEAD = Struct("<II")
_LETTERS = {2: "h", 4: "i", 8: "q"}
"""By the bytes of a number: its letter for `struct`."""


def elements_of_intset(data: bytes) -> Generator[None, None, list[bytes]]:
    """The members as texts, in their order; None after each step.  Raises BadData."""
    if len(data) < _HEAD.size:
        raise BadData("an intset has no end")
    width, count = _HEAD.unpack_from(data)
    if width not in _LETTERS or len(data) != _HEAD.size + width * count or count > ELEMENTS_MAX:
        raise BadData("an intset is longer or shorter than it says, or too long")
    found: list[bytes] = []
    last: int | None = None
    step = width * STEP_ELEMENTS
    for start in range(_HEAD.size, len(data), step):
        for (number,) in iter_unpack("<" + _LETTERS[width], data[start : start + step]):
            if last is not None and number <= last:
                raise BadData("an intset that is not in order")
            last = number
            found.append(b"%d" % number)
        yield
    return found


def intset_of(members: Sequence[bytes]) -> bytes | None:
    """The members as an intset, as Redis makes it; None where it would make none."""
    if len(members) > INTSET_MEMBERS:
        return None
    numbers = []
    for member in members:
        number = number_of(member)
        if number is None:
            return None
        numbers.append(number)
    numbers.sort()
    for width, letter in _LETTERS.items():
        highest = 1 << 8 * width - 1
        if -highest <= numbers[0] and numbers[-1] < highest:
            return _HEAD.pack(width, len(numbers)) + pack(f"<{len(numbers)}{letter}", *numbers)
    raise AssertionError("a number has at most 64 bits")
