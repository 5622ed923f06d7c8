"""The commands that only read hashes.  The value itself: `fields.py`."""

from __future__ import annotations

from itertools import chain
from typing import Any

from epaxos.interfaces import Command, CommandError, Reply, ReplyMap, ReplyPairs
from epaxos.interfaces.redis import INTEGER_MAX, SYNTAX_ERROR
from epaxos.statemachines.redis.drawing import (
    OUT_OF_RANGE,
    check_drawn,
    drawn_count,
    is_large_draw,
    names_drawn,
)
from epaxos.statemachines.redis.fields import Fields
from epaxos.statemachines.redis.named import PIECE_NAMES
from epaxos.statemachines.redis.named_reads import Scan, Whole, check_scan, is_large, size_of
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Keys, Piecewise, at_once, never

__all__ = ["COMMANDS"]


# -- single fields


def _hget(space: Space, command: Command) -> Reply:
    fields = space.typed(command[1], Fields)
    return None if fields is None else fields.get(command[2])


def _hmget(space: Space, command: Command) -> Reply:
    fields = space.typed(command[1], Fields)
    names = command[2:]
    return [None] * len(names) if fields is None else fields.get_all(names)


def _hmget_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    fields = space.typed(command[1], Fields) or Fields()
    found: list[Any] = []
    for start in range(2, len(command), size):
        if start > 2:
            yield
        found += fields.get_all(command[start : start + size])
    return found


def _hexists(space: Space, command: Command) -> Reply:
    return int(_hget(space, command) is not None)


def _hstrlen(space: Space, command: Command) -> Reply:
    value: Any = _hget(space, command)
    return 0 if value is None else len(value)


# -- many fields

_HGETALL = Whole(Fields, slice(None), ReplyMap)
_HKEYS = Whole(Fields, slice(None, None, 2))
_HVALS = Whole(Fields, slice(1, None, 2))
_PAIRS = Whole(Fields, slice(None), ReplyPairs)


def _check_random(command: Command) -> None:
    if len(command) == 2:
        return
    count = drawn_count(command[2])
    with_values = len(command) == 4
    if len(command) > 4 or (with_values and command[3].upper() != b"WITHVALUES"):
        raise CommandError(SYNTAX_ERROR)
    check_drawn(count)
    if with_values and count > INTEGER_MAX // 2:
        raise CommandError(OUT_OF_RANGE)


def _hrandfield_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    fields = space.typed(command[1], Fields)
    if len(command) == 2:
        return None if fields is None else fields.name_at(space.moment.draw(len(fields)))
    if fields is None:
        return []
    with_values, count = len(command) == 4, int(command[2])
    if count >= len(fields):
        return (yield from (_PAIRS if with_values else _HKEYS).in_pieces(space, command, size))
    names = yield from names_drawn(fields, space.moment, count)
    if not with_values:
        return names
    reply = ReplyPairs()
    for start in range(0, len(names), PIECE_NAMES):
        some = names[start : start + PIECE_NAMES]
        reply += chain.from_iterable(zip(some, fields.get_all(some)))
        yield
    return reply


def _with_values(fields: Fields, names: list[bytes]) -> list[Any]:
    return list(chain.from_iterable(zip(names, fields.get_all(names))))


_HSCAN = Scan(Fields, _with_values)


def _read(name: bytes, handler: Any, arity: int, usage: str, summary: str, **more: Any) -> CommandSpec:
    return CommandSpec(
        name, handler, arity, Keys.FIRST, False, usage=usage, summary=summary, categories=("hash",), **more
    )


_ALL: dict[str, Any] = {
    "flags": (),
    "is_large": is_large(Fields),
    "complexity": "O(N) with N fields of the hash",
}

COMMANDS = (
    _read(b"HGET", _hget, 3, "HGET key field", "the value of a field, nil when there is none"),
    _read(
        b"HMGET", _hmget, -3, "HMGET key field [field ...]", "the values of fields",
        in_pieces=_hmget_in_pieces, complexity="O(N) with N fields",
    ),
    _read(b"HEXISTS", _hexists, 3, "HEXISTS key field", "whether a field exists: 1 or 0"),
    _read(
        b"HSTRLEN", _hstrlen, 3, "HSTRLEN key field",
        "the length of the value of a field; 0 when there is none",
    ),
    _read(b"HLEN", size_of(Fields), 2, "HLEN key", "the number of fields"),
    _read(
        b"HGETALL", _HGETALL, 2, "HGETALL key", "all fields and their values", in_pieces=_HGETALL.in_pieces,
        **_ALL,
    ),
    _read(b"HKEYS", _HKEYS, 2, "HKEYS key", "the names of all fields", in_pieces=_HKEYS.in_pieces, **_ALL),
    _read(b"HVALS", _HVALS, 2, "HVALS key", "the values of all fields", in_pieces=_HVALS.in_pieces, **_ALL),
    _read(
        b"HRANDFIELD", at_once(_hrandfield_in_pieces), -2, "HRANDFIELD key [count [WITHVALUES]]",
        "a field by chance, or `count` different ones; -`count`: one may come again",
        check=_check_random, plain=2, in_pieces=_hrandfield_in_pieces, is_large=is_large_draw(Fields),
        takes_seed=True, flags=(), complexity="O(N) with N fields of the hash",
    ),
    _read(
        b"HSCAN", _HSCAN, -3, "HSCAN key cursor [MATCH pattern] [COUNT count]",
        "some fields with their values, and the cursor that goes on, 0 when that was all",
        check=check_scan, is_large=never, flags=(), complexity="O(1) for each call",
    ),
)  # fmt: skip
