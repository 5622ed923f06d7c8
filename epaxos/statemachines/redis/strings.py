"""The commands on strings: GET, SET and their variants, MGET and MSET, APPEND, INCR."""

from __future__ import annotations

from typing import NamedTuple

from epaxos.interfaces import Command, CommandError, Reply
from epaxos.interfaces.redis import (
    INTEGER_MAX,
    INTEGER_MIN,
    NOT_AN_INTEGER,
    OK,
    SYNTAX_ERROR,
    integer_of,
    wrong_arity,
)
from epaxos.statemachines.redis.growing import GROWS_FROM_BYTES, Growing, append
from epaxos.statemachines.redis.keys import exists
from epaxos.statemachines.redis.spec import CommandSpec, Data, Found, Keys, Piecewise, sum_in_pieces

__all__ = ["COMMANDS"]

VALUE_BYTES_MAX = 512 * 1024 * 1024
"""APPEND makes no longer value.  As in Redis."""


# -- one key


def _get(data: Data, command: Command) -> Found:
    return data.get(command[1])


class _SetOptions(NamedTuple):
    only_new: bool
    only_old: bool
    get: bool


def _set_options(command: Command) -> _SetOptions:
    """The options of a SET.  Raises CommandError when they are unknown, or exclude each other."""
    seen = set()
    for option in command[3:]:
        name = option.upper()
        if name not in (b"NX", b"XX", b"GET"):
            raise CommandError(SYNTAX_ERROR)
        seen.add(name)
    if b"NX" in seen and b"XX" in seen:
        raise CommandError(SYNTAX_ERROR)
    return _SetOptions(b"NX" in seen, b"XX" in seen, b"GET" in seen)


def _check_set(command: Command) -> None:
    _set_options(command)


def _set(data: Data, command: Command) -> Found:
    key = command[1]
    if len(command) == 3:
        data[key] = command[2]
        return OK
    options = _set_options(command)
    old = data.get(key)
    done = not (options.only_new and old is not None) and not (options.only_old and old is None)
    if done:
        data[key] = command[2]
    if options.get:
        return old
    return OK if done else None


def _setnx(data: Data, command: Command) -> Reply:
    if command[1] in data:
        return 0
    data[command[1]] = command[2]
    return 1


def _getset(data: Data, command: Command) -> Found:
    old = data.get(command[1])
    data[command[1]] = command[2]
    return old


def _getdel(data: Data, command: Command) -> Found:
    return data.pop(command[1], None)


def _append(data: Data, command: Command) -> Reply:
    value = data.get(command[1], b"")
    length = len(value) + len(command[2])
    if length < GROWS_FROM_BYTES:  # a growing value is longer, so this one is bytes
        data[command[1]] = value + command[2]  # type: ignore[operator]
        return length
    if length > VALUE_BYTES_MAX:
        return CommandError("ERR string exceeds maximum allowed size (proto-max-bulk-len)")
    data[command[1]] = append(value, command[2])
    return length


def _strlen(data: Data, command: Command) -> Reply:
    return len(data.get(command[1], b""))


# -- numbers


def _add(data: Data, key: bytes, increment: int) -> Reply:
    value = data.get(key, b"0")
    number = None if isinstance(value, Growing) else integer_of(value)  # a growing value is too long for one
    if number is None:
        return CommandError(NOT_AN_INTEGER)
    number += increment
    if not INTEGER_MIN <= number <= INTEGER_MAX:
        return CommandError("ERR increment or decrement would overflow")
    data[key] = b"%d" % number
    return number


def _incr(data: Data, command: Command) -> Reply:
    return _add(data, command[1], 1)


def _decr(data: Data, command: Command) -> Reply:
    return _add(data, command[1], -1)


def _incrby(data: Data, command: Command) -> Reply:
    return _add(data, command[1], int(command[2]))


def _decrby(data: Data, command: Command) -> Reply:
    return _add(data, command[1], -int(command[2]))


def _check_increment(command: Command) -> None:
    if integer_of(command[2]) is None:
        raise CommandError(NOT_AN_INTEGER)


def _check_decrement(command: Command) -> None:
    _check_increment(command)
    if int(command[2]) == INTEGER_MIN:
        raise CommandError("ERR decrement would overflow")


# -- many keys


def _mget(data: Data, command: Command) -> Found:
    return list(map(data.get, command[1:]))


def _mget_in_pieces(data: Data, command: Command, size: int) -> Piecewise:
    found: list[Found] = []
    for start in range(1, len(command), size):
        if start > 1:
            yield
        found += map(data.get, command[start : start + size])
    return found


def _check_pairs(command: Command) -> None:
    if len(command) % 2 == 0:
        raise wrong_arity(command[0].decode().lower())


def _mset(data: Data, command: Command) -> Reply:
    data.update(zip(command[1::2], command[2::2]))
    return OK


def _mset_in_pieces(data: Data, command: Command, size: int) -> Piecewise:
    pairs = max(2, size - size % 2)
    for start in range(1, len(command), pairs):
        if start > 1:
            yield
        end = start + pairs
        data.update(zip(command[start:end:2], command[start + 1 : end : 2]))
    return OK


def _msetnx(data: Data, command: Command) -> Reply:
    if any(map(data.__contains__, command[1::2])):
        return 0
    _mset(data, command)
    return 1


def _msetnx_in_pieces(data: Data, command: Command, size: int) -> Piecewise:
    found = yield from sum_in_pieces(exists, data, (command[0], *command[1::2]), size)
    if found:
        return 0
    yield
    yield from _mset_in_pieces(data, command, size)
    return 1


COMMANDS = (
    CommandSpec(b"GET", _get, 2, Keys.FIRST, False),
    CommandSpec(b"SET", _set, -3, Keys.FIRST, True, check=_check_set, plain=3),
    CommandSpec(b"SETNX", _setnx, 3, Keys.FIRST, True),
    CommandSpec(b"GETSET", _getset, 3, Keys.FIRST, True),
    CommandSpec(b"GETDEL", _getdel, 2, Keys.FIRST, True),
    CommandSpec(b"APPEND", _append, 3, Keys.FIRST, True),
    CommandSpec(b"STRLEN", _strlen, 2, Keys.FIRST, False),
    CommandSpec(b"INCR", _incr, 2, Keys.FIRST, True),
    CommandSpec(b"DECR", _decr, 2, Keys.FIRST, True),
    CommandSpec(b"INCRBY", _incrby, 3, Keys.FIRST, True, check=_check_increment),
    CommandSpec(b"DECRBY", _decrby, 3, Keys.FIRST, True, check=_check_decrement),
    CommandSpec(b"MGET", _mget, -2, Keys.ALL, False, in_pieces=_mget_in_pieces),
    CommandSpec(b"MSET", _mset, -3, Keys.PAIRS, True, check=_check_pairs, plain=3, in_pieces=_mset_in_pieces),
    CommandSpec(
        b"MSETNX", _msetnx, -3, Keys.PAIRS, True, check=_check_pairs, plain=3, in_pieces=_msetnx_in_pieces
    ),
)
