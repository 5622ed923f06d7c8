"""The judge of numbered commands."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import CommandError
from epaxos.verify.judges.once import OnceJudge

LOST = CommandError("ONCELOST it may have run")


class OnceJudgeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.violations: list[str] = []
        self.judge = OnceJudge(self.violations.append)
        for client, number in ((0, 1), (0, 2), (1, 1)):
            self.judge.ask(client, number, b"a")
        self.judge.ask(1, 2, b"b")

    def test_a_good_run(self) -> None:
        for client, number, reply in ((0, 1, 1), (1, 1, 2), (0, 1, 1), (0, 2, 3), (1, 2, 1)):
            self.judge.answer(client, number, reply, is_late=False)
        self.judge.answer(0, 1, LOST, is_late=True)
        self.judge.judge(0, {b"a": b"3", b"b": b"1"})
        self.assertEqual(self.violations, [])

    def found(self) -> str:
        (violation,) = self.violations
        return violation

    def test_two_replies_for_one_number(self) -> None:
        self.judge.answer(0, 1, 1, is_late=False)
        self.judge.answer(0, 1, 2, is_late=True)
        self.assertEqual(self.found(), "Once: number 1 of client 0 is answered with 1, then 2")

    def test_one_reply_for_two_numbers(self) -> None:
        self.judge.answer(0, 1, 1, is_late=False)
        self.judge.answer(1, 1, 1, is_late=False)
        self.assertEqual(self.found(), "Once: (0, 1) and (1, 1) (client, number) are both answered with 1")

    def test_an_error(self) -> None:
        self.judge.answer(0, 1, LOST, is_late=False)
        self.assertIn("number 1 of client 0 is answered with CommandError", self.found())

    def test_another_error(self) -> None:
        self.judge.answer(0, 1, CommandError("NOSESSION it may have run"), is_late=True)
        self.assertEqual(self.violations, [])
        self.judge.answer(0, 1, CommandError("ERR it is wrong"), is_late=True)
        self.assertIn("number 1 of client 0 is answered with CommandError", self.found())

    def test_a_wrong_sum(self) -> None:
        for state in ({b"a": b"4", b"b": b"1"}, {b"a": b"2", b"b": b"1"}, {b"a": b"3"}):
            self.judge.judge(2, state)
            self.assertIn("was counted up under", self.found())
            self.violations.clear()
