"""What `peer_tls` costs: SETs a second with and without it, side by side.

Two clusters of three real replicas run at the same time, and get bursts of load in turns, as in
`revisions.py`; a ratio is that of two bursts of one round.

    python -m tests.bench.peer_tls
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import ExitStack
from statistics import median

from tests.bench.load import generate
from tests.bench.processes import MEMORY, BenchCluster
from tests.bench.report import table
from tests.bench.revisions import turns
from tests.cluster.certified import PEER_TLS, certify

N = 3
CONNECTIONS = 17
"""To each replica."""
PIPELINES = (1, 16, 100)
ENGINES = {"memory": MEMORY, "LevelDB": ""}
OFF, ON = "off", "on"


def measure(engine: str, rounds: int, seconds: float) -> list[list[str]]:
    """A row for each pipeline."""
    rows = []
    with ExitStack() as stack:
        ports = {}
        for name, settings in ((OFF, ""), (ON, PEER_TLS)):
            cluster = stack.enter_context(BenchCluster(N, ENGINES[engine] + settings))
            certify(cluster)
            cluster.start().ready()
            ports[name] = cluster.redis_ports
        for pipeline in PIPELINES:
            runs = {name: generate(ports[name], CONNECTIONS, pipeline, seconds) for name in ports}
            rates: dict[str, list[float]] = {name: [] for name in runs}
            for number in range(-1, rounds):
                for name in turns(list(runs), number):
                    rate = runs[name]()
                    if number >= 0:  # the first round warms up
                        rates[name].append(rate)
            ratio = median(on / off for on, off in zip(rates[ON], rates[OFF]))
            shown = [f"{median(rates[name]):,.0f}" for name in (OFF, ON)]
            rows.append([f"SET, {engine}, pipeline {pipeline}", *shown, f"{ratio:.2f}"])
            print(rows[-1], file=sys.stderr)
    return rows


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.peer_tls", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="of each load (%(default)s)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of a burst (%(default)s)")
    options = parser.parse_args()
    before = os.getloadavg()[0]
    rows = [row for engine in ENGINES for row in measure(engine, options.rounds, options.seconds)]
    print(f"load average before it {before:.1f}\n")
    print(table(["work", "off, /s", "on, /s", "on / off"], rows))


if __name__ == "__main__":
    main()
