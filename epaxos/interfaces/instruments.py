"""What a replica notices of slow commands and slow steps: the times of one batch, and events over time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from math import inf
from typing import Any, NamedTuple

from zope.interface import Interface

__all__ = ["EVENTS", "ITrace", "LatencyMonitor", "Took"]

EVENTS = ("command", "loop", "quorum", "sync")
"""What is watched: a command from its arrival to its reply, the event loop when it is late, a round to other
replicas, and a write that is synced."""
SAMPLES_MAX = 160
"""Seconds with samples that are kept of each event, as with Redis."""


class Took(NamedTuple):
    """The times of the batch or read that is answered now, in seconds.

    `quorum`: from its proposal to its decision; `turn`: until it began to run, so behind what it has to come
    after; `run`: until now.  `began`: when it began to run, which tells it from every other one.
    """

    quorum: float
    turn: float
    run: float
    began: float


class ITrace(Interface):
    """A command that is looked at on its way."""

    def end(has_run: bool) -> dict[str, Any]:
        """Look no further; what each step took, for JSON.  To be called within `on_done`.

        `has_run`: whether the command has been run.
        """


class _Event:
    """`samples`: seconds since 1970, and the longest time of that second in ms; the newest is the last."""

    __slots__ = ("longest_ms", "samples")

    def __init__(self) -> None:
        self.samples: deque[tuple[int, int]] = deque(maxlen=SAMPLES_MAX)
        self.longest_ms = 0


class LatencyMonitor:
    """Keeps, for each event, the seconds in which it took long, and how long (`LATENCY`).

    `wall_clock`: seconds since 1970.  Whoever measures compares with `after_s` first, so that a fast event
    costs one comparison.
    """

    def __init__(self, wall_clock: Callable[[], float], after_ms: int = 0) -> None:
        self._wall_clock = wall_clock
        self._events: dict[str, _Event] = {}
        self.after_s = inf
        """An event that takes at least these seconds is kept; infinite while nothing is."""
        self.set_after_ms(after_ms)

    def set_after_ms(self, after_ms: int) -> None:
        """Keep what takes at least these milliseconds; 0: nothing.  What is kept already stays."""
        self.after_s = after_ms / 1000 if after_ms else inf

    def add(self, event: str, seconds: float) -> None:
        """`event`, one of EVENTS, took these seconds, at least `after_s`."""
        found = self._events.setdefault(event, _Event())
        second, ms = int(self._wall_clock()), int(seconds * 1000)
        found.longest_ms = max(found.longest_ms, ms)
        samples = found.samples
        if samples and samples[-1][0] == second:
            samples[-1] = (second, max(ms, samples[-1][1]))
        else:
            samples.append((second, ms))

    def history(self, event: str) -> list[tuple[int, int]]:
        """The samples of an event, the oldest first: seconds since 1970, and ms."""
        found = self._events.get(event)
        return [] if found is None else list(found.samples)

    def latest(self) -> list[tuple[str, int, int, int]]:
        """Of each event: its name, the newest sample, and the longest ms since it was forgotten."""
        return [(name, *event.samples[-1], event.longest_ms) for name, event in sorted(self._events.items())]

    def forget(self, events: Collection[str]) -> int:
        """Forget the samples of these events, or of all when none is given; of how many there were some."""
        found = [name for name in self._events if name in events or not events]
        for name in found:
            del self._events[name]
        return len(found)
