"""What the judge of the order of a connection takes for right, and what it catches."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import Reply
from epaxos.verify.judges.program_order import ProgramOrderJudge


class ProgramOrderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.violations: list[str] = []
        self.judge = ProgramOrderJudge(3, self.violations.append)

    def is_right(self, looks: list[Mapping[int, Reply]], seen_before: int | None = None) -> bool:
        self.setUp()
        for replies in looks:
            before = self.judge.seen("s") if seen_before is None else seen_before
            self.judge.look("s", before, replies)
        return not self.violations

    def test_what_one_command_sees(self) -> None:
        """Number m stands in the key m modulo 3."""
        for replies, is_right in (
            ({0: None, 1: None, 2: None}, True),
            ({0: None, 1: b"1", 2: None}, True),
            ({0: b"3", 1: b"4", 2: b"2"}, True),
            ({0: b"3", 1: b"4", 2: b"5"}, True),
            ({0: None, 1: None, 2: b"2"}, False),
            ({0: b"3", 1: b"1", 2: b"5"}, False),
            ({0: b"6", 1: b"4", 2: b"2"}, False),
            ({0: b"x"}, False),
            ({0: 1}, False),
        ):
            self.assertEqual(self.is_right([replies]), is_right, f"{replies}")

    def test_one_look_after_the_other(self) -> None:
        for looks, is_right in (
            ([{2: b"2"}, {1: b"1"}], True),
            ([{2: b"2"}, {1: b"4"}], True),
            ([{2: b"2"}, {1: None}], False),
            ([{0: b"9"}, {2: b"8"}], True),
            ([{0: b"9"}, {2: b"5"}], False),
            ([{1: b"1"}, {2: None}], True),
        ):
            self.assertEqual(self.is_right(looks), is_right, f"{looks}")

    def test_looks_at_the_same_time(self) -> None:
        """Only what was seen before a look began counts."""
        self.assertTrue(self.is_right([{2: b"2"}, {1: None}], seen_before=0))
