"""What COMMAND tells of the session commands: a sentence, and the flags and categories that Redis 7 has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["Described", "described"]


class Described(NamedTuple):
    """`flags` and `categories` as COMMAND INFO shows them; @fast and @slow follow from the flags.

    `keys`: which arguments are keys, as in CommandInfo.  `admin`: subcommands that are for administrators
    alone; the others have the flags and categories of the command.  `arity`: where it is not that of Served,
    because the handler itself says what is wrong.
    """

    summary: str
    flags: tuple[str, ...] = ("noscript", "loading", "stale")
    categories: tuple[str, ...] = ("connection",)
    keys: tuple[int, int, int] = (0, 0, 0)
    admin: frozenset[bytes] = frozenset()
    arity: int | None = None


_ALWAYS = ("noscript", "loading", "stale", "fast", "no_auth", "allow_busy")
_QUICK = ("loading", "stale", "fast")
_PUBSUB = ("pubsub", "noscript", "loading", "stale")
_TRANSACTION = ("noscript", "loading", "stale", "fast", "allow_busy")
_SERVER = ("admin", "dangerous")

_ALL: Mapping[bytes, Described] = {
    b"ACL": Described(
        "users and what they may do ([security](../operating/security.md#users)); see the subcommands",
        ("noscript", "loading", "stale"),
        (),
        admin=frozenset(
            [b"DELUSER", b"DRYRUN", b"GETUSER", b"LIST", b"LOAD", b"LOG", b"SAVE", b"SETUSER", b"USERS"]
        ),
    ),
    b"ASKING": Described("nothing, because no replica redirects", ("fast",)),
    b"AUTH": Described(
        "`[user] password`: be this user, `default` where none is named, whose password is `requirepass`. "
        "Where none is set, any is right; without a user, Redis' error that no password is set. A wrong "
        "password is answered after a second",
        _ALWAYS,
    ),
    b"CLIENT": Described(
        "see the subcommands",
        admin=frozenset([b"KILL", b"LIST", b"NO-EVICT", b"PAUSE", b"UNBLOCK", b"UNPAUSE"]),
    ),
    b"CLUSTER": Described(
        "for clients of a Redis Cluster ([clients](../using/clients.md)); see the subcommands",
        ("stale",),
        (),
        admin=frozenset([b"REPLICAS", b"SLAVES"]),
    ),
    b"COMMAND": Described("the table of all commands", ("loading", "stale")),
    b"CONFIG": Described("see the subcommands", ("admin", "noscript", "loading", "stale"), _SERVER),
    b"DISCARD": Described("drop the commands since `MULTI`", _TRANSACTION, ("transaction",)),
    b"ECHO": Described("the argument", _QUICK),
    b"EPAXOS": Described(
        "for operators: from the replica's own host, or with the password "
        "([security](../operating/security.md)); `ONCE` and `SESSION` are for every client, and the replicas "
        "run them ([exactly once](../using/exactly-once.md)); see the subcommands",
        ("admin", "movablekeys"),
        _SERVER,
    ),
    b"EXEC": Described(
        "run the commands since `MULTI`, together",
        ("noscript", "loading", "stale", "skip_slowlog"),
        ("transaction",),
        arity=1,
    ),
    b"HELLO": Described("switch to RESP2 or RESP3, with `AUTH` and `SETNAME`", _ALWAYS),
    b"INFO": Described("what this replica says of itself, by section", ("loading", "stale"), ("dangerous",)),
    b"LATENCY": Described(
        "when something took long at this replica ([status](../operating/status.md)); see the subcommands",
        ("admin", "noscript", "loading", "stale"),
        _SERVER,
    ),
    b"MONITOR": Described(
        "see the commands of all clients of this replica, without those of administrators",
        ("admin", "noscript", "loading", "stale"),
        _SERVER,
    ),
    b"MULTI": Described("begin a transaction", _TRANSACTION, ("transaction",)),
    b"PING": Described("`PONG`, or the argument", ("fast",)),
    b"PSUBSCRIBE": Described(
        "`pattern [pattern ...]`: as `SUBSCRIBE`, for the channels that match", _PUBSUB, ("pubsub",)
    ),
    b"PUBSUB": Described(
        "who listens at this replica; see the subcommands", ("pubsub", "loading", "stale"), ("pubsub",)
    ),
    b"PUNSUBSCRIBE": Described("`[pattern ...]`: end `PSUBSCRIBE`", _PUBSUB, ("pubsub",)),
    b"QUIT": Described("close the connection after the reply", _ALWAYS),
    b"READONLY": Described("nothing, because every replica serves reads and writes", _QUICK),
    b"READWRITE": Described("nothing, because every replica serves reads and writes", _QUICK),
    b"RESET": Described(
        "RESP2, no name, no transaction, nothing watched, database 0, no channel; the password has to be "
        "given again",
        _ALWAYS,
    ),
    b"ROLE": Described(
        "a master without replicas, because every replica takes writes",
        ("noscript", "loading", "stale", "fast"),
        _SERVER,
    ),
    b"SELECT": Described(
        "the database of the commands that follow, from 0 to 15; a read in another one than 0 takes an "
        "instance",
        _QUICK,
    ),
    b"SENTINEL": Described(
        "for clients that ask Redis Sentinel ([clients](../using/clients.md)); see the subcommands",
        ("admin",),
        _SERVER,
    ),
    b"SLOWLOG": Described(
        "commands whose run took long at this replica ([status](../operating/status.md)); see the "
        "subcommands",
        ("admin", "loading", "stale"),
        _SERVER,
    ),
    b"SUBSCRIBE": Described(
        "`channel [channel ...]`: listen on channels; `+switch-master`, `+sdown` and `-sdown` are those of "
        "`SENTINEL`, which the replica itself tells",
        _PUBSUB,
        ("pubsub",),
    ),
    b"SSUBSCRIBE": Described(
        "`channel [channel ...]`: as `SUBSCRIBE`, to what `SPUBLISH` tells", _PUBSUB, ("pubsub",), (1, -1, 1)
    ),
    b"SUNSUBSCRIBE": Described("`[channel ...]`: end `SSUBSCRIBE`", _PUBSUB, ("pubsub",), (1, -1, 1)),
    b"UNSUBSCRIBE": Described("`[channel ...]`: end `SUBSCRIBE`", _PUBSUB, ("pubsub",)),
    b"UNWATCH": Described("forget the keys of `WATCH`", _TRANSACTION, ("transaction",)),
    b"WAIT": Described(
        "`numreplicas timeout`: how many other members certainly have what the connection has written: "
        "the fewest that make a majority with this replica, whatever was asked for, and at once",
        ("noscript",),
    ),
    b"WATCH": Described(
        "`key [key ...]`: the next `EXEC` runs nothing if one of the keys changes before",
        _TRANSACTION,
        ("transaction",),
        (1, -1, 1),
    ),
}


def described(name: bytes) -> Described:
    """What is told of the session command `name`, in upper case."""
    return _ALL[name]
