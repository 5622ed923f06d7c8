"""How the process of a replica ends, and with which exit status: 0 if it was told to stop, 1 if it failed,
3 if its data is not that of this replica, so that a restart does not help, 4 if it is no member any more,
5 if the program is too old for the cluster.

twistd has neither status: a service that fails makes no difference to it, and after SIGTERM it dies of that
signal once more, however cleanly it had stopped.

A replica that must stop does stop, whatever happens while it says why: stderr may be a broken pipe, the
disk of the log full, and a stop may wait for a disk that hangs.  So the end is decided first and said
afterwards, and a timer that needs no Python thread ends a process that is still there.
"""

from __future__ import annotations

import atexit
import faulthandler
import os
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from threading import Timer
from typing import Any, TextIO

from twisted.internet.error import ReactorNotRunning
from twisted.logger import Logger

from epaxos.service.log_file import ReplicaLog

__all__ = [
    "FAILED",
    "FAIL_S_MAX",
    "OUTDATED",
    "REMOVED",
    "STOP_S_MAX",
    "WRONG_DATA",
    "Process",
    "StartError",
]

FAILED = 1
"""The exit status of a replica that could not start or could not go on."""
WRONG_DATA = 3
"""The exit status of a replica whose data is damaged, lost, a copy, or of another replica or cluster.  No
restart helps: RestartPreventExitStatus in conf/epaxos@.service."""
REMOVED = 4
"""The exit status of a replica that is no member of its cluster any more, or can never become one, and that
nobody needs."""
OUTDATED = 5
"""The exit status of a replica whose program is too old for its cluster, or for its data.  It has to be
upgraded; no restart helps before."""
FAIL_S_MAX = 10.0
"""The longest time, in seconds, until a replica that failed has ended, even if its disk or stderr hangs."""
STOP_S_MAX = 25.0
"""The longest time, in seconds, until a replica that was told to stop has ended.  It is less than
TimeoutStopSec in conf/epaxos@.service, because a service manager that kills it says less."""
_SPARE_S = 1.0
"""The seconds from the first timer, which says why the process ends, to the second one."""


def _both(first: Callable[[], object], second: Callable[[], object]) -> None:
    """Call both, whatever the first one raises; it raises that, too."""
    try:
        first()
    finally:
        second()


def _do_nothing(*_: object) -> None:
    """The handler of a signal once the end is decided.

    With SIG_IGN, Python would print a traceback about a signal that arrived just before.
    """


class StartError(SystemExit, Exception):
    """The replica cannot start; the text is one line for people.

    It is an Exception, so that twistd removes its pid file and tells the process that waits for the
    daemon, and a SystemExit, so that the interpreter then ends with `status` and no traceback.
    """

    def __init__(self, text: str, status: int = FAILED) -> None:
        super().__init__(text)
        self.code = status


