"""When a replica ends that was removed: nobody must need what it holds."""

from __future__ import annotations

import math
from collections.abc import Callable

__all__ = ["LINGER_S", "Leaving"]

LINGER_S = 10.0
"""Seconds for which a replica that was removed goes on when the epoch without it is safe, and some of its
members have not opened it: they may be taking the state from here, and would have to begin anew."""


class Leaving:
    """The end of a replica.  `removed(text)` is called once, when it may stop; `now` is the clock."""

    def __init__(self, now: Callable[[], float], removed: Callable[[str], None]) -> None:
        self.due = math.inf
        """When `on_time` has to be called."""
        self._now = now
        self._removed = removed

    def on_safe(self) -> None:
        """The epoch without this replica is safe."""
        self.due = min(self.due, self._now() + LINGER_S)

    def on_time(self, is_settled: bool, text: str) -> None:
        """End because of `text`, if it is time.  `is_settled`: every member has opened the epoch."""
        if self._now() >= self.due or (is_settled and self.due < math.inf):
            self.due = math.inf
            self._removed(text)
