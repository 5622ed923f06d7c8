"""`GET /metrics`: what a replica measures, as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from epaxos.interfaces.metrics import BOUNDS_S, Histogram, IMeasured, Kind
from epaxos.interfaces.metrics import Metric as Measured

__all__ = ["CONTENT_TYPE", "Exposition"]

CONTENT_TYPE = CONTENT_TYPE_LATEST

_BOUNDS = [*map(str, BOUNDS_S), "+Inf"]


class Exposition(Collector):
    """The text of what these parts measure, and of what the process takes."""

    def __init__(self, parts: Sequence[IMeasured]) -> None:
        self._parts = parts
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        GCCollector(self._registry)

    def text(self) -> bytes:
        """What CONTENT_TYPE says; it takes a few milliseconds."""
        return generate_latest(self._registry)

    def describe(self) -> Iterable[Metric]:
        """See Collector: nothing is registered under its names beside."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """See Collector."""
        return map(_family_of, chain.from_iterable(part.metrics() for part in self._parts))


def _family_of(measured: Measured) -> Metric:
    name, kind, text, labels = measured.definition
    if kind is Kind.HISTOGRAM:
        times = HistogramMetricFamily(name, text, labels=labels)
        for values, histogram in measured.samples:
            assert isinstance(histogram, Histogram)
            buckets = list(zip(_BOUNDS, accumulate(histogram.counts)))
            times.add_metric(values, buckets, histogram.total_s)
        return times
    family = (CounterMetricFamily if kind is Kind.COUNTER else GaugeMetricFamily)(name, text, labels=labels)
    for values, value in measured.samples:
        assert not isinstance(value, Histogram)
        family.add_metric(values, value)
    return family