class _Deadline:
    """Ends the process with a status after a time, whatever its threads are doing then."""

    def __init__(self, say: Callable[[str], None], status: Callable[[], int]) -> None:
        self._say = say
        self._status = status
        self._seconds: float | None = None

    def __call__(self, seconds: float) -> None:
        """Set the deadline, unless one that is as early was set before."""
        if self._seconds is not None and self._seconds <= seconds:
            return
        self._seconds = seconds
        with suppress(Exception):  # when no thread can be started any more, the other timer may still work
            timer = Timer(seconds, self._end)
            timer.daemon = True
            timer.start()
        with suppress(Exception):
            # It runs in C, without the interpreter lock, so it also ends a process whose first timer is
            # blocked while it says why.
            null = os.open(os.devnull, os.O_WRONLY)
            faulthandler.dump_traceback_later(seconds + _SPARE_S, exit=True, file=null)

    def _end(self) -> None:
        self._say(f"it has not stopped within {self._seconds:g} s: it is ended")
        os._exit(self._status())


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
        self._end_within = _Deadline(self._say, self._failed) if end_within is None else end_within
        self._status: int | None = None
        self._ends = [signal.SIGTERM]
        self._failures: set[str] = set()

    # -- signals

    def take_signals(
        self,
        log: ReplicaLog | None,
        reloading: Callable[[], AbstractContextManager[None]] = nullcontext,
        reload: Callable[[], None] = _do_nothing,
    ) -> None:
        """Stop on SIGTERM, with status 0, and on SIGINT, by that signal.  The first of the two decides.

        SIGHUP and SIGUSR1 are about the file of the log, if there is one; they do not end the process, and
        neither does SIGUSR2.  SIGHUP calls `reload()`, too.  What it does is done within `reloading()`.

        Twisted sets handlers of its own just before the reactor runs, so they are replaced after that.
        After Twisted's handler of SIGTERM the process would die of the signal; its handler of SIGINT logs
        a traceback when the reactor has been told to stop before.
        """
        self._reactor.addSystemEventTrigger("before", "shutdown", self._end_within, STOP_S_MAX)
        self._take_sigterm()
        self._reactor.callWhenRunning(self._take_sigterm)
        self._reactor.callWhenRunning(self._take_sigint)
        reopened = rotated = None
        if log is not None:
            reopened = ("the file of the log is opened again", log.reopen)
            rotated = ("the next file of the log is begun", log.rotate)
        text, reopen = reopened or ("there is no file of the log to open again", _do_nothing)
        self._take(signal.SIGHUP, (text, partial(_both, reopen, reload)), reloading)
        self._take(signal.SIGUSR1, rotated or ("there is no file of the log to begin anew", None))
        self._take(signal.SIGUSR2, ("it has no meaning here", None))

    def _take_sigterm(self) -> None:
        is_decided = self._status is not None
        signal.signal(signal.SIGTERM, _do_nothing if is_decided else self._on_sigterm)

    def _take_sigint(self) -> None:
        """Replace Twisted's handler; another one, such as that of a debugger, stays."""
        if signal.getsignal(signal.SIGINT) == self._reactor.sigInt:
            self._ends.append(signal.SIGINT)
            is_decided = self._status is not None
            signal.signal(signal.SIGINT, _do_nothing if is_decided else self._on_sigint)

    def _on_sigterm(self, *_: object) -> None:
        self._end_with(0)
        self._stop_soon("SIGTERM: stopping")

    def _on_sigint(self, *_: object) -> None:
        self._ignore_ends()
        self._reactor._exitSignal = signal.SIGINT  # twistd has the process die of it, after the stop
        self._stop_soon("SIGINT: stopping")

    def _stop_soon(self, line: str) -> None:
        self._reactor.callFromThread(self._stop)
        self._reactor.callFromThread(self._inform, line)

    def _ignore_ends(self) -> None:
        """From now on SIGTERM and SIGINT make no difference."""
        with suppress(ValueError):  # only the main thread may
            for number in self._ends:
                signal.signal(number, _do_nothing)

    def _take(
        self,
        number: signal.Signals,
        what: tuple[str, Callable[[], object] | None],
        around: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        text, act = what
        line = f"{number.name}: {text}"
        signal.signal(number, lambda *_: self._reactor.callFromThread(self._on_signal, line, act, around))

    def _on_signal(
        self,
        line: str,
        act: Callable[[], object] | None,
        around: Callable[[], AbstractContextManager[None]],
    ) -> None:
        try:
            with around():
                if act is not None:
                    act()
        except OSError as error:
            line = f"{line}: {error.strerror}"
        self._inform(line)

    def _inform(self, line: str) -> None:
        self._log.info("{line}", line=line)

    # -- the end

    def refuse(self, text: str, status: int = FAILED) -> StartError:
        """Say why the replica cannot start.  Returns the error that `startService` has to raise."""
        self._end_with(status)
        self._end_within(FAIL_S_MAX)
        self._say(text)
        return StartError(text, status)

    def fail(self, text: str, status: int = FAILED) -> None:
        """Stop the replica, end with `status` within FAIL_S_MAX, and say why it cannot go on.

        May be called again; a text that was said is not repeated.
        """
        self._end_with(status)
        self._end_within(FAIL_S_MAX)
        if self._reactor.running:
            self._stop()
        else:
            self._reactor.callWhenRunning(self._stop)
        if text not in self._failures:
            self._failures.add(text)
            self._say(text)

    def _end_with(self, status: int) -> None:
        """Make this the exit status, unless a higher one was asked for.

        The status is set in the interpreter's own last step, the only thing of ours that runs after
        twistd's last.  The interpreter alone would make another status of a stdout that cannot be written.
        """
        if self._status is None:
            atexit.register(self._exit)
            self._status = status
            self._ignore_ends()
        self._status = max(self._status, status)

    def _failed(self) -> int:
        """The status of a process that has not stopped in time."""
        return max(FAILED, self._status or 0)

    def _exit(self) -> None:
        for stream in (sys.stdout, sys.__stdout__, self._stderr):
            if stream is not None:
                with suppress(Exception):
                    stream.flush()
        os._exit(1 if self._status is None else self._status)

    def _say(self, text: str) -> None:
        """Say `text` in the log and on stderr, as far as they can be written."""
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
