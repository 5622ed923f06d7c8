"""Patterns: what Redis' own matching does, written down as a table, and bounded time."""

from __future__ import annotations

import time
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import CommandError
from epaxos.interfaces.glob import PATTERN_BYTES_MAX, SEARCHED_MAX, Glob


def reference(pattern: bytes, name: bytes) -> bool:
    """Redis' way, one byte after the other, without a bound on time."""
    if not pattern:
        return not name
    if pattern[:1] == b"*":
        return any(reference(pattern[1:], name[k:]) for k in range(len(name) + 1))
    if not name:
        return False
    if pattern[:1] == b"?":
        return reference(pattern[1:], name[1:])
    if pattern[:1] != b"[":
        place = 1 if pattern[:1] == b"\\" and len(pattern) > 1 else 0
        return pattern[place : place + 1] == name[:1] and reference(pattern[place + 1 :], name[1:])
    place = 2 if pattern[1:2] == b"^" else 1
    found = False
    while place < len(pattern) and pattern[place : place + 1] != b"]":
        if pattern[place : place + 1] == b"\\" and place + 1 < len(pattern):
            place += 1
            found |= pattern[place : place + 1] == name[:1]
        elif pattern[place + 1 : place + 2] == b"-" and place + 2 < len(pattern):
            low, high = sorted((pattern[place], pattern[place + 2]))
            found |= low <= name[0] <= high
            place += 2
        else:
            found |= pattern[place : place + 1] == name[:1]
        place += 1
    if found == (pattern[1:2] == b"^"):
        return False
    return reference(pattern[place + 1 :], name[1:])


class GlobTests(SynchronousTestCase):
    def test_table(self) -> None:
        for pattern, matching, others in (
            (b"save", [b"save", b"SAVE"], [b"sav", b"saves", b""]),
            (b"", [b""], [b"a"]),
            (b"*", [b"", b"a", b"abc"], []),
            (b"a*c", [b"ac", b"abc", b"abcbc"], [b"abcb", b"bac"]),
            (b"a?c", [b"abc"], [b"ac", b"abbc"]),
            (b"[a-c]x", [b"ax", b"Cx"], [b"dx", b"x"]),
            (b"[c-a]x", [b"bx"], [b"dx"]),
            (b"[^a-c]x", [b"dx"], [b"ax"]),
            (b"[!a]x", [b"!x", b"ax"], [b"bx"]),
            (b"[]x", [], [b"x", b"]x", b"ax"]),
            (b"[^]x", [b"ax"], [b"x"]),
            (b"[ab", [b"a", b"b"], [b"ab", b"["]),
            (b"[a-", [b"a", b"-"], [b"b"]),
            (b"[\\]]x", [b"]x"], [b"\\x"]),
            (b"[\\-a]", [b"-", b"a"], [b"b", b"\\"]),
            (b"\\*", [b"*"], [b"a", b"\\*"]),
            (b"a\\", [b"a\\"], [b"a"]),
            (b"\\a", [b"a", b"A"], [b"\\a"]),
        ):
            for name in matching:
                self.assertTrue(Glob(pattern, any_case=True).matches(name), f"{pattern!r} {name!r}")
            for name in others:
                self.assertFalse(Glob(pattern, any_case=True).matches(name), f"{pattern!r} {name!r}")

    def test_like_the_reference(self) -> None:
        random = Random(1)
        matching = 0
        for _ in range(20_000):
            pattern = bytes(random.choices(b"ab*?[]^-\\", k=random.randrange(8)))
            name = bytes(random.choices(b"ab]-^\\", k=random.randrange(5)))
            expected = reference(pattern, name)
            matching += expected
            for any_case in (True, False):
                self.assertEqual(Glob(pattern, any_case).matches(name), expected, f"{pattern!r} {name!r}")
        self.assertGreater(matching, 1000)

    def test_case(self) -> None:
        for pattern, name in ((b"a*", b"Ab"), (b"[a-c]", b"B"), (b"x[^a]", b"xA"), (b"\\A", b"a")):
            found = [Glob(pattern, any_case).matches(name) for any_case in (True, False)]
            self.assertEqual(sorted(found), [False, True], f"{pattern!r} {name!r}")

    def test_time_is_bounded(self) -> None:
        """Going back to every star would take longer than the universe is old."""
        started = time.perf_counter()
        self.assertFalse(Glob(b"*a" * 500 + b"b").matches(b"a" * 1000))
        self.assertFalse(Glob(b"[" + b"a-z" * 200 + b"]*" * 100 + b"0").matches(b"a" * 100))
        self.assertLess(time.perf_counter() - started, 1)
        self.assertRaises(CommandError, Glob, b"a" * (PATTERN_BYTES_MAX + 1))

    def test_what_is_tried_at_each_place_is_bounded(self) -> None:
        """Else a name of a megabyte takes a second for one pattern."""
        most = b"?" * (SEARCHED_MAX - 1)
        self.assertTrue(Glob(b"*" + most + b"x*").matches(b"a" * 100 + b"x"))
        for pattern in (b"*?" + most + b"x*", b"a*b*" + most + b"[ab]x*c"):
            self.assertRaises(CommandError, Glob, pattern)
        for pattern in (b"?" * 900 + b"*a*", b"*" + b"a" * 900 + b"*", b"*a*" + b"?" * 900):
            self.assertFalse(Glob(pattern).matches(b"x"))
