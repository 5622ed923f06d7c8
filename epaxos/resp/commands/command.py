"""COMMAND: the commands that the replica runs, and those that a connection answers by itself."""

from __future__ import annotations

from typing import Any

from epaxos.interfaces import Command, CommandError, Reply, ReplyMap
from epaxos.interfaces.glob import Glob
from epaxos.interfaces.redis import fits
from epaxos.resp.commands.spec import PATTERNS_BYTES_MAX, SYNTAX, Served, Subcommand
from epaxos.resp.interfaces import IClient

__all__ = ["COMMANDS"]

_NO_KEYS = CommandError("ERR The command has no key arguments")


def _command(client: IClient, command: Command) -> Reply:
    return list(client.server.command_table.entries.values())


def _count(client: IClient, command: Command) -> Reply:
    return len(client.server.command_table.entries)


def _list(client: IClient, command: Command) -> Reply:
    table = client.server.command_table
    names: list[Any] = list(table.entries)
    if len(command) == 2:
        return names
    if len(command) != 5 or command[2].upper() != b"FILTERBY":
        return SYNTAX
    by, wanted = command[3].upper(), command[4]
    if by == b"PATTERN":
        if len(wanted) > PATTERNS_BYTES_MAX:
            return CommandError(f"ERR the pattern is longer than {PATTERNS_BYTES_MAX} bytes")
        return list(filter(Glob(wanted, any_case=True).matches, names))
    if by == b"MODULE":
        return []
    return table.in_category(wanted) if by == b"ACLCAT" else SYNTAX


def _docs(client: IClient, command: Command) -> Reply:
    """Names that are not known are left out, as with Redis."""
    docs = client.server.command_table.sentences
    names = [name.lower() for name in command[2:]] or list(docs)
    return ReplyMap(element for name in names if name in docs for element in (name, docs[name]))


def _info(client: IClient, command: Command) -> Reply:
    entries = client.server.command_table.entries
    if len(command) == 2:
        return list(entries.values())
    return [entries.get(name.lower()) for name in command[2:]]


def _entry_within(entry: list[Any], command: Command) -> list[Any]:
    """That of the subcommand, where there is one and it names keys."""
    name = b"|".join(command[:2]).lower()
    return next((within for within in entry[-1] if within[0] == name and within[3]), entry)


def _get_keys(client: IClient, command: Command) -> Reply:
    """The keys of the command that follows, in its order."""
    given = command[2:]
    entry = client.server.command_table.entries.get(given[0].lower())
    if entry is None:
        return CommandError("ERR Invalid command specified")
    _, arity, flags, first, last, step = _entry_within(entry, given)[:6]
    assert (
        isinstance(arity, int) and isinstance(first, int) and isinstance(last, int) and isinstance(step, int)
    )
    if not fits(arity, len(given)):
        return CommandError("ERR Invalid number of arguments specified for command")
    if not (isinstance(flags, list) and "movablekeys" in flags):
        end = len(given) + last + 1 if last < 0 else last + 1
        return list(given[first:end:step]) if first else _NO_KEYS
    try:
        found = list(client.server.replica.keys_of(given))
        return found if found or "no_mandatory_keys" in flags else _NO_KEYS
    except CommandError as error:
        return error.with_traceback(None)


COMMANDS = {
    b"COMMAND": Served(
        -1,
        _command,
        subcommands={
            b"COUNT": Subcommand(_count, 2, "how many commands are served"),
            b"DOCS": Subcommand(_docs, -2, "[name ...]: what commands do, in a sentence each"),
            b"GETKEYS": Subcommand(_get_keys, -4, "command [arg ...]: the keys of a command"),
            b"INFO": Subcommand(_info, -2, "[name ...]: arity, flags, keys and categories of commands"),
            b"LIST": Subcommand(
                _list, -2, "[FILTERBY PATTERN pattern | ACLCAT category]: the names of commands"
            ),
        },
    )
}
