"""docs/reference/commands.md: the commands of the key-value store, and those of a connection."""

from __future__ import annotations

from collections.abc import Iterator

from epaxos.interfaces import CommandInfo
from epaxos.resp.commands.described import described
from epaxos.resp.commands.table import SERVED
from epaxos.statemachines.redis.machine import KeyValueStore
from tests.generated.page import page, rows

__all__ = ["commands", "infos", "session_names"]


def infos() -> list[CommandInfo]:
    """The table of the key-value store."""
    return sorted(KeyValueStore().commands())


def session_names() -> list[str]:
    """The commands of a connection."""
    return sorted(name.decode() for name in SERVED)


def _what(info: CommandInfo) -> str:
    if info.is_barrier:
        return "a barrier: ordered with every other command" if info.writes else "a barrier, and only reads"
    reach = "one key" if info.last_key == 1 else "all its keys"
    return f"{'writes' if info.writes else 'reads'} {reach}"


def _data_rows() -> Iterator[list[str]]:
    for info in infos():
        yield [f"`{info.usage}`", info.summary, _what(info)]


def _session_rows() -> Iterator[list[str]]:
    for name in session_names():
        yield [f"`{name}`", described(name.encode()).summary]
        for subcommand, (_, _, summary) in sorted(SERVED[name.encode()].subcommands.items()):
            yield [f"`{name} {subcommand.decode()}`", summary]


def commands() -> str:
    """The page."""
    return page(
        "Commands",
        "epaxos/statemachines/redis and epaxos/resp/commands",
        "Every other command gets Redis' error `ERR unknown command …`. Values are strings, hashes, lists, "
        "sets, sorted sets and streams.",
        "## Data",
        "A command is one point in the order that all replicas agree on, whatever number of keys it has. "
        "A command "
        "that only reads one key takes no instance; all others do "
        "([consistency](../concepts/consistency.md)).",
        rows(["command", "what it does", "interference"], _data_rows()),
        "## Connection",
        "The replica that a client is connected to answers these by itself, as Redis 7.0.15 does; `EPAXOS` "
        "is our own, and its `ONCE` and `SESSION` run as commands on data do. `EPAXOS` may answer later: "
        "commands behind it run meanwhile, and are answered after it.",
        rows(["command", "what it does"], _session_rows()),
        "## Refused",
        "`EPAXOS` and `CLIENT REPLY` behind `MULTI`. With a state machine that has no transactions `MULTI` "
        "is refused, and nothing runs on this connection up to `EXEC`, `DISCARD` or `RESET`, so that no part "
        "of a transaction runs alone. `POST` and `Host:` close the connection: no Redis client "
        "sends them, but "
        "a web page can make a browser do so.",
    )
