"""The commands on all keys at once: DBSIZE, FLUSHDB, FLUSHALL.  Each of them is a barrier."""

from __future__ import annotations

from epaxos.interfaces import Command, CommandError, Reply
from epaxos.interfaces.redis import OK, SYNTAX_ERROR
from epaxos.statemachines.redis.spec import CommandSpec, Data, Keys

__all__ = ["COMMANDS", "FLUSHES"]

FLUSHES = (b"FLUSHDB", b"FLUSHALL")
"""The names of the commands that remove all keys."""


def _dbsize(data: Data, command: Command) -> Reply:
    return len(data)


def _check_flush(command: Command) -> None:
    if len(command) > 2 or (len(command) == 2 and command[1].upper() not in (b"ASYNC", b"SYNC")):
        raise CommandError(SYNTAX_ERROR)


def _flush(data: Data, command: Command) -> Reply:
    data.clear()
    return OK


COMMANDS = (
    CommandSpec(b"DBSIZE", _dbsize, 1, Keys.NONE, False, barrier=True),
    *(CommandSpec(name, _flush, -1, Keys.NONE, True, barrier=True, check=_check_flush) for name in FLUSHES),
)
