"""How the process of a replica ends."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import traceback
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

from twisted.internet.error import ReactorNotRunning
from twisted.logger import LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from epaxos.service.exit_status import (
    FAIL_S_MAX,
    FAILED,
    OUTDATED,
    REMOVED,
    STOP_S_MAX,
    WRONG_DATA,
    Process,
    StartError,
)
from epaxos.service.log_file import ReplicaLog


class Reactor:
    """The part of a reactor that decides about the end."""

    def __init__(self, running: bool) -> None:
        self.running = running
        self.stopped = 0
        self.triggers: list[tuple[Any, ...]] = []
        self.when_running: list[tuple[Any, ...]] = []
        self._exitSignal: int | None = None

    def callWhenRunning(self, call: Callable[..., object], *arguments: object) -> None:
        self.when_running.append((call, *arguments))

    def callFromThread(self, call: Callable[..., object], *arguments: object, **named: object) -> None:
        call(*arguments, **named)

    def addSystemEventTrigger(self, *trigger: Any) -> None:
        self.triggers.append(trigger)

    def sigInt(self, number: int, frame: object) -> None:
        raise AssertionError("it is replaced")

    def start(self) -> None:
        self.running = True
        for call, *arguments in self.when_running:
            call(*arguments)

    def stop(self) -> None:
        self.stopped += 1
        if not self.running:
            raise ReactorNotRunning
        self.running = False


class Broken(StringIO):
    """A stream that cannot be written."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")

    def flush(self) -> None:
        raise BrokenPipeError(32, "Broken pipe")


class ProcessTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.stderr = StringIO()
        self.at_exit: list[Callable[[], None]] = []
        self.patch(atexit, "register", self.at_exit.append)
        self.ended: list[int] = []
        self.patch(os, "_exit", self.ended.append)
        self.handlers: dict[int, Any] = {}
        self.patch(signal, "signal", self.handlers.__setitem__)
        self.patch(signal, "getsignal", self.handlers.get)
        self.deadlines: list[float] = []
        self.events: list[dict[str, Any]] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)

    def process(self, reactor: Reactor, stderr: Any = None) -> Process:
        return Process(reactor, self.stderr if stderr is None else stderr, self.deadlines.append)

    def logged(self, level: Any = LogLevel.critical) -> list[str]:
        key = "text" if level is LogLevel.critical else "line"
        return [event[key] for event in self.events if event["log_level"] is level and key in event]

    def exit_status(self) -> int:
        """What the interpreter's last step makes it."""
        for call in self.at_exit:
            call()
        (status,) = self.ended
        return status

    def test_a_refusal_ends_twistd_with_one_line_and_status_1(self) -> None:
        error = self.process(Reactor(False)).refuse("the disk is gone")
        self.assertEqual(self.stderr.getvalue(), "epaxos: the disk is gone\n")
        self.assertEqual(self.logged(), ["the disk is gone"])
        # As twistd sees it: an exception to clean up for, and to tell the parent of a daemon …
        self.assertIsInstance(error, Exception)
        self.assertEqual(
            traceback.format_exception_only(type(error), error),
            ["epaxos.service.exit_status.StartError: the disk is gone\n"],
        )
        # … and as the interpreter does: the end, with a status that is no text to print.
        self.assertIsInstance(error, SystemExit)
        self.assertEqual(error.code, 1)
        self.assertEqual((self.exit_status(), self.deadlines), (1, [FAIL_S_MAX]))

    def test_data_that_is_wrong_ends_with_status_3(self) -> None:
        """Also when an ordinary failure comes before or behind, and when it cannot start."""
        for statuses in ((WRONG_DATA,), (FAILED, WRONG_DATA), (WRONG_DATA, FAILED)):
            process = self.process(Reactor(True))
            for status in statuses:
                process.fail(f"status {status}", status)
            self.assertEqual(self.exit_status(), WRONG_DATA)
            self.at_exit.clear()
            self.ended.clear()
        error = self.process(Reactor(False)).refuse("it is another's", WRONG_DATA)
        self.assertEqual((error.code, self.exit_status()), (WRONG_DATA, WRONG_DATA))

    def test_a_failure_stops_the_reactor_and_ends_with_status_1(self) -> None:
        reactor = Reactor(True)
        process = self.process(reactor)
        for text in ("the disk is full", "and more", "the disk is full"):
            process.fail(text)
        self.assertFalse(reactor.running)
        self.assertEqual(self.stderr.getvalue(), "epaxos: the disk is full\nepaxos: and more\n")
        self.assertEqual(self.logged(), ["the disk is full", "and more"])
        self.assertEqual((self.exit_status(), self.deadlines[0]), (1, FAIL_S_MAX))

    def test_whatever_happens_while_it_says_why(self) -> None:
        """The end is decided before."""

        class Worse(Broken):
            def write(self, text: str) -> int:
                raise SystemError("an interpreter in pieces")

        closed = StringIO()
        closed.close()

        def observer(event: dict[str, Any]) -> None:
            raise OSError(28, "No space left on device")

        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        for stderr in (Broken(), Worse(), closed):
            reactor = Reactor(True)
            self.process(reactor, stderr).fail("the disk is full")
            self.assertFalse(reactor.running)
            self.patch(sys, "stdout", None)
            self.assertEqual(self.exit_status(), 1)
            self.at_exit.clear()
            self.ended.clear()
            self.assertIsInstance(self.process(Reactor(False), stderr).refuse("no"), StartError)
            self.assertEqual(self.exit_status(), 1)
            self.at_exit.clear()
            self.ended.clear()
        self.flushLoggedErrors(OSError)

    def test_the_end_is_decided_before_it_is_said(self) -> None:
        """What says why may block for ever: by then the reactor has stopped and the timer runs."""
        reactor = Reactor(True)
        seen: list[tuple[bool, list[float], int]] = []

        class Watched(StringIO):
            def write(watched, text: str) -> int:
                seen.append((reactor.running, list(self.deadlines), len(self.at_exit)))
                return 0

        self.process(reactor, Watched()).fail("the disk is full")
        self.assertEqual(seen[0], (False, [FAIL_S_MAX], 1))

    def test_a_failure_before_the_reactor_runs(self) -> None:
        reactor = Reactor(False)
        self.process(reactor).fail("too soon")
        self.assertEqual(reactor.stopped, 0)
        reactor.start()
        self.assertEqual(reactor.stopped, 1)

    def test_a_failure_while_it_stops(self) -> None:
        """Also one after SIGTERM is a failure."""
        reactor = Reactor(True)
        process = self.process(reactor)
        process.take_signals(None)
        self.handlers[signal.SIGTERM](signal.SIGTERM, None)
        reactor.running = True

        def stop() -> None:
            raise ReactorNotRunning

        self.patch(reactor, "stop", stop)
        process.fail("late")
        self.assertEqual(self.exit_status(), 1)

    def test_sigterm(self) -> None:
        """Twisted's own handler, set when the reactor starts, would have the process die of the signal
        once it has stopped.  A second signal may come at any time, also when nothing handles it."""
        reactor = Reactor(False)
        self.process(reactor).take_signals(None)
        self.handlers[signal.SIGTERM] = "Twisted's"
        reactor.start()
        self.handlers[signal.SIGTERM](signal.SIGTERM, None)
        self.assertFalse(reactor.running)
        self.handlers[signal.SIGTERM](signal.SIGTERM, None)
        self.assertEqual(reactor.stopped, 1)
        self.assertEqual(self.logged(LogLevel.info), ["SIGTERM: stopping"])
        self.patch(sys, "stdout", Broken())
        self.assertEqual(self.exit_status(), 0)

    def test_sigint(self) -> None:
        """The process is to die of it after the stop; a signal that comes later makes no difference."""
        reactor = Reactor(False)
        self.process(reactor).take_signals(None)
        self.handlers[signal.SIGINT] = reactor.sigInt
        reactor.start()
        self.handlers[signal.SIGINT](signal.SIGINT, None)
        self.assertFalse(reactor.running)
        self.assertEqual(reactor._exitSignal, signal.SIGINT)
        for number in (signal.SIGINT, signal.SIGTERM):
            self.handlers[number](number, None)
        self.assertEqual(reactor.stopped, 1)
        self.assertEqual(self.logged(LogLevel.info), ["SIGINT: stopping"])
        self.assertEqual(self.at_exit, [])

    def test_sigint_after_sigterm(self) -> None:
        reactor = Reactor(False)
        self.process(reactor).take_signals(None)
        self.handlers[signal.SIGINT] = reactor.sigInt
        reactor.start()
        self.handlers[signal.SIGTERM](signal.SIGTERM, None)
        self.handlers[signal.SIGINT](signal.SIGINT, None)
        self.assertEqual(reactor.stopped, 1)
        self.assertEqual((self.exit_status(), reactor._exitSignal), (0, None))

    def test_a_handler_of_sigint_that_is_not_twisteds_stays(self) -> None:
        reactor = Reactor(False)
        process = self.process(reactor)
        process.take_signals(None)
        self.handlers[signal.SIGINT] = "a debugger's"
        reactor.start()
        process.fail("the disk is full")
        self.assertEqual(self.handlers[signal.SIGINT], "a debugger's")

    def test_sigterm_before_the_reactor_runs(self) -> None:
        reactor = Reactor(False)
        self.process(reactor).take_signals(None)
        calls: list[tuple[Any, ...]] = []
        self.patch(reactor, "callFromThread", lambda *call: calls.append(call))
        self.handlers[signal.SIGTERM](signal.SIGTERM, None)
        self.handlers[signal.SIGTERM] = "Twisted's"
        reactor.start()
        waiting = len(calls)
        self.handlers[signal.SIGTERM](signal.SIGTERM, None)
        self.assertEqual(len(calls), waiting)
        for call, *arguments in calls:
            call(*arguments)
        self.assertFalse(reactor.running)
        self.assertEqual(self.exit_status(), 0)

    def test_sigterm_after_a_failure(self) -> None:
        reactor = Reactor(True)
        process = self.process(reactor)
        process.take_signals(None)
        process.fail("the disk is full")
        self.handlers[signal.SIGTERM](signal.SIGTERM, None)
        self.assertEqual((reactor.stopped, self.exit_status()), (1, 1))

    def test_a_stop_is_bounded(self) -> None:
        """Whoever asked for it; the service manager would kill it a little later."""
        reactor = Reactor(False)
        self.process(reactor).take_signals(None)
        ((phase, event, call, *arguments),) = reactor.triggers
        self.assertEqual((phase, event), ("before", "shutdown"))
        call(*arguments)
        self.assertEqual(self.deadlines, [STOP_S_MAX])
        unit = (Path(__file__).parents[2] / "conf/epaxos@.service").read_text()
        self.assertLess(STOP_S_MAX + 1, int(unit.partition("TimeoutStopSec=")[2].split()[0]))

    def test_what_the_unit_does_not_start_again(self) -> None:
        """No restart helps a replica with the wrong data, or one that is no member any more."""
        unit = (Path(__file__).parents[2] / "conf/epaxos@.service").read_text()
        statuses = unit.partition("RestartPreventExitStatus=")[2].splitlines()[0].split()
        self.assertEqual(statuses, [str(WRONG_DATA), str(REMOVED), str(OUTDATED)])
        lines = [line for line in unit.splitlines() if line.startswith("ExecStart")]
        self.assertEqual(len([line for line in lines if " $EPAXOS_OPTIONS" in line]), 2)

    def test_signals_about_the_log(self) -> None:
        log = ReplicaLog("x.log")
        process = self.process(Reactor(True))
        process.take_signals(None)
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            self.handlers[number](number, None)
        said = self.logged(LogLevel.info)
        self.assertIn("no file", said[0])
        self.assertEqual([line.partition(":")[0] for line in said], ["SIGHUP", "SIGUSR1", "SIGUSR2"])
        self.events.clear()

        def reopen() -> None:
            raise OSError(28, "No space left on device")

        self.patch(log, "reopen", reopen)
        process.take_signals(log)
        self.handlers[signal.SIGHUP](signal.SIGHUP, None)
        self.assertIn(": No space left on device", self.logged(LogLevel.info)[0])

    def test_start_error_is_raised_through_both(self) -> None:
        with self.assertRaises(SystemExit):
            raise StartError("x")
        with self.assertRaises(Exception):  # noqa: B017  # what twistd catches
            raise StartError("x")
