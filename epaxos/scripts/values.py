"""Values of Lua as arguments of commands and as replies, and replies as values of Lua.

As Redis: a number becomes an integer, cut off; false and null are one; a list ends at its first nil; a table
with `ok` or `err` is a status or an error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import copysign
from typing import Any

import hiredis

from epaxos.interfaces import CommandError, Reply, SimpleString
from epaxos.interfaces.redis import bytes_of as encoded

__all__ = ["arguments_of", "bytes_of", "list_in_lua", "parsed", "plain"]

WRONG_ARGUMENTS = "ERR Lua redis lib command arguments must be strings or integers"
INTEGER_MIN, INTEGER_END = -(2**63), 2**63
EXACT_BELOW = 10**17  # "%.17g" writes larger integers with an exponent


def arguments_of(values: Sequence[Any]) -> Sequence[bytes]:
    """What a script gave `redis.call`, as a command.  Raises CommandError for what is no string or number."""
    return [value if type(value) is bytes else _argument(value) for value in values]


def _argument(value: Any) -> bytes:
    if type(value) is int and -EXACT_BELOW < value < EXACT_BELOW:
        return b"%d" % value
    if type(value) in (int, float):
        text = b"%.17g" % value
        return b"-nan" if text == b"nan" and copysign(1.0, value) < 0 else text  # as C writes it
    raise CommandError(WRONG_ARGUMENTS)


def plain(value: Any) -> Reply:
    """The reply for a value of Lua that is no table."""
    kind = type(value)
    if kind is bytes:
        return value  # type: ignore[no-any-return]
    if kind is int:
        return int(value) if INTEGER_MIN <= value < INTEGER_END else INTEGER_MIN
    if kind is float:  # infinite, not a number, or far too large: as the conversion of C
        return int(value) if INTEGER_MIN <= value < INTEGER_END else INTEGER_MIN
    return 1 if value is True else None


def _error_of(text: str) -> SimpleString | CommandError:
    """A status has the byte 1 before it (`special` in lua/sandbox.lua)."""
    return SimpleString(text[1:]) if text[:1] == "\1" else CommandError(text)


def parsed(text: bytes) -> Reply:
    """The reply that a script made of tables, written in the Redis protocol."""
    reader = hiredis.Reader(replyError=_error_of, errors="surrogateescape")  # type: ignore[arg-type]
    reader.feed(text)
    return reader.gets()  # type: ignore[no-any-return]


def bytes_of(reply: Reply) -> int:
    """About how many bytes `reply` takes in Lua."""
    if isinstance(reply, list):
        return 64 + sum(map(bytes_of, reply)) + 32 * len(reply)
    return 32 + len(reply) if isinstance(reply, (bytes, str)) else 32


def list_in_lua(reply: list[Any], table_from: Callable[[Any], Any]) -> Any:
    """A list as a table; its statuses and errors are tables, too."""
    return table_from([item if type(item) in (bytes, int) else _in_lua(item, table_from) for item in reply])


def _in_lua(item: Reply, table_from: Callable[[Any], Any]) -> Any:
    if item is None:
        return False
    if isinstance(item, list):
        return list_in_lua(item, table_from)
    if isinstance(item, SimpleString):
        return table_from({b"ok": encoded(item)})
    if isinstance(item, CommandError):
        return table_from({b"err": encoded(str(item))})
    if isinstance(item, (bytes, int)):
        return item
    raise TypeError(f"a reply with the type {type(item).__name__} for a script")
