"""The commands that read what is new: XREAD, and XREADGROUP, which also notes what it has read.

Both answer at once, whatever BLOCK says: who waits, and for what, is decided outside (`waiting.py`).  Source:
t_stream.c of Redis 7.2.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from typing import Any

from epaxos.interfaces import Command, CommandError, NilArray, ReplyByKey
from epaxos.interfaces.redis import INTEGER_MAX, text_of
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Keys, Piecewise, Touched, at_once
from epaxos.statemachines.redis.streams.arguments import STEP_ENTRIES, STEP_LOOKUPS, shown
from epaxos.statemachines.redis.streams.counters import on_read
from epaxos.statemachines.redis.streams.groups import Delivery, Group
from epaxos.statemachines.redis.streams.ids import HIGHEST_ID, after, parse, text_of_id
from epaxos.statemachines.redis.streams.limits import may_have_consumer
from epaxos.statemachines.redis.streams.stream import Stream
from epaxos.statemachines.redis.streams.waiting import LAST, Reading, reading_of

__all__ = ["COMMANDS"]

_STEP_KEYS = 64
_NEW = b">"
"""It is the same as the highest id."""


def _check(command: Command) -> None:
    reading_of(command)


def _find_reads(command: Command) -> Touched:
    return Touched((), reading_of(command).keys)


def _find_writes(command: Command) -> Touched:
    return Touched(reading_of(command).keys)


# -- XREAD


def _start_of(space: Space, key: bytes, text: bytes) -> tuple[Stream | None, int]:
    """The stream, and the id behind which XREAD begins.  Raises CommandError."""
    stream = space.typed(key, Stream)
    if text == LAST:
        return stream, stream.last_id if stream is not None else 0
    if text == b"+":
        return stream, max(0, stream.top_id - 1) if stream is not None else 0
    if text == _NEW:
        raise CommandError(
            "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer>"
            " option."
        )
    return stream, parse(text)


def _xread_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    reading = reading_of(command)
    asked: list[tuple[Stream | None, int]] = []
    for key, text in zip(reading.keys, reading.ids):
        asked.append(_start_of(space, key, text))
        if len(asked) % _STEP_KEYS == 0:
            yield
    found = ReplyByKey()
    for place, (key, (stream, last)) in enumerate(zip(reading.keys, asked), 1):
        if place % _STEP_KEYS == 0:
            yield
        if stream is not None and len(stream) and stream.top_id > last:
            some: list[Any] = []
            yield from _new_entries(stream, last, reading.most, some)
            found += [key, some]
    return found or NilArray()


def _new_entries(
    stream: Stream, last: int, most: int, found: list[Any], on_new: Any = None
) -> Generator[None, None, None]:
    """Append to `found` the entries behind `last`, at most `most`, 0 for all; tell `on_new(ids)` of each."""
    left = most or len(stream)
    in_step = 0
    while left > 0:
        ids, entries = stream.some_from(last + 1, most=left)
        if not ids:
            return
        if on_new is not None:
            on_new(ids)
        found += shown(entries)
        last = ids[-1]
        left -= len(ids)
        in_step += len(ids)
        if in_step >= STEP_ENTRIES:
            in_step = 0
            yield


# -- XREADGROUP


def _group_to_read(space: Space, key: bytes, reading: Reading, text: bytes) -> int:
    """The id behind which XREADGROUP begins.  Raises CommandError."""
    stream = space.typed(key, Stream)
    group = stream.groups.get(reading.group) if stream is not None else None
    if group is None:
        raise CommandError(
            f"NOGROUP No such key '{text_of(key, len(key))}' or consumer group"
            f" '{text_of(reading.group, len(reading.group))}' in XREADGROUP with GROUP option"
        )
    if text == LAST:
        raise CommandError(
            "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this"
            " consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just"
            " return an empty result set."
        )
    number = HIGHEST_ID if text == _NEW else parse(text)
    may_have_consumer(group, reading.consumer)
    return number


def _xreadgroup_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    reading = reading_of(command)
    asked: list[int] = []
    for key, text in zip(reading.keys, reading.ids):
        asked.append(_group_to_read(space, key, reading, text))
        if len(asked) % _STEP_KEYS == 0:
            yield
    found = ReplyByKey()
    for place, (key, number) in enumerate(zip(reading.keys, asked), 1):
        if place % _STEP_KEYS == 0:
            yield
        stream = space.own(key, Stream)
        group = stream.groups.owned(reading.group)
        group.seen(reading.consumer, space.now_ms)
        space.keep(key, stream)
        some: list[Any] = []
        if number != HIGHEST_ID:
            yield from _history(stream, group, reading, after(number), space.now_ms, some)
            found += [key, some]
        elif len(stream) and stream.top_id > group.last_id:
            yield from _deliver(stream, group, reading, space.now_ms, some)
            found += [key, some]
    return found or NilArray()


def _deliver(
    stream: Stream, group: Group, reading: Reading, now_ms: int, found: list[Any]
) -> Generator[None, None, None]:
    """Append to `found` what nobody of the group has got."""
    delivery = Delivery(now_ms, 1)

    def on_new(ids: list[int]) -> None:
        on_read(stream, group, ids)
        if not reading.needs_no_ack:
            group.deliver_new(ids, reading.consumer, delivery)
            consumer.active_ms = now_ms

    consumer = group.owned(reading.consumer)
    yield from _new_entries(stream, group.last_id, reading.most, found, on_new)


def _history(
    stream: Stream, group: Group, reading: Reading, start: int, now_ms: int, found: list[Any]
) -> Generator[None, None, None]:
    """Append to `found` what is pending with the consumer from `start` on, and count the delivery."""
    consumer = group.owned(reading.consumer)
    left = reading.most or len(consumer.pending)
    while left > 0:
        ids, deliveries = consumer.pending.some_from(start)
        if not ids:
            return
        for place, (number, delivery) in enumerate(zip(ids[:left], deliveries), 1):
            if place % STEP_LOOKUPS == 0:
                yield
            entry = stream.get(number)
            if entry is None:
                found.append([text_of_id(number), NilArray()])
            else:
                found += shown([entry])
                times = min(delivery.times + 1, INTEGER_MAX)
                consumer.pending.set(number, Delivery(now_ms, times))
        start = ids[-1] + 1
        left -= len(ids)


# -- for those who wait


def _is_there(value: Any, command: Command, key: bytes) -> int:
    """Whether XREAD would find something at `key`; 0 or 1."""
    if not isinstance(value, Stream) or not len(value):
        return 0
    reading = reading_of(command)
    ids = [text for other, text in zip(reading.keys, reading.ids) if other == key]
    return int(any(text in (LAST, b"+") or value.top_id > parse(text) for text in ids))


def _are_new(value: Any, command: Command, key: bytes) -> int:
    """For how many an XREADGROUP like this one would find something at `key`; an error is there for all."""
    reading = reading_of(command)
    group = value.groups.get(reading.group) if isinstance(value, Stream) else None
    if group is None:
        return sys.maxsize
    if not len(value) or value.top_id <= group.last_id:
        return 0
    ids, _ = value.some_from(group.last_id + 1)
    return -(-len(ids) // reading.most) if reading.most else 1


def _is_long(command: Command) -> bool:
    try:
        return reading_of(command).is_long
    except CommandError:
        return True


def _always(command: Command) -> bool:
    return True


COMMANDS = (
    CommandSpec(
        b"XREAD", at_once(_xread_in_pieces), -4, Keys.NONE, False, check=_check, find=_find_reads,
        elements=_is_there, in_pieces=_xread_in_pieces, is_long=_is_long, flags=("blocking",),
        categories=("stream", "blocking"),
        usage="XREAD [COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]",
        summary="the entries behind an id, of one or more streams; `$` stands for the last id, `+` asks for"
        " the last entry",
        complexity="O(N) with N entries",
    ),
    CommandSpec(
        b"XREADGROUP", at_once(_xreadgroup_in_pieces), -7, Keys.NONE, True, check=_check, find=_find_writes,
        elements=_are_new, in_pieces=_xreadgroup_in_pieces, is_long=_is_long, flags=("blocking",),
        takes_time=_always, categories=("stream", "blocking"),
        usage="XREADGROUP GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key"
        " [key ...] id [id ...]",
        summary="with `>` entries that no consumer of the group has got, which are pending with this one from"
        " then on; with an id what is pending with it",
        complexity="O(N) with N entries",
    ),
)  # fmt: skip
