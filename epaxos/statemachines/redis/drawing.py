"""Names of a hash, or members, by chance, as the seed of the batch decides: the same at every replica."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, MutableMapping
from typing import Protocol, Union

from epaxos.interfaces import Command, CommandError
from epaxos.interfaces.redis import INTEGER_MAX, NOT_AN_INTEGER, integer_of
from epaxos.statemachines.redis.moment import Moment
from epaxos.statemachines.redis.named import PIECE_NAMES
from epaxos.statemachines.redis.named_reads import is_large
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.values import Collection

__all__ = [
    "DRAWN_MAX",
    "OUT_OF_RANGE",
    "check_drawn",
    "drawn_count",
    "is_large_draw",
    "name_drawn",
    "names_drawn",
]

DRAWN_MAX = 1_000_000
"""The most names that a command draws when the same name may come again."""
OUT_OF_RANGE = "ERR value is out of range"


class Drawable(Protocol):
    """A collection of names in an order, which has parts."""

    def __len__(self) -> int: ...

    def ends(self) -> list[int]:
        """For each part, how many names are in it and before it."""

    def names_of(self, part: int) -> list[bytes]:
        """The names in one part."""


def drawn_count(text: bytes) -> int:
    """The number of names that a client wants, negative where one may come again.  Raises CommandError."""
    count = integer_of(text)
    if count is None:
        raise CommandError(NOT_AN_INTEGER)
    if count < -INTEGER_MAX:
        raise CommandError(f"{OUT_OF_RANGE}, value must between {-INTEGER_MAX} and {INTEGER_MAX}")
    return count


def check_drawn(count: int) -> None:
    """Raises CommandError for more than DRAWN_MAX."""
    if count < -DRAWN_MAX:
        raise CommandError(OUT_OF_RANGE)


def is_large_draw(kind: type[Collection]) -> Callable[[Space, Command], bool]:
    """For `is_large` of a command whose third element is the number of names, if there is any."""
    is_whole_large = is_large(kind)
    return lambda space, command: (
        len(command) > 2 and (abs(int(command[2])) > PIECE_NAMES or is_whole_large(space, command))
    )


def name_drawn(held: Drawable, moment: Moment) -> bytes:
    """One name."""
    ends = held.ends()
    place = moment.draw(ends[-1])
    part = bisect_right(ends, place)
    return held.names_of(part)[place - ends[part]]  # counted from the end of the part


def names_drawn(held: Drawable, moment: Moment, count: int) -> Generator[None, None, list[bytes]]:
    """`count` different names, where there are more, or -`count` that may come again, as they were drawn.

    None after each step.
    """
    ends = held.ends()
    places = array("q")
    drawn_of: dict[int, array[int]] = defaultdict(lambda: array("q"))
    """By the number of the part: which of the drawn ones are in it."""
    for place in _distinct(moment, count, len(held)) if count > 0 else _any(moment, -count, len(held)):
        drawn_of[bisect_right(ends, place)].append(len(places))
        places.append(place)
        if len(places) % PIECE_NAMES == 0:
            yield
    names = [b""] * len(places)
    for part, drawn in drawn_of.items():
        in_part = held.names_of(part)
        for start in range(0, len(drawn), PIECE_NAMES):
            for number in drawn[start : start + PIECE_NAMES]:
                names[number] = in_part[places[number] - ends[part]]  # counted from the end of the part
            yield
    return names


def _any(moment: Moment, count: int, size: int) -> Iterator[int]:
    """`count` numbers below `size`."""
    return (moment.draw(size) for _ in range(count))


def _distinct(moment: Moment, count: int, size: int) -> Iterator[int]:
    """The same, all different; every set of them is as likely (Floyd's way)."""
    is_drawn: Union[bytearray, MutableMapping[int, int]]
    is_drawn = bytearray(size) if count > PIECE_NAMES else defaultdict(int)  # a large set grows in long steps
    for highest in range(size - count, size):
        place = moment.draw(highest + 1)
        if is_drawn[place]:
            place = highest
        is_drawn[place] = 1
        yield place
