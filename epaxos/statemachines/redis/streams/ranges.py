"""The commands that read a part of a stream: XLEN, XRANGE, XREVRANGE."""

from __future__ import annotations

from typing import Any

from epaxos.interfaces import Command, CommandError, NilArray, Reply
from epaxos.interfaces.redis import SYNTAX_ERROR
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Keys, Piecewise, at_once
from epaxos.statemachines.redis.streams.arguments import STEP_ENTRIES, number_of, shown
from epaxos.statemachines.redis.streams.ids import interval_of
from epaxos.statemachines.redis.streams.stream import Stream

__all__ = ["COMMANDS"]


def _xlen(space: Space, command: Command) -> Reply:
    return len(space.typed(command[1], Stream) or ())


def _interval(command: Command) -> tuple[int, int, int | None]:
    """The lowest and the highest id, and how many entries; None for all.  Raises CommandError."""
    first, second = command[2:4]
    if command[0].upper() == b"XREVRANGE":
        first, second = second, first
    start, end = interval_of(first, second)
    count = None
    for place in range(4, len(command), 2):
        if command[place].upper() != b"COUNT" or place + 1 == len(command):
            raise CommandError(SYNTAX_ERROR)
        count = max(0, number_of(command[place + 1]))
    return start, end, count


def _check_range(command: Command) -> None:
    _interval(command)


def _range_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    start, end, count = _interval(command)
    stream = space.typed(command[1], Stream)
    if stream is None or start > end:
        return [] if stream is None or count != 0 else NilArray()
    if count == 0:
        return NilArray()
    is_reverse = command[0].upper() == b"XREVRANGE"
    left = len(stream) if count is None else count
    found: list[Any] = []
    in_step = 0
    while left > 0 and start <= end:
        ids, entries = (
            stream.some_down(end, start, left) if is_reverse else stream.some_from(start, end, left)
        )
        if not ids:
            break
        found += shown(entries)
        left -= len(ids)
        in_step += len(ids)
        if is_reverse:
            end = ids[-1] - 1
        else:
            start = ids[-1] + 1
        if in_step >= STEP_ENTRIES:
            in_step = 0
            yield
    return found


def _is_long(command: Command) -> bool:
    return len(command) < 6 or len(command[5]) > 2  # a hundred or more


def _read(name: bytes, handler: Any, arity: int, usage: str, summary: str, **more: Any) -> CommandSpec:
    return CommandSpec(
        name, handler, arity, Keys.FIRST, False, usage=usage, summary=summary, categories=("stream",), **more
    )


_RANGE: dict[str, Any] = {
    "check": _check_range, "in_pieces": _range_in_pieces, "is_long": _is_long, "flags": (),
    "complexity": "O(N) with N entries",
}  # fmt: skip

COMMANDS = (
    _read(b"XLEN", _xlen, 2, "XLEN key", "the number of entries of a stream"),
    _read(
        b"XRANGE", at_once(_range_in_pieces), -4, "XRANGE key start end [COUNT count]",
        "the entries between two ids; `-` and `+` stand for the lowest and the highest, `(` excludes an id",
        **_RANGE,
    ),
    _read(
        b"XREVRANGE", at_once(_range_in_pieces), -4, "XREVRANGE key end start [COUNT count]",
        "the same, the highest id first", **_RANGE,
    ),
)  # fmt: skip
