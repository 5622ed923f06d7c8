"""How long commands of this replica's clients take, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from epaxos.interfaces.instruments import LatencyMonitor, Took
from epaxos.interfaces.metrics import Histogram
from epaxos.node.submissions import Submission
from epaxos.node.tracing import Tracer

__all__ = ["StepTimes"]


class StepTimes:
    """A histogram for each step of a command: it waits for its proposal, then for a quorum, then for its turn
    to run and its own run.  `disk`: of each write that is synced.

    A command counts as often as it takes the step: again, when it has to be proposed again.  `timeout_s`: how
    long the caller of a submission waits, by which its deadline tells when it came.

    `began`: when the batch or read began to run that runs now; `answered_since` and `answered_decided`: when
    the bundle that is answered now was proposed and decided, 0 before the first one.  `latency`: gets what
    takes long.  `tracer`: the commands that are looked at one by one.
    """

    def __init__(self, timeout_s: float = 0.0) -> None:
        self.timeout_s = timeout_s
        self.began = 0.0
        self.answered_since = self.answered_decided = 0.0
        self.latency = LatencyMonitor(_nobody_asks)
        self.tracer = Tracer()
        self.waiting = Histogram()
        self.quorum = Histogram()
        self.execution = Histogram()
        self.disk = Histogram()

    def on_proposed(self, now: float, submissions: Sequence[Submission]) -> None:
        """These submissions wait no more."""
        for submission in submissions:
            self.waiting.add(now - submission.deadline + self.timeout_s, len(submission.commands))

    def on_quorum(self, seconds: float, commands: int) -> None:
        """So many commands were decided after so many seconds."""
        self.quorum.add(seconds, commands)
        if seconds >= self.latency.after_s:
            self.latency.add("quorum", seconds)

    def on_synced(self, seconds: float) -> None:
        """A write was synced after so many seconds."""
        self.disk.add(seconds)
        if seconds >= self.latency.after_s:
            self.latency.add("sync", seconds)

    def took(self, now: float) -> Took | None:
        """The times of what is answered now; to be asked for by who is answered."""
        since, decided = self.answered_since, self.answered_decided
        if not decided:
            return None
        began = max(self.began, decided)
        return Took(decided - since, began - decided, now - began, self.began)

    def by_name(self) -> Mapping[str, Histogram]:
        """The histograms by the names of the steps."""
        return {
            "waiting": self.waiting,
            "quorum": self.quorum,
            "execution": self.execution,
            "disk": self.disk,
        }


def _nobody_asks() -> float:
    """The time for a monitor that keeps nothing."""
    return 0.0
