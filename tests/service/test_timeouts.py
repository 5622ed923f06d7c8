"""The timeout service over the reactor."""

from __future__ import annotations

import time
from collections.abc import Callable

from twisted.internet.base import ReactorBase
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from epaxos.interfaces import ITimeout, ITimeoutService
from epaxos.net.shared_reader import SharedReader
from epaxos.service.timeouts import ReactorTimeouts, use_steady_clock


class TimeoutTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.timeouts = ReactorTimeouts(self.clock)
        self.calls: list[str] = []

    def later(self, delay_s: float, name: str) -> ITimeout:
        return self.timeouts.call_later(delay_s, lambda: self.calls.append(name))

    def test_interfaces(self) -> None:
        self.assertTrue(verifyObject(ITimeoutService, self.timeouts))
        self.assertTrue(verifyObject(ITimeout, self.later(1, "a")))

    def test_calls_come_when_due_and_once(self) -> None:
        for delay_s, name in ((2.0, "late"), (0.0, "now"), (1.0, "soon"), (-5.0, "overdue")):
            self.later(delay_s, name)
        for advance_s, expected in (
            (0.0, ["now", "overdue"]),
            (0.9, ["now", "overdue"]),
            (0.1, ["now", "overdue", "soon"]),
            (1.0, ["now", "overdue", "soon", "late"]),
            (9.0, ["now", "overdue", "soon", "late"]),
        ):
            self.clock.advance(advance_s)
            self.assertEqual(self.calls, expected)

    def test_a_delay_of_zero_never_calls_at_once(self) -> None:
        self.later(0, "a")
        self.assertEqual(self.calls, [])

    def test_now_is_the_clock(self) -> None:
        before = self.timeouts.now()
        self.clock.advance(1.5)
        self.assertEqual(self.timeouts.now() - before, 1.5)

    def test_cancelled_is_not_called(self) -> None:
        timeout = self.later(1, "a")
        timeout.cancel()
        timeout.cancel()
        self.clock.advance(2)
        self.assertEqual(self.calls, [])

    def test_cancel_after_the_call_does_nothing(self) -> None:
        timeout = self.later(1, "a")
        self.clock.advance(1)
        timeout.cancel()
        self.assertEqual(self.calls, ["a"])

    def test_a_call_may_cancel_itself(self) -> None:
        timeouts: list[ITimeout] = []

        def call() -> None:
            timeouts[0].cancel()
            self.calls.append("called")

        timeouts.append(self.timeouts.call_later(1, call))
        self.clock.advance(1)
        self.assertEqual(self.calls, ["called"])

    def test_what_a_call_raises_is_logged_and_others_are_called(self) -> None:
        def broken() -> None:
            raise RuntimeError("broken call")

        self.timeouts.call_later(1, broken)
        self.later(1, "next")
        self.clock.advance(1)
        self.assertEqual(self.calls, ["next"])
        errors = self.flushLoggedErrors(RuntimeError)
        self.assertEqual([str(error.value) for error in errors], ["broken call"])


class Reader(SharedReader):
    """The test says whether it is reading, and what was to be called comes with `hand_over`."""

    def __init__(self) -> None:
        super().__init__()
        self.afterwards: list[Callable[[], None]] = []

    def call_afterwards(self, call: Callable[[], None]) -> None:
        self.afterwards.append(call)

    def hand_over(self) -> None:
        self.is_handing_over = False
        calls, self.afterwards = self.afterwards, []
        for call in calls:
            call()


class WhileItReadsTests(SynchronousTestCase):
    """While the shared reader hands over what has come, what is due comes behind that, not a turn later."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.reader = Reader()
        self.timeouts = ReactorTimeouts(self.clock, self.reader)
        self.calls: list[str] = []

    def later(self, delay_s: float, name: str) -> ITimeout:
        return self.timeouts.call_later(delay_s, lambda: self.calls.append(name))

    def test_interface(self) -> None:
        self.reader.is_handing_over = True
        self.assertTrue(verifyObject(ITimeout, self.later(0, "a")))

    def test_what_is_due(self) -> None:
        """Without the reactor's clock; in order, and once."""
        self.reader.is_handing_over = True
        for delay_s, name in ((0.0, "a"), (-1.0, "b"), (0.0, "c")):
            self.later(delay_s, name)
        self.clock.advance(1)
        self.assertEqual((self.calls, self.clock.getDelayedCalls()), ([], []))
        self.reader.hand_over()
        self.assertEqual(self.calls, ["a", "b", "c"])
        self.reader.hand_over()
        self.clock.advance(1)
        self.assertEqual(self.calls, ["a", "b", "c"])

    def test_what_is_not(self) -> None:
        self.reader.is_handing_over = True
        self.later(0.001, "later")
        self.assertEqual(self.reader.afterwards, [])
        self.reader.hand_over()
        self.assertEqual(self.calls, [])
        self.clock.advance(0.001)
        self.assertEqual(self.calls, ["later"])

    def test_while_it_does_not_read(self) -> None:
        self.later(0, "a")
        self.assertEqual((self.reader.afterwards, len(self.clock.getDelayedCalls())), ([], 1))
        self.clock.advance(0)
        self.assertEqual(self.calls, ["a"])

    def test_cancelled_is_not_called(self) -> None:
        self.reader.is_handing_over = True
        timeouts = [self.later(0, name) for name in "abc"]
        timeouts[1].cancel()
        timeouts[1].cancel()
        self.timeouts.call_later(0, lambda: timeouts[3].cancel())
        timeouts.append(self.later(0, "cancelled by another"))
        self.reader.hand_over()
        self.assertEqual(self.calls, ["a", "c"])
        timeouts[0].cancel()
        self.assertEqual(self.calls, ["a", "c"])

    def test_what_a_call_asks_for(self) -> None:
        """Comes in the next turn."""
        self.reader.is_handing_over = True
        self.timeouts.call_later(0, lambda: self.calls.append(str(self.later(0, "next") is not None)))
        self.reader.hand_over()
        self.assertEqual((self.calls, self.reader.afterwards), (["True"], []))
        self.clock.advance(0)
        self.assertEqual(self.calls, ["True", "next"])

    def test_what_a_call_raises_is_logged_and_others_are_called(self) -> None:
        def broken() -> None:
            raise RuntimeError("broken call")

        self.reader.is_handing_over = True
        self.timeouts.call_later(0, broken)
        self.later(0, "next")
        self.reader.hand_over()
        self.assertEqual(self.calls, ["next"])
        errors = self.flushLoggedErrors(RuntimeError)
        self.assertEqual([str(error.value) for error in errors], ["broken call"])


class SteadyClockTests(SynchronousTestCase):
    def test_the_time_of_day_does_not_matter(self) -> None:
        class QuietReactor(ReactorBase):
            def installWaker(self) -> None:
                """None needed: nothing wakes it."""

        reactor = QuietReactor()
        use_steady_clock(reactor)
        self.patch(time, "time", lambda: 0.0)
        before = time.monotonic()
        calls: list[str] = []
        reactor.callLater(0, calls.append, "due")
        self.assertGreaterEqual(reactor.seconds(), before)
        reactor.runUntilCurrent()
        self.assertEqual(calls, ["due"])


class RealReactorTests(TestCase):
    def test_with_the_real_reactor(self) -> Deferred[None]:
        from twisted.internet import reactor

        done: Deferred[None] = Deferred()
        timeouts = ReactorTimeouts(reactor)
        cancelled = timeouts.call_later(0, lambda: self.fail("was cancelled"))
        timeouts.call_later(0, lambda: done.callback(None))
        cancelled.cancel()
        return done
