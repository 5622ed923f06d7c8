"""docs/reference/commands.md: the commands of the key-value store, and those of a connection."""

from __future__ import annotations

from collections.abc import Iterator

from epaxos.interfaces import CommandInfo
from epaxos.resp.commands.table import SERVED
from epaxos.statemachines.redis.machine import KeyValueStore
from tests.generated.page import page, rows

__all__ = ["SENTENCES", "commands", "infos", "session_names"]

SENTENCES = {
    "APPEND key value": "append to the value; the reply is its new length",
    "DBSIZE": "the number of keys, of the whole state at one point of the order",
    "DECR key": "subtract 1 from an integer; a key that does not exist counts as 0",
    "DECRBY key decrement": "subtract `decrement`",
    "DEL key [key ...]": "remove the keys, together; the reply counts those that existed",
    "EXISTS key [key ...]": "how many of the keys exist; a key that is named twice counts twice",
    "FLUSHALL [ASYNC|SYNC]": "remove all keys",
    "FLUSHDB [ASYNC|SYNC]": "remove all keys",
    "GET key": "the value, nil when there is none",
    "GETDEL key": "the value, and remove the key",
    "GETSET key value": "the old value, and set the new one",
    "INCR key": "add 1 to an integer; a key that does not exist counts as 0",
    "INCRBY key increment": "add `increment`",
    "MGET key [key ...]": "the values, of one point of the order",
    "MSET key value [key value ...]": "set all of the keys, together",
    "MSETNX key value [key value ...]": "set all of the keys, together, when none of them exists",
    "SET key value [NX|XX] [GET]": "set the value; `NX`: only a new key; `XX`: only one that exists; "
    "`GET`: reply "
    "with the old value",
    "SETNX key value": "set the value when the key does not exist; the reply is 1 or 0",
    "STRLEN key": "the length of the value; 0 when there is none",
    "TYPE key": "`string` or `none`",
}
"""How each command of the key-value store is called, and what it does."""

SESSION_SENTENCES = {
    "AUTH": "`[default] password`: give the password, `requirepass`. Where none is set, any is right for the "
    "user `default`; without a user, Redis' error that no password is set",
    "CLIENT": "see the subcommands",
    "COMMAND": "the table of all commands",
    "CONFIG": "see the subcommands",
    "EPAXOS": "for operators: from the replica's own host, or with the password "
    "([security](../operating/security.md)); `ONCE` and `SESSION` are for every client, and the replicas run "
    "them ([exactly once](../using/exactly-once.md)); see the subcommands",
    "ECHO": "the argument",
    "HELLO": "switch to RESP2 or RESP3, with `AUTH` and `SETNAME`",
    "INFO": "what this replica says of itself, by section",
    "PING": "`PONG`, or the argument",
    "QUIT": "close the connection after the reply",
    "RESET": "RESP2, no name, no refused transaction; the password has to be given again",
    "SELECT": "there is database 0 alone",
}


def infos() -> list[CommandInfo]:
    """The table of the key-value store."""
    return sorted(KeyValueStore().commands())


def session_names() -> list[str]:
    """The commands of a connection."""
    return sorted(name.decode() for name in SERVED)


def _what(info: CommandInfo) -> str:
    if not info.first_key:
        return "a barrier: ordered with every other command" if info.writes else "a barrier, and only reads"
    reach = "one key" if info.last_key == 1 else "all its keys"
    return f"{'writes' if info.writes else 'reads'} {reach}"


def _data_rows() -> Iterator[list[str]]:
    by_name = {usage.split()[0]: (usage, sentence) for usage, sentence in SENTENCES.items()}
    for info in infos():
        usage, sentence = by_name[info.name.upper()]
        yield [f"`{usage}`", sentence, _what(info)]


def _session_rows() -> Iterator[list[str]]:
    for name in session_names():
        yield [f"`{name}`", SESSION_SENTENCES[name]]
        for subcommand, (_, _, summary) in sorted(SERVED[name.encode()].subcommands.items()):
            yield [f"`{name} {subcommand.decode()}`", summary]


def commands() -> str:
    """The page."""
    return page(
        "Commands",
        "epaxos/statemachines/redis and epaxos/resp/commands",
        "Every other command gets Redis' error `ERR unknown command …`. Keys do not expire, values are "
        "strings.",
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
        "`MULTI` is refused, and after it nothing runs on this connection up to `EXEC`, `DISCARD` or "
        "`RESET`, so that "
        "no part of a transaction runs alone. `POST` and `Host:` close the connection: no Redis client "
        "sends them, but "
        "a web page can make a browser do so.",
    )
