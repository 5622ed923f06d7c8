"""Turns of the epoch under load: how long the clients wait around each, beside as long a time without one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

import redis

from tests.bench.probe import Probe, Waits
from tests.bench.processes import MEMORY, BenchCluster, cluster
from tests.bench.results import Result, Table
from tests.bench.session import Session
from tests.bench.steady import BESIDE_PER_S, Steady

__all__ = ["Turns", "turns"]

TURNS = 20
WINDOW_S = 2.0
"""Seconds from the beginning of a turn in which a wait counts as one of it."""
PATIENCE_S = 30.0
ENGINES = {"memory": MEMORY, "LevelDB": ""}


class Turns(NamedTuple):
    """The longest waits around the turns and in as many quiet windows before them, and the usual wait, in ms.

    `per_s`: SETs a second beside it.
    """

    around: list[float]
    quiet: list[float]
    usual: float
    per_s: float

    @classmethod
    def of(
        cls, waits: Waits, quiet: Sequence[tuple[float, float]], around: Sequence[tuple[float, float]]
    ) -> Turns:
        """Of what a probe has found in these windows."""
        return cls(
            [waits.longest_s(*window) * 1e3 for window in around],
            [waits.longest_s(*window) * 1e3 for window in quiet],
            waits.median_s() * 1e3,
            0.0,
        )

    def cells(self) -> list[str]:
        """The row of the table, without its name."""
        return [
            f"{self.per_s:,.0f}",
            f"{self.usual:.1f}",
            *(f"{value:.1f}" for value in (median(self.quiet), max(self.quiet))),
            *(f"{value:.1f}" for value in (median(self.around), max(self.around))),
            f"{median(self.around) / median(self.quiet):.2f}",
            f"{max(self.around) - self.usual:.1f}",
        ]


def _turn(replicas: BenchCluster, id: int) -> None:
    """Begin the next epoch, as soon as every member is in the present one."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            replicas.client(id).execute_command("EPAXOS", "TURN")
            return
        except redis.ResponseError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def measure(session: Session, engine: str, count: int, window_s: float) -> Turns:
    """Turns at one replica after the other; the probe is at replica 0 all the time."""
    around, quiet = [], []
    with cluster(3, ENGINES[engine]) as replicas:
        with Steady(replicas.redis_ports) as load, Probe(replicas.redis_ports[0]) as probe:
            time.sleep(window_s)
            for number in range(count):
                session.say(f"turns, {engine}: {number + 1} of {count}")
                begin = time.monotonic()
                time.sleep(window_s)
                quiet.append((begin, begin + window_s))
                begin = time.monotonic()
                _turn(replicas, number % 3)
                end = max(begin + window_s, time.monotonic())
                time.sleep(end - time.monotonic())
                around.append((begin, end))
            waits = probe.end()
        return Turns.of(waits, quiet, around)._replace(per_s=load.per_s)


def turns(session: Session, available: dict[str, str]) -> Result:
    """In memory and with LevelDB."""
    result = Result("Turns of the epoch under load")
    count, window_s = (5, 1.0) if session.quick else (TURNS, WINDOW_S)
    table = Table(
        f"The longest wait of one client, ms, in {window_s:g} s from the start of each of {count} turns, and"
        " in as long a time before each",
        [
            "engine", "SET/s beside", "usual wait",
            "without a turn: median", "worst", "around a turn: median", "worst", "ratio of the medians",
            "worst over the usual",
        ],
    )  # fmt: skip
    for engine in ENGINES:
        table.lines.append([engine, *measure(session, engine, count, window_s).cells()])
    result.tables.append(table)
    result.settings.append(
        f"Three replicas, {BESIDE_PER_S:,} SET/s in pipelines of 100 at all of them together; `EPAXOS TURN`"
        " at one after the other; the client has one SET outstanding at replica 0. Usual is the median of all"
        " its waits."
    )
    return result
