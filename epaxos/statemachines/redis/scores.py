"""Scores: IEEE doubles, as Redis reads them.  How they are written: `interfaces/doubles.py`.

Python reads doubles with code of its own, so each replica comes to the same bits.  A score of minus zero is
stored as zero, as Redis' small sorted sets have it; NaN is none.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from epaxos.interfaces import CommandError
from epaxos.statemachines.redis.decimals import NOT_A_FLOAT

__all__ = [
    "NOT_A_NUMBER",
    "LexBound",
    "ScoreBound",
    "lex_bound_of",
    "score_bound_of",
    "score_of",
    "score_or_error",
]

NOT_A_NUMBER = "ERR resulting score is not a number (NaN)"
TEXT_BYTES_MAX = 512
"""The bytes of the longest text that is read as a score; those that a double has are far fewer."""
_DIGITS = 15
"""A whole number of at most so many digits is exact."""
_DECIMAL = re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_HEXADECIMAL = re.compile(rb"[+-]?0[xX](?:[\da-fA-F]+\.?[\da-fA-F]*|\.[\da-fA-F]+)(?:[pP][+-]?\d{1,6})?")
_INFINITY = re.compile(rb"[+-]?inf(?:inity)?", re.IGNORECASE)
_SPACE = b" \t\n\v\f\r"


def _number_of(text: bytes) -> float | None:
    """What C reads in all of `text`: one that is too large is infinite, one that is too small zero."""
    if len(text) > TEXT_BYTES_MAX:
        return None
    if _DECIMAL.fullmatch(text) or _INFINITY.fullmatch(text):
        return float(text) + 0.0
    if not _HEXADECIMAL.fullmatch(text):
        return None
    try:
        return float.fromhex(text.decode()) + 0.0
    except OverflowError:
        return -math.inf if text[:1] == b"-" else math.inf


def score_of(text: bytes) -> float | None:
    """The score in `text`; None where Redis reads none."""
    if text.isdigit() and len(text) <= _DIGITS:
        return float(text)
    number = _number_of(text)
    if number is None:
        return None
    if math.isinf(number) and b"n" not in text and b"N" not in text:
        return None  # too large
    if not number and text.lower().partition(b"p" if b"x" in text.lower() else b"e")[0].strip(b"+-0.xX"):
        return None  # too small
    return number


def score_or_error(text: bytes, error: str = NOT_A_FLOAT) -> float:
    """As `score_of`.  Raises CommandError, with `error`."""
    number = score_of(text)
    if number is None:
        raise CommandError(error)
    return number


class ScoreBound(NamedTuple):
    """Where a range of scores begins or ends.  `is_open`: whether `score` itself is outside."""

    score: float
    is_open: bool


def score_bound_of(text: bytes) -> ScoreBound:
    """Raises CommandError."""
    is_open = text[:1] == b"("
    number = text[is_open:].partition(b"\0")[0]
    score = _number_of(number.lstrip(_SPACE)) if number else 0.0
    if score is None:
        raise CommandError("ERR min or max is not a float")
    return ScoreBound(score, is_open)


class LexBound(NamedTuple):
    """Where a range of members begins or ends.  `side`: -1 before all members, 1 behind them, else 0.

    `is_open`: whether `member` itself is outside.
    """

    side: int
    member: bytes = b""
    is_open: bool = False


def lex_bound_of(text: bytes) -> LexBound:
    """Raises CommandError."""
    first, rest = text[:1], text[1:]
    if first in (b"(", b"["):
        return LexBound(0, rest, first == b"(")
    if first in (b"-", b"+") and rest[:1] in (b"", b"\0"):
        return LexBound(-1 if first == b"-" else 1)
    raise CommandError("ERR min or max not valid string range item")
