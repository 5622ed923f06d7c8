"""What Redis says to a command that cannot run, and how Redis reads numbers.

The frontend and the state machines use the same words, so the words stand here, below both.
"""

from __future__ import annotations

from epaxos.interfaces.commands import CommandError, SimpleString

__all__ = [
    "INTEGER_MAX",
    "INTEGER_MIN",
    "NOT_AN_INTEGER",
    "OK",
    "SHOWN_BYTES_MAX",
    "SYNTAX_ERROR",
    "bytes_of",
    "fits",
    "integer_of",
    "text_of",
    "wrong_arity",
]

OK = SimpleString("OK")
SYNTAX_ERROR = "ERR syntax error"
NOT_AN_INTEGER = "ERR value is not an integer or out of range"
INTEGER_MIN, INTEGER_MAX = -(2**63), 2**63 - 1
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
