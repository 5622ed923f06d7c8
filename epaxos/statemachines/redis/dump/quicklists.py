"""The value of a list in a payload: read in every form that Redis had, and written in the last one.

A quicklist is a number of nodes, each of which is a ziplist, or in Redis 7 a listpack or one long element.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence

from epaxos.statemachines.redis.dump.errors import BadData
from epaxos.statemachines.redis.dump.lists import elements_of_listpack, elements_of_ziplist, listpack_of
from epaxos.statemachines.redis.dump.reader import Reader, string
from epaxos.statemachines.redis.dump.writer import length_of

__all__ = ["plain_list", "quicklist", "quicklist_2", "quicklist_of", "ziplist"]

STEP_ELEMENTS = 512
NODE_BYTES = 8192 - 7
"""The bytes of the elements of a node that is written, as Redis has them by default, unless one is longer."""
HEAD_BYTES = 11
"""Of an element in a node, at most, beside its own bytes."""
ELEMENT_BYTES = 8
"""What an element counts for beside its own bytes, so that a list has at most 8 million."""
_PLAIN, _PACKED = 1, 2

Elements = Generator[None, None, list[bytes]]


def plain_list(reader: Reader) -> Elements:
    """Strings, one after the other."""
    return (yield from _all_of(reader, _one_string))


def ziplist(reader: Reader) -> Elements:
    """One ziplist in a string."""
    found = yield from elements_of_ziplist((yield from string(reader)))
    reader.expect(ELEMENT_BYTES * len(found))
    return found


def quicklist(reader: Reader) -> Elements:
    """Nodes that are ziplists."""
    return (yield from _all_of(reader, _ziplist_node))


def quicklist_2(reader: Reader) -> Elements:
    """Nodes that are listpacks, or long elements."""
    return (yield from _all_of(reader, _node))


def _all_of(reader: Reader, read: Callable[[Reader], Elements]) -> Elements:
    """Their number, and what `read` reads, each of which has elements."""
    found: list[bytes] = []
    count = reader.length()
    if count > reader.end - reader.place:  # each has a byte at least
        raise BadData("the value has no end")
    since_step = 0
    for _ in range(count):
        some = yield from read(reader)
        reader.expect(ELEMENT_BYTES * len(some))
        found += some
        since_step += len(some) + 1
        if since_step >= STEP_ELEMENTS:
            yield
            since_step = 0
    return found


def _one_string(reader: Reader) -> Elements:
    return [(yield from string(reader))]


def _ziplist_node(reader: Reader) -> Elements:
    return (yield from elements_of_ziplist((yield from string(reader))))


def _node(reader: Reader) -> Elements:
    container = reader.length()
    if container not in (_PLAIN, _PACKED):
        raise BadData("a node of an unknown form")
    data = yield from string(reader)
    return [data] if container == _PLAIN else (yield from elements_of_listpack(data))


# -- writing


def quicklist_of(elements: Sequence[bytes]) -> Elements:
    """The elements as a quicklist of listpacks: pieces of it; None after each node."""
    pieces = []
    for some in _nodes(elements):
        packed = listpack_of(some)
        pieces += [bytes([_PACKED]), length_of(len(packed)), packed]
        yield
    return [length_of(len(pieces) // 3), *pieces]


def _nodes(elements: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    start = size = 0
    for end, element in enumerate(elements):
        size += len(element) + HEAD_BYTES
        if end > start and size > NODE_BYTES:
            yield elements[start:end]
            start, size = end, len(element) + HEAD_BYTES
    yield elements[start:]
