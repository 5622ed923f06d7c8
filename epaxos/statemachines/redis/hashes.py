"""The commands on hashes, as Redis 7 has them.  The value itself: `fields.py`."""

from __future__ import annotations

from typing import Any

from epaxos.interfaces import Command, CommandError, Reply
from epaxos.interfaces.redis import INTEGER_MAX, INTEGER_MIN, NOT_AN_INTEGER, OK, integer_of, wrong_arity
from epaxos.statemachines.redis.common_writes import removal_from
from epaxos.statemachines.redis.decimals import NOT_A_FLOAT, added, decimal_of
from epaxos.statemachines.redis.fields import Fields
from epaxos.statemachines.redis.hash_reads import COMMANDS as _READS
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Keys, Piecewise

__all__ = ["COMMANDS"]


# -- setting


def _check_pairs(command: Command) -> None:
    if len(command) % 2:
        raise wrong_arity(command[0].decode().lower())


def _hset(space: Space, command: Command) -> int:
    key = command[1]
    fields = space.own(key, Fields)
    if len(command) == 4:
        new: int = fields.set(command[2], command[3])
    else:
        new = fields.set_all(command[2::2], command[3::2])
    space.keep(key, fields)
    return int(new)


def _hset_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    key = command[1]
    fields = space.own(key, Fields)
    pairs = max(2, size - size % 2)
    new = 0
    for start in range(2, len(command), pairs):
        if start > 2:
            yield
        end = start + pairs
        new += fields.set_all(command[start:end:2], command[start + 1 : end : 2])
    space.keep(key, fields)
    return new


def _hmset(space: Space, command: Command) -> Reply:
    _hset(space, command)
    return OK


def _hmset_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    yield from _hset_in_pieces(space, command, size)
    return OK


def _hsetnx(space: Space, command: Command) -> Reply:
    fields = space.own(command[1], Fields)
    if fields.get(command[2]) is not None:
        return 0
    fields.set(command[2], command[3])
    space.keep(command[1], fields)
    return 1


# -- numbers


def _check_integer(command: Command) -> None:
    if integer_of(command[3]) is None:
        raise CommandError(NOT_AN_INTEGER)


def _hincrby(space: Space, command: Command) -> Reply:
    fields = space.own(command[1], Fields)
    value = fields.get(command[2])
    number = integer_of(b"0" if value is None else value)
    if number is None:
        raise CommandError("ERR hash value is not an integer")
    number += int(command[3])
    if not INTEGER_MIN <= number <= INTEGER_MAX:
        raise CommandError("ERR increment or decrement would overflow")
    fields.set(command[2], b"%d" % number)
    space.keep(command[1], fields)
    return number


def _check_float(command: Command) -> None:
    if decimal_of(command[3]) is None:
        raise CommandError(NOT_A_FLOAT)


def _hincrbyfloat(space: Space, command: Command) -> Reply:
    fields = space.own(command[1], Fields)
    value = fields.get(command[2])
    number, increment = decimal_of(b"0" if value is None else value), decimal_of(command[3])
    if number is None or increment is None:
        raise CommandError("ERR hash value is not a float")
    total = added(number, increment)
    fields.set(command[2], total)
    space.keep(command[1], fields)
    return total


# -- removing


_REMOVAL = removal_from(Fields)


def _write(name: bytes, handler: Any, arity: int, usage: str, summary: str, **more: Any) -> CommandSpec:
    more = {"flags": ("denyoom", "fast"), **more}
    return CommandSpec(
        name, handler, arity, Keys.FIRST, True, usage=usage, summary=summary, categories=("hash",), **more
    )


COMMANDS = (
    _write(
        b"HSET", _hset, -4, "HSET key field value [field value ...]",
        "set fields of a hash; the reply counts those that are new", check=_check_pairs, plain=4,
        in_pieces=_hset_in_pieces, complexity="O(N) with N fields",
    ),
    _write(
        b"HSETNX", _hsetnx, 4, "HSETNX key field value",
        "set a field when it does not exist; the reply is 1 or 0",
    ),
    _write(
        b"HMSET", _hmset, -4, "HMSET key field value [field value ...]", "as HSET; the reply is `OK`",
        check=_check_pairs, plain=4, in_pieces=_hmset_in_pieces, complexity="O(N) with N fields",
    ),
    _write(
        b"HINCRBY", _hincrby, 4, "HINCRBY key field increment",
        "add `increment` to the integer of a field; a field that does not exist counts as 0",
        check=_check_integer,
    ),
    _write(
        b"HINCRBYFLOAT", _hincrbyfloat, 4, "HINCRBYFLOAT key field increment",
        "add `increment` to the decimal number of a field, with 17 digits behind the point",
        check=_check_float,
    ),
    _write(
        b"HDEL", _REMOVAL.handler, -3, "HDEL key field [field ...]",
        "remove fields; the reply counts those that existed; a hash without fields is removed",
        in_pieces=_REMOVAL.in_pieces, flags=("fast",), complexity="O(N) with N fields",
    ),
    *_READS,
)  # fmt: skip
