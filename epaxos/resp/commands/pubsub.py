"""PUBSUB: who listens at this replica."""

from __future__ import annotations

from functools import partial

from epaxos.interfaces import Command, CommandError, Reply
from epaxos.interfaces.glob import Glob
from epaxos.interfaces.redis import text_of
from epaxos.resp.commands.spec import Answer, Served, Subcommand
from epaxos.resp.interfaces import IClient
from epaxos.resp.session import Kind

__all__ = ["COMMANDS"]

NAMES_MAX = 10_000
"""The most names in one `PUBSUB NUMSUB`, because it is answered in one step."""


def _channels(kind: Kind, client: IClient, command: Command) -> Answer:
    if len(command) > 3:
        return CommandError(
            "ERR unknown subcommand or wrong number of arguments for"
            f" '{text_of(command[1])}'. Try PUBSUB HELP."
        )
    try:
        pattern = Glob(command[2] if len(command) == 3 else b"*")
    except CommandError as error:
        return error.with_traceback(None)
    return client.server.listeners.matching(kind, pattern)  # type: ignore[return-value]


def _numsub(kind: Kind, client: IClient, command: Command) -> Reply:
    if len(command) > NAMES_MAX + 2:
        return CommandError(f"ERR too many channels in one command: at most {NAMES_MAX}")
    count = client.server.listeners.count
    return [word for name in command[2:] for word in (name, count(kind, name))]


def _numpat(client: IClient, command: Command) -> Reply:
    return client.server.listeners.number(Kind.PATTERN)


COMMANDS = {
    b"PUBSUB": Served(
        -2,
        subcommands={
            b"CHANNELS": Subcommand(
                partial(_channels, Kind.CHANNEL), -2, "[pattern]: the channels on which clients listen here"
            ),
            b"NUMPAT": Subcommand(_numpat, 2, "the number of patterns by which clients listen here"),
            b"NUMSUB": Subcommand(
                partial(_numsub, Kind.CHANNEL), -2, "[channel ...]: how many clients listen here on each"
            ),
            b"SHARDCHANNELS": Subcommand(
                partial(_channels, Kind.SHARD), -2, "[pattern]: as CHANNELS, of SSUBSCRIBE"
            ),
            b"SHARDNUMSUB": Subcommand(
                partial(_numsub, Kind.SHARD), -2, "[channel ...]: as NUMSUB, of SSUBSCRIBE"
            ),
        },
    )
}
