"""Steps of several writers, by turns."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from epaxos.resp.writers import TURN_S, Writers


class Work:
    """Writes `steps` steps, each of which takes `step_s`."""

    def __init__(self, test: WriterTests, name: str, steps: int, step_s: float = 0.0) -> None:
        self.is_writing = False
        self.test = test
        self.name = name
        self.steps = steps
        self.step_s = step_s
        self.abandoned = 0

    def write_step(self) -> bool:
        self.test.done.append(self.name)
        self.test.clock.rightNow += self.step_s
        if self.step_s and self.name == "c":
            self.test.clock.callLater(0, self.test.done.append, "|")
        self.steps -= 1
        if self.steps < -10:
            raise ValueError("a bug")
        return self.steps > 0

    def abandon(self) -> None:
        self.abandoned += 1


class WriterTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.writers = Writers(self.clock)
        self.done: list[str] = []

    def test_by_turns(self) -> None:
        for writer in (Work(self, "a", 3), Work(self, "b", 1), Work(self, "c", 2)):
            self.writers.add(writer)
            self.writers.add(writer)
        self.assertEqual(self.done, [])
        self.clock.advance(0)
        self.assertEqual("".join(self.done), "abcaca")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_the_event_loop_gets_its_turn(self) -> None:
        """What else is due comes between two turns."""
        for name in "abc":
            self.writers.add(Work(self, name, 4, TURN_S * 0.4))
        self.clock.advance(0)
        self.assertEqual("".join(self.done), "abc|abc|abc|abc|")

    def test_again(self) -> None:
        """One that was done comes back, also in the middle of a turn."""
        first, second = Work(self, "a", 1), Work(self, "b", 1)
        self.writers.add(first)
        self.clock.advance(0)
        self.writers.add(second)
        self.writers.add(first)
        self.clock.advance(0)
        self.assertEqual("".join(self.done), "aba")
        self.assertFalse(first.is_writing or second.is_writing)

    def test_a_bug_costs_the_one_that_has_it(self) -> None:
        broken, fine = Work(self, "a", -20), Work(self, "b", 2)
        self.writers.add(broken)
        self.writers.add(fine)
        self.clock.advance(0)
        self.assertEqual(("".join(self.done), broken.abandoned, fine.abandoned), ("abb", 1, 0))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
