"""How late the event loop is: what stops it makes every client wait."""

from __future__ import annotations

import time
from collections.abc import Iterator

from twisted.logger import Logger
from zope.interface import implementer

from epaxos.interfaces import ITimeout, ITimeoutService
from epaxos.interfaces.instruments import LatencyMonitor
from epaxos.interfaces.metrics import Definition, Histogram, IMeasured, Kind, Metric

__all__ = ["DEFINITION", "LOOK_S", "LoopWatch"]

LOOK_S = 0.1
"""Seconds between two looks: a stop of 20 ms is seen one time in five."""
STOOD_STILL_S = 1.0
"""A stop of this length is worth a line in the log; members see a replica down that stops a little longer."""
DEFINITION = Definition(
    "epaxos_loop_late_seconds",
    Kind.HISTOGRAM,
    "How late the event loop came to a timer that is due ten times a second",
)

_log = Logger()


@implementer(IMeasured)
class LoopWatch:
    """Looks every LOOK_S seconds, while it is started.  `latency`: gets what takes long.

    The line about a long stop says how much of it was work of this thread: the rest it waited, for a disk or
    another thread, or because the machine did not run the process.
    """

    def __init__(self, timeouts: ITimeoutService, latency: LatencyMonitor) -> None:
        self._latency = latency
        self._timeouts = timeouts
        self._late = Histogram()
        self._due_s = 0.0
        self._worked_s = 0.0
        self._look_due: ITimeout | None = None

    def start(self) -> None:
        """See Upkeep."""
        self._due_s = self._timeouts.now() + LOOK_S
        self._worked_s = time.thread_time()
        self._look_due = self._timeouts.call_later(LOOK_S, self._look)

    def stop(self) -> None:
        """See Upkeep."""
        if self._look_due is not None:
            self._look_due.cancel()
            self._look_due = None

    def _look(self) -> None:
        late_s = max(0.0, self._timeouts.now() - self._due_s)
        self._late.add(late_s)
        if late_s >= self._latency.after_s:
            self._latency.add("loop", late_s)
        if late_s >= STOOD_STILL_S:
            _log.warn(
                "the event loop stood still for {late_s:.1f} s, of which it worked for {worked_s:.1f} s",
                late_s=late_s,
                worked_s=time.thread_time() - self._worked_s,
            )
        self.start()

    def metrics(self) -> Iterator[Metric]:
        """See IMeasured."""
        yield Metric(DEFINITION, [((), self._late)])
