"""Patterns of names as Redis understands them: `*`, `?`, classes in brackets, and backslashes.

A pattern comes from a client, so matching must not take exponential time.  What stands between two `*` has a
fixed length, and is looked for from the left, once: a match that is further to the right leaves less of the
name for what follows.  C code looks for each of these pieces.
"""

from __future__ import annotations

import re
from collections.abc import Set

from epaxos.interfaces.commands import CommandError

__all__ = ["PATTERN_BYTES_MAX", "SEARCHED_MAX", "Glob"]

PATTERN_BYTES_MAX = 1024
"""The most bytes of a pattern, because the time that it takes grows with its length."""

SEARCHED_MAX = 64
"""The most question marks, classes and other bytes between two stars where there is a question mark or a
class, because all of them may be tried at each place of a name."""

_STAR, _ANY, _BACKSLASH, _CLASS, _END, _DASH = b"*?\\[]-"
_EVERYTHING = frozenset(range(256))


class Glob:
    """One pattern.  With `any_case` it ignores the case of ASCII letters.

    Special cases are those of Redis: a class without an end extends to the end of the pattern, `^` as its
    first byte negates it, `[]` matches nothing, a range may be written backwards, and a byte after a
    backslash stands for itself.  Raises CommandError for a pattern of more than PATTERN_BYTES_MAX bytes, or
    beyond SEARCHED_MAX.
    """

    def __init__(self, pattern: bytes, any_case: bool = False) -> None:
        if len(pattern) > PATTERN_BYTES_MAX:
            raise CommandError(f"ERR the pattern is longer than {PATTERN_BYTES_MAX} bytes")
        pieces = _pieces_of(pattern, any_case)
        self._any_case = any_case
        self._last_bytes = len(pieces[-1])
        self._pieces = [re.compile(b"".join(piece), re.DOTALL) for piece in pieces]
        self.search_steps = max(map(_steps, pieces[1:-1]), default=0)
        if self.search_steps > SEARCHED_MAX:
            raise CommandError(
                f"ERR the pattern has more than {SEARCHED_MAX} bytes between two stars, with a question mark"
                " or a class among them"
            )
        """About the steps for each byte of a name, because something is looked for between stars."""

    def matches(self, name: bytes) -> bool:
        """Whether the pattern matches the whole of `name`."""
        if self._any_case:
            name = name.lower()
        first, *others = self._pieces
        if not others:
            return first.fullmatch(name) is not None
        end = len(name) - self._last_bytes  # of what is before the last piece
        found = first.match(name)
        for piece in others[:-1]:
            if found is None:
                return False
            found = piece.search(name, found.end())
        return found is not None and found.end() <= end and others[-1].match(name, end) is not None


def _pieces_of(pattern: bytes, any_case: bool) -> list[list[bytes]]:
    """What stands between the stars: for each byte of a name an expression that matches it."""
    if any_case:
        pattern = pattern.lower()
    pieces: list[list[bytes]] = [[]]
    place = 0
    while place < len(pattern):
        byte = pattern[place]
        if byte == _STAR:
            if len(pieces) == 1 or pieces[-1]:
                pieces.append([])
        elif byte == _ANY:
            pieces[-1].append(b".")
        elif byte == _CLASS:
            allowed, place = _class(pattern, place + 1)
            pieces[-1].append(_expression(allowed))
        else:
            if byte == _BACKSLASH and place + 1 < len(pattern):
                place += 1
            pieces[-1].append(re.escape(pattern[place : place + 1]))
        place += 1
    return pieces


def _steps(piece: list[bytes]) -> int:
    """Plain text is looked for in one step for each byte of a name; of anything else every byte is tried at
    each place.  No place is looked at for two pieces."""
    return len(piece) if any(expression[:1] in b".[(" for expression in piece) else 1


def _expression(allowed: Set[int]) -> bytes:
    if not allowed:
        return b"(?!)"
    return b"[%b]" % b"".join([b"\\x%02x" % byte for byte in sorted(allowed)])


def _class(pattern: bytes, place: int) -> tuple[Set[int], int]:
    """The bytes that the class beginning at `place` allows, and the place of its last byte."""
    negated = pattern[place : place + 1] == b"^"
    place += negated
    allowed: set[int] = set()
    while place < len(pattern) and pattern[place] != _END:
        left = len(pattern) - place
        if pattern[place] == _BACKSLASH and left >= 2:
            place += 1
            allowed.add(pattern[place])
        elif left >= 3 and pattern[place + 1] == _DASH:
            low, high = sorted((pattern[place], pattern[place + 2]))
            allowed.update(range(low, high + 1))
            place += 2
        else:
            allowed.add(pattern[place])
        place += 1
    return (_EVERYTHING - allowed if negated else allowed), place
