"""SORT and SORT_RO: the elements of a list, a set or a sorted set, in another order.

Elements that compare equal are in the order of their bytes, so that every replica has the same.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Generator
from heapq import merge
from itertools import islice
from math import isinf
from operator import itemgetter
from typing import Any

from epaxos.interfaces import Command, CommandError
from epaxos.interfaces.redis import WRONG_TYPE
from epaxos.statemachines.redis.elements import MAKERS, WIDTHS, elements_of
from epaxos.statemachines.redis.growing import Growing
from epaxos.statemachines.redis.sort_options import SortOptions, check_sort, find_sort, sort_options
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Keys, Piecewise, at_once
from epaxos.statemachines.redis.values import Collection, String

__all__ = ["COMMANDS"]

SORTABLE = frozenset(("list", "set", "zset"))
"""The types of collections, by name, that can be sorted."""
STEP_ELEMENTS = 1024
"""The elements of a step; to merge these takes about 2 ms."""
VALUES_MAX = 10_000_000
"""The most values that GET looks up."""
VALUES_BYTES_MAX = 256 * 1024 * 1024
"""The most bytes of these values, each of which counts as often as it was looked up."""
NUMBER_BYTES_MAX = 512
_NUMBER = re.compile(rb"[ \t\n\v\f\r]*[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf(inity)?)", re.IGNORECASE)
_DIGIT = re.compile(rb"[1-9]")
_LOWEST = sys.float_info.min
_NO_NUMBER = "ERR One or more scores can't be converted into double"
_TOO_MANY = f"ERR SORT would look up more than {VALUES_MAX} values, or {VALUES_BYTES_MAX} bytes of them"


def _is_large(space: Space, command: Command) -> bool:
    value = space.get(command[1])
    looked_up = 1 + len(sort_options(command).gets)
    return isinstance(value, Collection) and len(value) * looked_up > STEP_ELEMENTS


def _sort_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    options = sort_options(command)
    value = space.get(command[1])
    if value is not None and not (isinstance(value, Collection) and value.type_name in SORTABLE):
        raise CommandError(WRONG_TYPE)
    found: list[Any] = []
    if value is not None:
        found = yield from _wanted(space, value, options)
    if options.gets:
        found = yield from _looked_up(space, found, options)
    return found if options.store is None else (yield from _store(space, options.store, found))


# -- the order


def _wanted(space: Space, value: Collection, options: SortOptions) -> Generator[None, None, list[bytes]]:
    """The elements that are wanted, in order."""
    is_set = value.type_name == "set"
    is_sorted = options.is_sorted or (is_set and options.store is not None)
    end = len(value)
    if options.number is not None:
        end = min(end, options.start + options.number)
    reads_all = is_sorted or options.descends
    elements: list[bytes] = []
    for some in elements_of(value):
        elements += some[:: WIDTHS[value.type_name]]
        if not reads_all and len(elements) >= end:
            break
        yield
    if is_sorted:
        return (yield from _sorted(space, elements, end, options))
    if options.descends and not is_set:
        elements.reverse()
    return elements[options.start : end]


def _sorted(
    space: Space, elements: list[bytes], end: int, options: SortOptions
) -> Generator[None, None, list[bytes]]:
    by = options.by if options.is_sorted else None
    is_text = options.is_text or not options.is_sorted
    runs: list[list[tuple[Any, ...]]] = []
    for start in range(0, len(elements), STEP_ELEMENTS):
        some = elements[start : start + STEP_ELEMENTS]
        values: Any = some if by is None else [by.value(space, each) for each in some]
        compared = (map(_is_there, values), map(_text, values)) if is_text else (map(_number, values),)
        runs.append(sorted(zip(*compared, some), reverse=options.descends))
        yield
    merged = map(itemgetter(-1), islice(merge(*runs, reverse=options.descends), end))
    found: list[bytes] = []
    place = 0
    while some := list(islice(merged, STEP_ELEMENTS)):
        found += some[max(0, options.start - place) :]
        place += len(some)
        yield
    del merged
    yield from _freed(runs, 1)
    yield from _freed(elements)
    return found


def _freed(some: list[Any], number: int = 16 * STEP_ELEMENTS) -> Generator[None, None, None]:
    """Empty a list that takes long to free; `number`: what is freed in one step."""
    while some:
        del some[-number:]
        yield


def _is_there(value: String | None) -> bool:
    """What is compared before the texts: none is before any."""
    return value is not None


def _text(value: String | None) -> bytes:
    """What is compared as a text."""
    return value if isinstance(value, bytes) else b"" if value is None else value.joined()


def _number(value: String | None) -> float:
    """What is compared as a number, as C reads it; none is 0.  Raises CommandError."""
    if isinstance(value, bytes):
        value = value.partition(b"\0")[0]  # where a string ends in C
    if not value:
        return 0.0
    if isinstance(value, Growing) or len(value) > NUMBER_BYTES_MAX or not _NUMBER.fullmatch(value):
        raise CommandError(_NO_NUMBER)
    number = float(value)
    is_out_of_range = isinf(number) if value[-1:].isdigit() else False
    if is_out_of_range or (abs(number) < _LOWEST and _DIGIT.search(value.lower().partition(b"e")[0])):
        raise CommandError(_NO_NUMBER)
    return number


# -- the result


def _looked_up(
    space: Space, elements: list[bytes], options: SortOptions
) -> Generator[None, None, list[String | None]]:
    """What the patterns of GET stand for, one after the other for each element."""
    if len(elements) * len(options.gets) > VALUES_MAX:
        raise CommandError(_TOO_MANY)
    values = (pattern.value(space, element) for element in elements for pattern in options.gets)
    found: list[String | None] = []
    left = VALUES_BYTES_MAX
    while some := list(islice(values, STEP_ELEMENTS)):
        left -= sum(len(value) for value in some if value is not None)
        if left < 0:
            raise CommandError(_TOO_MANY)
        found += some
        yield
    return found


def _store(space: Space, key: bytes, found: list[String | None]) -> Piecewise:
    if not found:
        space.pop(key)
        return 0
    for start in range(0, len(found), STEP_ELEMENTS):
        found[start : start + STEP_ELEMENTS] = map(_text, found[start : start + STEP_ELEMENTS])
        yield
    elements: list[Any] = found
    made = yield from MAKERS["list"](elements)
    yield from _freed(elements)
    space.set(key, made)
    return len(made)


_USAGE = "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC|DESC] [ALPHA]"
_MORE: dict[str, Any] = {
    "check": check_sort,
    "find": find_sort,
    "in_pieces": _sort_in_pieces,
    "is_large": _is_large,
    "categories": ("set", "sortedset", "list", "dangerous"),
    "complexity": "O(N+M*log(M)) with N elements and M of the reply",
}

COMMANDS = (
    CommandSpec(
        b"SORT", at_once(_sort_in_pieces), -2, Keys.FIRST, True, flags=("denyoom",),
        usage=f"SORT {_USAGE} [STORE destination]",
        summary="the elements of a list, set or sorted set in order, as numbers or with `ALPHA` as texts;"
        " patterns with `*` make it a command that concerns all keys", **_MORE,
    ),
    CommandSpec(
        b"SORT_RO", at_once(_sort_in_pieces), -2, Keys.FIRST, False, flags=(), usage=f"SORT_RO {_USAGE}",
        summary="as SORT, without `STORE`", **_MORE,
    ),
)  # fmt: skip
