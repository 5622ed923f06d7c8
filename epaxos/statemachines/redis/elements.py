"""Collections as plain lists of elements, and back: how DUMP and RESTORE, and whoever counts bytes, see them.

The elements of a hash are its fields, each followed by its value; those of a sorted set its members in order,
each followed by its score.  A new type of collections brings a line
in each table here.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import chain
from typing import Any

from epaxos.interfaces.doubles import text_of_double
from epaxos.statemachines.redis.fields import Fields
from epaxos.statemachines.redis.items import Items
from epaxos.statemachines.redis.members import Members
from epaxos.statemachines.redis.ranking import Ranking
from epaxos.statemachines.redis.scores import score_or_error
from epaxos.statemachines.redis.streams.flat import flat, stream_of
from epaxos.statemachines.redis.streams.stream import Stream
from epaxos.statemachines.redis.values import Collection

__all__ = ["ELEMENTS", "MAKERS", "SIZES", "WIDTHS", "elements_of"]

STEP_ELEMENTS = 2048


def _hash_of(elements: Sequence[bytes]) -> Generator[None, None, Fields]:
    made = Fields()
    for start in range(0, len(elements), STEP_ELEMENTS):
        some = elements[start : start + STEP_ELEMENTS]
        made.set_all(some[::2], some[1::2])
        yield
    return made


def _list_of(elements: Sequence[bytes]) -> Generator[None, None, Items]:
    made = Items()
    for start in range(0, len(elements), STEP_ELEMENTS):
        for element in elements[start : start + STEP_ELEMENTS]:
            made.push_right(element)
        yield
    return made


def _set_of(elements: Sequence[bytes]) -> Generator[None, None, Members]:
    made = Members()
    for start in range(0, len(elements), STEP_ELEMENTS):
        made.add_all(elements[start : start + STEP_ELEMENTS])
        yield
    return made


def _of_zset(ranking: Ranking) -> Iterator[list[bytes]]:
    for scores, members in ranking.pieces(0, len(ranking)):
        yield list(chain.from_iterable(zip(members, map(text_of_double, scores))))


def _zset_of(elements: Sequence[bytes]) -> Generator[None, None, Ranking]:
    made = Ranking()
    for start in range(0, len(elements), STEP_ELEMENTS // 4):
        some = elements[start : start + STEP_ELEMENTS // 4]
        for member, text in zip(some[::2], some[1::2]):
            made.put(member, score_or_error(text))
        yield
    return made


ELEMENTS: dict[str, Callable[[Any], Iterator[list[bytes]]]] = {
    "hash": Fields.flat,
    "list": Items.flat,
    "set": Members.flat,
    "zset": _of_zset,
    "stream": flat,
}
"""By the name of the type: the elements of a collection, in lists that are one step each."""
MAKERS: dict[str, Callable[[Sequence[bytes]], Generator[None, None, Collection]]] = {
    "hash": _hash_of,
    "list": _list_of,
    "set": _set_of,
    "zset": _zset_of,
    "stream": stream_of,
}
"""By the name of the type: the collection of these elements; None after each step."""
WIDTHS = {"hash": 2, "list": 1, "set": 1, "zset": 2}
"""By the name of the type: the number of elements for each one that `len` counts."""


SIZES: dict[str, Callable[[Any], int]] = {"stream": Stream.size_bytes, "zset": Ranking.size_bytes}
"""By the name of the type: about the bytes of a collection that knows them; then it needs no width."""


def elements_of(value: Collection) -> Iterator[list[bytes]]:
    """The elements of a collection, in lists that are one step each."""
    return ELEMENTS[value.type_name](value)
