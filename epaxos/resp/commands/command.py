"""COMMAND: the commands that the replica runs, and those that a connection answers by itself."""

from __future__ import annotations

from typing import Any

from epaxos.interfaces import Command, CommandError, Reply
from epaxos.resp.commands.spec import PATTERNS_BYTES_MAX, SYNTAX, Served, Subcommand
from epaxos.resp.encoder import RespMap
from epaxos.resp.glob import Glob
from epaxos.resp.interfaces import IClient

__all__ = ["COMMANDS"]


def _command(client: IClient, command: Command) -> Reply:
    return list(client.server.command_table)


def _count(client: IClient, command: Command) -> Reply:
    return len(client.server.command_table)


def _list(client: IClient, command: Command) -> Reply:
    names: list[Any] = [entry[0] for entry in client.server.command_table]
    if len(command) == 2:
        return names
    if len(command) != 5 or command[2].upper() != b"FILTERBY":
        return SYNTAX
    by, wanted = command[3].upper(), command[4]
    if by == b"PATTERN":
        if len(wanted) > PATTERNS_BYTES_MAX:
            return CommandError(f"ERR the pattern is longer than {PATTERNS_BYTES_MAX} bytes")
        return list(filter(Glob(wanted).matches, names))
    if by == b"MODULE":
        return []
    return CommandError("ERR ACLCAT is not served") if by == b"ACLCAT" else SYNTAX


def _docs(client: IClient, command: Command) -> Reply:
    return RespMap()


def _info(client: IClient, command: Command) -> Reply:
    table = client.server.command_table
    if len(command) == 2:
        return list(table)
    by_name = {entry[0]: entry for entry in table}
    return [by_name.get(name.lower()) for name in command[2:]]


COMMANDS = {
    b"COMMAND": Served(
        -1,
        _command,
        subcommands={
            b"COUNT": Subcommand(_count, 2, "how many commands are served"),
            b"DOCS": Subcommand(_docs, -2, "[name ...]: nothing yet"),
            b"INFO": Subcommand(_info, -2, "[name ...]: arity, flags and keys of commands"),
            b"LIST": Subcommand(_list, -2, "[FILTERBY PATTERN pattern]: the names of commands"),
        },
    )
}
