"""The commands on keys, whatever their values are: DEL, EXISTS, TYPE."""

from __future__ import annotations

from epaxos.interfaces import Command, Reply, SimpleString
from epaxos.statemachines.redis.spec import CommandSpec, Data, Keys, Piecewise, sum_in_pieces

__all__ = ["COMMANDS", "exists"]


def _del(data: Data, command: Command) -> int:
    return sum(data.pop(key, None) is not None for key in command[1:])


def _del_in_pieces(data: Data, command: Command, size: int) -> Piecewise:
    return sum_in_pieces(_del, data, command, size)


def exists(data: Data, command: Command) -> int:
    """How many of the arguments of `command` are keys that exist."""
    return sum(map(data.__contains__, command[1:]))


def _exists_in_pieces(data: Data, command: Command, size: int) -> Piecewise:
    return sum_in_pieces(exists, data, command, size)


def _type(data: Data, command: Command) -> Reply:
    return SimpleString("string" if command[1] in data else "none")


COMMANDS = (
    CommandSpec(b"DEL", _del, -2, Keys.ALL, True, in_pieces=_del_in_pieces),
    CommandSpec(b"EXISTS", exists, -2, Keys.ALL, False, in_pieces=_exists_in_pieces),
    CommandSpec(b"TYPE", _type, 2, Keys.FIRST, False),
)
