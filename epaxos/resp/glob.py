"""Patterns of names as Redis understands them: `*`, `?`, classes in brackets, and backslashes.

A pattern comes from a client, so matching must not take exponential time: only the last `*` is gone back to.
"""

from __future__ import annotations

from collections.abc import Set

__all__ = ["Glob"]

_STAR, _ANY, _BACKSLASH, _CLASS, _END, _DASH = b"*?\\[]-"
_EVERYTHING = frozenset(range(256))
_NO_BYTE: Set[int] = frozenset()


class Glob:
    """One pattern, which ignores the case of ASCII letters.

    Special cases are those of Redis: a class that does not end takes the rest of the pattern, `^` as its
    first byte negates it, `[]` matches nothing, a range may be written backwards, and a backslash takes the
    next byte as it is.
    """

    def __init__(self, pattern: bytes) -> None:
        self._parts = _parts(pattern)

    def matches(self, name: bytes) -> bool:
        """Whether the pattern matches the whole of `name`."""
        name, parts = name.lower(), self._parts
        place = part = 0
        star, star_place = -1, 0
        while place < len(name):
            if part < len(parts) and parts[part] is None:
                star, star_place = part, place
                part += 1
            elif part < len(parts) and name[place] in (parts[part] or _NO_BYTE):
                part += 1
                place += 1
            elif star >= 0:  # let the last star take one byte more
                star_place += 1
                part, place = star + 1, star_place
            else:
                return False
        return all(rest is None for rest in parts[part:])


def _parts(pattern: bytes) -> list[Set[int] | None]:
    """What each byte of a name may be, in lower case; None stands for any number of bytes."""
    parts: list[Set[int] | None] = []
    place = 0
    while place < len(pattern):
        byte = pattern[place]
        if byte == _STAR:
            if not (parts and parts[-1] is None):
                parts.append(None)
        elif byte == _ANY:
            parts.append(_EVERYTHING)
        elif byte == _CLASS:
            allowed, place = _class(pattern, place + 1)
            parts.append(allowed)
        else:
            if byte == _BACKSLASH and place + 1 < len(pattern):
                place += 1
            parts.append(frozenset(pattern[place : place + 1].lower()))
        place += 1
    return parts


def _class(pattern: bytes, place: int) -> tuple[Set[int], int]:
    """What the class that begins at `place` allows, and where its last byte is."""
    negated = pattern[place : place + 1] == b"^"
    place += negated
    allowed: set[int] = set()
    while place < len(pattern) and pattern[place] != _END:
        left = len(pattern) - place
        if pattern[place] == _BACKSLASH and left >= 2:
            place += 1
            allowed.update(pattern[place : place + 1].lower())
        elif left >= 3 and pattern[place + 1] == _DASH:
            low, high = sorted((pattern[place], pattern[place + 2]))
            low, high = bytes([low]).lower()[0], bytes([high]).lower()[0]
            allowed.update(range(low, high + 1))
            place += 2
        else:
            allowed.update(pattern[place : place + 1].lower())
        place += 1
    return (_EVERYTHING - allowed if negated else allowed), place
