"""Ids of entries.  In memory an id is one integer, 64 bits of milliseconds before 64 bits of sequence.

Source: t_stream.c of Redis 7.2, as redis-server answers.
"""

from __future__ import annotations

import re

from epaxos.interfaces import CommandError
from epaxos.interfaces.redis import integer_of

__all__ = [
    "HIGHEST_ID",
    "ID_BYTES",
    "INVALID_ID",
    "after",
    "interval_of",
    "next_id",
    "parse",
    "parse_new",
    "start_of",
    "text_of_id",
]

ID_BYTES = 16
HIGHEST_ID = 2**128 - 1
_PART_HIGHEST = 2**64 - 1
TEXT_BYTES_MAX = 127
"""The most bytes of the text of an id, as in Redis."""
INVALID_ID = "ERR Invalid stream ID specified as stream command argument"
_NUMBER = re.compile(rb"[ \t\n\v\f\r]*([+-]?)([0-9]+)")
"""What C's strtoull reads."""


def text_of_id(number: int) -> bytes:
    """The id as clients see it."""
    return b"%d-%d" % (number >> 64, number & _PART_HIGHEST)


def next_id(last: int, now_ms: int) -> int:
    """The id of an entry that comes behind `last` at this time; `last` is not HIGHEST_ID."""
    return max(last + 1, now_ms << 64)


def after(number: int) -> int:
    """The least id above this one; 0 behind the last one, as in Redis."""
    return number + 1 & HIGHEST_ID


def _part(text: bytes) -> int | None:
    if text.isdigit() and len(text) < 20:
        return int(text)
    found = _NUMBER.fullmatch(text)
    number = _PART_HIGHEST + 1 if found is None else int(found[2])
    if found is None or number > _PART_HIGHEST or (integer_of(text) or 0) < 0:
        return None
    return -number & _PART_HIGHEST if found[1] == b"-" else number


def parse(text: bytes, missing: int = 0, strict: bool = True) -> int:
    """The id in `text`; `missing`: the sequence where it names none.  Raises CommandError.

    Unless it is `strict`, `-` and `+` are the lowest and the highest id.
    """
    number, is_given = _parse(text, missing, strict)
    if not is_given:
        raise CommandError(INVALID_ID)
    return number


def parse_new(text: bytes) -> tuple[int, bool]:
    """The id of a new entry, and whether it names its sequence: `5-*` does not.  Raises CommandError."""
    return _parse(text, 0, True)


def _parse(text: bytes, missing: int, strict: bool) -> tuple[int, bool]:
    if len(text) > TEXT_BYTES_MAX:
        raise CommandError(INVALID_ID)
    if b"\0" in text:
        text = text.partition(b"\0")[0]
    if text in (b"-", b"+") and not strict:
        return (0 if text == b"-" else HIGHEST_ID), True
    first, dash, second = text.partition(b"-")
    ms = _part(first)
    if dash and second == b"*":
        sequence, is_given = 0, False
    else:
        sequence, is_given = _part(second) if dash else missing, True  # type: ignore[assignment]
    if ms is None or sequence is None:
        raise CommandError(INVALID_ID)
    return ms << 64 | sequence, is_given


# -- intervals


def start_of(text: bytes) -> int:
    """The lowest id of an interval that begins with `text`.  Raises CommandError."""
    number = _limit(text, 0)
    if len(text) > 1 and text.startswith(b"("):
        if number == HIGHEST_ID:
            raise CommandError("ERR invalid start ID for the interval")
        number += 1
    return number


def _end_of(text: bytes) -> int:
    number = _limit(text, _PART_HIGHEST)
    if len(text) > 1 and text.startswith(b"("):
        if number == 0:
            raise CommandError("ERR invalid end ID for the interval")
        number -= 1
    return number


def _limit(text: bytes, missing: int) -> int:
    if len(text) > 1 and text.startswith(b"("):
        return parse(text[1:], missing)
    return parse(text, missing, strict=False)


def interval_of(start: bytes, end: bytes) -> tuple[int, int]:
    """The lowest and the highest id of an interval.  Raises CommandError."""
    return start_of(start), _end_of(end)
