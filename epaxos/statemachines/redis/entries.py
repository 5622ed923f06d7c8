"""The entries of a state: its keys and values as bytes.

A string in database 0 without a deadline is its own entry, as in the first versions.  Any other key has an
entry with PREFIX, the number of its database, and the key; the value begins with the letter of its type and
its deadline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from struct import Struct
from typing import Any

from epaxos.statemachines.redis.growing import Growing
from epaxos.statemachines.redis.kinds import KINDS
from epaxos.statemachines.redis.shards import Snapshot
from epaxos.statemachines.redis.values import Collection, Stored, Value

__all__ = ["OTHER", "EntryReader", "entries_of"]

PREFIX = bytes.fromhex("fff2c34e7a90b15d688f21d4e6a3097b") + b" epaxos kv "
"""It is long and random, so that no state of an early version has such a key.  No text in UTF-8 has the byte
FF, so almost all keys are lower, which one comparison tells."""
OTHER = 255
"""Stands in the place of the number of a database for what is no key of a client."""
PIECE = 254
"""Stands in the place of the number of a database for a piece of a collection behind its first one: then come
the number of the piece, that of the database, and the key.  Its letter is a capital where pieces follow."""
_PIECE = Struct(">BIB")
_STRING = b"s"
_HEAD = 1 + 8


def entries_of(
    snapshots: list[tuple[int, Snapshot[Stored]]], others: Iterable[tuple[bytes, bytes]]
) -> Iterator[tuple[bytes, bytes]]:
    """The entries of the databases with these numbers, and others that are no keys of clients."""
    for number, snapshot in snapshots:
        yield from chain.from_iterable(map(_entries_in(number), snapshot.by_shard()))
    for name, data in others:
        yield PREFIX + bytes([OTHER]) + name, data


def _entries_in(number: int) -> Callable[[dict[bytes, Stored]], Iterable[tuple[bytes, bytes]]]:
    def entries(shard: dict[bytes, Any]) -> Iterable[tuple[bytes, bytes]]:
        if number == 0 and (not shard or ({*map(type, shard.values())} == {bytes} and max(shard) < PREFIX)):
            return shard.items()
        return _encoded(number, shard)

    return entries


def _encoded(number: int, shard: dict[bytes, Stored]) -> Iterator[tuple[bytes, bytes]]:
    for key, stored in shard.items():
        deadline_ms = 0
        value: Stored = stored
        if isinstance(value, tuple):
            value, deadline_ms = value
        if isinstance(value, Collection):
            yield from _encoded_collection(number, key, value, deadline_ms)
        elif isinstance(value, (bytes, Growing)):  # which it is
            if deadline_ms or number or key.startswith(PREFIX):
                head = _STRING + deadline_ms.to_bytes(8, "big")
                yield PREFIX + bytes([number]) + key, head + bytes(value)
            else:
                yield key, bytes(value)


def _encoded_collection(
    number: int, key: bytes, value: Collection, deadline_ms: int
) -> Iterator[tuple[bytes, bytes]]:
    pieces = value.encode()
    first, second = next(pieces), next(pieces, None)
    letter = value.letter if second is None else value.letter.upper()
    yield PREFIX + bytes([number]) + key, letter + deadline_ms.to_bytes(8, "big") + first
    if second is not None:
        for place, piece in enumerate(chain((second,), pieces)):
            yield PREFIX + _PIECE.pack(PIECE, place, number) + key, piece


class EntryReader:
    """Takes the entries that are not their own values, and gathers the pieces of collections.

    What `take` and `whole` tell: the number of the database, OTHER for what is no key of a client, then the
    key, and the value.  Both raise ValueError.
    """

    def __init__(self) -> None:
        self._heads: dict[tuple[int, bytes], bytes] = {}
        self._pieces: dict[tuple[int, bytes], dict[int, bytes]] = {}

    def take(self, part: dict[bytes, bytes]) -> Iterator[tuple[int, bytes, Stored]]:
        """Take these entries out of `part`, and tell of those that are whole."""
        for entry in list(filter(PREFIX.__le__, part)):
            if not entry.startswith(PREFIX):
                continue
            data = part.pop(entry)
            number, key = entry[len(PREFIX)], entry[len(PREFIX) + 1 :]
            if number == PIECE:
                if len(entry) < len(PREFIX) + _PIECE.size:
                    raise ValueError("a piece of a collection without a key")
                _, place, number = _PIECE.unpack_from(entry, len(PREFIX))
                key = entry[len(PREFIX) + _PIECE.size :]
                self._pieces.setdefault((number, key), {})[place] = data
            elif number != OTHER and data[:1].isupper():
                self._heads[number, key] = data
            else:
                yield number, key, data if number == OTHER else _decoded(data)

    def whole(self) -> Iterator[tuple[int, bytes, Stored]]:
        """Tell of the collections that came in pieces; all entries were taken."""
        for place, head in self._heads.items():
            pieces = self._pieces.pop(place, {})
            yield *place, _decoded(head[:1].lower() + head[1:], map(pieces.__getitem__, sorted(pieces)))
        if self._pieces:
            raise ValueError("pieces of a collection that is not there")


def _decoded(data: bytes, pieces: Iterable[bytes] = ()) -> Stored:
    letter, deadline_ms = data[:1], int.from_bytes(data[1:_HEAD], "big")
    value: Value
    if letter == _STRING:
        value = data[_HEAD:]
    elif letter in KINDS:
        value = KINDS[letter].decode(chain((data[_HEAD:],), pieces))
    else:
        raise ValueError(f"a value of the unknown type {letter!r}: it was written by a later version")
    return (value, deadline_ms) if deadline_ms else value
