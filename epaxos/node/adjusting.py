"""What is changed of a node while it runs, and what it tells of the times of its commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zope.interface import implementer

from epaxos.interfaces import Command
from epaxos.interfaces.instruments import ITrace, LatencyMonitor, Took
from epaxos.node.client_side import ClientSide
from epaxos.node.limits import Batching, Keep
from epaxos.node.pacing import Pacing
from epaxos.node.step_times import StepTimes

__all__ = ["Adjusting"]


@implementer(ITrace)
class _Traced:
    """See ITrace.  `now`: the clock of `ITimeoutService`."""

    def __init__(self, steps: StepTimes, command: Command, now: Callable[[], float]) -> None:
        self._steps = steps
        self._now = now
        self._trace = steps.tracer.begin(command, now())

    def end(self, has_run: bool) -> dict[str, Any]:
        """See ITrace."""
        self._steps.tracer.end(self._trace)
        now = self._now()
        return self._trace.report(self._steps.took(now) if has_run else None, now)


class Adjusting(ClientSide):
    """A node whose bounds may change."""

    _pacing: Pacing

    def took(self) -> Took | None:
        """See IClients."""
        return self._steps.took(self._timeouts.now())

    def trace(self, command: Command) -> ITrace:
        """See IClients."""
        return ITrace(_Traced(self._steps, command, self._timeouts.now))

    def use_bounds(self, batching: Batching, keep: Keep) -> None:
        """From now on these count, but for the time between checkpoints and the length of a command.  What
        waits already is refused when it was told."""
        timeout_s = batching.request_timeout_s
        self._timeout_s = self._steps.timeout_s = self._refusals.timeout_s = timeout_s
        self._intake.use_bounds(batching)
        self._pacing.window = batching.window
        self._turns.keep = keep

    def use_latency(self, monitor: LatencyMonitor) -> None:
        """Tell `monitor` from now on which steps take long."""
        self._steps.latency = monitor
