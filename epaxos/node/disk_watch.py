"""Notices a disk that does not answer, and tells it from one that is merely slow."""

from __future__ import annotations

from collections import deque

__all__ = ["DiskWatch"]

CALM_PATIENCES = 600
"""When no write has waited for `patience_s` during so many times `patience_s`, the watch is as strict as
at the beginning."""
PATIENCE_GROWTH_MAX = 10
"""The patience never becomes longer than so many times `patience_s`: a disk that is slower than that is of
no use to anybody, and a later hang must still be noticed."""


class DiskWatch:
    """Whether the oldest outstanding write has waited too long: at first for `patience_s` seconds.

    When the disk answers after all, the patience becomes twice as long as that wait, up to
    PATIENCE_GROWTH_MAX.  So a disk whose syncs take about the same time is called hanging once, not each
    time.

    `hangs` changes only in `look` and `answered`.  Writes end in the order in which they began.
    """

    def __init__(self, patience_s: float) -> None:
        self.hangs = False
        self._patience_min_s = patience_s
        self._patience_s = patience_s
        self._outstanding: deque[float] = deque()
        self._looked_at = 0.0
        self._calm_since = 0.0

    @property
    def due(self) -> float | None:
        """When to `look` at the latest, None when nothing is outstanding.  At least four times in the
        patience: see `look`."""
        if not self._outstanding or self.hangs:
            return None
        return min(self._outstanding[0] + self._patience_s, self._looked_at + self._patience_s / 4)

    def waited_s(self, now: float) -> float:
        """How long the oldest outstanding write has waited."""
        return now - self._outstanding[0] if self._outstanding else 0.0

    def began(self, now: float) -> None:
        """A write is handed to the disk, and somebody waits for it."""
        if not self._outstanding:
            self._looked_at = now
        self._outstanding.append(now)

    def look(self, now: float) -> bool:
        """Whether the disk hangs from now on, and did not before.

        Time in which nobody looked does not count: the process was stopped or starved then, and the
        disk's answer may be waiting to be read.
        """
        away_s = now - self._looked_at
        self._looked_at = now
        if not self._outstanding or self.hangs:
            return False
        if away_s > self._patience_s / 2:
            self._outstanding = deque(began + away_s for began in self._outstanding)
        self.hangs = self.waited_s(now) > self._patience_s
        return self.hangs

    def answered(self, now: float) -> bool:
        """The oldest outstanding write is done.  Whether the disk hung until now."""
        waited_s = now - self._outstanding.popleft()
        hung, self.hangs = self.hangs, False
        if hung:
            patience_max_s = PATIENCE_GROWTH_MAX * self._patience_min_s
            self._patience_s = max(self._patience_s, min(2 * waited_s, patience_max_s))
            self._outstanding = deque([now] * len(self._outstanding))  # all waited for the same hang
        if waited_s > self._patience_min_s:
            self._calm_since = now
        elif now - self._calm_since > CALM_PATIENCES * self._patience_min_s:
            self._patience_s = self._patience_min_s
        self._looked_at = now
        return hung
