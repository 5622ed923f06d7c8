"""Which answers make the fast path, by tables of cases."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.coordinators.fast_path import FastPath, judge_equal, judge_named
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import Deps
from epaxos.protocol.values.quorums import Quorums


class FastPathTests(SynchronousTestCase):
    def test_equal_answers(self) -> None:
        """n = 5, f = e = 2: three equal to D0, the leader's own included."""
        quorums, zero, other = Quorums.of(Epoch.first(5)), (0,) * 5, (0, 1, 0, 0, 0)
        cases: list[tuple[dict[int, Deps], set[int], FastPath]] = [
            ({0: zero, 1: zero, 2: zero}, set(), FastPath.TAKEN),
            ({0: zero, 1: zero, 2: other, 3: zero}, set(), FastPath.TAKEN),
            ({0: zero, 1: zero}, {2, 3, 4}, FastPath.OPEN),
            ({0: zero, 1: zero, 2: other}, {3}, FastPath.OPEN),
            ({0: zero, 1: zero, 2: other}, set(), FastPath.CLOSED),
            ({0: zero, 1: other, 2: other}, {3}, FastPath.CLOSED),
            ({0: zero, 1: other, 2: other, 3: other}, {3, 4}, FastPath.CLOSED),
        ]
        for answers, awaited, expected in cases:
            found, deps = judge_equal(quorums, zero, answers, awaited.__contains__)
            self.assertEqual((found, deps), (expected, zero), answers)

    def test_named_answers(self) -> None:
        cases: list[tuple[tuple[int, ...], dict[int, Deps], set[int], FastPath, Deps]] = [
            ((1,), {0: (0, 0, 0), 1: (0, 2, 0)}, set(), FastPath.TAKEN, (0, 2, 0)),
            ((1,), {0: (0, 0, 0), 2: (0, 0, 0)}, {1}, FastPath.OPEN, ()),
            ((1,), {0: (0, 0, 0), 2: (0, 0, 0)}, {2}, FastPath.CLOSED, ()),
            ((1,), {1: (0, 0, 0), 2: (0, 0, 0)}, {0}, FastPath.OPEN, ()),
            (
                (1, 2),
                {0: (0, 0, 1), 1: (0, 2, 1), 2: (3, 0, 1), 3: (9, 9, 9)},
                set(),
                FastPath.TAKEN,
                (3, 2, 1),
            ),
            ((1, 2), {0: (0, 0, 1), 1: (0, 2, 1), 3: (9, 9, 9)}, {2}, FastPath.OPEN, ()),
            ((), {0: (0,)}, set(), FastPath.TAKEN, (0,)),
        ]
        for named, answers, awaited, expected, deps in cases:
            found = judge_named(0, named, answers, awaited.__contains__)
            self.assertEqual(found, (expected, deps), answers)
