"""The commands that only read lists.  The value itself: `items.py`."""

from __future__ import annotations

from typing import Any, NamedTuple

from epaxos.interfaces import Command, CommandError, Reply
from epaxos.interfaces.redis import INTEGER_MAX, INTEGER_MIN, NOT_AN_INTEGER, SYNTAX_ERROR, integer_of
from epaxos.statemachines.redis.items import PIECE_ELEMENTS, Items
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Keys, Piecewise, at_once

__all__ = ["COMMANDS", "OUT_OF_RANGE", "check_range", "is_large", "place_of", "range_of"]

OUT_OF_RANGE = f"ERR value is out of range, value must between {-INTEGER_MAX} and {INTEGER_MAX}"


def is_large(space: Space, command: Command) -> bool:
    """Whether the list has more elements than one step may look at."""
    items = space.typed(command[1], Items)
    return items is not None and len(items) > PIECE_ELEMENTS


def place_of(text: bytes) -> int:
    """The place of an element.  Raises CommandError."""
    index = integer_of(text)
    if index is None:
        raise CommandError(NOT_AN_INTEGER)
    return index


def check_range(command: Command) -> None:
    """Raise CommandError where the two places of a command are none."""
    place_of(command[2])
    place_of(command[3])


def range_of(command: Command, size: int) -> tuple[int, int]:
    """Where the elements of a command begin and end, not including, in a list of `size` elements."""
    start, stop = int(command[2]), int(command[3])
    start = max(0, start + size if start < 0 else start)
    end = min(size, (stop + size if stop < 0 else stop) + 1)
    return (start, end) if start < end else (0, 0)


def _llen(space: Space, command: Command) -> Reply:
    items = space.typed(command[1], Items)
    return 0 if items is None else len(items)


def _lindex(space: Space, command: Command) -> Reply:
    items = space.typed(command[1], Items)
    return None if items is None else items.get(place_of(command[2]))


# -- LRANGE


def _lrange(space: Space, command: Command) -> Reply:
    found: list[Any] = []
    items = space.typed(command[1], Items)
    if items is not None:
        for some in items.slices(*range_of(command, len(items))):
            found += some
    return found


def _lrange_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    found: list[Any] = []
    items = space.typed(command[1], Items)
    if items is not None:
        for some in items.slices(*range_of(command, len(items))):
            found += some
            yield
    return found


def _is_large_range(space: Space, command: Command) -> bool:
    items = space.typed(command[1], Items)
    if items is None:
        return False
    start, end = range_of(command, len(items))
    return end - start > PIECE_ELEMENTS


# -- LPOS

_NO_RANK = (
    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to"
    " start from the end of the list"
)


class _Wanted(NamedTuple):
    """`rank`: of the first place, among those of elements that are equal.  `number`: of places; None for one,
    which is no list then."""

    from_end: bool
    rank: int
    number: int | None
    within: int


def _wanted(command: Command) -> _Wanted:
    """Raises CommandError."""
    rank, count, within = 1, None, 0
    for place in range(3, len(command), 2):
        option, value = command[place].upper(), command[place + 1 : place + 2]
        if not value or option not in (b"RANK", b"COUNT", b"MAXLEN"):
            raise CommandError(SYNTAX_ERROR)
        number = integer_of(value[0])
        if option == b"RANK":
            if number is None:
                raise CommandError(NOT_AN_INTEGER)
            if number == INTEGER_MIN:
                raise CommandError(OUT_OF_RANGE)
            if not number:
                raise CommandError(_NO_RANK)
            rank = number
        elif number is None or number < 0:
            raise CommandError(f"ERR {option.decode()} can't be negative")
        elif option == b"COUNT":
            count = number
        else:
            within = number
    return _Wanted(rank < 0, abs(rank), count, within)


def _check_lpos(command: Command) -> None:
    _wanted(command)


def _lpos_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    wanted = _wanted(command)
    items = space.typed(command[1], Items)
    passed, found = 0, list[Any]()
    if items is not None:
        most = 1 if wanted.number is None else wanted.number or len(items)
        for places in items.matches(command[2], wanted.from_end, wanted.within):
            found += places[max(0, wanted.rank - 1 - passed) :]
            passed += len(places)
            if len(found) >= most:
                del found[most:]
                break
            yield
    if wanted.number is None:
        return found[0] if found else None
    return found


def _read(name: bytes, handler: Any, arity: int, usage: str, summary: str, **more: Any) -> CommandSpec:
    more = {"flags": (), **more}
    return CommandSpec(
        name, handler, arity, Keys.FIRST, False, usage=usage, summary=summary, categories=("list",), **more
    )


COMMANDS = (
    _read(b"LLEN", _llen, 2, "LLEN key", "the number of elements", flags=("fast",)),
    _read(
        b"LINDEX", _lindex, 3, "LINDEX key index",
        "the element at a place, which begins at 0, or at -1 from the tail; nil where there is none",
        complexity="O(N/1024) with N elements of the list",
    ),
    _read(
        b"LRANGE", _lrange, 4, "LRANGE key start stop", "the elements from one place to another",
        check=check_range, in_pieces=_lrange_in_pieces, is_large=_is_large_range,
        complexity="O(S) with S elements of the reply",
    ),
    _read(
        b"LPOS", at_once(_lpos_in_pieces), -3, "LPOS key element [RANK rank] [COUNT count] [MAXLEN length]",
        "the place of the first element that is equal to this one, or the places of `count` of them, 0 for"
        " all; a negative `rank`: from the tail",
        check=_check_lpos, in_pieces=_lpos_in_pieces, is_large=is_large,
        complexity="O(N) with N elements of the list",
    ),
)  # fmt: skip
