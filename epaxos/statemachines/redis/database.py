"""The commands on all keys at once: DBSIZE, FLUSHDB, FLUSHALL, SWAPDB.  Each of them is a barrier."""

from __future__ import annotations

from epaxos.interfaces import Command, CommandError, Reply
from epaxos.interfaces.redis import INT_MAX, INT_MIN, OK, SYNTAX_ERROR, integer_of
from epaxos.statemachines.redis.keys import database_of
from epaxos.statemachines.redis.names import DATABASES
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Keys

__all__ = ["COMMANDS"]


def _dbsize(space: Space, command: Command) -> Reply:
    return space.size()


def _check_flush(command: Command) -> None:
    if len(command) > 2 or (len(command) == 2 and command[1].upper() not in (b"ASYNC", b"SYNC")):
        raise CommandError(SYNTAX_ERROR)


def _flushdb(space: Space, command: Command) -> Reply:
    space.clear()
    return OK


def _flushall(space: Space, command: Command) -> Reply:
    for number in range(DATABASES):
        space.in_database(number).clear()
    return OK


def _check_swapdb(command: Command) -> None:
    for text, which in zip(command[1:], ("first", "second")):
        number = integer_of(text)
        if number is None or not INT_MIN <= number <= INT_MAX:
            raise CommandError(f"ERR invalid {which} DB index")
    for text in command[1:]:
        database_of(text)


def _swapdb(space: Space, command: Command) -> Reply:
    first, second = map(int, command[1:])
    if first != second:
        space.swap(first, second)
    return OK


COMMANDS = (
    CommandSpec(
        b"DBSIZE", _dbsize, 1, Keys.NONE, False, barrier=True, since=1, usage="DBSIZE",
        categories=("keyspace",),
        summary="the number of keys, of the whole database at one point of the order",
    ),
    CommandSpec(
        b"SWAPDB", _swapdb, 3, Keys.NONE, True, barrier=True, check=_check_swapdb,
        usage="SWAPDB index1 index2", summary="exchange the keys of two databases",
        categories=("keyspace", "dangerous"),
    ),
    *(
        CommandSpec(
            name, handler, -1, Keys.NONE, True, barrier=True, since=1, check=_check_flush, flags=(),
            usage=f"{name.decode()} [ASYNC|SYNC]", summary=summary, complexity="O(N)",
            categories=("keyspace", "dangerous"),
        )
        for name, handler, summary in (
            (b"FLUSHDB", _flushdb, "remove all keys of the database"),
            (b"FLUSHALL", _flushall, "remove all keys of all databases"),
        )
    ),
)  # fmt: skip
