"""The arguments that commands on streams have in common: options of XADD and XTRIM, numbers, replies."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from itertools import islice
from typing import Any, NamedTuple

from epaxos.interfaces import Command, CommandError
from epaxos.interfaces.redis import NOT_AN_INTEGER, SYNTAX_ERROR, integer_of
from epaxos.statemachines.redis.streams.blocks import BLOCK_ENTRIES, Entry
from epaxos.statemachines.redis.streams.ids import HIGHEST_ID, parse, parse_new

__all__ = [
    "STEP_ENTRIES",
    "STEP_LOOKUPS",
    "Options",
    "Trimming",
    "ids_of",
    "number_of",
    "options_of",
    "shown",
]

STEP_ENTRIES = 512
"""The entries, or pending ones, that a step handles: about a millisecond."""
STEP_LOOKUPS = 16
"""Entries that are looked up by their ids in one step; each may be in a block of its own."""
LIMIT_DEFAULT = 100 * BLOCK_ENTRIES
"""The entries that a trim with `~` removes at most, unless it says otherwise."""
_EVERYTHING = 2**63


class Trimming(NamedTuple):
    """What to remove: entries beyond the `longest` length, or below `minimum`.

    `exact`: whether part of a block may be removed; `limit`: the most entries, 0 for all.
    """

    longest: int | None
    minimum: int
    exact: bool
    limit: int


class Options(NamedTuple):
    """The options of XADD or XTRIM.  `place`: where they end, which is the place of XADD's id.

    `number`: the id that XADD names, None for `*`; `names_sequence`: whether the id names its sequence.
    """

    trimming: Trimming | None
    creates: bool
    place: int
    number: int | None
    names_sequence: bool


def number_of(text: bytes, error: str = NOT_AN_INTEGER) -> int:
    """Raises CommandError with this text."""
    number = integer_of(text)
    if number is None:
        raise CommandError(error)
    return number


def _counted(text: bytes, name: str) -> int:
    number = number_of(text)
    if number < 0:
        raise CommandError(f"ERR The {name} argument must be >= 0.")
    return number


def options_of(command: Command, adds: bool) -> Options:
    """The options of XADD (`adds`) or XTRIM.  Raises CommandError."""
    longest: int | None = None
    minimum: int | None = None
    limit: int | None = None
    exact, creates, number, names_sequence = True, True, None, True
    place, last = 2, len(command) - 1
    while place <= last:
        option = command[place]
        if adds and option == b"*":
            break
        name = option.upper()
        if name in (b"MAXLEN", b"MINID") and place < last:
            if longest is not None or minimum is not None:
                raise CommandError(
                    "ERR syntax error, MAXLEN and MINID options at the same time are not compatible"
                )
            exact = True
            place += 1
            if last > place and command[place] in (b"~", b"="):
                exact = command[place] == b"="
                place += 1
            if name == b"MAXLEN":
                longest = _counted(command[place], "MAXLEN")
            else:
                minimum = parse(command[place])
        elif name == b"LIMIT" and place < last:
            place += 1
            limit = _counted(command[place], "LIMIT")
        elif adds and name == b"NOMKSTREAM":
            creates = False
        elif adds:
            number, names_sequence = parse_new(option)
            break
        else:
            raise CommandError(SYNTAX_ERROR)
        place += 1
    trims = longest is not None or minimum is not None
    if limit and not trims:
        raise CommandError("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy")
    if not adds and not trims:
        raise CommandError("ERR syntax error, XTRIM must be called with a trimming strategy")
    if limit is not None and exact:
        raise CommandError("ERR syntax error, LIMIT cannot be used without the special ~ option")
    if limit is None:
        limit = 0 if exact else LIMIT_DEFAULT
    below = HIGHEST_ID + 1 if minimum is None else minimum
    trimming = Trimming(longest, below, exact, limit) if trims else None
    return Options(trimming, creates, place, number, names_sequence)


def ids_of(texts: Iterable[bytes]) -> Generator[None, None, list[int]]:
    """The ids in these texts, in steps.  Raises CommandError."""
    ids: list[int] = []
    rest = iter(texts)
    while some := list(map(parse, islice(rest, STEP_ENTRIES))):
        ids += some
        yield
    return ids


def shown(entries: Iterable[Entry]) -> list[Any]:
    """Entries as clients get them."""
    return [[text, list(fields)] for text, fields in entries]
