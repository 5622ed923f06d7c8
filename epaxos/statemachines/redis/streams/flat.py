"""A stream as a plain list of elements, and back: how DUMP and RESTORE see it.

First its last id, the highest one that was deleted, the number of entries ever, of entries, and of groups.
Then each entry: its id, the number of names and values, and these.  Then each group: its name, its last id,
the entries that it has read, and the number of consumers; behind it each consumer: its name, when it was seen
and active, and the number of pending entries; behind it each of these: its id, when it was delivered,
and how often.  All numbers are texts.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from itertools import chain, islice

from epaxos.statemachines.redis.streams.arguments import STEP_ENTRIES
from epaxos.statemachines.redis.streams.counters import entries_up_to
from epaxos.statemachines.redis.streams.groups import Delivery, Group
from epaxos.statemachines.redis.streams.ids import parse, text_of_id
from epaxos.statemachines.redis.streams.stream import Stream

__all__ = ["UNTOLD", "flat", "stream_of"]

UNTOLD = -2
"""In the place of the entries that a group has read, where a Redis before 7.0 does not tell: then the place
of its last id does, if it can."""


def flat(stream: Stream) -> Iterator[list[bytes]]:
    """The elements, in lists that are one step each."""
    counts = (stream.added, len(stream), len(stream.groups))
    yield [text_of_id(stream.last_id), text_of_id(stream.max_deleted), *map(b"%d".__mod__, counts)]
    start = 0
    while True:
        ids, entries = stream.some_from(start)
        if not ids:
            break
        some: list[bytes] = []
        for text, fields in entries:
            some += (text, b"%d" % len(fields))
            some += fields
        yield some
        start = ids[-1] + 1
    for name in stream.groups.names:
        group = stream.groups.get(name)
        assert group is not None
        yield from _flat_group(name, group)


def _flat_group(name: bytes, group: Group) -> Iterator[list[bytes]]:
    yield [name, text_of_id(group.last_id), b"%d" % group.entries_read, b"%d" % len(group.names)]
    for consumer_name in group.names:
        consumer = group.consumer(consumer_name)
        assert consumer is not None
        numbers = (consumer.seen_ms, consumer.active_ms, len(consumer.pending))
        yield [consumer_name, *map(b"%d".__mod__, numbers)]
        pairs = consumer.pending.pairs()
        while some := list(islice(pairs, STEP_ENTRIES)):
            texts = (
                (text_of_id(number), b"%d" % time_ms, b"%d" % times) for number, (time_ms, times) in some
            )
            yield list(chain.from_iterable(texts))


def stream_of(elements: Sequence[bytes]) -> Generator[None, None, Stream]:
    """The stream of these elements, which are as `flat` tells them; None after each step."""
    stream = Stream()
    rest = iter(elements)
    last_id, max_deleted = parse(next(rest)), parse(next(rest))
    added, entries, groups = int(next(rest)), int(next(rest)), int(next(rest))
    for place in range(entries):
        number = parse(next(rest))
        stream.append(number, tuple([next(rest) for _ in range(int(next(rest)))]))
        if place % STEP_ENTRIES == 0:
            yield
    stream.last_id, stream.max_deleted, stream.added = last_id, max_deleted, added
    for _ in range(groups):
        name, position = next(rest), parse(next(rest))
        entries_read, consumers = int(next(rest)), int(next(rest))
        if entries_read == UNTOLD:
            entries_read = entries_up_to(stream, position)
        yield from _fill(stream.groups.create(name, position, entries_read), rest, consumers)
    return stream


def _fill(group: Group, rest: Iterator[bytes], consumers: int) -> Generator[None, None, None]:
    steps = 0
    for _ in range(consumers):
        name = next(rest)
        consumer = group.create(name, int(next(rest)))
        consumer.active_ms = int(next(rest))
        for _ in range(int(next(rest))):
            number = parse(next(rest))
            group.deliver(number, name, Delivery(int(next(rest)), int(next(rest))))
            steps += 1
            if steps % STEP_ENTRIES == 0:
                yield
    yield
