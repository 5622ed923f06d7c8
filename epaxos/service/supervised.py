"""A replica that a service manager looks after: it is told when the replica serves, and that it lives.

The event loop says that the replica lives, so one whose loop hangs is ended and started again.  Only while
the replica restores, which stops the loop for long, a thread says it, as long as the process works.
"""

from __future__ import annotations

import faulthandler
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

from twisted.internet.interfaces import IReactorTime

from epaxos.service.phase import Phase
from epaxos.service.service_manager import ServiceManager

__all__ = ["BEAT_S", "EXTEND_S", "WORK_S", "Supervised"]

BEAT_S = 5.0
"""Seconds between two signs of life, or a third of the time within which the manager wants one."""
EXTEND_S = 60.0
"""A start that goes on may last for this time from each beat on, in seconds."""
WORK_S = 0.01
"""A process that takes less time than this of a processor from one beat to the next, in seconds, hangs: on
its disk, say."""


class Supervised:
    """Tells the manager about the replica.

    `worked_s()`: the processor time that the process has taken, in seconds.
    """

    def __init__(
        self,
        manager: ServiceManager,
        clock: IReactorTime,
        worked_s: Callable[[], float] = time.process_time,
    ) -> None:
        self._manager = manager
        self._clock = clock
        self._worked_s = worked_s
        self._beat_s = min(BEAT_S, manager.watchdog_s / 3) if manager.watchdog_s else BEAT_S
        self._phase: Phase | None = None
        self._describe: Callable[[], str] | None = None
        self._status = ""
        self._restored = Event()
        if manager.watchdog_s:  # whose SIGABRT then leaves a traceback of the hang
            with suppress(Exception):
                faulthandler.enable(sys.__stderr__)  # type: ignore[arg-type]

    def describe_by(self, describe: Callable[[], str]) -> None:
        """Say what the replica does, while it serves, with `describe()`."""
        self._describe = describe

    def on_phase(self, phase: Phase) -> None:
        """The replica is in this phase now."""
        was, self._phase = self._phase, phase
        self._restored.set()
        if phase is Phase.RESTORING:
            self._restored = Event()
            self._manager.tell(self._signs(True))
            Thread(target=self._keep_alive, args=(self._restored,), daemon=True).start()
        elif phase is Phase.SERVING:
            self._manager.tell({"READY": 1})
        elif phase is Phase.STOPPING:
            self._manager.tell({"STOPPING": 1})
        self._tell_status()
        if was is None:
            self._clock.callLater(self._beat_s, self._beat)

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """Whatever is done meanwhile is a reload."""
        serves = self._phase is Phase.SERVING
        if serves:
            self._manager.tell({"RELOADING": 1, "MONOTONIC_USEC": time.monotonic_ns() // 1000})
        try:
            yield
        finally:
            if serves:
                self._manager.tell({"READY": 1})

    def _beat(self) -> None:
        """A sign of life of the event loop."""
        self._clock.callLater(self._beat_s, self._beat)
        self._manager.tell(self._signs(self._phase is Phase.WAITING))
        self._tell_status()

    def _keep_alive(self, restored: Event) -> None:
        """Signs of life of a process whose event loop may stand still, until it has `restored`."""
        before_s = self._worked_s()
        while not restored.wait(self._beat_s):
            now_s = self._worked_s()
            if now_s - before_s >= WORK_S:
                self._manager.tell_now(self._signs(True))
            before_s = now_s

    def _signs(self, starts: bool) -> dict[str, object]:
        signs: dict[str, object] = {"WATCHDOG": 1} if self._manager.watchdog_s else {}
        return {**signs, "EXTEND_TIMEOUT_USEC": round(EXTEND_S * 1_000_000)} if starts else signs

    def _tell_status(self) -> None:
        """Say in a line what the replica does, when that is something else than before."""
        status = "" if self._phase is None else self._phase.value
        if self._phase is Phase.SERVING and self._describe is not None:
            status = self._describe()
        if status != self._status:
            self._status = status
            self._manager.tell({"STATUS": status})
