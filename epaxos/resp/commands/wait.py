"""WAIT: how many other members certainly have what this connection has written.

A write is answered when a majority has it (docs: concepts/consistency).  The answer of WAIT comes behind
those of the commands before it, so it needs no waiting of its own, and tells no more than what is certain.
"""

from __future__ import annotations

from epaxos.interfaces import Command, CommandError, Reply
from epaxos.interfaces.redis import NOT_AN_INTEGER, integer_of
from epaxos.resp.commands.spec import Served
from epaxos.resp.interfaces import IClient

__all__ = ["COMMANDS"]


def _wait(client: IClient, command: Command) -> Reply:
    if integer_of(command[1]) is None:
        return CommandError(NOT_AN_INTEGER)
    timeout_ms = integer_of(command[2])
    if timeout_ms is None:
        return CommandError("ERR timeout is not an integer or out of range")
    if timeout_ms < 0:
        return CommandError("ERR timeout is negative")
    return len(client.server.members()) // 2


COMMANDS = {b"WAIT": Served(3, _wait)}
