"""One timer, which stays where it is as long as it is early enough."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from epaxos.node.alarm import Alarm
from epaxos.service.timeouts import ReactorTimeouts


class AlarmTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.rung: list[float] = []
        self.alarm = Alarm(ReactorTimeouts(self.clock), lambda: self.rung.append(self.clock.seconds()))

    def run_until(self, end: float) -> None:
        while self.clock.seconds() < end:
            self.clock.advance(0.5)

    def test_rings_once(self) -> None:
        self.alarm.set(0.0, 2.0)
        self.run_until(10.0)
        self.assertEqual(self.rung, [2.0])

    def test_a_later_time_leaves_the_timer_where_it_is(self) -> None:
        self.alarm.set(0.0, 2.0)
        (timer,) = self.clock.getDelayedCalls()
        self.alarm.set(0.0, 3.0)
        self.alarm.set(0.0, 5.0)
        self.assertEqual(self.clock.getDelayedCalls(), [timer])
        self.assertEqual(timer.getTime(), 2.0)
        self.run_until(10.0)
        self.assertEqual(self.rung, [5.0])

    def test_an_earlier_time(self) -> None:
        self.alarm.set(0.0, 5.0)
        self.alarm.set(0.0, 1.0)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.run_until(10.0)
        self.assertEqual(self.rung, [1.0])

    def test_again(self) -> None:
        for rings_at in (2.0, 4.0):
            self.alarm.set(self.clock.seconds(), rings_at)
            self.run_until(rings_at)
        self.assertEqual(self.rung, [2.0, 4.0])

    def test_over(self) -> None:
        """Also for a turn that sets it once more behind its end."""
        self.alarm.set(0.0, 2.0)
        self.alarm.end()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.alarm.set(0.0, 1.0)
        self.alarm.end()
        self.assertEqual(self.clock.getDelayedCalls(), [])
