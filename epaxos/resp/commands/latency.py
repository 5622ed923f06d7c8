"""LATENCY: when commands, the event loop, rounds to other replicas and the disk took long at this replica."""

from __future__ import annotations

from epaxos.interfaces import Command, Reply
from epaxos.interfaces.redis import text_of
from epaxos.resp.commands.spec import Served, Subcommand
from epaxos.resp.interfaces import IClient

__all__ = ["COMMANDS"]


def _history(client: IClient, command: Command) -> Reply:
    return [list(sample) for sample in client.server.latency.history(text_of(command[2]))]


def _latest(client: IClient, command: Command) -> Reply:
    return [[event.encode(), *numbers] for event, *numbers in client.server.latency.latest()]


def _reset(client: IClient, command: Command) -> Reply:
    return client.server.latency.forget([text_of(word) for word in command[2:]])


COMMANDS = {
    b"LATENCY": Served(
        -2,
        subcommands={
            b"HISTORY": Subcommand(
                _history,
                3,
                "event: seconds since 1970, and the longest ms in each; command, loop, quorum, sync",
            ),
            b"LATEST": Subcommand(_latest, 2, "of each event: the newest second, its ms, and the longest ms"),
            b"RESET": Subcommand(_reset, -2, "[event ...]: forget events; all when none is named"),
        },
    )
}
