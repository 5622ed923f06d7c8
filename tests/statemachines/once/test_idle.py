"""Sessions that nobody uses are ended, mostly by one replica."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import Command, Outcome
from epaxos.statemachines.once.idle import IdleSessions
from tests.statemachines.once.lab import Site

TIMEOUT_S = 100.0


class Timeouts:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.now = clock.seconds

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Any:
        return self.clock.callLater(delay_s, call)


class Clients:
    """Runs what is submitted to the state machine of all."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.check = site.machine.check
        self.submitted: list[Sequence[Command]] = []

    def submit(self, commands: Sequence[Command], done: Callable[[Outcome], None], size_bytes: int) -> None:
        self.submitted.append(commands)
        done(self.site.apply(self.site.machine.batch(commands)))


class IdleTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.site = Site()
        self.site.clock = 0
        self.replicas = [Clients(self.site) for _ in range(3)]
        self.idle = [
            IdleSessions(
                id, self.site.machine.idle, clients, Timeouts(self.clock), self.clock.seconds, TIMEOUT_S  # type: ignore[arg-type]
            )
            for id, clients in enumerate(self.replicas)
        ]  # fmt: skip

    def pass_time(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.advance(1)
            self.site.clock = self.clock.seconds()

    def test_the_lowest_ends_them(self) -> None:
        idle, used = self.site.session(), self.site.session()
        for each in self.idle:
            each.start()
        self.pass_time(90)
        self.site.run(f"EPAXOS ONCE {used} 1 0 INCR a")
        self.pass_time(10)
        self.assertEqual([len(clients.submitted) for clients in self.replicas], [1, 0, 0])
        self.assertEqual(self.site.run(f"EPAXOS ONCE {used} 1 0 INCR a"), [1])
        self.assertIn("NOSESSION", str(self.site.run(f"EPAXOS ONCE {idle} 1 0 INCR a")))

    def test_the_next_ends_them_when_it_is_away(self) -> None:
        self.site.session()
        for each in self.idle[1:]:
            each.start()
        self.pass_time(110)
        self.assertEqual([len(clients.submitted) for clients in self.replicas], [0, 0, 0])
        self.pass_time(40)
        self.assertEqual([len(clients.submitted) for clients in self.replicas], [0, 1, 0])
        self.assertEqual(self.site.machine.idle(10**9, 9), [])

    def test_nothing_after_the_stop(self) -> None:
        self.site.session()
        for each in self.idle:
            each.start()
            each.stop()
            each.stop()
        self.pass_time(300)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(len(self.site.machine.idle(10**9, 9)), 1)
