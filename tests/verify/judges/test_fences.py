"""What the judge of fences lets pass, and what not."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import CommandError, Reply
from epaxos.verify.judges.fences import FenceJudge


class FenceJudgeTests(SynchronousTestCase):
    def test_numbers(self) -> None:
        replies: list[tuple[list[tuple[int, int, Reply]], int]] = [
            ([(0, 1, 5), (2, 3, 6)], 0),
            ([(0, 3, 6), (2, 4, 5)], 0),  # at the same time
            ([(0, 1, 6), (2, 3, 5)], 1),
            ([(0, 3, 6), (2, 4, 6)], 1),
            ([(0, 1, 6), (2, 3, None), (4, 5, CommandError("CLOCKSKEW")), (6, 7, 7)], 0),
        ]
        for answers, count in replies:
            wrong: list[str] = []
            judge = FenceJudge(wrong.append)
            for asked, answered, reply in answers:
                judge.answer(b"k", asked, answered, reply)
                judge.answer(b"other", 0, answered, answered)
            self.assertEqual(len(wrong), count, answers)
