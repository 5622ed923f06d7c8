"""The last ten minutes of what a replica measures, for the page at `/`.

Nothing here depends on who looks: a sample is taken every second, so that one who opens the page sees what
was before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from operator import sub
from typing import NamedTuple

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from epaxos.admin.quantiles import quantile
from epaxos.admin.recent import Recent
from epaxos.interfaces.metrics import BOUNDS_S, Histogram, IMeasured, Metric

__all__ = ["FIELDS", "SAMPLES_MAX", "SAMPLE_S", "History", "Sample"]

SAMPLE_S = 1.0
SAMPLES_MAX = 600
"""Ten minutes: the page shows no more, and 600 samples of eleven numbers take 100 kB."""

FIELDS = (
    "time_ms",
    "received",
    "executed",
    "p50_s",
    "p99_s",
    "fast",
    "disk_p99_s",
    "written_bytes",
    "instances_held",
    "clients",
    "late_p99_s",
)
"""What a sample has: when it was taken, in milliseconds since 1970, and by its end, of the second before it:
commands of clients and commands executed; the times to the replies that half and 99 of 100 commands needed;
the share of own instances that were decided in one round trip; the time that 99 of 100 synced writes needed;
bytes written to disk; instances held; clients connected; and how late the event loop was.  Times and shares
are None where nothing happened."""

Sample = Sequence["float | None"]


class _Seen(NamedTuple):
    """The numbers that only grow, at one moment."""

    received: float
    executed: float
    fast: float
    slow: float
    written: float
    waits: Sequence[int]
    disk: Sequence[int]
    late: Sequence[int]


_NONE = _Seen(0, 0, 0, 0, 0, *([[0] * (len(BOUNDS_S) + 1)] * 3))


class History:
    """Takes samples of what `parts` measure while it is started.  `now_s`: seconds since 1970.

    `on_sample`: called with each sample, of those who look.
    """

    def __init__(self, parts: Sequence[IMeasured], clock: IReactorTime, now_s: Callable[[], float]) -> None:
        self._parts = parts
        self._clock = clock
        self._now_s = now_s
        self._before: _Seen | None = None
        self._due: IDelayedCall | None = None
        self.samples: deque[Sample] = deque(maxlen=SAMPLES_MAX)
        self.on_sample: dict[Callable[[Sample], None], None] = {}
        self.recent = Recent()

    def start(self) -> None:
        """See Upkeep."""
        self._due = self._clock.callLater(SAMPLE_S, self._take)

    def stop(self) -> None:
        """See Upkeep."""
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _take(self) -> None:
        self.start()
        metrics = chain.from_iterable(map(_metrics, self._parts))
        measured = {metric.definition.name: metric for metric in metrics}
        seen = _seen(measured)
        self.recent.take(_gauges(measured), seen.disk, seen.late)
        before, self._before = self._before, seen
        if before is None or seen.received < before.received:  # counters were reset
            return
        decided = seen.fast - before.fast + seen.slow - before.slow
        sample: Sample = (
            round(self._now_s() * 1000),
            seen.received - before.received,
            seen.executed - before.executed,
            quantile(0.5, _grown(before.waits, seen.waits)),
            quantile(0.99, _grown(before.waits, seen.waits)),
            (seen.fast - before.fast) / decided if decided else None,
            quantile(0.99, _grown(before.disk, seen.disk)),
            seen.written - before.written,
            _total(measured, "epaxos_instances_held"),
            _total(measured, "epaxos_clients"),
            quantile(0.99, _grown(before.late, seen.late)),
        )
        self.samples.append(sample)
        for tell in list(self.on_sample):
            tell(sample)


def _metrics(part: IMeasured) -> Iterable[Metric]:
    found: Iterable[Metric] = part.metrics()
    return found


def _seen(measured: Mapping[str, Metric]) -> _Seen:
    return _Seen(
        _total(measured, "epaxos_commands_received"),
        _total(measured, "epaxos_commands_executed"),
        _total(measured, "epaxos_instances_decided", "fast"),
        _total(measured, "epaxos_instances_decided", "slow"),
        _total(measured, "epaxos_store_written_bytes"),
        _counts(measured, "epaxos_command_seconds"),
        _counts(measured, "epaxos_step_seconds", "disk"),
        _counts(measured, "epaxos_loop_late_seconds"),
    )


def _gauges(measured: Mapping[str, Metric]) -> dict[str, float]:
    """The numbers, by the names of those that have one alone."""
    single = ((name, metric.samples[0][1]) for name, metric in measured.items() if len(metric.samples) == 1)
    return {name: value for name, value in single if not isinstance(value, Histogram)}


def _values(measured: Mapping[str, Metric], name: str, *label: str) -> list[float | Histogram]:
    metric = measured.get(name)
    samples = () if metric is None else metric.samples
    return [value for labels, value in samples if not label or tuple(labels) == label]


def _total(measured: Mapping[str, Metric], name: str, *label: str) -> float:
    return sum(value for value in _values(measured, name, *label) if not isinstance(value, Histogram))


def _counts(measured: Mapping[str, Metric], name: str, *label: str) -> Sequence[int]:
    histograms = [value.counts for value in _values(measured, name, *label) if isinstance(value, Histogram)]
    return list(map(sum, zip(*histograms))) or _NONE.waits


def _grown(before: Sequence[int], now: Sequence[int]) -> list[int]:
    return list(map(sub, now, before))
