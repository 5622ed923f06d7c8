"""How the process of a replica ends, and with which exit status: 0 when it was told to, 1 when it failed.

twistd has a status for neither: a service that fails makes no difference to it, and after SIGTERM it
dies of that signal once more, however cleanly it had stopped.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from typing import Any, TextIO

from twisted.internet.error import ReactorNotRunning
from twisted.logger import Logger

__all__ = ["Process", "StartError"]


class StartError(SystemExit, Exception):
    """The replica cannot start; the text is for people, one line.

    An Exception, so that twistd removes its pid file and tells the process that waits for the daemon;
    a SystemExit, so that the interpreter then ends with status 1 and no traceback.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.code = 1


class Process:
    """The process that runs a replica under twistd."""

    _log = Logger()

    def __init__(self, reactor: Any, stderr: TextIO | None = None) -> None:
        self._reactor = reactor
        self._stderr = sys.__stderr__ if stderr is None else stderr  # twistd has sys.stderr go to the log
        self._failed = False

    def end_with_0_on_sigterm(self) -> None:
        """Stop the reactor on SIGTERM, and nothing more: who is told to stop and does so has not failed."""
        self._reactor.callWhenRunning(signal.signal, signal.SIGTERM, self._on_sigterm)

    def _on_sigterm(self, *_: object) -> None:
        self._reactor.callFromThread(self._log.info, "SIGTERM: stopping")
        self._reactor.callFromThread(self._stop)

    def refuse(self, text: str) -> StartError:
        """Say why the replica cannot start.  The result is to be raised out of `startService`."""
        self._say(text)
        return StartError(text)

    def fail(self, text: str) -> None:
        """Say why the replica cannot go on, stop it, and end with status 1."""
        self._say(text)
        if not self._failed:
            self._failed = True
            # The interpreter's own last step is the one thing of ours that runs after twistd's last.
            atexit.register(_exit_1)
            if self._reactor.running:
                self._stop()
            else:
                self._reactor.callWhenRunning(self._stop)

    def _say(self, text: str) -> None:
        self._log.critical("{text}", text=text)
        if self._stderr is not None:
            print(f"epaxos: {text}", file=self._stderr, flush=True)

    def _stop(self) -> None:
        try:
            self._reactor.stop()
        except ReactorNotRunning:
            """It is stopping."""


def _exit_1() -> None:
    sys.stdout.flush()
    os._exit(1)
