"""Keys of sessions beside the keys of clients: in batches, and in the entries of a state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

__all__ = ["COMMON", "PREFIX", "entries_of_all", "key_of", "take_sessions"]

PREFIX = bytes.fromhex("fff1e09b5d2f4a7c8e6310b7a25d94ef") + b" epaxos session "
"""No key of a client begins like this in an entry: one that does gets PREFIX and b"k" before it.  It is long
and random, so that no state that was written before there were sessions has such a key.  No text in UTF-8 has
the byte FF, so almost all keys are lower, which one comparison tells."""
_SESSION, _KEY = PREFIX + b"s", PREFIX + b"k"

COMMON = PREFIX + b"all"
"""The key that every beginning and every end of a session writes.  A client that names it, or the key of a
session, only makes its own commands wait for those of the sessions."""


def key_of(id: bytes) -> bytes:
    """The key of a session."""
    return _SESSION + id


def entries_of_all(
    sessions: Iterable[tuple[bytes, bytes]], entries: Iterable[tuple[bytes, bytes]]
) -> Iterator[tuple[bytes, bytes]]:
    """The entries of the sessions, by their ids, and those of clients, so that no two have the same key."""
    for id, data in sessions:
        yield _SESSION + id, data
    for entry in entries:
        yield entry if entry[0] < PREFIX or not entry[0].startswith(PREFIX) else (_KEY + entry[0], entry[1])


def take_sessions(entries: dict[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    """Leave the entries of clients as they were; return those of sessions, by their ids."""
    sessions = []
    clients = {}
    for key in list(filter(PREFIX.__le__, entries)):
        if key.startswith(_SESSION):
            sessions.append((key[len(_SESSION) :], entries.pop(key)))
        elif key.startswith(_KEY):
            clients[key[len(_KEY) :]] = entries.pop(key)
    entries.update(
        clients
    )  # now, because a key of a client may look like an entry that was still to be taken
    return sessions
