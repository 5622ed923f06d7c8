"""Which connections are ended because nothing happens on them."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from epaxos.resp.patience import LEAVE_S, Patience


class Connection:
    def __init__(self, is_leaving: bool = False) -> None:
        self.was_active = False
        self.quiet_since = 0.0
        self.is_leaving = is_leaving
        self.awaits_answer = False
        self.ended = 0

    def take_activity(self) -> bool:
        was_active, self.was_active = self.was_active or self.awaits_answer, False
        return was_active

    def on_impatience(self) -> None:
        self.ended += 1


class PatienceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()

    def wait(self, seconds: float) -> None:
        self.clock.pump([0.1] * round(10 * seconds))

    def test_idle(self) -> None:
        """After the time, and soon; unless something happens, or the client waits."""
        for timeout_s in (1, 60, 3600):
            patience = Patience(self.clock, timeout_s)
            idle, active, waiting = Connection(), Connection(), Connection()
            for connection in (idle, active, waiting):
                patience.on_connected(connection)
            waiting.awaits_answer = True
            for _ in range(8):
                self.wait(timeout_s / 8.5)
                active.was_active = True
            self.assertEqual(idle.ended, 0)
            self.wait(timeout_s / 2)
            self.assertGreater(idle.ended, 0)
            self.assertEqual((active.ended, waiting.ended), (0, 0))
            waiting.awaits_answer = False
            self.wait(timeout_s * 0.7)
            self.assertEqual(waiting.ended, 0)
            self.wait(timeout_s * 0.8)
            self.assertGreater(waiting.ended, 0)
            for connection in (idle, active, waiting):
                patience.on_lost(connection)
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_off(self) -> None:
        """No timer, and nobody is looked at."""
        patience = Patience(self.clock, 0)
        patience.on_connected(Connection())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_leaving(self) -> None:
        """Whether idle clients are kept or not."""
        for timeout_s in (0, 1, 3600):
            patience = Patience(self.clock, timeout_s)
            leaving, other = Connection(True), Connection(True)
            for connection in (leaving, other):
                patience.watch(connection)
            patience.watch(leaving)
            self.wait(LEAVE_S - 1)
            other.was_active = True
            self.assertEqual(leaving.ended, 0)
            self.wait(LEAVE_S / 4)
            self.assertGreater(leaving.ended, 0)
            self.assertEqual(other.ended, 0)
            patience.on_lost(leaving)
            self.assertEqual(len(self.clock.getDelayedCalls()), 1)
            patience.on_lost(other)
            patience.on_lost(other)
            self.assertEqual(self.clock.getDelayedCalls(), [])
