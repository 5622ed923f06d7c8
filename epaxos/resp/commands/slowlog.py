"""SLOWLOG: commands whose run took long at this replica, the newest first."""

from __future__ import annotations

from itertools import islice

from epaxos.interfaces import Command, CommandError, Reply
from epaxos.interfaces.redis import OK, integer_of
from epaxos.resp.commands.spec import Served, Subcommand
from epaxos.resp.interfaces import IClient

__all__ = ["COMMANDS"]

USUAL = 10
"""The number of entries that SLOWLOG GET shows where the client names none."""
_SYNTAX = CommandError("ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP.")
_COUNT_ERROR = CommandError("ERR count should be greater than or equal to -1")


def _get(client: IClient, command: Command) -> Reply:
    if len(command) > 3:
        return _SYNTAX
    count = integer_of(command[2]) if len(command) == 3 else USUAL
    if count is None or count < -1:
        return _COUNT_ERROR
    entries = client.server.slow.entries
    newest = islice(reversed(entries), len(entries) if count == -1 else min(count, len(entries)))
    return [
        [entry.id, entry.time, entry.us, list(entry.words), entry.address.encode(), entry.client_name]
        for entry in newest
    ]


def _len(client: IClient, command: Command) -> Reply:
    return len(client.server.slow.entries)


def _reset(client: IClient, command: Command) -> Reply:
    client.server.slow.forget()
    return OK


COMMANDS = {
    b"SLOWLOG": Served(
        -2,
        subcommands={
            b"GET": Subcommand(_get, -2, "[count]: the newest entries; 10, -1: all"),
            b"LEN": Subcommand(_len, 2, "how many entries there are"),
            b"RESET": Subcommand(_reset, 2, "drop all entries"),
        },
    )
}
