"""What Redis says to a command that cannot run, and how Redis reads numbers.

The frontend and the state machines use the same words, so the words stand here, below both.
"""

from __future__ import annotations

import math
import re

from epaxos.interfaces.commands import CommandError, SimpleString

__all__ = [
    "CLOCK_SKEW",
    "INTEGER_MAX",
    "INTEGER_MIN",
    "INT_MAX",
    "INT_MIN",
    "NOT_AN_INT",
    "NOT_AN_INTEGER",
    "OK",
    "SHOWN_BYTES_MAX",
    "SYNTAX_ERROR",
    "WRONG_TYPE",
    "bytes_of",
    "fits",
    "integer_of",
    "text_of",
    "timeout_ms_of",
    "wrong_arity",
]

OK = SimpleString("OK")
SYNTAX_ERROR = "ERR syntax error"
NOT_AN_INTEGER = "ERR value is not an integer or out of range"
CLOCK_SKEW = (
    "CLOCKSKEW the clock of this replica is not that of the others: the command was not run; ask another"
    " replica"
)
WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
INTEGER_MIN, INTEGER_MAX = -(2**63), 2**63 - 1
INT_MIN, INT_MAX = -(2**31), 2**31 - 1
NOT_AN_INT = f"ERR value is out of range, value must between {INT_MIN} and {INT_MAX}"
"""For an integer that has no place in 32 bits."""
TIMEOUT_BYTES_MAX = 512
"""A timeout with more digits is none."""
TIMEOUT_MS_MAX = 2**62
"""The longest timeout: in Redis the time at which it ends has to be a 64-bit integer."""
SHOWN_BYTES_MAX = 128
"""An error shows at most this many bytes of what the client sent."""


def fits(arity: int, length: int) -> bool:
    """Whether a command of `length` elements, its name included, has the arity: see CommandInfo."""
    return length == arity if arity > 0 else length >= -arity


def wrong_arity(name: str) -> CommandError:
    """The error for a command with too few or too many arguments; `name` is in lower case."""
    return CommandError(f"ERR wrong number of arguments for '{name}' command")


def integer_of(text: bytes) -> int | None:
    """The 64-bit integer that Redis reads in `text`; None where Redis reads none."""
    digits = text[1:] if text[:1] == b"-" else text
    if digits.isdigit() and len(digits) < 20 and (digits[:1] != b"0" or text == b"0"):
        number = int(text)
        if INTEGER_MIN <= number <= INTEGER_MAX:
            return number
    return None


_SECONDS = re.compile(
    rb"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|0x(?:[0-9a-f]+\.?[0-9a-f]*|\.[0-9a-f]+)(?:p[+-]?[0-9]+)?"
    rb"|inf(?:inity)?)",
    re.IGNORECASE,
)
"""What strtold reads, which Redis takes for a number; but for that which is none."""


def timeout_ms_of(text: bytes) -> int:
    """The milliseconds, rounded up, of a timeout that a client gives in seconds; 0 for no end.

    Raises CommandError.
    """
    if len(text) > TIMEOUT_BYTES_MAX or not _SECONDS.fullmatch(text):
        raise CommandError("ERR timeout is not a float or out of range")
    digits = text.decode()
    try:
        seconds = float.fromhex(digits) if "x" in digits.lower() else float(digits)
    except OverflowError:  # of a hexadecimal one; any other is infinite then
        seconds = -math.inf if digits.startswith("-") else math.inf
    if seconds * 1000 > TIMEOUT_MS_MAX:
        raise CommandError("ERR timeout is out of range")
    if seconds * 1000 <= -1:
        raise CommandError("ERR timeout is negative")
    return math.ceil(seconds * 1000)


def bytes_of(text: str) -> bytes:
    """A text as clients get it, with the bytes that `text_of` made surrogates of.  It never fails."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # surrogates that stand for no byte
        return text.encode("utf-8", "replace")


def text_of(data: bytes, bytes_max: int = SHOWN_BYTES_MAX) -> str:
    """The part of `data` that an error shows: at most `bytes_max` bytes, and nothing from a NUL byte on.

    Bytes that are not UTF-8 become surrogates, so that the client gets the bytes that it sent.
    """
    return data[:bytes_max].partition(b"\0")[0].decode("utf-8", "surrogateescape")
