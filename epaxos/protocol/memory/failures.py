"""Who is suspected to have failed.  Only liveness depends on it, never safety."""

from __future__ import annotations

import math

from epaxos.protocol.values.epoch import Epoch

__all__ = ["FailureDetector"]


class FailureDetector:
    """Suspects every replica that was silent for `suspect_after_s`, and one whose connections were lost.

    At the start all get `suspect_after_s`.  `newly_suspected` names those that became suspected since
    the caller emptied it.
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
        """The time is `now`."""
        heard_at = self._heard_at
        if heard_at is None:
            heard_at = self._heard_at = [now] * self._n
        elif now - self._now > self._suspect_after_s:
            # This process was itself stopped or starved: what others sent meanwhile is still to be read.
            heard_at[:] = [now] * self._n
        else:
            # When this process was late, what it has read since may just as well have come now.
            for replica in self._heard_lately:
                heard_at[replica] = now
        self._heard_lately.clear()
        self._now = now
        if now >= self._look_at:
            self._look(heard_at)

    def _look(self, heard_at: list[float]) -> None:
        """Suspect who is silent, and say when to look again."""
        self._look_at = math.inf
        for replica, heard_at_s in enumerate(heard_at):
            if replica != self._id and not self.suspects(replica):
                silent_at = heard_at_s + self._suspect_after_s
                if silent_at <= self._now:
                    self._suspect(replica)
                else:
                    self._look_at = min(self._look_at, silent_at)

    def next_deadline(self) -> float:
        """When `advance` is to be called at the latest; mostly a replica is heard of before that."""
        return self._look_at

    def heard(self, replica: int) -> None:
        """Something came from `replica`."""
        if self._heard_at is not None:
            self._heard_at[replica] = self._now
            self._heard_lately.add(replica)
            if self._suspected_at.pop(replica, None) is not None:
                self._look_at = min(self._look_at, self._now + self._suspect_after_s)

    def connected(self, replica: int) -> None:
        """There is a connection to `replica`, or from it, after there was none."""
        self._connected_at[replica] = self._now
        self.heard(replica)

    def disconnected(self, replica: int) -> None:
        """All connections with `replica` were lost, and it took no new one: a killed process shows so.

        One that was connected for less than `suspect_after_s` is suspected only when it is silent:
        connections that break again and again must not start recoveries each time.
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
        """Whether `replica` is suspected; never this replica itself."""
        return replica in self._suspected_at

    def suspected_at(self, replica: int) -> float:
        """Since when `replica`, which is suspected, is so."""
        return self._suspected_at[replica]

    def rank(self, row: int) -> int:
        """This replica's turn in recovering instances of `row`: how many come before it.

        The replicas that are not suspected take turns, the row's own first, then those after it.
        """
        return self._before(row).index(self._id)

    def _before(self, row: int) -> list[int]:
        in_turn = [(row + step) % self._n for step in range(self._n)]
        return [replica for replica in in_turn if not self.suspects(replica)]
