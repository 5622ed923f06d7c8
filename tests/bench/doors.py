"""What users, TLS at clients and a look at `/metrics` each second cost: SETs a second beside plain ones.

One cluster of three real replicas gets bursts of load in turns, each from another kind of client; a ratio
is that of two bursts of one round.  The second kind is the first one again, so its ratio should be 1.

    python -m tests.bench.doors
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from statistics import median
from threading import Event, Thread
from urllib.request import urlopen

from tests.bench.load import RedisBenchmark, connections_of
from tests.bench.processes import MEMORY, BenchCluster
from tests.bench.report import table
from tests.bench.revisions import turns
from tests.transport.certificates import Authority

N = 3
CONNECTIONS = 51
PIPELINES = (1, 16)
TLS_OFFSET = 200
"""From a replica's port for clients to the one with TLS."""
SETTINGS = "\n[security]\ntls_auth_clients = no\n"
PLAIN, CONTROL, SCRAPED = "plain", "plain again", "plain, /metrics each second"
FREE, PATTERNS, TLS = "user with ~* +@all", "user with key patterns", "TLS"
USERS = {FREE: ("free", "~* &* +@all"), PATTERNS: ("bound", "~key:* ~mykey:* +@write +@read +config|get")}
"""The names and rules of users; the password is the name."""


@contextmanager
def started(engine: str) -> Iterator[BenchCluster]:
    """A cluster with a second port with TLS, and with the users."""
    with BenchCluster(N, engine + SETTINGS) as cluster:
        authority = Authority(cluster.folder / "authority")
        (cluster.folder / "ca.pem").write_bytes(authority.root.read_bytes())
        for id in range(N):
            text = authority.issue("127.0.0.1").read_bytes()
            for name in (f"{id}.pem", f"{id}.key"):
                (cluster.folder / name).write_bytes(text)
        cluster.config.write_text(_with_tls(cluster.config.read_text(), cluster.redis_ports))
        cluster.start().ready()
        for name, rules in USERS.values():
            cluster.client(0).execute_command("ACL", "SETUSER", name, "on", f">{name}", *rules.split())
        yield cluster


def _with_tls(config: str, ports: list[int]) -> str:
    own = iter(ports)

    def add(line: re.Match[str]) -> str:
        return f"client_tls = tcp:{next(own) + TLS_OFFSET}:interface=127.0.0.1\n{line[0]}"

    return re.sub(r"^status = ", add, config, flags=re.MULTILINE)


def _kinds(cluster: BenchCluster, pipeline: int, seconds: float) -> dict[str, Callable[[], float]]:
    """What runs a burst, by the kind of its clients."""
    ports, connections = cluster.redis_ports, connections_of(CONNECTIONS, N)
    plain = RedisBenchmark(ports, connections, pipeline, seconds)
    tls = ["--tls", "--cacert", str(cluster.folder / "ca.pem")]
    at_tls = RedisBenchmark([port + TLS_OFFSET for port in ports], connections, pipeline, seconds, tls)
    users = {
        kind: RedisBenchmark(ports, connections, pipeline, seconds, ["--user", name, "-a", name])
        for kind, (name, _) in USERS.items()
    }
    return {
        PLAIN: plain.run,
        CONTROL: plain.run,
        SCRAPED: partial(_scraped, cluster, plain),
        **{kind: load.run for kind, load in users.items()},
        TLS: at_tls.run,
    }


def _scraped(cluster: BenchCluster, load: RedisBenchmark) -> float:
    """A burst, while each replica is asked for its metrics each second."""
    over = Event()

    def scrape() -> None:
        while True:
            for port in cluster.status_ports:
                with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                    answer.read()
            if over.wait(1.0):
                return

    thread = Thread(target=scrape)
    thread.start()
    try:
        return load.run()
    finally:
        over.set()
        thread.join()


def measure(name: str, engine: str, rounds: int, seconds: float) -> list[list[str]]:
    """A row for each pipeline and kind of clients."""
    rows = []
    with started(engine) as cluster:
        for pipeline in PIPELINES:
            runs = _kinds(cluster, pipeline, seconds)
            rates: dict[str, list[float]] = {kind: [] for kind in runs}
            for number in range(-1, rounds):
                for kind in turns(list(runs), number):
                    rate = runs[kind]()
                    if number >= 0:  # the first round warms up
                        rates[kind].append(rate)
            for kind, own in rates.items():
                ratio = median(one / plain for one, plain in zip(own, rates[PLAIN]))
                rows.append([f"{name}, pipeline {pipeline}", kind, f"{median(own):,.0f}", f"{ratio:.2f}"])
                print(rows[-1], file=sys.stderr)
    return rows


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.doors", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="of each load (%(default)s)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of a burst (%(default)s)")
    options = parser.parse_args()
    before = os.getloadavg()[0]
    rows = measure("SET, memory", MEMORY, options.rounds, options.seconds)
    print(f"load average before it {before:.1f}\n")
    print(table(["work", "clients", "/s", "beside plain"], rows))


if __name__ == "__main__":
    main()
