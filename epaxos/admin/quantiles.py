"""The times within which a share of what was counted was done."""

from __future__ import annotations

from collections.abc import Sequence

from epaxos.interfaces.metrics import BOUNDS_S

__all__ = ["quantile"]


def quantile(share: float, counts: Sequence[int]) -> float | None:
    """The time within which this share of what is counted was done: between two bounds, in proportion.

    `counts`: see Histogram.  None where nothing is counted; the highest bound where it was longer.
    """
    wanted = share * sum(counts)
    if not wanted:
        return None
    below = 0.0
    for bound, count in zip(BOUNDS_S, counts):
        if count >= wanted:
            return below + (bound - below) * wanted / count
        wanted -= count
        below = bound
    return below
