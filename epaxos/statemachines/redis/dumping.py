"""DUMP and RESTORE: a value as the bytes that Redis 7 makes of it, the way in for people who have data."""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple

from epaxos.interfaces import Command, CommandError
from epaxos.interfaces.redis import INTEGER_MAX, NOT_AN_INTEGER, OK, SYNTAX_ERROR, integer_of
from epaxos.statemachines.redis.dump.errors import BadData, BadPayload
from epaxos.statemachines.redis.dump.payload import Dumped, dump, load
from epaxos.statemachines.redis.elements import MAKERS, elements_of
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Keys, Piecewise, always, at_once
from epaxos.statemachines.redis.values import Collection, Value

__all__ = ["COMMANDS"]


def _dump_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    value = space.get(command[1])
    if value is None:
        return None
    if isinstance(value, Collection):
        elements: list[bytes] = []
        for some in elements_of(value):
            elements += some
            yield
        return (yield from dump(Dumped(value.type_name, elements)))
    text = value if isinstance(value, bytes) else value.joined()
    yield
    return (yield from dump(Dumped("string", [text])))


_IGNORED = {
    b"IDLETIME": (INTEGER_MAX, "ERR Invalid IDLETIME value, must be >= 0"),
    b"FREQ": (255, "ERR Invalid FREQ value, must be >= 0 and <= 255"),
}
"""By the name of the option: the highest number, and the error for any other."""


class _Options(NamedTuple):
    replaces: bool
    is_absolute: bool


def _number(text: bytes, highest: int, error: str) -> int:
    """Raises CommandError, with `error` where the number is below 0 or above `highest`."""
    number = integer_of(text)
    if number is None:
        raise CommandError(NOT_AN_INTEGER)
    if not 0 <= number <= highest:
        raise CommandError(error)
    return number


def _options(command: Command) -> _Options:
    """Raises CommandError.  What no replica remembers is checked, and ignored."""
    replaces = is_absolute = False
    memory = b""  # of IDLETIME and FREQ, which exclude each other, the one that is there
    words = iter(command[4:])
    for word in words:
        name = word.upper()
        if name == b"REPLACE":
            replaces = True
        elif name == b"ABSTTL":
            is_absolute = True
        elif name in _IGNORED and memory in (b"", name) and (text := next(words, None)) is not None:
            memory = name
            _number(text, *_IGNORED[name])
        else:
            raise CommandError(SYNTAX_ERROR)
    return _Options(replaces, is_absolute)


def _check_restore(command: Command) -> None:
    _options(command)


def _is_relative(command: Command) -> bool:
    return command[2] != b"0"


def _restore_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    key, ttl, payload = command[1:4]
    options = _options(command)
    if space.exists(key) and not options.replaces:
        raise CommandError("BUSYKEY Target key name already exists.")
    invalid = "ERR Invalid TTL value, must be >= 0"
    ttl_ms = _number(ttl, INTEGER_MAX, invalid)
    if ttl_ms and not options.is_absolute:
        ttl_ms = ttl_ms + space.now_ms
        if ttl_ms > INTEGER_MAX:
            raise CommandError(invalid)
    try:
        dumped = yield from load(payload)
    except BadPayload:
        raise CommandError("ERR DUMP payload version or checksum are wrong") from None
    except BadData as error:
        raise CommandError(f"ERR Bad data format: {error}") from None
    yield
    value = yield from _value_of(dumped)
    space.set(key, value, ttl_ms or None)
    return OK


def _value_of(dumped: Dumped) -> Generator[None, None, Value]:
    if dumped.type_name == "string":
        return dumped.elements[0]
    return (yield from MAKERS[dumped.type_name](dumped.elements))


COMMANDS = (
    CommandSpec(
        b"DUMP", at_once(_dump_in_pieces), 2, Keys.FIRST, False, in_pieces=_dump_in_pieces, is_large=always,
        usage="DUMP key", flags=(), categories=("keyspace",), complexity="O(N) with N bytes",
        summary="the value as RESTORE, and a Redis of version 7 or later, takes it; nil when there is none",
    ),
    CommandSpec(
        b"RESTORE", at_once(_restore_in_pieces), -4, Keys.FIRST, True, check=_check_restore,
        in_pieces=_restore_in_pieces, is_large=always, takes_time=_is_relative,
        usage="RESTORE key ttl payload [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]",
        flags=("denyoom",), categories=("keyspace", "dangerous"), complexity="O(N) with N bytes",
        summary="set the key to a value that DUMP, of here or of a Redis up to version 8, has told; `ttl` in"
        " milliseconds, 0 for none",
    ),
)  # fmt: skip
