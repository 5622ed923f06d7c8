"""Pending entries that get another consumer: XCLAIM, XAUTOCLAIM.

Source: t_stream.c of Redis 7.2.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NamedTuple

from epaxos.interfaces import Command, CommandError
from epaxos.interfaces.redis import INTEGER_MAX, SYNTAX_ERROR, integer_of, text_of
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Keys, Piecewise, at_once
from epaxos.statemachines.redis.streams.arguments import STEP_ENTRIES, STEP_LOOKUPS, number_of, shown
from epaxos.statemachines.redis.streams.groups import Delivery, Group
from epaxos.statemachines.redis.streams.ids import parse, start_of, text_of_id
from epaxos.statemachines.redis.streams.limits import may_have_consumer
from epaxos.statemachines.redis.streams.pending import group_of
from epaxos.statemachines.redis.streams.stream import Stream

__all__ = ["COMMANDS"]

_ATTEMPTS = 10
"""XAUTOCLAIM looks at this number of pending entries for each one that it may answer."""
_COUNT_HIGHEST = INTEGER_MAX // 16


class _Claim(NamedTuple):
    """What XCLAIM does with the entries that it finds.

    `time_ms`: when they count as delivered, None for now; `times`: how often, None for once more than before;
    `forces`: whether those are taken, too, which are pending with nobody; `last_id`: how far the group has
    read at least; `only_ids`: whether the reply has no entries, in which case `times` does not grow.
    """

    idle_ms: int
    ids: list[int]
    time_ms: int | None
    times: int | None
    forces: bool
    last_id: int
    only_ids: bool


def _claim(command: Command, now_ms: int) -> Generator[None, None, _Claim]:
    """What is asked, in steps.  Raises CommandError."""
    idle_ms = max(0, number_of(command[4], "ERR Invalid min-idle-time argument for XCLAIM"))
    ids: list[int] = []
    for text in command[5:]:
        if len(ids) % STEP_ENTRIES == STEP_ENTRIES - 1:
            yield
        try:
            ids.append(parse(text))
        except CommandError:
            break
    time_ms, count, last_id = None, None, 0
    flags = {b"FORCE": False, b"JUSTID": False}
    words = iter(command[5 + len(ids) :])
    for word in words:
        name = word.upper()
        if name in flags:
            flags[name] = True
            continue
        value = next(words, None) if name in (b"IDLE", b"TIME", b"RETRYCOUNT", b"LASTID") else None
        if value is None:
            raise CommandError(f"ERR Unrecognized XCLAIM option '{text_of(word, len(word))}'")
        if name == b"LASTID":
            last_id = parse(value)
            continue
        number = number_of(value, f"ERR Invalid {name.decode()} option argument for XCLAIM")
        if name == b"RETRYCOUNT":
            count = number if number >= 0 else None
        else:
            time_ms = number if name == b"TIME" else now_ms - number
    return _Claim(idle_ms, ids, time_ms, count, flags[b"FORCE"], last_id, flags[b"JUSTID"])


def _xclaim_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    key, group_name, name = command[1:4]
    now_ms = space.now_ms
    may_have_consumer(group_of(space, key, group_name), name)
    claim = yield from _claim(command, now_ms)
    time_ms = now_ms if claim.time_ms is None or not 0 <= claim.time_ms <= now_ms else claim.time_ms
    stream = space.own(key, Stream)
    group = stream.groups.owned(group_name)
    group.last_id = max(group.last_id, claim.last_id)
    consumer = group.seen(name, now_ms)
    space.keep(key, stream)
    found: list[Any] = []
    for place, number in enumerate(claim.ids, 1):
        if place % STEP_LOOKUPS == 0:
            yield
        entry = stream.get(number)
        if entry is None:
            group.settle(number)
            continue
        delivery = _to_claim(group, number, claim, now_ms)
        if delivery is None:
            continue
        times = delivery.times if claim.only_ids else min(delivery.times + 1, INTEGER_MAX)
        group.deliver(number, name, Delivery(time_ms, times if claim.times is None else claim.times))
        found += [entry[0]] if claim.only_ids else shown([entry])
        consumer.active_ms = now_ms
    return found


def _to_claim(group: Group, number: int, claim: _Claim, now_ms: int) -> Delivery | None:
    """The last delivery of an entry that is to be claimed, None where it is not."""
    pending = group.delivery(number)
    if pending is None:
        return Delivery(now_ms, 1) if claim.forces else None
    delivery = pending[1]
    return None if claim.idle_ms and now_ms - delivery.time_ms < claim.idle_ms else delivery


# -- XAUTOCLAIM


class _Sweep(NamedTuple):
    idle_ms: int
    start: int
    most: int
    only_ids: bool


def _sweep(command: Command) -> _Sweep:
    """Raises CommandError."""
    idle_ms = max(0, number_of(command[4], "ERR Invalid min-idle-time argument for XAUTOCLAIM"))
    start, count, only_ids = start_of(command[5]), 100, False
    words = iter(command[6:])
    for word in words:
        name = word.upper()
        if name == b"JUSTID":
            only_ids = True
        elif name == b"COUNT" and (value := next(words, None)) is not None:
            number = integer_of(value)
            if number is None or not 0 < number <= _COUNT_HIGHEST:
                raise CommandError("ERR COUNT must be > 0")
            count = number
        else:
            raise CommandError(SYNTAX_ERROR)
    return _Sweep(idle_ms, start, count, only_ids)


def _check_sweep(command: Command) -> None:
    _sweep(command)


def _xautoclaim_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    key, group_name, name = command[1:4]
    idle_ms, start, left, only_ids = _sweep(command)
    now_ms = space.now_ms
    may_have_consumer(group_of(space, key, group_name), name)
    stream = space.own(key, Stream)
    group = stream.groups.owned(group_name)
    consumer = group.seen(name, now_ms)
    space.keep(key, stream)
    found: list[Any] = []
    gone: list[bytes] = []
    attempts = left * _ATTEMPTS
    ids = group.pending.some_from(start)[0]
    while ids and attempts and left:
        for place, number in enumerate(ids, 1):
            if not attempts or not left:
                break
            if place % STEP_LOOKUPS == 0:
                yield
            attempts -= 1
            start = number + 1
            entry = stream.get(number)
            if entry is None:
                group.settle(number)
                gone.append(text_of_id(number))
                left -= 1
                continue
            pending = group.delivery(number)
            assert pending is not None
            if idle_ms and now_ms - pending[1].time_ms < idle_ms:
                continue
            times = pending[1].times if only_ids else min(pending[1].times + 1, INTEGER_MAX)
            group.deliver(number, name, Delivery(now_ms, times))
            found += [entry[0]] if only_ids else shown([entry])
            consumer.active_ms = now_ms
            left -= 1
        ids = group.pending.some_from(start)[0]
    return [text_of_id(ids[0] if ids else 0), found, gone]


def _always(command: Command) -> bool:
    return True


def _write(name: bytes, handler: Any, arity: int, usage: str, summary: str, **more: Any) -> CommandSpec:
    return CommandSpec(
        name, handler, arity, Keys.FIRST, True, usage=usage, summary=summary, categories=("stream",),
        is_long=_always, takes_time=_always, **more
    )  # fmt: skip


COMMANDS = (
    _write(
        b"XCLAIM", at_once(_xclaim_in_pieces), -6,
        "XCLAIM key group consumer min-idle-time id [id ...] [IDLE ms] [TIME unix-time-ms]"
        " [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID id]",
        "give pending entries to another consumer; the reply has those that were given",
        in_pieces=_xclaim_in_pieces, complexity="O(N) with N ids",
    ),
    _write(
        b"XAUTOCLAIM", at_once(_xautoclaim_in_pieces), -6,
        "XAUTOCLAIM key group consumer min-idle-time start [COUNT count] [JUSTID]",
        "the same with all that are pending for long enough; the reply also tells where to go on, and which"
        " entries are gone", check=_check_sweep, in_pieces=_xautoclaim_in_pieces,
        complexity="O(N) with N entries that are looked at",
    ),
)  # fmt: skip
