"""Who proposes which keys go, and when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import Command, Outcome, Unavailable
from epaxos.service.timeouts import ReactorTimeouts
from epaxos.statemachines.evictions import LOOK_EVERY_S, RANK_S, Evictions


class Parts:
    """A bound and clients in one; the test answers what is submitted."""

    def __init__(self) -> None:
        self.over = 0
        self.others = 0
        self.is_full = False
        self.looks = 0
        self.submitted: list[Sequence[Command]] = []
        self.done: list[Callable[[Outcome], None]] = []

    def measure(self) -> None:
        self.looks += 1

    def is_over(self) -> bool:
        return self.over > 0

    def evicted(self) -> int:
        return self.others

    def take_evictions(self) -> list[Command]:
        return [[b"%d" % self.over]] if self.over else []

    def submit(self, commands: Sequence[Command], done: Callable[[Outcome], None], size_bytes: int) -> None:
        self.submitted.append(commands)
        self.done.append(done)


class EvictionsTests(SynchronousTestCase):
    def make(self, rank: int) -> None:
        self.clock = Clock()
        self.parts = Parts()
        self.changes = 0
        parts: Any = self.parts
        self.evictions = Evictions(parts, parts, ReactorTimeouts(self.clock), lambda: rank, self.change)
        self.evictions.start()

    def change(self) -> None:
        self.changes += 1

    def run_for(self, seconds: float) -> None:
        for _ in range(round(seconds * 100)):
            self.clock.advance(0.01)

    def test_the_first_in_line(self) -> None:
        """At once, one batch at a time, and the next right behind it."""
        self.make(0)
        self.run_for(1)
        self.assertEqual(self.parts.submitted, [])
        self.assertGreater(self.parts.looks, 15)
        self.parts.over = 2
        self.run_for(LOOK_EVERY_S + 0.01)
        self.assertEqual(self.parts.submitted, [[[b"2"]]])
        self.run_for(1)
        self.assertEqual(len(self.parts.submitted), 1, "the first is not done")
        self.parts.over = 1
        self.parts.done[0]([1])
        self.assertEqual(self.parts.submitted, [[[b"2"]], [[b"1"]]])
        self.parts.over = 0
        self.parts.done[1]([1])
        self.run_for(1)
        self.assertEqual(len(self.parts.submitted), 2)

    def test_a_refusal(self) -> None:
        """It comes again with the next look."""
        self.make(0)
        self.parts.over = 1
        self.run_for(LOOK_EVERY_S + 0.01)
        self.parts.done[0](Unavailable("", False))
        self.assertEqual(len(self.parts.submitted), 1)
        self.run_for(LOOK_EVERY_S + 0.01)
        self.assertEqual(len(self.parts.submitted), 2)

    def test_others_wait_while_keys_go(self) -> None:
        self.make(2)
        self.parts.over = 1
        for _ in range(5):
            self.run_for(2 * RANK_S - 0.1)
            self.parts.others += 1
        self.assertEqual(self.parts.submitted, [])
        self.run_for(2 * RANK_S + 0.1)
        self.assertEqual(len(self.parts.submitted), 1)

    def test_what_is_refused_has_changed(self) -> None:
        self.make(0)
        for is_full, changes in ((False, 0), (True, 1), (True, 1), (False, 2)):
            self.parts.is_full = is_full
            self.run_for(0.2)
            self.assertEqual(self.changes, changes)

    def test_a_stop(self) -> None:
        self.make(0)
        self.evictions.stop()
        self.parts.over = 1
        self.run_for(1)
        self.assertEqual((self.parts.looks, self.parts.submitted), (0, []))
