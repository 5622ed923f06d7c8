"""Who is suspected to have failed.  Only liveness depends on it, never safety."""

from __future__ import annotations

__all__ = ["FailureDetector"]


class FailureDetector:
    """Suspects every replica that was silent for `suspect_after_s`; all get that long at the start."""

    def __init__(self, id: int, n: int, suspect_after_s: float) -> None:
        self._id = id
        self._n = n
        self._suspect_after_s = suspect_after_s
        self._heard_at: list[float] | None = None
        self._now = 0.0

    def advance(self, now: float) -> None:
        """The time is `now`."""
        if self._heard_at is None:
            self._heard_at = [now] * self._n
        elif now - self._now > self._suspect_after_s:
            # This process was itself stopped or starved: what others sent meanwhile is still to be read.
            self._heard_at = [now] * self._n
        self._now = now

    def heard(self, replica: int) -> None:
        """Something came from `replica`."""
        if self._heard_at is not None:
            self._heard_at[replica] = self._now

    def suspects(self, replica: int) -> bool:
        """Whether `replica` is suspected; never this replica itself."""
        if replica == self._id or self._heard_at is None:
            return False
        return self._now - self._heard_at[replica] > self._suspect_after_s

    def rank(self, row: int) -> int:
        """This replica's turn in recovering instances of `row`: how many come before it.

        The replicas that are not suspected take turns, the row's own first, then those after it.
        """
        before = 0
        for step in range(self._n):
            replica = (row + step) % self._n
            if replica == self._id:
                break
            before += not self.suspects(replica)
        return before
