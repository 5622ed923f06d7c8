"""How the process of a replica ends."""

from __future__ import annotations

import atexit
import signal
import traceback
from collections.abc import Callable
from io import StringIO
from typing import Any

from twisted.internet.error import ReactorNotRunning
from twisted.logger import LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from epaxos.process import Process, StartError


class Reactor:
    """The part of a reactor that decides about the end."""

    def __init__(self, running: bool) -> None:
        self.running = running
        self.stopped = 0
        self.when_running: list[tuple[Any, ...]] = []

    def callWhenRunning(self, call: Callable[..., object], *arguments: object) -> None:
        self.when_running.append((call, *arguments))

    def callFromThread(self, call: Callable[..., object], *arguments: object, **named: object) -> None:
        call(*arguments, **named)

    def start(self) -> None:
        self.running = True
        for call, *arguments in self.when_running:
            call(*arguments)

    def stop(self) -> None:
        self.stopped += 1
        if not self.running:
            raise ReactorNotRunning
        self.running = False


class ProcessTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.stderr = StringIO()
        self.at_exit: list[Callable[[], None]] = []
        self.patch(atexit, "register", self.at_exit.append)
        self.events: list[dict[str, Any]] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)

    def logged(self) -> list[str]:
        return [event["text"] for event in self.events if event["log_level"] is LogLevel.critical]

    def test_a_refusal_ends_twistd_with_one_line_and_status_1(self) -> None:
        error = Process(Reactor(False), self.stderr).refuse("the disk is gone")
        self.assertEqual(self.stderr.getvalue(), "epaxos: the disk is gone\n")
        self.assertEqual(self.logged(), ["the disk is gone"])
        # As twistd sees it: an exception to clean up for, and to tell the parent of a daemon …
        self.assertIsInstance(error, Exception)
        self.assertEqual(
            traceback.format_exception_only(type(error), error),
            ["epaxos.process.StartError: the disk is gone\n"],
        )
        # … and as the interpreter does: the end, with a status that is no text to print.
        self.assertIsInstance(error, SystemExit)
        self.assertEqual(error.code, 1)

    def test_a_failure_stops_the_reactor_and_ends_with_status_1(self) -> None:
        reactor = Reactor(True)
        process = Process(reactor, self.stderr)
        process.fail("the disk is full")
        process.fail("and more")
        self.assertEqual(reactor.stopped, 1)
        self.assertEqual(len(self.at_exit), 1)
        self.assertEqual(self.stderr.getvalue(), "epaxos: the disk is full\nepaxos: and more\n")
        self.assertEqual(self.logged(), ["the disk is full", "and more"])

    def test_a_failure_before_the_reactor_runs(self) -> None:
        reactor = Reactor(False)
        Process(reactor, self.stderr).fail("too soon")
        self.assertEqual(reactor.stopped, 0)
        reactor.start()
        self.assertEqual(reactor.stopped, 1)

    def test_a_failure_while_it_stops(self) -> None:
        reactor = Reactor(True)
        process = Process(reactor, self.stderr)
        reactor.stop()
        reactor.running = True

        def stop() -> None:
            raise ReactorNotRunning

        self.patch(reactor, "stop", stop)
        process.fail("late")
        self.assertEqual(len(self.at_exit), 1)

    def test_sigterm(self) -> None:
        """Twisted's own handler would have the process die of the signal once it has stopped."""
        handlers: dict[int, Callable[..., None]] = {}
        self.patch(signal, "signal", handlers.__setitem__)
        reactor = Reactor(False)
        Process(reactor, self.stderr).end_with_0_on_sigterm()
        self.assertEqual(handlers, {}, "Twisted sets its own first, when the reactor starts")
        reactor.start()
        handlers[signal.SIGTERM](signal.SIGTERM, None)
        handlers[signal.SIGTERM](signal.SIGTERM, None)
        self.assertFalse(reactor.running)
        self.assertEqual(self.at_exit, [])

    def test_start_error_is_raised_through_both(self) -> None:
        with self.assertRaises(SystemExit):
            raise StartError("x")
        with self.assertRaises(Exception):  # noqa: B017  # what twistd catches
            raise StartError("x")
