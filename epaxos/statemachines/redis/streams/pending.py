"""What is pending: XPENDING.

Source: t_stream.c of Redis 7.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from epaxos.interfaces import Command, CommandError, NilArray
from epaxos.interfaces.redis import SYNTAX_ERROR, text_of
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Keys, Piecewise, at_once
from epaxos.statemachines.redis.streams.arguments import STEP_ENTRIES, number_of
from epaxos.statemachines.redis.streams.groups import Delivery, Group
from epaxos.statemachines.redis.streams.ids import interval_of, text_of_id
from epaxos.statemachines.redis.streams.stream import Stream

__all__ = ["COMMANDS", "group_of"]


def group_of(space: Space, key: bytes, name: bytes) -> Group:
    """A group, to be read.  Raises CommandError."""
    stream = space.typed(key, Stream)
    group = None if stream is None else stream.groups.get(name)
    if group is None:
        raise CommandError(
            f"NOGROUP No such key '{text_of(key, len(key))}' or consumer group '{text_of(name, len(name))}'"
        )
    return group


class _Asked(NamedTuple):
    """The long form of XPENDING: the least time since the delivery, the ids, and whose."""

    idle_ms: int
    start: int
    end: int
    most: int
    consumer: bytes | None


def _asked(command: Command) -> _Asked | None:
    """None for the short form.  Raises CommandError."""
    if len(command) == 3:
        return None
    if not 6 <= len(command) <= 9:
        raise CommandError(SYNTAX_ERROR)
    place, idle_ms = 3, 0
    if command[3].upper() == b"IDLE":
        idle_ms = number_of(command[4])
        if len(command) < 8:
            raise CommandError(SYNTAX_ERROR)
        place = 5
    count = max(0, number_of(command[place + 2]))
    start, end = interval_of(*command[place : place + 2])
    consumer = command[place + 3] if place + 3 < len(command) else None
    return _Asked(idle_ms, start, end, count, consumer)


def _check(command: Command) -> None:
    _asked(command)


def _xpending_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    asked = _asked(command)
    group = group_of(space, command[1], command[2])
    if asked is None:
        return (yield from _summary(group))
    found: list[Any] = []
    in_step = 0
    for number, name, delivery in _deliveries(group, asked):
        in_step += 1
        if in_step % STEP_ENTRIES == 0:
            yield
        idle_ms = space.now_ms - delivery.time_ms
        if asked.idle_ms and idle_ms < asked.idle_ms:
            continue
        found.append([text_of_id(number), name, max(0, idle_ms), delivery.times])
        if len(found) == asked.most:
            break
    return found


def _deliveries(group: Group, asked: _Asked) -> Iterator[tuple[int, bytes, Delivery]]:
    if asked.most == 0:
        return
    consumer = None
    if asked.consumer is not None:
        consumer = group.consumer(asked.consumer)
        if consumer is None:
            return
    start = asked.start
    while start <= asked.end:
        ids = (group if consumer is None else consumer).pending.some_from(start)[0]
        if not ids:
            return
        for number in ids:
            if number > asked.end:
                return
            found = group.delivery(number)
            assert found is not None
            yield number, *found
        start = ids[-1] + 1


def _summary(group: Group) -> Piecewise:
    pending = group.pending
    if not len(pending):
        return [0, None, None, NilArray()]
    consumers: list[Any] = []
    for place, name in enumerate(group.names, 1):
        if place % STEP_ENTRIES == 0:
            yield
        consumer = group.consumer(name)
        if consumer is not None and len(consumer.pending):
            consumers.append([name, b"%d" % len(consumer.pending)])
    return [len(pending), text_of_id(pending.first()), text_of_id(pending.last()), consumers]


def _is_extended(command: Command) -> bool:
    return len(command) > 3


COMMANDS = (
    CommandSpec(
        b"XPENDING", at_once(_xpending_in_pieces), -3, Keys.FIRST, False, check=_check,
        in_pieces=_xpending_in_pieces, is_long=lambda command: True, takes_time=_is_extended, flags=(),
        categories=("stream",), complexity="O(N) with N pending entries that are looked at",
        usage="XPENDING key group [[IDLE min-idle-time] start end count [consumer]]",
        summary="how many entries are pending, and with whom; with a range: which, for how long, and how"
        " often each was delivered",
    ),
)  # fmt: skip
