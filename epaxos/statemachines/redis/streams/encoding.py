"""A stream as pieces of bytes, and back: its blocks and groups as elements of the pieces.

A block stands behind the id with which it began; behind a group stand its consumers, and behind each consumer
what is pending with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from struct import Struct, pack, unpack_from

from epaxos.statemachines.redis.pieces import pieces_of
from epaxos.statemachines.redis.streams.blocks import Block, checked, packed, rise
from epaxos.statemachines.redis.streams.groups import NEVER, UNKNOWN, Consumer, Delivery, Group, Groups
from epaxos.statemachines.redis.streams.ids import ID_BYTES

__all__ = ["elements_of_blocks", "elements_of_groups", "in_pieces", "read_blocks", "read_groups", "taken"]

_PIECE_BYTES = 65536
_PIECE_ELEMENTS = 256
_PAIRS = 256
"""Pending entries in one element."""
_GROUP = Struct(">16sqI")
_CONSUMER = Struct(">qqQ")
_PAIR_BYTES = ID_BYTES + 16


# -- encoding


def in_pieces(elements: Iterable[bytes]) -> Iterator[bytes]:
    """The elements in pieces, each of which takes less than a millisecond."""
    some: list[bytes] = []
    size_bytes = 0
    for element in elements:
        some.append(element)
        size_bytes += len(element)
        if size_bytes >= _PIECE_BYTES or len(some) == _PIECE_ELEMENTS:
            yield from pieces_of(some)
            some, size_bytes = [], 0
    if some:
        yield from pieces_of(some)


def _id(number: int) -> bytes:
    return number.to_bytes(ID_BYTES, "big")


def elements_of_blocks(blocks: Iterable[tuple[int, bytes | Block]]) -> Iterator[bytes]:
    """Each block with the id with which it began."""
    for first, block in blocks:
        yield _id(first) + (block if isinstance(block, bytes) else packed(block))


def elements_of_groups(groups: Groups) -> Iterator[bytes]:
    """All groups, with what is pending."""
    for name in groups.names:
        group = groups.get(name)
        assert group is not None
        yield from _elements_of_group(name, group)


def _elements_of_group(name: bytes, group: Group) -> Iterator[bytes]:
    yield _GROUP.pack(_id(group.last_id), group.entries_read, len(group.names)) + name
    for consumer_name in group.names:
        consumer = group.consumer(consumer_name)
        assert consumer is not None
        pending = consumer.pending
        yield _CONSUMER.pack(consumer.seen_ms, consumer.active_ms, len(pending)) + consumer_name
        pairs = pending.pairs()
        while some := list(islice(pairs, _PAIRS)):
            ids, deliveries = zip(*some)
            yield b"".join(map(_id, ids)) + pack(f">{2 * len(ids)}q", *chain(*deliveries))


# -- decoding


def taken(elements: Iterator[bytes]) -> bytes:
    """The next element.  Raises ValueError where there is none."""
    element = next(elements, None)
    if element is None:
        raise ValueError("a stream without its end")
    return element


def read_blocks(elements: Iterator[bytes], count: int, last_id: int) -> Iterator[tuple[int, bytes]]:
    """This number of blocks, whose ids rise and are not above `last_id`.  Raises ValueError."""
    highest = 0
    for _ in range(count):
        element = taken(elements)
        first, block = int.from_bytes(element[:ID_BYTES], "big"), element[ID_BYTES:]
        ids = checked(block).ids
        if not highest < first <= ids[0] <= ids[-1] <= last_id:
            raise ValueError("a stream whose ids do not rise")
        yield first, block
        highest = ids[-1]


def read_groups(groups: Groups, elements: Iterator[bytes], count: int) -> None:
    """Add this number of groups.  Raises ValueError and struct.error."""
    for _ in range(count):
        _read_group(groups, elements)


def _read_group(groups: Groups, elements: Iterator[bytes]) -> None:
    element = taken(elements)
    last_id, entries_read, consumers = _GROUP.unpack_from(element)
    name = element[_GROUP.size :]
    if groups.get(name) is not None or entries_read < UNKNOWN:
        raise ValueError("a stream with a group that is none")
    group = groups.create(name, int.from_bytes(last_id, "big"), entries_read)
    pending: list[tuple[int, bytes]] = []
    for _ in range(consumers):
        element = taken(elements)
        seen_ms, active_ms, count = _CONSUMER.unpack_from(element)
        name = element[_CONSUMER.size :]
        if group.consumer(name) is not None or seen_ms < 0 or active_ms < NEVER:
            raise ValueError("a group with a consumer that is none")
        consumer = group.create(name, seen_ms)
        consumer.active_ms = active_ms
        pending += [(number, name) for number in _read_pending(consumer, elements, count)]
    pending.sort()
    ids = [number for number, _ in pending]
    if not rise(ids):
        raise ValueError("an entry that is pending twice")
    group.pending.extend(ids, [name for _, name in pending])


def _read_pending(consumer: Consumer, elements: Iterator[bytes], count: int) -> Sequence[int]:
    ids: list[int] = []
    deliveries: list[Delivery] = []
    while len(ids) < count:
        element = taken(elements)
        number = len(element) // _PAIR_BYTES
        if not number or len(element) % _PAIR_BYTES:
            raise ValueError("pending entries that are none")
        end = number * ID_BYTES
        numbers = unpack_from(f">{2 * number}q", element, end)
        deliveries += map(Delivery, numbers[::2], numbers[1::2])
        ids += [int.from_bytes(element[start : start + ID_BYTES], "big") for start in range(0, end, ID_BYTES)]
        if min(numbers) < 0:
            raise ValueError("pending entries that are none")
    if len(ids) != count or not rise(ids):
        raise ValueError("a consumer with other pending entries than it has")
    consumer.pending.extend(ids, deliveries)
    return ids
