"""Which replica is the nearest: averages of round trip times, and a choice that does not waver."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

__all__ = ["Distance", "nearest"]

WEIGHT = 0.25
"""The weight of the newest round trip time in the average."""
NEARER = 0.7
"""A replica takes the place of another one when its round trips take less than this share of the time."""
NEARER_S = 0.001
"""And when they are shorter by this time.  Less is noise on one host, or in one data centre."""


class Distance:
    """The exponentially weighted average of round trip times, in seconds."""

    def __init__(self) -> None:
        self.mean_s = 0.0
        self._is_known = False

    def add(self, round_trip_s: float) -> None:
        """Take a round trip time into the average."""
        weight = WEIGHT if self._is_known else 1
        self.mean_s += (round_trip_s - self.mean_s) * weight
        self._is_known = True


class _Placed(Protocol):
    @property
    def distance(self) -> Distance: ...


T = TypeVar("T", bound=_Placed)


def nearest(ready: Iterable[T], chosen: T | None) -> T | None:
    """The replica to ask from now on; None when none is ready.

    `chosen`, the one that is asked now, stays while it is ready and no other one is clearly nearer.
    """
    others = list(ready)
    best = min(others, key=lambda replica: replica.distance.mean_s, default=None)
    if best is None or chosen is None or chosen not in others:
        return best
    now_s, then_s = chosen.distance.mean_s, best.distance.mean_s
    return best if then_s < now_s * NEARER and now_s - then_s > NEARER_S else chosen
