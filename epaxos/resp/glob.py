"""Patterns of names as Redis understands them: `*`, `?`, classes in brackets, and backslashes.

A pattern comes from a client, so matching must not take exponential time: it goes back to the last `*` only.
"""

from __future__ import annotations

from collections.abc import Set

__all__ = ["Glob"]

_STAR, _ANY, _BACKSLASH, _CLASS, _END, _DASH = b"*?\\[]-"
_EVERYTHING = frozenset(range(256))
_NO_BYTE: Set[int] = frozenset()


class Glob:
    """One pattern, which ignores the case of ASCII letters.

    Special cases are those of Redis: a class without an end extends to the end of the pattern, `^` as its
    first byte negates it, `[]` matches nothing, a range may be written backwards, and a byte after a
    backslash stands for itself.
    """

    def __init__(self, pattern: bytes) -> None:
        self._elements = _elements_of(pattern)

    def matches(self, name: bytes) -> bool:
        """Whether the pattern matches the whole of `name`."""
        name, elements = name.lower(), self._elements
        place = element = 0
        star, star_place = -1, 0
        while place < len(name):
            if element < len(elements) and elements[element] is None:
                star, star_place = element, place
                element += 1
            elif element < len(elements) and name[place] in (elements[element] or _NO_BYTE):
                element += 1
                place += 1
            elif star >= 0:  # the last star matches one more byte
                star_place += 1
                element, place = star + 1, star_place
            else:
                return False
        return all(rest is None for rest in elements[element:])


def _elements_of(pattern: bytes) -> list[Set[int] | None]:
    """The bytes that each byte of a name may be, in lower case; None stands for any number of bytes."""
    elements: list[Set[int] | None] = []
    place = 0
    while place < len(pattern):
        byte = pattern[place]
        if byte == _STAR:
            if not (elements and elements[-1] is None):
                elements.append(None)
        elif byte == _ANY:
            elements.append(_EVERYTHING)
        elif byte == _CLASS:
            allowed, place = _class(pattern, place + 1)
            elements.append(allowed)
        else:
            if byte == _BACKSLASH and place + 1 < len(pattern):
                place += 1
            elements.append(frozenset(pattern[place : place + 1].lower()))
        place += 1
    return elements


def _class(pattern: bytes, place: int) -> tuple[Set[int], int]:
    """The bytes that the class beginning at `place` allows, and the place of its last byte."""
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
