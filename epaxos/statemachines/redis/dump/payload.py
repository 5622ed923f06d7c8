"""The payload of one key: the type, the value as in a file of Redis (RDB), the version, and a checksum.

A payload comes from a client.  Whatever it says, reading it takes no more memory than a few times its own
size and `reader.RESTORED_BYTES_MAX`, and it is read in steps of about a millisecond.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import NamedTuple

from epaxos.statemachines.redis.dump.crc64 import checksum
from epaxos.statemachines.redis.dump.errors import BadData, BadPayload
from epaxos.statemachines.redis.dump.intsets import elements_of_intset, intset_of
from epaxos.statemachines.redis.dump.lists import elements_of_listpack, elements_of_ziplist, listpack_of
from epaxos.statemachines.redis.dump.quicklists import (
    plain_list,
    quicklist,
    quicklist_2,
    quicklist_of,
    ziplist,
)
from epaxos.statemachines.redis.dump.reader import Reader, string
from epaxos.statemachines.redis.dump.sorted_sets import ZSET_READERS, zset_of
from epaxos.statemachines.redis.dump.streams import pieces_of_stream, stream_reader
from epaxos.statemachines.redis.dump.writer import encoded, length_of
from epaxos.statemachines.redis.parted import Parted

__all__ = ["Dumped", "dump", "load"]

VERSION = 10
"""That of what is written: Redis 7.0."""
VERSIONS = {"stream": 11}
"""By the name of the type, where that is another one: Redis 7.2."""
NEWEST_VERSION = 12
"""The highest that is read.  Later versions of Redis write the types that are served as 7.0 does."""
_FOOTER_BYTES = 2 + 8

STRING, HASH, HASH_ZIPLIST, HASH_LISTPACK = 0, 4, 13, 16
SET, SET_INTSET, SET_LISTPACK = 2, 11, 20
LIST, LIST_ZIPLIST, LIST_QUICKLIST, LIST_QUICKLIST_2 = 1, 10, 14, 18
STREAM, STREAM_2, STREAM_3 = 15, 19, 21
TYPE_NAMES = {
    **dict.fromkeys((6, 7), "module"),
    9: "hash of Redis 2.4",
    **dict.fromkeys((22, 23, 24, 25), "hash whose fields expire"),
}
"""What else Redis has, for people."""
LISTPACK_FIELDS = 512
LISTPACK_BYTES = 64
"""A hash with at most so many fields, none of them or of their values longer, is written as a listpack: the
limits that Redis has by default.  A listpack that is read may be longer."""
STEP_ELEMENTS = 512


class Dumped(NamedTuple):
    """A value.  `elements`: of a string the string; those of a list; of a set its members; of a hash each
    field, followed by its value; of a sorted set each member, followed by its score; of a stream what
    `streams/flat.py` names."""

    type_name: str
    elements: Sequence[bytes]


# -- reading


def _read_string(reader: Reader) -> Generator[None, None, Dumped]:
    return Dumped("string", [(yield from string(reader))])


def _read_named(type_name: str, width: int) -> Callable[[Reader], Generator[None, None, Dumped]]:
    """Reads strings one after the other: names, each of which is there once, with `width` - 1 values."""

    def read(reader: Reader) -> Generator[None, None, Dumped]:
        count = width * reader.length()
        if count > reader.end - reader.place:  # each string has a byte at least
            raise BadData("the value has no end")
        elements: list[bytes] = []
        names: Parted[None] = Parted()  # as a set, but no step makes all of it larger, or frees it
        for start in range(0, count, STEP_ELEMENTS):
            some = []
            for _ in range(start, min(count, start + STEP_ELEMENTS)):
                some.append((yield from string(reader)))
            names.update((name, None) for name in some[::width])
            elements += some
            _check_named(type_name, width, len(names), len(elements))
            yield
        _check_named(type_name, width, len(names), len(elements))
        return Dumped(type_name, elements)

    return read


def _read_small(
    type_name: str, width: int, parse: Callable[[bytes], Generator[None, None, list[bytes]]]
) -> Callable[[Reader], Generator[None, None, Dumped]]:
    """`parse` finds the elements in a string that holds them all."""

    def read(reader: Reader) -> Generator[None, None, Dumped]:
        elements = yield from parse((yield from string(reader)))
        _check_named(type_name, width, len(set(elements[::width])), len(elements))
        return Dumped(type_name, elements)

    return read


def _check_named(type_name: str, width: int, names: int, elements: int) -> None:
    if not names or width * names != elements:
        raise BadData(f"a {type_name} without a name, or with one that is there twice, or has no value")


def _read_list(
    read: Callable[[Reader], Generator[None, None, list[bytes]]],
) -> Callable[[Reader], Generator[None, None, Dumped]]:
    """`read` finds the elements."""

    def read_list(reader: Reader) -> Generator[None, None, Dumped]:
        elements = yield from read(reader)
        if not elements:
            raise BadData("a list without elements")
        return Dumped("list", elements)

    return read_list


def _read_zset(
    read: Callable[[Reader], Generator[None, None, list[bytes]]],
) -> Callable[[Reader], Generator[None, None, Dumped]]:
    def read_zset(reader: Reader) -> Generator[None, None, Dumped]:
        return Dumped("zset", (yield from read(reader)))

    return read_zset


def _read_stream(form: int) -> Callable[[Reader], Generator[None, None, Dumped]]:
    read = stream_reader(form)

    def read_stream(reader: Reader) -> Generator[None, None, Dumped]:
        return Dumped("stream", (yield from read(reader)))

    return read_stream


_READERS: dict[int, Callable[[Reader], Generator[None, None, Dumped]]] = {
    STRING: _read_string,
    HASH: _read_named("hash", 2),
    HASH_ZIPLIST: _read_small("hash", 2, elements_of_ziplist),
    HASH_LISTPACK: _read_small("hash", 2, elements_of_listpack),
    SET: _read_named("set", 1),
    SET_INTSET: _read_small("set", 1, elements_of_intset),
    SET_LISTPACK: _read_small("set", 1, elements_of_listpack),
    LIST: _read_list(plain_list),
    LIST_ZIPLIST: _read_list(ziplist),
    LIST_QUICKLIST: _read_list(quicklist),
    LIST_QUICKLIST_2: _read_list(quicklist_2),
    **{mark: _read_zset(read) for mark, read in ZSET_READERS.items()},
    STREAM: _read_stream(1),
    STREAM_2: _read_stream(2),
    STREAM_3: _read_stream(3),
}


def load(payload: bytes) -> Generator[None, None, Dumped]:
    """The value in a payload; None after each step.

    Raises BadPayload where the version or the checksum is wrong, and BadData where the value is.
    """
    end = len(payload) - _FOOTER_BYTES
    if end < 1 or int.from_bytes(payload[end : end + 2], "little") > NEWEST_VERSION:
        raise BadPayload
    found = yield from checksum(payload[:-8])
    if found != int.from_bytes(payload[-8:], "little"):
        raise BadPayload
    kind = payload[0]
    if kind not in _READERS:
        raise BadData(f"a value of type {kind} ({TYPE_NAMES.get(kind, 'unknown')}), which is not served")
    reader = Reader(payload, 1, end)
    dumped = yield from _READERS[kind](reader)
    if reader.place != end:
        raise BadData("the value is followed by something else")
    return dumped


# -- writing


def _is_small(elements: Sequence[bytes]) -> bool:
    return len(elements) <= 2 * LISTPACK_FIELDS and max(map(len, elements), default=0) <= LISTPACK_BYTES


Pieces = Generator[None, None, list[bytes]]


def _write_string(elements: Sequence[bytes]) -> Pieces:
    yield
    return [bytes([STRING]), encoded(elements[0])]


def _write_hash(elements: Sequence[bytes]) -> Pieces:
    if _is_small(elements):
        packed = listpack_of(elements)
        return [bytes([HASH_LISTPACK]), length_of(len(packed)), packed]
    return (yield from _listed(HASH, elements, 2))


def _write_set(elements: Sequence[bytes]) -> Pieces:
    numbers = intset_of(elements)
    if numbers is None:
        return (yield from _listed(SET, elements, 1))
    return [bytes([SET_INTSET]), length_of(len(numbers)), numbers]


def _listed(kind: int, elements: Sequence[bytes], width: int) -> Pieces:
    """The elements one after the other, behind their number."""
    pieces = [bytes([kind]), length_of(len(elements) // width)]
    for start in range(0, len(elements), STEP_ELEMENTS):
        pieces.append(b"".join(map(encoded, elements[start : start + STEP_ELEMENTS])))
        yield
    return pieces


def _write_list(elements: Sequence[bytes]) -> Pieces:
    return [bytes([LIST_QUICKLIST_2]), *(yield from quicklist_of(elements))]


def _write_stream(elements: Sequence[bytes]) -> Pieces:
    return [bytes([STREAM_3]), *(yield from pieces_of_stream(elements))]


_WRITERS: dict[str, Callable[[Sequence[bytes]], Pieces]] = {
    "string": _write_string,
    "hash": _write_hash,
    "list": _write_list,
    "set": _write_set,
    "zset": zset_of,
    "stream": _write_stream,
}


def dump(dumped: Dumped) -> Generator[None, None, bytes]:
    """The payload of a value; None after each step."""
    pieces = yield from _WRITERS[dumped.type_name](dumped.elements)
    pieces.append(VERSIONS.get(dumped.type_name, VERSION).to_bytes(2, "little"))
    body = b"".join(pieces)
    found = yield from checksum(body)
    return body + found.to_bytes(8, "little")
