"""Commands of the replica in the database of their client."""

from __future__ import annotations

from epaxos.interfaces import Command
from epaxos.interfaces.composites import in_database
from epaxos.resp.commands.epaxos import ONCE, ONCE_COMMAND

__all__ = ["inside_of", "placed"]

_EVERYWHERE = frozenset([b"PUBLISH", b"SPUBLISH"])
"""All databases have the same channels."""


def placed(database: int, command: Command) -> Command:
    """`command` in this database; of EPAXOS ONCE, the command inside of it."""
    if not database:
        return command
    name = command[0].upper()
    if name in _EVERYWHERE:
        return command
    if name != b"EPAXOS":
        return in_database(database, command)
    if command[1].upper() != ONCE:
        return command
    return [*command[:ONCE_COMMAND], *in_database(database, command[ONCE_COMMAND:])]


def inside_of(command: Command) -> Command:
    """The command that is meant: of EPAXOS ONCE, the one inside."""
    is_once = len(command) > ONCE_COMMAND and command[0].upper() == b"EPAXOS" and command[1].upper() == ONCE
    return command[ONCE_COMMAND:] if is_once else command
