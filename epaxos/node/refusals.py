"""Tells clients that they get no replies: overdue, refused, or asked of a replica that stops."""

from __future__ import annotations

from epaxos.interfaces import IExecutor, Unavailable
from epaxos.node.disk_watch import DiskWatch
from epaxos.node.in_flight import InFlight
from epaxos.node.intake import Intake
from epaxos.protocol.replica import Replica

__all__ = ["Refusals"]

_HANGS = "CLUSTERDOWN the disk of this replica does not answer"


class Refusals:
    """Answers submissions with Unavailable.

    Unproposed commands are said not to have run; all others may still run.  `due`: the time,
    on the clock of `ITimeoutService`, at which `refuse_overdue` is to be called next.
    """

    def __init__(
        self,
        timeout_s: float,
        intake: Intake,
        in_flight: InFlight,
        core: Replica,
        executor: IExecutor,
        disk: DiskWatch,
    ) -> None:
        self.due = 0.0
        self.timeout_s = timeout_s
        self._intake = intake
        self._in_flight = in_flight
        self._core = core
        self._executor = executor
        self._disk = disk

    def move(self, core: Replica, executor: IExecutor) -> None:
        """The next epoch begins."""
        self._core = core
        self._executor = executor

    def refuse_overdue(self, now: float) -> None:
        """Refuse whatever has waited longer than the timeout."""
        timeout_s = self.timeout_s
        text = self._reason()
        self._intake.refuse_overdue(now, f"{text}; the command was not run")
        for bundle in list(self._in_flight.bundles()):
            for submission in bundle.submissions:
                if submission.deadline <= now:
                    submission.answer(Unavailable(f"{text}; the command may still run", True))
        self._in_flight.end_unwanted_reads()
        self.due = now + min(0.25, timeout_s / 4)

    def _reason(self) -> str:
        """Why commands have waited for the whole timeout, for their clients."""
        if self._disk.hangs:
            return _HANGS
        if self._core.catching_up or self._executor.busy:
            return f"CLUSTERDOWN the replica is catching up and did not answer within {self.timeout_s:g} s"
        return f"CLUSTERDOWN no quorum answered within {self.timeout_s:g} s"

    def refuse_unproposed(self, text: str = _HANGS) -> None:
        """Refuse what was not proposed, because of `text`; by default, because the disk hangs."""
        self._intake.refuse_all(f"{text}; the command was not run")

    def refuse_void(self, text: str) -> None:
        """The epoch has ended, and this replica is no member of the next one: whatever has not run is void,
        and nobody will run it.  Of a bundle whose batch has run, only the reads are missing."""
        for bundle in self._in_flight.bundles():
            has_run = bundle.has_run
            outcome = Unavailable(f"{text}; the command {'may have' if has_run else 'was not'} run", has_run)
            for submission in bundle.submissions:
                submission.answer(outcome)
        self._in_flight.clear()
        self.refuse_unproposed(text)

    def refuse_all(self, text: str) -> None:
        """Refuse everything, because of `text`, and forget it: the replica stops."""
        for bundle in self._in_flight.bundles():
            for submission in bundle.submissions:
                submission.answer(Unavailable(f"{text}; the command may still run", True))
        self._intake.refuse_all(text)
        self._in_flight.clear()
