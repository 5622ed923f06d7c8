"""Virtual time, processes that are busy or dead, and the clocks of replicas."""

from __future__ import annotations

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from epaxos.interfaces import ITimeout, ITimeoutService
from epaxos.verify.simulation.clock import SECOND, Process, ReplicaClock, VirtualTime

EVENTS_MAX = 10_000


class Lab(SynchronousTestCase):
    def setUp(self) -> None:
        self.time = VirtualTime()
        self.happened: list[tuple[int, str]] = []

    def note(self, text: str) -> Callable[[], None]:
        return lambda: self.happened.append((self.time.now, text))

    def run_all(self, until: int = SECOND) -> list[tuple[int, str]]:
        """Run everything, and return the events with their times."""
        self.time.run(until, EVENTS_MAX)
        return self.happened


class VirtualTimeTests(Lab):
    def test_in_order_of_time_and_then_of_planning(self) -> None:
        for when, text in ((30, "c"), (10, "a"), (30, "d"), (20, "b")):
            self.time.at(when, self.note(text))
        self.assertEqual(self.run_all(), [(10, "a"), (20, "b"), (30, "c"), (30, "d")])
        self.assertEqual(self.time.now, SECOND)
        self.assertEqual(self.time.happened, 4)

    def test_what_is_late_comes_after_all_else_of_its_instant(self) -> None:
        process = Process(self.time)
        process.at(10, self.note("late"), late=True)
        self.time.at(10, self.note("on time"))
        self.time.at(10, lambda: self.time.after(0, self.note("planned then")))
        self.assertEqual([text for _, text in self.run_all()], ["on time", "planned then", "late"])

    def test_the_past_is_now(self) -> None:
        self.time.at(50, lambda: self.time.at(10, self.note("at once")) and None)
        self.assertEqual(self.run_all(), [(50, "at once")])

    def test_cancelled(self) -> None:
        event = self.time.at(10, self.note("never"))
        event.cancel()
        event.cancel()
        self.assertEqual(self.run_all(), [])

    def test_no_further_than_asked(self) -> None:
        self.time.at(10, self.note("a"))
        self.time.at(11, self.note("b"))
        self.assertEqual(self.run_all(10), [(10, "a")])
        self.assertEqual(self.run_all(11), [(10, "a"), (11, "b")])

    def test_stop(self) -> None:
        self.time.at(10, self.time.stop)
        self.time.at(10, self.note("never"))
        self.assertEqual(self.run_all(), [])
        self.assertEqual(self.time.now, 10)

    def test_what_never_ends_is_stopped(self) -> None:
        def again() -> None:
            self.time.after(0, again)

        again()
        self.time.run(SECOND, 100)
        self.assertEqual((self.time.now, self.time.happened), (0, 100))


class ProcessTests(Lab):
    def test_one_thing_after_the_other(self) -> None:
        process = Process(self.time, cost=100)
        for text in "abc":
            process.at(10, self.note(text))
        self.assertEqual(self.run_all(), [(10, "a"), (110, "b"), (210, "c")])

    def test_what_arrives_at_a_busy_process_waits(self) -> None:
        process = Process(self.time, cost=100)
        process.at(10, self.note("a"))
        self.time.at(50, lambda: process.arrive(self.note("b")))
        self.assertEqual(self.run_all(), [(10, "a"), (110, "b")])

    def test_what_is_late_waits_for_all_that_arrived(self) -> None:
        process = Process(self.time, cost=100)
        process.at(10, self.note("a"))
        process.at(20, self.note("late"), late=True)
        process.at(30, self.note("b"))
        self.assertEqual([text for _, text in self.run_all()], ["a", "b", "late"])

    def test_pause(self) -> None:
        process = Process(self.time)
        process.at(10, lambda: process.pause(500))
        process.at(20, self.note("a"))
        self.assertEqual(self.run_all(), [(510, "a")])

    def test_nothing_happens_in_a_dead_process(self) -> None:
        process = Process(self.time, cost=100)
        process.at(10, process.kill)
        process.at(10, self.note("waits, and then never"))
        process.at(500, self.note("never"))
        self.assertEqual(self.run_all(), [])
        process.arrive(self.note("never"))
        self.assertEqual(self.happened, [])

    def test_cancelled_while_it_waits(self) -> None:
        process = Process(self.time, cost=100)
        process.at(10, self.note("a"))
        event = process.at(20, self.note("never"))
        self.time.at(50, event.cancel)
        process.at(30, self.note("b"))
        self.assertEqual([text for _, text in self.run_all()], ["a", "b"])


class ReplicaClockTests(Lab):
    def setUp(self) -> None:
        super().setUp()
        self.clock = ReplicaClock(Process(self.time), start=5 * SECOND)

    def test_interfaces(self) -> None:
        verifyObject(ITimeoutService, self.clock)
        verifyObject(ITimeout, self.clock.call_later(1.0, lambda: None))
        verifyObject(ITimeout, self.clock.call_later(0, lambda: None))

    def test_tells_time_since_its_start(self) -> None:
        self.time.run(SECOND // 2, EVENTS_MAX)
        self.assertEqual(self.clock.now(), 5.5)

    def test_call_later(self) -> None:
        self.clock.call_later(0.25, self.note("a"))
        never = self.clock.call_later(0.25, self.note("never"))
        never.cancel()
        self.assertEqual(self.run_all(), [(250_000, "a")])
        self.assertRaises(ValueError, self.clock.call_later, -0.1, self.note("never"))

    def test_at_once_means_after_all_that_has_arrived(self) -> None:
        self.time.at(10, lambda: self.clock.call_later(0, self.note("turn")) and None)
        self.time.at(10, self.note("message"))
        self.assertEqual(self.run_all(), [(10, "message"), (10, "turn")])

    def test_rate(self) -> None:
        self.clock.change(rate=200)
        self.clock.call_later(0.5, self.note("a"))
        self.assertEqual(self.run_all(), [(250_000, "a")])
        self.assertEqual(self.clock.now(), 7.0)

    def test_a_change_of_rate_moves_what_is_planned(self) -> None:
        self.clock.call_later(0.5, self.note("a"))
        self.time.at(100_000, lambda: self.clock.change(rate=50))
        self.assertEqual(self.run_all(2 * SECOND), [(900_000, "a")])

    def test_jump(self) -> None:
        self.clock.call_later(0.5, self.note("a"))
        self.clock.call_later(2.5, self.note("b"))
        self.time.at(100_000, lambda: self.clock.change(jump=SECOND))
        self.assertEqual(self.run_all(3 * SECOND), [(100_001, "a"), (1_500_000, "b")])
        self.assertRaises(ValueError, self.clock.change, -1)

    def test_shows_what_is_spent(self) -> None:
        """The clock moves on within a call that takes time, and never goes back after it."""
        process = Process(self.time, cost=50)
        clock = ReplicaClock(process)
        seen: list[tuple[int, int]] = []

        def look() -> None:
            seen.append((self.time.now, round(clock.now() * SECOND)))

        def work() -> None:
            for _ in range(3):
                look()
                process.spend(1000)
            look()

        process.at(10, work)
        process.at(20, look)
        self.time.at(30, look)
        self.time.at(2030, look)
        self.run_all()
        self.assertEqual(
            seen, [(10, 10), (10, 1010), (10, 2010), (10, 3010), (30, 3010), (2030, 3010), (3060, 3060)]
        )

    def test_forgets_what_is_over(self) -> None:
        for _ in range(1000):
            self.clock.call_later(0.5, self.note("never")).cancel()
        self.assertLess(len(self.clock._timeouts), 100)
