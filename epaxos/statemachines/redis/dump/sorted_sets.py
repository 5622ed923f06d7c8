"""Sorted sets in payloads: each member, followed by its score, as text or as the eight bytes of a double."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from itertools import chain
from struct import Struct

from epaxos.interfaces.doubles import text_of_double
from epaxos.statemachines.redis.dump.errors import BadData
from epaxos.statemachines.redis.dump.lists import elements_of_listpack, elements_of_ziplist, listpack_of
from epaxos.statemachines.redis.dump.reader import Reader, string
from epaxos.statemachines.redis.dump.writer import encoded, length_of
from epaxos.statemachines.redis.scores import score_of

__all__ = ["ZSET_READERS", "zset_of"]

ZSET, ZSET_2, ZSET_ZIPLIST, ZSET_LISTPACK = 3, 5, 12, 17
LISTPACK_MEMBERS = 128
LISTPACK_BYTES = 64
"""A sorted set of at most so many members, none of them longer, is written as a listpack: the limits that
Redis has by default.  A listpack that is read may be longer."""
STEP_MEMBERS = 256
_DOUBLE = Struct("<d")
_MARKS = {253: b"nan", 254: b"inf", 255: b"-inf"}
"""What stands in the place of the length of a text."""

_Read = Callable[[Reader], Generator[None, None, "list[bytes]"]]


# -- reading


def _text(reader: Reader) -> bytes:
    (length,) = reader.take(1)
    return _MARKS[length] if length in _MARKS else reader.take(length)


def _double(reader: Reader) -> bytes:
    (score,) = _DOUBLE.unpack(reader.take(8))
    return b"nan" if score != score else text_of_double(score)


def _members(read_score: Callable[[Reader], bytes]) -> _Read:
    """What reads members that stand one by one."""

    def read(reader: Reader) -> Generator[None, None, list[bytes]]:
        count = reader.length()
        if 2 * count > reader.end - reader.place:  # a member and a score have a byte each at least
            raise BadData("the value has no end")
        elements: list[bytes] = []
        for number in range(count):
            elements.append((yield from string(reader)))
            elements.append(read_score(reader))
            if number % STEP_MEMBERS == 0:
                yield
        return elements

    return read


def _small(elements_of: Callable[[bytes], Generator[None, None, list[bytes]]]) -> _Read:
    """What reads a string that holds all elements."""

    def read(reader: Reader) -> Generator[None, None, list[bytes]]:
        return (yield from elements_of((yield from string(reader))))

    return read


def _checked(read: _Read) -> _Read:
    def read_checked(reader: Reader) -> Generator[None, None, list[bytes]]:
        elements = yield from read(reader)
        members: set[bytes] = set()
        for start in range(0, len(elements), 2 * STEP_MEMBERS):
            some = elements[start : start + 2 * STEP_MEMBERS]
            members.update(some[::2])
            if None in map(score_of, some[1::2]):
                raise BadData("a sorted set with a member that has no score")
            yield
        if not elements or 2 * len(members) != len(elements):
            raise BadData("a sorted set without members, or with a member that has two scores")
        return elements

    return read_checked


ZSET_READERS: dict[int, _Read] = {
    ZSET: _checked(_members(_text)),
    ZSET_2: _checked(_members(_double)),
    ZSET_ZIPLIST: _checked(_small(elements_of_ziplist)),
    ZSET_LISTPACK: _checked(_small(elements_of_listpack)),
}
"""What reads the elements, by the mark of the form: members, each of them once and followed by its score."""


# -- writing


def zset_of(elements: Sequence[bytes]) -> Generator[None, None, list[bytes]]:
    """The mark of the form and the sorted set, in pieces; None after each step."""
    members, texts = elements[::2], elements[1::2]
    if len(members) <= LISTPACK_MEMBERS and max(map(len, members)) <= LISTPACK_BYTES:
        packed = listpack_of(elements)
        return [bytes([ZSET_LISTPACK]), length_of(len(packed)), packed]
    pieces = [bytes([ZSET_2]), length_of(len(members))]
    for start in range(0, len(members), STEP_MEMBERS):
        end = start + STEP_MEMBERS
        scores = map(_DOUBLE.pack, map(float, texts[start:end]))
        pieces.append(b"".join(chain.from_iterable(zip(map(encoded, members[start:end]), scores))))
        yield
    return pieces
