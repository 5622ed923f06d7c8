"""Memory and disk of replicas over time, and whether they grow for good."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import NamedTuple

from tests.bench.memory import resident_bytes
from tests.bench.processes import BenchCluster

__all__ = ["Growth", "Watch", "growth"]

SAMPLE_S = 1.0
LOOKS_MAX = 40
"""Looks at the epoch, at most."""


class Growth(NamedTuple):
    """Of a figure over time: the largest in the first and the second half, and the slope, for an hour.

    The slope is that of the straight line with the smallest sum of squares.
    """

    first: float
    second: float
    per_hour: float


def growth(samples: Sequence[tuple[float, float]]) -> Growth:
    """Of samples, each a time in seconds and a figure.  Raises ValueError when there are fewer than 4."""
    if len(samples) < 4:
        raise ValueError(f"{len(samples)} samples show no growth")
    half = len(samples) // 2
    values = [value for _, value in samples]
    mean_at = sum(at for at, _ in samples) / len(samples)
    mean = sum(values) / len(samples)
    spread = sum((at - mean_at) ** 2 for at, _ in samples)
    slope = sum((at - mean_at) * (value - mean) for at, value in samples) / spread
    return Growth(max(values[:half]), max(values[half:]), slope * 3600)


class Watch(Thread):
    """Samples the replicas `ids` until `end` is called; `seconds` is about how long that will be.

    `memory` and `disk` hold the time of each sample, and the bytes of the replica that has the most.
    `bounded_at` is when an epoch had ended for the first time, None before; `held`: the instances that a
    replica held, at most; `epoch`: the newest that was seen.
    """

    def __init__(self, replicas: BenchCluster, ids: Sequence[int], seconds: float) -> None:
        super().__init__(daemon=True)
        self.memory: list[tuple[float, float]] = []
        self.disk: list[tuple[float, float]] = []
        self.bounded_at: float | None = None
        self.held = 0
        self.epoch = self.first_epoch = int(replicas.status(ids[0])["epoch"]["number"])
        self._replicas = replicas
        self._ids = ids
        self._look_s = seconds / LOOKS_MAX
        self._ended = Event()

    def __enter__(self) -> Watch:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        """See Thread."""
        look_at = 0.0
        while not self._ended.wait(SAMPLE_S):
            now = time.monotonic()
            self._sample(now)
            if now >= look_at:
                look_at = now + self._look_s
                self._look(now)

    def _sample(self, now: float) -> None:
        pids = [self._replicas.processes[id].pid for id in self._ids]
        self.memory.append((now, max(map(resident_bytes, pids))))
        self.disk.append((now, max(_bytes_in(self._replicas.data(id)) for id in self._ids)))

    def _look(self, now: float) -> None:
        for id in self._ids:
            status = self._replicas.try_status(id)
            if status is not None:
                self.epoch = max(self.epoch, int(status["epoch"]["number"]))
                self.held = max(self.held, int(status["counters"]["instances_held"]))
        if self.bounded_at is None and self.epoch > self.first_epoch:
            self.bounded_at = now

    def growth_since_bound(self) -> tuple[Growth, Growth]:
        """Of memory and of disk, since the first epoch had ended.  Raises RuntimeError when none has."""
        since = self.bounded_at
        if since is None:
            raise RuntimeError("no epoch has ended: nothing bounds what is held")
        memory, disk = ([sample for sample in of if sample[0] >= since] for of in (self.memory, self.disk))
        return growth(memory), growth(disk)


def _bytes_in(folder: Path) -> int:
    size = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # LevelDB removes files at any time
            size += path.stat().st_size
    return size
