"""Notices that the disk does not answer, and tells a hanging disk from a slow one."""

from __future__ import annotations

from collections import deque

__all__ = ["DiskWatch"]

CALM_PATIENCES = 600
"""The watch is as strict as at the beginning once no write has waited longer than `patience_s` for
this number times `patience_s`."""
PATIENCE_GROWTH_MAX = 10
"""The patience never exceeds this number times `patience_s`, because a slower disk is of no use,
and a later hang must still be noticed."""


class DiskWatch:
    """Says whether the oldest outstanding write has waited too long: at first `patience_s` seconds.

    When the disk answers after a hang, the patience grows to twice that wait, up to
    PATIENCE_GROWTH_MAX.  So a disk whose syncs always take about that time is called hanging once,
    not each time.

    All times are seconds on the clock of `ITimeoutService`.  `hangs` changes only in `look` and
    `on_answered`.  Writes end in the order in which they began.
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
        """The time of the next `look`; None when nothing is outstanding, or the disk hangs already.

        `look` is called at least four times per patience, because it counts no time without looks.
        """
        if not self._outstanding or self.hangs:
            return None
        return min(self._outstanding[0] + self._patience_s, self._looked_at + self._patience_s / 4)

    def waited_s(self, now: float) -> float:
        """The wait of the oldest outstanding write, in seconds; 0 when there is none."""
        return now - self._outstanding[0] if self._outstanding else 0.0

    def on_began(self, now: float) -> None:
        """A write that somebody waits for is handed to the disk."""
        if not self._outstanding:
            self._looked_at = now
        self._outstanding.append(now)

    def look(self, now: float) -> bool:
        """Whether the disk hangs from now on, and did not before.

        Time in which nobody looked does not count, because the process was stopped or starved then,
        and the answer of the disk may be waiting to be read.
        """
        away_s = now - self._looked_at
        self._looked_at = now
        if not self._outstanding or self.hangs:
            return False
        if away_s > self._patience_s / 2:
            self._outstanding = deque(began + away_s for began in self._outstanding)
        self.hangs = self.waited_s(now) > self._patience_s
        return self.hangs

    def on_answered(self, now: float) -> bool:
        """The oldest outstanding write is done.  Returns whether the disk hung until now."""
        waited_s = now - self._outstanding.popleft()
        hung, self.hangs = self.hangs, False
        if hung:
            patience_max_s = PATIENCE_GROWTH_MAX * self._patience_min_s
            self._patience_s = max(self._patience_s, min(2 * waited_s, patience_max_s))
            self._outstanding = deque(
                [now] * len(self._outstanding)
            )  # all of them waited because of one hang
        if waited_s > self._patience_min_s:
            self._calm_since = now
        elif now - self._calm_since > CALM_PATIENCES * self._patience_min_s:
            self._patience_s = self._patience_min_s
        self._looked_at = now
        return hung
