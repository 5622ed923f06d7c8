"""The commands on a part of a string, or its length: APPEND, STRLEN, GETRANGE, SETRANGE, LCS."""

from __future__ import annotations

from epaxos.interfaces import Command, CommandError, Reply
from epaxos.interfaces.redis import NOT_AN_INTEGER, integer_of
from epaxos.statemachines.redis import many, numbers, setting
from epaxos.statemachines.redis.growing import Growing, append
from epaxos.statemachines.redis.lcs import lcs
from epaxos.statemachines.redis.paged import overwritten
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Keys
from epaxos.statemachines.redis.string_command import GROWS, string_command

__all__ = ["COMMANDS"]

TOO_LONG = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
VALUE_BYTES_MAX = 512 * 1024 * 1024
"""No command makes a longer value.  As in Redis."""
ZEROS_MAX = 16 * 1024 * 1024
"""Bytes that one SETRANGE adds before its own, at most, so that a short command makes no long value."""


def _append(space: Space, command: Command) -> Reply:
    value = space.string(command[1]) or b""
    length = len(value) + len(command[2])
    if length > VALUE_BYTES_MAX:
        return CommandError(TOO_LONG)
    space.put(command[1], append(value, command[2]))
    return length


def _getrange(space: Space, command: Command) -> Reply:
    value = space.string(command[1]) or b""
    start, end = int(command[2]), int(command[3])
    if start < 0 and end < 0 and start > end:
        return b""
    start = max(0, start + len(value)) if start < 0 else start
    end = max(0, end + len(value)) if end < 0 else end
    return value.slice(start, end + 1) if isinstance(value, Growing) else value[start : end + 1]


def _check_getrange(command: Command) -> None:
    if integer_of(command[2]) is None or integer_of(command[3]) is None:
        raise CommandError(NOT_AN_INTEGER)


def _setrange(space: Space, command: Command) -> Reply:
    key, offset, more = command[1], int(command[2]), command[3]
    value = space.string(key)
    if not more:
        return len(value or b"")
    if offset + len(more) > VALUE_BYTES_MAX or offset - len(value or b"") > ZEROS_MAX:
        raise CommandError(TOO_LONG)
    space.put(key, overwritten(value or b"", offset, more))
    return max(len(value or b""), offset + len(more))


def _check_setrange(command: Command) -> None:
    offset = integer_of(command[2])
    if offset is None:
        raise CommandError(NOT_AN_INTEGER)
    if offset < 0:
        raise CommandError("ERR offset is out of range")


def _strlen(space: Space, command: Command) -> Reply:
    return len(space.string(command[1]) or b"")


COMMANDS = (
    *setting.COMMANDS,
    *numbers.COMMANDS,
    *many.COMMANDS,
    string_command(
        b"APPEND", _append, 3, "APPEND key value", "append to the value; the reply is its new length",
        since=1, **GROWS,
    ),
    string_command(
        b"STRLEN", _strlen, 2, "STRLEN key", "the length of the value; 0 when there is none",
        writes=False, since=1,
    ),
    *(
        string_command(
            name, _getrange, 4, f"{name.decode()} key start end",
            "the bytes of the value from start to end, both included; negative ones count from its end",
            check=_check_getrange, writes=False, flags=(), complexity="O(N) with N bytes",
        )
        for name in (b"GETRANGE", b"SUBSTR")
    ),
    string_command(
        b"SETRANGE", _setrange, 4, "SETRANGE key offset value",
        "put `value` over the bytes from `offset` on; the reply is the length of the whole",
        check=_check_setrange, flags=("denyoom",), complexity="O(N) with N bytes",
    ),
    CommandSpec(
        b"LCS", lcs, -3, Keys.TWO, False, flags=(), categories=("string",),
        usage="LCS key1 key2 [LEN] [IDX] [MINMATCHLEN length] [WITHMATCHLEN]",
        summary="the longest common subsequence of two values", complexity="O(N*M) with N and M bytes",
    ),
)  # fmt: skip
