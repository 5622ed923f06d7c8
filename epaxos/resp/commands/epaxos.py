"""EPAXOS: what operators ask a replica, and tell it (see `Served.is_admin` for who may), and the sessions of
clients, which the state machine runs.

A new subcommand is a function here and a line in `COMMANDS`.  The function may return a Deferred: commands
behind it run meanwhile, and are answered after it.  The Deferred is cancelled when the client leaves.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from epaxos.interfaces import Command, CommandError, Refusal, Reply
from epaxos.resp.commands.spec import Served, Subcommand
from epaxos.resp.interfaces import IClient

__all__ = ["COMMANDS", "ONCE", "ONCE_COMMAND"]

ONCE, ONCE_COMMAND = b"ONCE", 5
"""The subcommand that runs another command, and where the name of that one stands."""


def _status(client: IClient, command: Command) -> Deferred[Reply]:
    return client.server.replica.status().addCallback(_as_json)


def _as_json(status: dict[str, Any]) -> Reply:
    return json.dumps(status).encode()


def _members(client: IClient, command: Command) -> Reply:
    return [[member.id, *map(str.encode, member[1:])] for member in client.server.members()]


def _turn(client: IClient, command: Command) -> Deferred[Reply]:
    return client.server.replica.turn().addCallbacks(_as_number, _refused)


def _as_number(epoch: int) -> Reply:
    return epoch


def _refused(failure: Failure) -> Reply:
    """Anything else than a refusal is a bug, and is told as one."""
    if not isinstance(failure.value, Refusal):
        failure.raiseException()
    return CommandError(f"ERR {failure.value}")


COMMANDS = {
    b"EPAXOS": Served(
        -2,
        subcommands={
            ONCE: Subcommand(
                None,
                -6,
                "session seq acked command [arg ...]: run the command once, however often this is sent",
            ),
            b"SESSION": Subcommand(
                None, -2, "begin a session for ONCE, and answer its id; SESSION END session: end it"
            ),
            b"MEMBERS": Subcommand(
                _members, 2, "number, peer, client, status, and the state seen from here, of each member"
            ),
            b"STATUS": Subcommand(_status, 2, "the state of this replica, as JSON"),
            b"TURN": Subcommand(
                _turn, 2, "begin the next epoch, and answer its number when a majority has it on disk"
            ),
        },
        is_admin=True,
    )
}
