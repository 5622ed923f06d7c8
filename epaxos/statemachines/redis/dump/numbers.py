"""Strings that payloads hold as numbers."""

from __future__ import annotations

__all__ = ["number_of"]

_LONGEST = 20
"""The bytes of the longest number of 64 bits."""


def number_of(text: bytes) -> int | None:
    """The number of at most 64 bits whose only text is `text`; None where it is no such text."""
    if not 0 < len(text) <= _LONGEST or not (text.isdigit() or (text[:1] == b"-" and text[1:].isdigit())):
        return None
    number = int(text)
    return number if b"%d" % number == text and -(2**63) <= number < 2**63 else None
