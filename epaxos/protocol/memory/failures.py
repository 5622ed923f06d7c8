"""Which replicas are suspected to have failed.  Only liveness depends on it, never safety.

`latency` compares this notion of "does not answer" with the two others.
"""

from __future__ import annotations

import math

from epaxos.protocol.values.epoch import Epoch

__all__ = ["FailureDetector"]


class FailureDetector:
    """Suspects a replica that was silent for `suspect_after_s`, and one whose connections are all lost.

    At the start every replica is given `suspect_after_s`.  `newly_suspected` lists the replicas that became
    suspected since the caller emptied it.  Times are in seconds on the clock of `Replica.tick`.
    """

    def __init__(self, id: int, epoch: Epoch, suspect_after_s: float) -> None:
        self._id = id
        self._n = epoch.n
        self._suspect_after_s = suspect_after_s
        self._heard_at: list[float] | None = None
        self._heard_lately: set[int] = set()
        self._connected_at = [-math.inf] * self._n
        self._suspected_at: dict[int, float] = {}
        self._look_at = -math.inf
        self._now = 0.0
        self.newly_suspected: list[int] = []

    def advance(self, now: float) -> None:
        """Let the time be `now`, and suspect the replicas that have been silent for too long."""
        heard_at = self._heard_at
        if heard_at is None:
            heard_at = self._heard_at = [now] * self._n
        elif now - self._now > self._suspect_after_s:
            # This process was itself stopped or starved: it has yet to read what others sent meanwhile.
            heard_at[:] = [now] * self._n
        else:
            # This process may be late, so what it has read since the last call may have come just now.
            for replica in self._heard_lately:
                heard_at[replica] = now
        self._heard_lately.clear()
        self._now = now
        if now >= self._look_at:
            self._look(heard_at)

    def _look(self, heard_at: list[float]) -> None:
        """Suspect each silent replica, and set the time of the next look."""
        self._look_at = math.inf
        for replica, heard_at_s in enumerate(heard_at):
            if replica != self._id and not self.suspects(replica):
                silent_at = heard_at_s + self._suspect_after_s
                if silent_at <= self._now:
                    self._suspect(replica)
                else:
                    self._look_at = min(self._look_at, silent_at)

    def next_deadline(self) -> float:
        """When `advance` has to be called at the latest."""
        return self._look_at

    def on_heard(self, replica: int) -> None:
        """Something came from `replica`, so it is not suspected any more."""
        if self._heard_at is not None:
            self._heard_at[replica] = self._now
            self._heard_lately.add(replica)
            if self._suspected_at.pop(replica, None) is not None:
                self._look_at = min(self._look_at, self._now + self._suspect_after_s)

    def on_connected(self, replica: int) -> None:
        """There is a connection to `replica`, or from it, after there was none."""
        self._connected_at[replica] = self._now
        self.on_heard(replica)

    def on_disconnected(self, replica: int) -> None:
        """All connections with `replica` are lost and it took no new one, as when its process is killed.

        A replica that was connected for less than `suspect_after_s` is suspected only when it is silent,
        because otherwise connections that break again and again would start recoveries each time.
        """
        if (
            self._heard_at is not None
            and replica not in self._suspected_at
            and self._now - self._connected_at[replica] >= self._suspect_after_s
        ):
            self._suspect(replica)

    def _suspect(self, replica: int) -> None:
        self._heard_lately.discard(replica)
        self._suspected_at[replica] = self._now
        self.newly_suspected.append(replica)

    def suspects(self, replica: int) -> bool:
        """Whether `replica` is suspected; false for this replica itself."""
        return replica in self._suspected_at

    def suspected_at(self, replica: int) -> float:
        """When `replica`, which is suspected, became suspected."""
        return self._suspected_at[replica]

    def rank(self, row: int) -> int:
        """This replica's rank in recovering the instances of `row`: the number of replicas before it.

        The row's own replica comes first, then those after it.  Suspected replicas are left out.
        """
        return self._before(row).index(self._id)

    def _before(self, row: int) -> list[int]:
        in_turn = [(row + step) % self._n for step in range(self._n)]
        return [replica for replica in in_turn if not self.suspects(replica)]
