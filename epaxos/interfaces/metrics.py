"""What a replica measures of itself, in the words of Prometheus."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import NamedTuple, Union

from zope.interface import Interface

__all__ = ["BOUNDS_S", "Definition", "Histogram", "IMeasured", "Kind", "Metric", "Sample"]

BOUNDS_S = (
    *(0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05),
    *(0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0),
)
"""The upper bounds of a histogram, in seconds: from a step in memory to a request that nobody answers."""


class Histogram:
    """How often which time was needed.  `counts`: for each of BOUNDS_S, and at the end what took longer."""

    __slots__ = ("counts", "total_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)
        self.total_s = 0.0

    def add(self, seconds: float, times: int = 1) -> None:
        """It took so many seconds, so many times."""
        self.counts[bisect_left(BOUNDS_S, seconds)] += times
        self.total_s += seconds * times


class Kind(Enum):
    """What a number means: one that only grows until a restart, one that changes, or times."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Definition(NamedTuple):
    """`name`: that of a counter without `_total`.  `labels`: the names of what tells its samples apart.
    `help`: one sentence without a full stop."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()


Sample = tuple[Sequence[str], Union[float, Histogram]]
"""The values of the labels, and what was measured."""


class Metric(NamedTuple):
    """What was measured, for each combination of labels that there is."""

    definition: Definition
    samples: Sequence[Sample]


class IMeasured(Interface):
    """A part of the replica that measures."""

    def metrics() -> Iterable[Metric]:
        """What was measured until now, each definition once.  It takes less than a millisecond."""
