"""The commands that count: INCR and its variants."""

from __future__ import annotations

from epaxos.interfaces import Command, CommandError, Reply
from epaxos.interfaces.redis import INTEGER_MAX, INTEGER_MIN, NOT_AN_INTEGER, integer_of
from epaxos.statemachines.redis.decimals import NOT_A_FLOAT, added, decimal_of
from epaxos.statemachines.redis.growing import Growing
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.string_command import GROWS, string_command

__all__ = ["COMMANDS"]


def _add(space: Space, key: bytes, increment: int) -> Reply:
    value = space.string(key)
    if value is None:
        value = b"0"
    number = None if isinstance(value, Growing) else integer_of(value)  # a growing value is too long for one
    if number is None:
        return CommandError(NOT_AN_INTEGER)
    number += increment
    if not INTEGER_MIN <= number <= INTEGER_MAX:
        return CommandError("ERR increment or decrement would overflow")
    space.put(key, b"%d" % number)
    return number


def _incr(space: Space, command: Command) -> Reply:
    return _add(space, command[1], 1)


def _decr(space: Space, command: Command) -> Reply:
    return _add(space, command[1], -1)


def _incrby(space: Space, command: Command) -> Reply:
    return _add(space, command[1], int(command[2]))


def _decrby(space: Space, command: Command) -> Reply:
    return _add(space, command[1], -int(command[2]))


def _check_increment(command: Command) -> None:
    if integer_of(command[2]) is None:
        raise CommandError(NOT_AN_INTEGER)


def _check_decrement(command: Command) -> None:
    _check_increment(command)
    if int(command[2]) == INTEGER_MIN:
        raise CommandError("ERR decrement would overflow")


def _incrbyfloat(space: Space, command: Command) -> Reply:
    held, increment = space.string(command[1]), decimal_of(command[2])
    if isinstance(held, Growing):  # it is too long for a number
        raise CommandError(NOT_A_FLOAT)
    number = decimal_of(b"0" if held is None else held)
    if number is None or increment is None:
        raise CommandError(NOT_A_FLOAT)
    total = added(number, increment)
    space.put(command[1], total)
    return total


COMMANDS = (
    string_command(
        b"INCR", _incr, 2, "INCR key", "add 1 to an integer; a key that does not exist counts as 0",
        since=1, **GROWS,
    ),
    string_command(
        b"DECR", _decr, 2, "DECR key", "subtract 1 from an integer; a key that does not exist counts as 0",
        since=1, **GROWS,
    ),
    string_command(
        b"INCRBY", _incrby, 3, "INCRBY key increment", "add `increment`", check=_check_increment,
        since=1, options_from=2, **GROWS,
    ),
    string_command(
        b"DECRBY", _decrby, 3, "DECRBY key decrement", "subtract `decrement`", check=_check_decrement,
        since=1, options_from=2, **GROWS,
    ),
    string_command(
        b"INCRBYFLOAT", _incrbyfloat, 3, "INCRBYFLOAT key increment",
        "add `increment`, a decimal number; the reply is the sum, of at most 17 places",
        **GROWS,
    ),
)  # fmt: skip
