"""This tree against another revision of it: `make bench BASE=REVISION`.

Three clusters of three real replicas run side by side: this tree, the base, and the base once more, which
is the control.  All get the same number of SETs in bursts that take turns.  A ratio is that of two bursts
of one round, so what slows the machine down for a while slows all of them.  Two identical builds differ by
2 to 3 % because processes differ in how their memory is laid out; therefore all clusters are started
several times, and a change is held against what the control shows in the same run.

Beside the rates stands the processor time that the replicas took for the same commands, which other
work on the machine disturbs less.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from tests.bench.load import RedisBenchmark
from tests.bench.processes import MEMORY, BenchCluster, cluster
from tests.bench.report import table

__all__ = ["Comparison", "main", "turns"]

ROOT = Path(__file__).parents[2]
PIPELINES = (1, 16, 100)
ENGINES = {"memory": MEMORY, "LevelDB": ""}
THIS, BASE, CONTROL = "this", "base", "control"
LIVES = 3
RATIOS_MIN = 15
TOLERANCE = 0.03
SECONDS = 1.1
N = 3
CONNECTIONS = 17


@dataclass
class Comparison:
    """The rates of one load, in commands/s, round by round for each build."""

    work: str
    rates: dict[str, list[float]] = field(default_factory=lambda: {THIS: [], BASE: [], CONTROL: []})
    spent_s: dict[str, list[float]] = field(default_factory=lambda: {THIS: [], BASE: [], CONTROL: []})
    """Processor time of the three replicas, burst by burst."""

    def ratio(self, build: str) -> float:
        """The median of the ratios of a build's rate to the base's."""
        return _median_ratio(self.rates, build)

    def spent_ratio(self, build: str) -> float:
        """The median of the ratios of a build's processor time to the base's."""
        return _median_ratio(self.spent_s, build)

    @property
    def is_slower(self) -> bool:
        """Whether this tree does less than the control by more than TOLERANCE."""
        return self.ratio(THIS) < self.ratio(CONTROL) - TOLERANCE

    def cells(self) -> list[str]:
        """The row of the table."""
        verdict = f"{'UNDER' if self.is_slower else 'not under'} control - {TOLERANCE}"
        rates = [f"{median(self.rates[build]):,.0f}" for build in (THIS, BASE)]
        ratios = [f"{self.ratio(build):.3f}" for build in (THIS, CONTROL)]
        spent = [f"{self.spent_ratio(build):.3f}" for build in (THIS, CONTROL)]
        return [self.work, *rates, *ratios, *spent, str(len(self.rates[BASE])), verdict]


def _median_ratio(figures: Mapping[str, Sequence[float]], build: str) -> float:
    return median(own / base for own, base in zip(figures[build], figures[BASE]))


def _processor_s(pids: Iterable[int]) -> float:
    """The processor time of all threads of these processes so far."""
    tasks = (task for pid in pids for task in Path(f"/proc/{pid}/task").iterdir())
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def turns(names: Sequence[str], round_number: int) -> list[str]:
    """The order of a round: each build comes first, second and last equally often."""
    first = round_number % len(names)
    return [*names[first:], *names[:first]]


@contextmanager
def exported(revision: str) -> Iterator[Path]:
    """A folder with the files of a revision.  Raises SystemExit when Git does not know it."""
    with TemporaryDirectory(prefix="epaxos-base-") as folder:
        archive = subprocess.run(["git", "archive", revision], cwd=ROOT, capture_output=True)
        if archive.returncode:
            raise SystemExit(f"git archive {revision}: {archive.stderr.decode().strip()}")
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        yield Path(folder)


class Run:
    """One life of the three clusters with one engine."""

    def __init__(self, clusters: Mapping[str, BenchCluster], pipeline: int, seconds: float) -> None:
        self._loads = {
            name: RedisBenchmark(cluster.redis_ports, [CONNECTIONS] * N, pipeline, seconds)
            for name, cluster in clusters.items()
        }
        self._pids = {
            name: [process.pid for process in cluster.processes.values()]
            for name, cluster in clusters.items()
        }
        self._requests = 0

    def warm_up(self) -> None:
        """Decide from a short burst how many commands a burst has, and give each cluster one."""
        self._loads[BASE].run()
        self._requests = self._loads[BASE].requests
        for load in self._loads.values():
            load.run(requests=self._requests)

    def round(self, number: int, comparison: Comparison) -> None:
        """One burst for each, in turns."""
        for name in turns(list(self._loads), number):
            before = _processor_s(self._pids[name])
            comparison.rates[name].append(self._loads[name].run(requests=self._requests))
            comparison.spent_s[name].append(_processor_s(self._pids[name]) - before)


def compare(base: Path, lives: int, rounds: int, seconds: float) -> list[Comparison]:
    """Run every load; `rounds` is how many each has in each of the lives."""
    found = {
        (engine, pipeline): Comparison(f"SET, {engine}, pipeline {pipeline}")
        for engine in ENGINES
        for pipeline in PIPELINES
    }
    start = time.monotonic()
    for life in range(lives):
        for engine, settings in ENGINES.items():
            with ExitStack() as stack:
                clusters = {
                    name: stack.enter_context(cluster(N, settings, source=source))
                    for name, source in ((THIS, ROOT), (BASE, base), (CONTROL, base))
                }
                for pipeline in PIPELINES:
                    run = Run(clusters, pipeline, seconds)
                    run.warm_up()
                    for number in range(rounds):
                        run.round(life * rounds + number, found[engine, pipeline])
                    gone = int(time.monotonic() - start)
                    print(
                        f"[{gone} s] life {life + 1} of {lives}: {engine}, pipeline {pipeline}",
                        file=sys.stderr,
                    )
    return list(found.values())


HEAD = [
    "work", "this, /s", "base, /s", "this / base", "control / base",
    "processor time: this / base", "control / base", "ratios", "verdict",
]  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit status is 1 when this tree is slower than the base."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.revisions",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("base", metavar="REVISION", help="what to hold this tree against, as Git names it")
    parser.add_argument("--lives", type=int, default=LIVES, help="starts of all clusters (%(default)s)")
    parser.add_argument(
        "--rounds", type=int, default=-(-RATIOS_MIN // LIVES), help="rounds a life and load (%(default)s)"
    )
    parser.add_argument("--seconds", type=float, default=SECONDS, help="about, of a burst (%(default)s)")
    options = parser.parse_args(arguments)
    before = os.getloadavg()[0]
    with exported(options.base) as base:
        found = compare(base, options.lives, options.rounds, options.seconds)
    print(f"{options.base} against this tree; load average before it {before:.1f}.\n")
    print(table(HEAD, [comparison.cells() for comparison in found]))
    return 1 if any(comparison.is_slower for comparison in found) else 0


if __name__ == "__main__":
    sys.exit(main())
