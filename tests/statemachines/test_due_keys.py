"""Who proposes to remove due keys, and when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import Command, Outcome, Unavailable
from epaxos.service.timeouts import ReactorTimeouts
from epaxos.statemachines.due_keys import LOOK_EVERY_S, RANK_S, DueKeys


class Parts:
    """A machine, clients and a clock in one; the test answers what is submitted."""

    def __init__(self) -> None:
        self.portions: list[list[Command]] = []
        self.others = 0
        self.is_trusted = True
        self.submitted: list[Sequence[Command]] = []
        self.done: list[Callable[[Outcome], None]] = []

    def is_due(self) -> bool:
        return bool(self.portions)

    def removed(self) -> int:
        return self.others

    def take_due(self) -> list[Command]:
        return self.portions.pop(0)

    def submit(self, commands: Sequence[Command], done: Callable[[Outcome], None], size_bytes: int) -> None:
        self.submitted.append(commands)
        self.done.append(done)


class DueKeysTests(SynchronousTestCase):
    def make(self, rank: int) -> None:
        self.clock = Clock()
        self.parts = Parts()
        parts: Any = self.parts
        self.due_keys = DueKeys(parts, parts, parts, ReactorTimeouts(self.clock), lambda: rank)
        self.due_keys.start()

    def run_for(self, seconds: float) -> None:
        for _ in range(round(seconds * 100)):
            self.clock.advance(0.01)

    def test_the_first_in_line(self) -> None:
        """One batch at a time, and then a rest."""
        self.make(0)
        self.run_for(1)
        self.parts.portions = [[[b"1"]], [[b"2"]], [[b"3"]]]
        self.run_for(LOOK_EVERY_S + 0.01)
        self.assertEqual(self.parts.submitted, [[[b"1"]]])
        self.run_for(1)
        self.assertEqual(len(self.parts.submitted), 1, "the first is not done")
        self.parts.done[0]([1])
        self.run_for(0.4)
        self.assertEqual(len(self.parts.submitted), 1, "others have their time")
        self.run_for(0.2)
        self.parts.done[1]([1])
        self.run_for(0.3)
        self.assertEqual(self.parts.submitted, [[[b"1"]], [[b"2"]], [[b"3"]]])

    def test_a_refusal(self) -> None:
        self.make(0)
        self.parts.portions = [[[b"1"]], [[b"2"]]]
        self.run_for(LOOK_EVERY_S + 0.01)
        self.parts.done[0](Unavailable("", False))
        self.run_for(LOOK_EVERY_S - 0.02)
        self.assertEqual(len(self.parts.submitted), 1)
        self.run_for(0.03)
        self.assertEqual(len(self.parts.submitted), 2)

    def test_others_wait_while_keys_go(self) -> None:
        self.make(2)
        self.parts.portions = [[[b"1"]]]
        for _ in range(5):
            self.run_for(2 * RANK_S - LOOK_EVERY_S)
            self.parts.others += 1
        self.assertEqual(self.parts.submitted, [])
        self.run_for(2 * RANK_S + 2 * LOOK_EVERY_S)
        self.assertEqual(self.parts.submitted, [[[b"1"]]])

    def test_others_wait_anew_when_nothing_was_due(self) -> None:
        self.make(1)
        self.parts.portions = [[[b"1"]]]
        self.run_for(RANK_S - LOOK_EVERY_S)
        self.parts.portions.clear()
        self.run_for(10)
        self.parts.portions = [[[b"2"]]]
        self.run_for(RANK_S - LOOK_EVERY_S)
        self.assertEqual(self.parts.submitted, [])

    def test_a_clock_that_may_be_wrong(self) -> None:
        self.make(0)
        self.parts.is_trusted = False
        self.parts.portions = [[[b"1"]]]
        self.run_for(100)
        self.assertEqual(self.parts.submitted, [])
        self.parts.is_trusted = True
        self.run_for(1)
        self.assertEqual(len(self.parts.submitted), 1)

    def test_the_end(self) -> None:
        self.make(0)
        self.parts.portions = [[[b"1"]], [[b"2"]]]
        self.run_for(1)
        self.due_keys.stop()
        self.parts.done[0]([1])
        self.run_for(10)
        self.assertEqual((len(self.parts.submitted), self.clock.getDelayedCalls()), (1, []))
