"""What the store keeps for a key: a string or a collection, perhaps with a deadline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Union

from epaxos.statemachines.redis.growing import Growing

__all__ = ["NOWHERE", "Collection", "Expiring", "Stored", "String", "Value"]


NOWHERE = -1
"""The generation of a collection that may be changed in place in no dictionary."""


class Collection:
    """A value that is not a string.  A type of values is a class derived from this one, named in `kinds.py`.

    `generation`: that of the dictionary in which it may be changed in place (`Space.own`), or NOWHERE.
    """

    __slots__ = ("generation",)

    type_name = ""
    """What TYPE answers."""
    letter = b""
    """The byte that stands for the type in the entries of a state."""

    @property
    def encoding(self) -> str:
        """The form in which it is held, in the words of OBJECT ENCODING."""
        raise NotImplementedError

    def __init__(self) -> None:
        self.generation = NOWHERE

    def __len__(self) -> int:
        """The number of elements.  A collection without elements is never kept."""
        raise NotImplementedError

    def copy(self) -> Collection:
        """A collection that may be changed without an effect on this one.  It takes less than 1 ms."""
        raise NotImplementedError

    def encode(self) -> Iterator[bytes]:
        """The collection in one or more pieces, each of which takes less than a millisecond.

        It may be called in another thread.  Nobody changes the collection before the last piece is taken.
        """
        raise NotImplementedError

    @classmethod
    def decode(cls, pieces: Iterable[bytes]) -> Collection:
        """The collection that `encode` made the pieces of, in the same form and order.  Raises ValueError."""
        raise NotImplementedError


String = Union[bytes, Growing]
Value = Union[bytes, Growing, Collection]


Expiring = tuple[Value, int]
"""A value and its deadline: it is gone once the time of the cluster reaches that, in milliseconds since 1970.
A plain SET replaces it by a value without a deadline, as it replaces any value.

It is a plain tuple and no class of ours, because Python's search for cycles soon forgets tuples of bytes and
numbers: among a million of them it takes 10 ms, among a million objects a second.
"""
Stored = Union[bytes, Growing, Collection, Expiring]
"""What a dictionary of the store holds."""
