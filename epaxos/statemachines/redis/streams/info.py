"""What a stream, its groups and its consumers are like: XINFO.

Source: t_stream.c of Redis 7.2.
"""

from __future__ import annotations

from collections.abc import Generator
from itertools import islice
from typing import Any

from epaxos.interfaces import Command, CommandError, ReplyMap
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import Piecewise, at_once
from epaxos.statemachines.redis.streams.arguments import STEP_ENTRIES, number_of, shown
from epaxos.statemachines.redis.streams.counters import lag_of
from epaxos.statemachines.redis.streams.grouping import existing_group, wrong_syntax
from epaxos.statemachines.redis.streams.groups import NEVER, UNKNOWN, Consumer, Group
from epaxos.statemachines.redis.streams.ids import HIGHEST_ID, text_of_id
from epaxos.statemachines.redis.streams.stream import Stream
from epaxos.statemachines.redis.subcommands import Subcommand, container

__all__ = ["COMMANDS"]

_NO_STREAM = "ERR no such key"
_COUNT = 10
"""The entries that FULL shows of each list, unless COUNT says otherwise."""
_STEP = 128
"""Groups or consumers that a step tells of."""


def _stream(space: Space, key: bytes) -> Stream:
    """Raises CommandError."""
    stream = space.typed(key, Stream)
    if stream is None:
        raise CommandError(_NO_STREAM)
    return stream


# -- XINFO STREAM


def _count(command: Command) -> int | None:
    """How many entries FULL shows of each list, 0 for all; None without FULL.  Raises CommandError."""
    words = [word.upper() for word in command[3:]]
    if not words:
        return None
    if words[0] != b"FULL" or (len(words) > 1 and (len(words) != 3 or words[1] != b"COUNT")):
        raise wrong_syntax(command)
    number = number_of(command[5]) if len(words) == 3 else _COUNT
    return number if number >= 0 else _COUNT


def _info_stream(space: Space, command: Command, size: int) -> Piecewise:
    stream = _stream(space, command[2])
    count = _count(command)
    blocks = stream.block_count
    reply = ReplyMap(
        (
            *(b"length", len(stream), b"radix-tree-keys", blocks, b"radix-tree-nodes", blocks + 1),
            *(b"last-generated-id", text_of_id(stream.last_id)),
            *(b"max-deleted-entry-id", text_of_id(stream.max_deleted)),
            *(b"entries-added", stream.added, b"recorded-first-entry-id", text_of_id(stream.first_id)),
        )
    )
    if count is None:
        first, last = stream.some_from(0, most=1)[1], stream.some_down(HIGHEST_ID, most=1)[1]
        reply += [b"groups", len(stream.groups)]
        reply += [b"first-entry", *(shown(first) or [None]), b"last-entry", *(shown(last) or [None])]
        return reply
    entries: list[Any] = []
    yield from _entries(stream, count, entries)
    groups: list[Any] = []
    for name in stream.groups.names:
        group = stream.groups.get(name)
        assert group is not None
        groups.append((yield from _full_group(stream, name, group, count)))
    reply += [b"entries", entries, b"groups", groups]
    return reply


def _entries(stream: Stream, count: int, found: list[Any]) -> Generator[None, None, None]:
    start, left = 0, count or len(stream)
    while left > 0:
        ids, entries = stream.some_from(start, most=left)
        if not ids:
            break
        found += shown(entries)
        left -= len(ids)
        start = ids[-1] + 1
        yield


def _full_group(stream: Stream, name: bytes, group: Group, count: int) -> Generator[None, None, ReplyMap]:
    pending: list[Any] = []
    for number, owner in islice(group.pending.pairs(), count or None):
        delivery = group.delivery(number)
        assert delivery is not None
        pending.append([text_of_id(number), owner, *delivery[1]])
        if len(pending) % STEP_ENTRIES == 0:
            yield
    consumers: list[Any] = []
    for place, consumer_name in enumerate(group.names, 1):
        consumer = group.consumer(consumer_name)
        assert consumer is not None
        consumers.append((yield from _full_consumer(consumer_name, consumer, count)))
        if place % _STEP == 0:
            yield
    yield
    return ReplyMap(
        (
            *(b"name", name, b"last-delivered-id", text_of_id(group.last_id)),
            *(b"entries-read", _entries_read(group), b"lag", lag_of(stream, group)),
            *(b"pel-count", len(group.pending), b"pending", pending, b"consumers", consumers),
        )
    )


def _full_consumer(name: bytes, consumer: Consumer, count: int) -> Generator[None, None, ReplyMap]:
    pending: list[Any] = []
    for number, delivery in islice(consumer.pending.pairs(), count or None):
        pending.append([text_of_id(number), *delivery])
        if len(pending) % STEP_ENTRIES == 0:
            yield
    return ReplyMap(
        (
            *(b"name", name, b"seen-time", consumer.seen_ms, b"active-time", consumer.active_ms),
            *(b"pel-count", len(consumer.pending), b"pending", pending),
        )
    )


def _entries_read(group: Group) -> int | None:
    return None if group.entries_read == UNKNOWN else group.entries_read


# -- XINFO GROUPS, XINFO CONSUMERS


def _info_groups(space: Space, command: Command, size: int) -> Piecewise:
    stream = _stream(space, command[2])
    found: list[Any] = []
    for name in stream.groups.names:
        group = stream.groups.get(name)
        assert group is not None
        found.append(
            ReplyMap(
                (
                    *(b"name", name, b"consumers", len(group.names), b"pending", len(group.pending)),
                    *(b"last-delivered-id", text_of_id(group.last_id)),
                    *(b"entries-read", _entries_read(group), b"lag", lag_of(stream, group)),
                )
            )
        )
        if len(found) % _STEP == 0:
            yield
    return found


def _info_consumers(space: Space, command: Command, size: int) -> Piecewise:
    group = existing_group(space, command[2], command[3], _NO_STREAM)
    found: list[Any] = []
    for name in group.names:
        consumer = group.consumer(name)
        assert consumer is not None
        active_ms = consumer.active_ms
        idle_ms = max(0, space.now_ms - consumer.seen_ms)
        inactive_ms = NEVER if active_ms == NEVER else max(0, space.now_ms - active_ms)
        pending = len(consumer.pending)
        found.append(
            ReplyMap((b"name", name, b"pending", pending, b"idle", idle_ms, b"inactive", inactive_ms))
        )
        if len(found) % _STEP == 0:
            yield
    return found


_INFO = {
    b"CONSUMERS": Subcommand(
        at_once(_info_consumers), 4,
        ("CONSUMERS <key> <groupname>", "Show consumers of <groupname>."),
        in_pieces=_info_consumers, takes_time=True,
    ),
    b"GROUPS": Subcommand(
        at_once(_info_groups), 3, ("GROUPS <key>", "Show the stream consumer groups."),
        in_pieces=_info_groups,
    ),
    b"STREAM": Subcommand(
        at_once(_info_stream), -3,
        ("STREAM <key> [FULL [COUNT <count>]", "Show information about the stream."),
        in_pieces=_info_stream,
    ),
}  # fmt: skip

COMMANDS = (
    container(
        b"XINFO", _INFO, "XINFO STREAM key [FULL [COUNT count]] | GROUPS key | CONSUMERS key group",
        "what a stream, its groups, or the consumers of a group are like", ("stream",),
    ),
)  # fmt: skip
