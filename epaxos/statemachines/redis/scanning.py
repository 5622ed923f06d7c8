"""The commands that look for keys: SCAN, KEYS, RANDOMKEY.

A key whose deadline has come is not shown.  In a batch it is removed; who only reads comes again behind its
removal, as any command that reads (docs: internals/expiry).
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge
from itertools import islice
from typing import NamedTuple

from epaxos.interfaces import Command, CommandError, Reply
from epaxos.interfaces.glob import Glob
from epaxos.interfaces.redis import NOT_AN_INTEGER, SYNTAX_ERROR, integer_of
from epaxos.statemachines.redis.keys import type_of
from epaxos.statemachines.redis.positions import POSITIONS
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Keys, Piecewise, always, at_once

__all__ = ["COMMANDS"]

COUNT = 10
SCANNED_MAX = 4096
"""SCAN looks at about this number of keys, however large COUNT is."""
CURSOR_DIGITS = 100
GATHERED = 64
"""RANDOMKEY chooses among the keys of one place of the order; of this number at least."""


def _from_position(space: Space, start: int) -> Iterator[list[tuple[int, bytes]]]:
    """See KeyIndex."""
    return space.data.index().from_position(start, space.data.__contains__)


# -- SCAN


class _Scan(NamedTuple):
    """`start`: the position of the first key.  `number`: see COUNT."""

    start: int
    number: int
    pattern: Glob | None
    type_name: str | None


def _cursor_of(text: bytes) -> int:
    """The number in `text`, as C reads one without a sign: a negative one is large.  Raises CommandError."""
    digits = text[1:] if text[:1] in (b"-", b"+") else text
    if (digits or text) and not (digits.isdigit() and len(digits) <= CURSOR_DIGITS and int(digits) < 2**64):
        raise CommandError("ERR invalid cursor")
    number = int(digits or b"0")
    return -number % 2**64 if text[:1] == b"-" else number


def _scan_of(command: Command) -> _Scan:
    """Raises CommandError."""
    cursor = _cursor_of(command[1])
    count, pattern, type_name = COUNT, None, None
    for place in range(2, len(command), 2):
        if place + 1 == len(command):
            raise CommandError(SYNTAX_ERROR)
        name, text = command[place].upper(), command[place + 1]
        if name == b"COUNT":
            number = integer_of(text)
            if number is None:
                raise CommandError(NOT_AN_INTEGER)
            if number < 1:
                raise CommandError(SYNTAX_ERROR)
            count = number
        elif name == b"MATCH":
            pattern = None if text == b"*" else Glob(text)
        elif name == b"TYPE":
            type_name = text.decode("utf-8", "replace").lower()
        else:
            raise CommandError(SYNTAX_ERROR)
    return _Scan(max(0, cursor - 1), min(count, SCANNED_MAX), pattern, type_name)


def _check_scan(command: Command) -> None:
    _scan_of(command)


def _scan_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    scan = _scan_of(command)
    yield from space.data.index().build()
    found: list[tuple[int, bytes]] = []
    last = None
    for some in _from_position(space, scan.start):
        found += some
        if len(found) > scan.number:
            last, keys = found[scan.number - 1][0], scan.number
            while keys < len(found) and found[keys][0] == last:
                keys += 1
            del found[keys:]
            break
        yield
    yield
    return [b"%d" % (0 if last is None else last + 2), _shown(space, scan, found)]


def _shown(space: Space, scan: _Scan, found: list[tuple[int, bytes]]) -> list[Reply]:
    """The keys that SCAN answers."""
    keys: list[Reply] = []
    for _, key in found:
        if scan.pattern is not None and not scan.pattern.matches(key):
            continue
        value = space.get(key)
        if value is not None and scan.type_name in (None, type_of(value)):
            keys.append(key)
    return keys


# -- KEYS


def _keys_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    """The keys in their order as bytes, because that of the dictionaries is another one at each replica."""
    pattern = None if command[1] == b"*" else Glob(command[1])
    runs: list[list[bytes]] = []
    for part in map(list, space.data.shards()):
        for start in range(0, len(part), size):
            some = part[start : start + size]
            if pattern is not None:
                some = list(filter(pattern.matches, some))
            some = [key for key in some if space.exists(key)]
            if some:
                runs.append(sorted(some))
            yield
    found: list[Reply] = []
    merged = merge(*runs)
    while some := list(islice(merged, size)):
        found += some
        yield
    while runs:  # what takes long to free
        del runs[-16:]
        yield
    return found


def _check_keys(command: Command) -> None:
    Glob(command[1])


# -- RANDOMKEY


def _randomkey_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    """Every replica chooses the same key.  Those of a small database are equally likely; of a larger one
    almost so."""
    yield from space.data.index().build()
    start = space.moment.draw(POSITIONS)
    found: list[bytes] = []
    for some in _from_position(space, start):
        found += [key for _, key in some if space.exists(key)]
        if len(found) >= GATHERED:
            break
        yield
    else:
        for some in _from_position(space, 0):
            found += [key for position, key in some if position < start and space.exists(key)]
            if len(found) >= GATHERED or (some and some[-1][0] >= start):
                break
            yield
    return found[space.moment.draw(len(found))] if found else None


COMMANDS = (
    CommandSpec(
        b"SCAN", at_once(_scan_in_pieces), -2, Keys.NONE, False, barrier=True, check=_check_scan,
        in_pieces=_scan_in_pieces, is_large=always, flags=(),
        usage="SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]",
        summary="some of the keys, and the cursor to go on with, at any replica; 0 is begin and end",
        categories=("keyspace",), complexity="O(COUNT) for each call",
    ),
    CommandSpec(
        b"KEYS", at_once(_keys_in_pieces), 2, Keys.NONE, False, barrier=True, check=_check_keys,
        in_pieces=_keys_in_pieces, is_large=always, flags=(), usage="KEYS pattern",
        summary="all keys that match the pattern, in order", categories=("keyspace", "dangerous"),
        complexity="O(N)",
    ),
    CommandSpec(
        b"RANDOMKEY", at_once(_randomkey_in_pieces), 1, Keys.NONE, False, barrier=True, takes_seed=True,
        in_pieces=_randomkey_in_pieces, is_large=always, flags=(), usage="RANDOMKEY",
        summary="one of the keys, nil when there is none", categories=("keyspace",),
    ),
)  # fmt: skip
