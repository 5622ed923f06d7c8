"""EPAXOS: what operators ask a replica, and tell it (see `Served.is_admin` for who may), and the sessions of
clients, which the state machine runs.

A new subcommand is a function here and a line in `COMMANDS`.  The function may return a Deferred: commands
behind it run meanwhile, and are answered after it.  The Deferred is cancelled when the client leaves.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred

from epaxos.interfaces import Command, CommandError, Reply, SimpleString, Unavailable
from epaxos.interfaces.composites import in_database
from epaxos.interfaces.instruments import ITrace
from epaxos.interfaces.redis import NOT_AN_INTEGER, SYNTAX_ERROR
from epaxos.resp.commands.changes import CHANGES, refused
from epaxos.resp.commands.run import ByReplica
from epaxos.resp.commands.spec import Answer, Served, Subcommand
from epaxos.resp.interfaces import IClient

__all__ = ["COMMANDS", "ONCE", "ONCE_COMMAND", "TRACE", "TRACE_COMMAND"]

ONCE, ONCE_COMMAND = b"ONCE", 5
TRACE, TRACE_COMMAND = b"TRACE", 2
"""The subcommand that runs another command, and where the name of that one stands."""

DIGITS_MAX = 18
"""The most digits of an offset or a size in `EPAXOS BACKUP-READ`."""
_NO_BACKUPS = CommandError("ERR there are no backups: nothing is kept on disk")
_NO_NUMBER = CommandError(NOT_AN_INTEGER)


def _status(client: IClient, command: Command) -> Reply | Deferred[Reply]:
    asks = [word.upper() for word in command[2:]]
    if asks not in ([], [b"DIGEST"]):
        return CommandError(SYNTAX_ERROR)
    return client.server.replica.status(bool(asks)).addCallback(_as_json)


def _as_json(document: Any) -> Reply:
    return json.dumps(document).encode()


def _turn(client: IClient, command: Command) -> Deferred[Reply]:
    return client.server.replica.turn().addCallbacks(_as_number, refused)


def _backup(client: IClient, command: Command) -> Deferred[Reply]:
    return client.server.replica.backup(_name(command[2])).addCallbacks(_as_json, refused)


def _backups(client: IClient, command: Command) -> Reply | Deferred[Reply]:
    kept = client.server.replica.backups()
    return json.dumps([]).encode() if kept is None else kept.listing().addCallbacks(_as_json, refused)


def _read_backup(client: IClient, command: Command) -> Reply | Deferred[Reply]:
    kept = client.server.replica.backups()
    numbers = [int(each) if each.isdigit() and len(each) <= DIGITS_MAX else -1 for each in command[4:6]]
    if kept is None:
        return _NO_BACKUPS
    if min(numbers) < 0:
        return _NO_NUMBER
    name, file = map(_name, command[2:4])
    return kept.read(name, file, *numbers).addCallbacks(_as_bytes, refused)


def _delete_backup(client: IClient, command: Command) -> Reply | Deferred[Reply]:
    kept = client.server.replica.backups()
    return _NO_BACKUPS if kept is None else kept.delete(_name(command[2])).addCallbacks(_as_ok, refused)


def _trace(client: IClient, command: Command) -> Answer:
    """The reply to the command that follows, and what each of its steps took."""
    replica, asked = client.server.replica, list(command[TRACE_COMMAND:])
    try:
        replica.check(asked)
    except CommandError as error:
        return error.with_traceback(None)
    made = in_database(client.session.database, asked)
    finish = partial(_traced, replica.trace(made))
    return ByReplica((made,), finish, sum(map(len, made)))


def _traced(trace: ITrace, outcome: Reply | Unavailable) -> Reply:
    steps = json.dumps(trace.end(not isinstance(outcome, Unavailable))).encode()
    return [CommandError(str(outcome)) if isinstance(outcome, Unavailable) else outcome, steps]


def _name(data: bytes) -> str:
    return data.decode(errors="replace")


def _as_bytes(data: bytes) -> Reply:
    return data


def _as_ok(_: None) -> Reply:
    return SimpleString("OK")


def _as_number(epoch: int) -> Reply:
    return epoch


COMMANDS = {
    b"EPAXOS": Served(
        -2,
        subcommands={
            b"BACKUP": Subcommand(
                _backup, 3, "make a backup of this name in the data folder, and answer its manifest, as JSON"
            ),
            b"BACKUP-DELETE": Subcommand(_delete_backup, 3, "remove the backup of this name"),
            b"BACKUP-READ": Subcommand(
                _read_backup, 6, "of a backup: its name, a file, an offset, a size of at most 1 MiB"
            ),
            b"BACKUPS": Subcommand(_backups, 2, "the manifests of all backups of this replica, as JSON"),
            ONCE: Subcommand(
                None,
                -6,
                "session seq acked command [arg ...]: run the command once, however often this is sent",
            ),
            b"SESSION": Subcommand(
                None, -2, "begin a session for ONCE, and answer its id; SESSION END session: end it"
            ),
            **CHANGES,
            b"STATUS": Subcommand(
                _status,
                -2,
                "the state of this replica, as JSON; STATUS DIGEST: with a digest of all data",
            ),
            TRACE: Subcommand(
                _trace,
                -3,
                "command [arg ...]: run a command on data, and answer its reply, and what each step took, "
                "as JSON",
            ),
            b"TURN": Subcommand(
                _turn, 2, "begin the next epoch, and answer its number when a majority has it on disk"
            ),
        },
        is_admin=True,
    )
}
