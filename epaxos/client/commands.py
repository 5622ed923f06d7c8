"""What the client does with a command: repeat it freely, send it once, or refuse it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any

__all__ = ["CommandTable", "Kind", "check", "is_of_replica", "kept_bytes"]


class Kind(Enum):
    """How a command may be sent."""

    READ = "it changes nothing, and is sent again as often as needed"
    WRITE = "it is sent through ONCE, or never again after it may have run"
    LOCAL = "it is about one replica, and never sent again after it may have run"


HARMLESS = frozenset([b"PING", b"ECHO", b"INFO", b"COMMAND", b"TIME"])
"""Commands of a connection that may be repeated."""
OF_A_CONNECTION = frozenset(
    b"AUTH HELLO SELECT RESET QUIT CLIENT MULTI EXEC DISCARD WATCH UNWATCH MONITOR"
    b" SUBSCRIBE PSUBSCRIBE SSUBSCRIBE UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE".split()
)
BLOCKING = frozenset(b"BLPOP BRPOP BLMOVE BRPOPLPUSH BLMPOP BZPOPMIN BZPOPMAX BZMPOP WAIT WAITAOF".split())
MAY_BLOCK = frozenset([b"XREAD", b"XREADGROUP"])
"""Commands that wait when one of their words is BLOCK."""
NAMES_MAX = 1_000
"""Names of commands that are remembered."""
SHORT = frozenset(
    b"SET SETNX MSET MSETNX INCR DECR INCRBY DECRBY APPEND DEL UNLINK FLUSHALL FLUSHDB EXPIRE PEXPIRE PERSIST"
    b" SADD SREM HSET HSETNX HDEL LPUSH RPUSH ZREM PUBLISH".split()
)
"""Commands with a reply of a few bytes: an integer, `OK`, or an error in a line."""
SHORT_BYTES, LONG_BYTES = 144, 1_088
"""What a reply takes of the bytes that a session keeps, at most: 64 more than it has.  A reply of more than
1 024 is not kept."""
OWN = ((b"EPAXOS", b"ONCE"), (b"EPAXOS", b"SESSION"))
"""What the client itself sends."""


def check(command: Sequence[bytes]) -> None:
    """Raise ValueError for a command that is about one connection, or waits.  Connections are shared."""
    if not command or not command[0]:
        raise ValueError("a command has a name")
    words = [word.upper() for word in command[:2]]
    name = words[0].decode(errors="replace")
    if words[0] in OF_A_CONNECTION:
        raise ValueError(f"{name} is about one connection, and the client shares its connections")
    if words[0] in BLOCKING or (words[0] in MAY_BLOCK and any(word.upper() == b"BLOCK" for word in command)):
        raise ValueError(f"{name} waits, and would hold up the other calls on its connection")
    if tuple(words) in OWN:
        raise ValueError(f"{name} {words[1].decode()} is what the client itself sends for every write")


def kept_bytes(command: Sequence[bytes]) -> int:
    """What the reply of a write may take of those that are kept in its session."""
    name = command[0].upper()
    asks_for_value = name == b"SET" and any(word.upper() == b"GET" for word in command[3:])
    return SHORT_BYTES if name in SHORT and not asks_for_value else LONG_BYTES


def _flags(reply: Any) -> Iterator[tuple[bytes, set[bytes]]]:
    for entry in reply if isinstance(reply, list) else ():
        if isinstance(entry, list) and len(entry) > 2 and isinstance(entry[2], list):
            yield entry[0].upper(), set(entry[2])


def is_of_replica(reply: Any) -> bool:
    """Whether what a server answered to `COMMAND` has the command that every replica has."""
    return not isinstance(reply, list) or any(name == b"EPAXOS" for name, _ in _flags(reply))


class CommandTable:
    """Which commands only read, as the replicas say; every other one counts as a write."""

    def __init__(self) -> None:
        self._kinds: dict[bytes, Kind] = {}

    def learn(self, reply: Any) -> None:
        """Take over what a replica answered to `COMMAND`."""
        self._kinds = {}
        for name, flags in _flags(reply):
            if b"readonly" in flags:
                self._kinds[name] = Kind.READ
            elif b"admin" in flags:
                self._kinds[name] = Kind.LOCAL

    def kind(self, command: Sequence[bytes]) -> Kind:
        """How the command may be sent."""
        name = command[0].upper()
        return Kind.READ if name in HARMLESS else self._kinds.get(name, Kind.WRITE)

    def refused_by_once(self, command: Sequence[bytes]) -> None:
        """Note that ONCE takes no command of this name."""
        if len(self._kinds) < NAMES_MAX:
            self._kinds[command[0].upper()] = Kind.LOCAL
