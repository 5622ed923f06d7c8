"""MONITOR: what the clients of this replica send, without what only administrators may see."""

from __future__ import annotations

from collections.abc import Iterator

from epaxos.interfaces import Command, CommandError, Reply
from epaxos.interfaces.redis import OK, fits
from epaxos.resp.commands import transactions
from epaxos.resp.commands.described import described
from epaxos.resp.commands.epaxos import ONCE
from epaxos.resp.commands.spec import Served
from epaxos.resp.interfaces import IClient
from epaxos.resp.redaction import REDACTED, is_secret_in

__all__ = ["COMMANDS", "refuse", "show"]

WORD_BYTES_MAX = 4096
"""A longer word is shown up to there, because to show it is one step."""
WORDS_MAX = 1000
COMMAND_BYTES_MAX = 65_536
"""Bytes of the words of a command that are shown, but for the last one, because to show them is one step."""
_NO_KEYS = CommandError("ERR Replica can't interact with the keyspace")


def _monitor(client: IClient, command: Command) -> Reply:
    client.session.is_monitor = True
    client.server.monitors.add(client)
    return OK


def refuse(client: IClient, command: Command) -> Reply:
    """Refuse a command on keys of a client that sees all commands."""
    return _NO_KEYS


def show(client: IClient, command: Command, served: Served | None) -> None:
    """Show a command that is about to run; `served`: of a session command.

    What is queued is shown when it runs: before EXEC, as with Redis.
    """
    session, name = client.session, command[0].upper()
    if session.transaction is not None and name not in transactions.ALLOWED:
        return
    monitors = client.server.monitors
    if name == b"EXEC" and session.transaction is not None and not session.transaction.is_doomed:
        for queued, _ in session.transaction.queued:
            if not _is_hidden(queued):
                monitors.show(client, list(_shown(queued)))
    if not _is_hidden(command) and (served is None or fits(served.arity, len(command))):
        monitors.show(client, list(_shown(command)))


def _is_hidden(command: Command) -> bool:
    """Whether only administrators may see it."""
    name = command[0].upper()
    subcommand = command[1].upper() if len(command) > 1 else b""
    if name == b"EPAXOS":
        return subcommand != ONCE
    try:
        about = described(name)
    except KeyError:
        return False  # the replica runs it
    return "admin" in about.flags or subcommand in about.admin


def _shown(command: Command) -> Iterator[bytes]:
    """The words, but for secrets."""
    secret = is_secret_in(command)
    shown_bytes = 0
    for number, word in enumerate(command):
        if number == WORDS_MAX or shown_bytes > COMMAND_BYTES_MAX:
            yield b"... (%d more arguments)" % (len(command) - number)
            return
        shown = REDACTED if secret(number) else word[:WORD_BYTES_MAX]
        shown_bytes += len(shown)
        yield shown


COMMANDS = {b"MONITOR": Served(1, _monitor)}
