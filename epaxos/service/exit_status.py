"""How the process of a replica ends, and with which exit status: 0 when it was told to, 1 when it failed.

twistd has a status for neither: a service that fails makes no difference to it, and after SIGTERM it
dies of that signal once more, however cleanly it had stopped.

A replica that must stop stops, whatever happens while it says why: stderr may be a broken pipe, the
disk of the log full, a stop may wait for a disk that hangs.  So the end is decided first, then said,
and a timer that needs no thread of Python's ends what has not ended by then.
"""

from __future__ import annotations

import atexit
import faulthandler
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from threading import Timer
from typing import Any, TextIO

from twisted.internet.error import ReactorNotRunning
from twisted.logger import Logger

from epaxos.service.log_file import ReplicaLog

__all__ = ["FAIL_S_MAX", "STOP_S_MAX", "Process", "StartError", "make_streams_usable"]

FAIL_S_MAX = 10.0
"""A replica that failed has ended after this time, even if its disk or its stderr hangs."""
STOP_S_MAX = 25.0
"""So has one that was told to stop; less than TimeoutStopSec in conf/epaxos@.service, because a service
manager that kills it says less."""
_SPARE_S = 1.0
"""The second timer is that much later than the first, which says why the process ends."""


def make_streams_usable() -> None:
    """Let everything be printed, and nothing of ours become a standard stream.

    A character that the encoding of the stream does not have is escaped, because a UnicodeEncodeError
    would replace the line that it is in.  A descriptor from 0 to 2 that is closed is opened on
    /dev/null, because the next file that is opened would otherwise get what is meant for people.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, which is this one
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            stream = open(os.devnull, "w")  # noqa: SIM115  # for the life of the process
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
        with suppress(Exception):  # a test runner's stream cannot be changed
            stream.reconfigure(errors="backslashreplace")


class StartError(SystemExit, Exception):
    """The replica cannot start; the text is for people, one line.

    An Exception, so that twistd removes its pid file and tells the process that waits for the daemon;
    a SystemExit, so that the interpreter then ends with status 1 and no traceback.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.code = 1


class _Deadline:
    """Ends the process with status 1 at a time, whatever its threads are doing then."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._seconds: float | None = None

    def __call__(self, seconds: float) -> None:
        """Set it, unless one that is as early was set before."""
        if self._seconds is not None and self._seconds <= seconds:
            return
        self._seconds = seconds
        with suppress(Exception):  # no thread can be started any more: the other timer may still be
            timer = Timer(seconds, self._end)
            timer.daemon = True
            timer.start()
        with suppress(Exception):
            # In C, without the interpreter lock: it ends also what says why and is blocked by that.
            null = os.open(os.devnull, os.O_WRONLY)
            faulthandler.dump_traceback_later(seconds + _SPARE_S, exit=True, file=null)

    def _end(self) -> None:
        self._say(f"it has not stopped within {self._seconds:g} s: it is ended")
        os._exit(1)


class Process:
    """The process that runs a replica under twistd.

    `end_within(seconds)` ends the process after that time, if it is still there.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        stderr: TextIO | None = None,
        end_within: Callable[[float], None] | None = None,
    ) -> None:
        self._reactor = reactor
        self._stderr = sys.__stderr__ if stderr is None else stderr  # twistd has sys.stderr go to the log
        self._end_within = _Deadline(self._say) if end_within is None else end_within
        self._status: int | None = None
        self._failures: set[str] = set()

    # -- signals

    def take_signals(self, log: ReplicaLog | None) -> None:
        """Stop on SIGTERM, with status 0; SIGHUP and SIGUSR1 are about the file of the log, if there is
        one; none of the three, nor SIGUSR2, kills.

        SIGTERM is taken again when the reactor runs, because Twisted sets a handler of its own just
        before, after which the process would die of the signal.
        """
        self._reactor.addSystemEventTrigger("before", "shutdown", self._end_within, STOP_S_MAX)
        self._take_sigterm()
        self._reactor.callWhenRunning(self._take_sigterm)
        reopened = rotated = None
        if log is not None:
            reopened = ("the file of the log is opened again", log.reopen)
            rotated = ("the next file of the log is begun", log.rotate)
        self._take(signal.SIGHUP, reopened or ("there is no file of the log to open again", None))
        self._take(signal.SIGUSR1, rotated or ("there is no file of the log to begin anew", None))
        self._take(signal.SIGUSR2, ("it has no meaning here", None))

    def _take_sigterm(self) -> None:
        told = self._status is not None
        signal.signal(signal.SIGTERM, signal.SIG_IGN if told else self._on_sigterm)

    def _on_sigterm(self, *_: object) -> None:
        self._end_with(0)
        self._reactor.callFromThread(self._stop)
        self._reactor.callFromThread(self._inform, "SIGTERM: stopping")

    def _take(self, number: signal.Signals, what: tuple[str, Callable[[], object] | None]) -> None:
        text, act = what
        line = f"{number.name}: {text}"
        signal.signal(number, lambda *_: self._reactor.callFromThread(self._on_signal, line, act))

    def _on_signal(self, line: str, act: Callable[[], object] | None) -> None:
        try:
            if act is not None:
                act()
        except OSError as error:
            line = f"{line}: {error.strerror}"
        self._inform(line)

    def _inform(self, line: str) -> None:
        self._log.info("{line}", line=line)

    # -- the end

    def refuse(self, text: str) -> StartError:
        """Say why the replica cannot start.  The result is to be raised out of `startService`."""
        self._end_with(1)
        self._end_within(FAIL_S_MAX)
        self._say(text)
        return StartError(text)

    def fail(self, text: str) -> None:
        """Stop the replica, end with status 1 within FAIL_S_MAX, and say why it cannot go on.

        May be called again: what was said is not repeated.
        """
        self._end_with(1)
        self._end_within(FAIL_S_MAX)
        if self._reactor.running:
            self._stop()
        else:
            self._reactor.callWhenRunning(self._stop)
        if text not in self._failures:
            self._failures.add(text)
            self._say(text)

    def _end_with(self, status: int) -> None:
        """The highest status that was asked for counts; from now on SIGTERM makes no difference.

        It is the interpreter's own last step, the one thing of ours that runs after twistd's last; the
        interpreter alone would make another status of a stdout that cannot be written.
        """
        if self._status is None:
            atexit.register(self._exit)
            self._status = status
            with suppress(ValueError):  # only the main thread may
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self._status = max(self._status, status)

    def _exit(self) -> None:
        assert self._status is not None
        for stream in (sys.stdout, sys.__stdout__, self._stderr):
            with suppress(Exception):
                assert stream is not None
                stream.flush()
        os._exit(self._status)

    def _say(self, text: str) -> None:
        """Whatever is wrong with the log or with stderr."""
        with suppress(Exception):
            self._log.critical("{text}", text=text)
        with suppress(Exception):
            if self._stderr is not None:
                print(f"epaxos: {text}", file=self._stderr, flush=True)

    def _stop(self) -> None:
        try:
            self._reactor.stop()
        except ReactorNotRunning:
            """It is stopping."""
