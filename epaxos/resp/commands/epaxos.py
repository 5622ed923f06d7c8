"""EPAXOS: what operators ask a replica, and tell it.  See `Served.is_admin` for who may.

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

__all__ = ["COMMANDS"]


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
