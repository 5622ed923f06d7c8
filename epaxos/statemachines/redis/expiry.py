"""The commands on deadlines: EXPIRE and its variants, TTL and its variants, PERSIST.

Source: expire.c of Redis 7.0, as redis-server 7.0.15 answers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from epaxos.interfaces import Command, CommandError, Reply
from epaxos.interfaces.redis import INTEGER_MAX, INTEGER_MIN, NOT_AN_INTEGER, integer_of, text_of
from epaxos.statemachines.redis.lifetimes import Lifetime
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Keys

__all__ = ["COMMANDS"]

NO_KEY, NO_DEADLINE = -2, -1
"""What TTL and its variants answer for these."""


class _Unit(NamedTuple):
    """What the number of a command means: its unit in milliseconds, and whether it counts from now on."""

    ms: int
    is_relative: bool


_SETS = {
    b"EXPIRE": _Unit(1000, True),
    b"PEXPIRE": _Unit(1, True),
    b"EXPIREAT": _Unit(1000, False),
    b"PEXPIREAT": _Unit(1, False),
}
_TELLS = {
    b"TTL": _Unit(1000, True),
    b"PTTL": _Unit(1, True),
    b"EXPIRETIME": _Unit(1000, False),
    b"PEXPIRETIME": _Unit(1, False),
}
_CONDITIONS = {b"NX", b"XX", b"GT", b"LT"}


def _conditions(command: Command) -> set[bytes]:
    """The conditions of EXPIRE.  Raises CommandError when they are unknown, or exclude each other."""
    found = set()
    for option in command[3:]:
        if option.upper() not in _CONDITIONS:
            raise CommandError(f"ERR Unsupported option {text_of(option, len(option))}")
        found.add(option.upper())
    if b"NX" in found and len(found) > 1:
        raise CommandError("ERR NX and XX, GT or LT options at the same time are not compatible")
    if {b"GT", b"LT"} <= found:
        raise CommandError("ERR GT and LT options at the same time are not compatible")
    return found


def _lifetime(command: Command) -> Lifetime:
    unit_ms, is_relative = _SETS[command[0].upper()]
    count = integer_of(command[2])
    if count is None:
        raise CommandError(NOT_AN_INTEGER)
    if not INTEGER_MIN <= count * unit_ms <= INTEGER_MAX:
        raise _invalid(command)
    return Lifetime(count * unit_ms, is_relative)


def _invalid(command: Command) -> CommandError:
    return CommandError(f"ERR invalid expire time in '{text_of(command[0]).lower()}' command")


def _check_expire(command: Command) -> None:
    _conditions(command)
    _lifetime(command)


def _always(command: Command) -> bool:
    return True


def _expire(space: Space, command: Command) -> Reply:
    key = command[1]
    deadline_ms = _lifetime(command).deadline(space.now_ms)
    if deadline_ms > INTEGER_MAX:
        raise _invalid(command)
    if not space.exists(key) or not _is_met(_conditions(command), space.deadline(key), deadline_ms):
        return 0
    space.expire(key, deadline_ms)
    return 1


def _is_met(conditions: set[bytes], old_ms: int | None, new_ms: int) -> bool:
    """Whether the deadline `old_ms` may be replaced.  None, no deadline, is later than all others."""
    return not (
        (b"NX" in conditions and old_ms is not None)
        or (b"XX" in conditions and old_ms is None)
        or (b"GT" in conditions and (old_ms is None or new_ms <= old_ms))
        or (b"LT" in conditions and old_ms is not None and new_ms >= old_ms)
    )


def _tell(space: Space, command: Command) -> Reply:
    key = command[1]
    if not space.exists(key):
        return NO_KEY
    deadline_ms = space.deadline(key)
    if deadline_ms is None:
        return NO_DEADLINE
    unit_ms, is_relative = _TELLS[command[0].upper()]
    told_ms = max(0, deadline_ms - space.now_ms) if is_relative else deadline_ms
    return (told_ms + unit_ms // 2) // unit_ms


def _persist(space: Space, command: Command) -> Reply:
    key = command[1]
    if not space.exists(key) or space.deadline(key) is None:
        return 0
    space.expire(key, None)
    return 1


def _of_deadlines(
    name: bytes, handler: Callable[[Space, Command], Reply], usage: str, summary: str, writes: bool = True
) -> CommandSpec:
    sets = name in _SETS
    takes_time = _always if sets or (name in _TELLS and _TELLS[name].is_relative) else None
    return CommandSpec(
        name, handler, -3 if sets else 2, Keys.FIRST, writes, usage=f"{name.decode()} {usage}",
        summary=summary, categories=("keyspace",), check=_check_expire if sets else None,
        takes_time=takes_time, options_from=2,
    )  # fmt: skip


_IF = "`NX`: if it had none; `XX`: if it had one; `GT`, `LT`: if the new one is later, or earlier"

COMMANDS = (
    *(
        _of_deadlines(name, _expire, f"key {number} [NX|XX|GT|LT]", f"{summary}; {_IF}")
        for name, number, summary in (
            (b"EXPIRE", "seconds", "let the key end after this time, counted from now on"),
            (b"PEXPIRE", "milliseconds", "as `EXPIRE`, in milliseconds"),
            (b"EXPIREAT", "unix-time", "let the key end at this time, in seconds since 1970"),
            (b"PEXPIREAT", "unix-time-ms", "as `EXPIREAT`, in milliseconds"),
        )
    ),
    *(
        _of_deadlines(name, _tell, "key", f"{summary}; -1: it has no end, -2: there is no such key", False)
        for name, summary in (
            (b"TTL", "how many seconds the key has left"),
            (b"PTTL", "how many milliseconds the key has left"),
            (b"EXPIRETIME", "when the key ends, in seconds since 1970"),
            (b"PEXPIRETIME", "when the key ends, in milliseconds since 1970"),
        )
    ),
    _of_deadlines(b"PERSIST", _persist, "key", "let the key not end; the reply is 1 where it had an end"),
)
