"""Commands that a connection makes of commands of its client: several as one, or one in another database.

Their names begin with NUL, and `IStateMachine.check` knows none of them, so no client can send one.  A state
machine that provides IComposites runs them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from epaxos.interfaces.commands import Command

__all__ = [
    "EXEC",
    "IN",
    "LAST_ID",
    "LIVES",
    "UNWATCH",
    "WATCH",
    "Owner",
    "Place",
    "Queued",
    "Transaction",
    "in_database",
    "last_id_of",
    "lives_ended",
    "transaction",
    "unwatched",
    "watched",
]

EXEC, IN, WATCH, UNWATCH, LIVES = b"\0EXEC", b"\0IN", b"\0WATCH", b"\0UNWATCH", b"\0LIVES"
LAST_ID = b"\0LASTID"

Place = tuple[int, bytes]
"""The number of a database, and a key."""
Queued = tuple[int, Command]
"""The number of a database, and a command in it."""


class Owner(NamedTuple):
    """A connection that watches: the number of its replica, and the life of that process with the connection,
    parted by a colon."""

    replica: int
    mark: bytes


class Transaction(NamedTuple):
    """`owner`: of the mark that has to be clean, None where there is none.  `places`: what it watches."""

    owner: Owner | None
    places: Sequence[Place]
    commands: Sequence[Queued]


def in_database(database: int, command: Command) -> Command:
    """`command` in a database; in database 0 it is itself."""
    return [IN, b"%d" % database, *command] if database else command


def transaction(asked: Transaction) -> Command:
    """The commands as one, whose reply is the list of their replies; nil when the mark is not clean."""
    replica, mark = asked.owner or (0, b"")
    made = [EXEC, b"%d" % replica, mark, b"%d" % len(asked.places)]
    for database, key in asked.places:
        made += (b"%d" % database, key)
    for database, command in asked.commands:
        made += (b"%d" % database, b"%d" % len(command), *command)
    return made


def watched(owner: Owner, places: Sequence[Place]) -> Command:
    """A change of these keys will make the mark of `owner` dirty."""
    made = [WATCH, b"%d" % owner.replica, owner.mark]
    for database, key in places:
        made += (b"%d" % database, key)
    return made


def unwatched(owner: Owner) -> Command:
    """The mark of `owner` ends."""
    return [UNWATCH, b"%d" % owner.replica, owner.mark]


def lives_ended(replica: int, life: bytes) -> Command:
    """The marks that other lives of this replica have left end."""
    return [LIVES, b"%d" % replica, life]


def last_id_of(key: bytes) -> Command:
    """A read: the last id of a stream as text, `0-0` where there is none; an error for another type."""
    return [LAST_ID, key]
