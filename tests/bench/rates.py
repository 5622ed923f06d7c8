"""Commands a second of whole clusters, against Redis, etcd, PySyncObj and against ourselves."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from statistics import median

from tests.bench import etcd_wire, load, peers
from tests.bench.load import RedisBenchmark, connections_of
from tests.bench.processes import MEMORY, cluster
from tests.bench.results import Plot, Result, Row, Table
from tests.bench.session import Session

__all__ = ["PIPELINES", "Figures", "durable", "mixes", "row_against_redis", "set_runs", "sets"]

PIPELINES = (100, 16, 1)
CONNECTIONS = 51
GOALS = {100: 0.35, 16: 0.25, 1: 0.30}
DURABLE_GOAL = 0.70
SKETCH_RATES = {100: 187_000, 16: 150_000, 1: 25_000}
"""Of the throw-away sketch that the design began with (memory only, no recovery); docs: performance."""

Figures = dict[str, list[float]]


def sets(session: Session, available: dict[str, str]) -> Result:
    """SET in memory and with a synced LevelDB, against one Redis server."""
    result = Result("SET, all replicas loaded")
    result.settings.append(
        f"`redis-benchmark -t set -r {load.KEYS} -d {load.VALUE_BYTES}`, one for each replica at the same"
        f" time, 17 connections each; one with {CONNECTIONS} connections for Redis, which writes nothing to"
        " disk. LevelDB syncs every write."
    )
    with cluster(3, MEMORY) as memory, cluster(3) as leveldb, peers.redis_server(session.folder) as redis:
        ports = {"Redis": [redis], "memory": memory.redis_ports, "LevelDB": leveldb.redis_ports}
        figures: dict[int, Figures] = {}
        for pipeline in PIPELINES:
            runs = set_runs(ports, pipeline, session.seconds)
            figures[pipeline] = session.alternate(f"SET, pipeline {pipeline}", runs)
        result.tables.append(_first_figure(session, memory.redis_ports))
    for pipeline, of in figures.items():
        result.rows.append(row_against_redis("", pipeline, of["memory"], of["Redis"]))
    for pipeline, of in figures.items():
        work = f"SET, LevelDB and sync, pipeline {pipeline}, 3 x 17 connections"
        row = session.row(work, "own in memory", "/s", of["LevelDB"], of["memory"], DURABLE_GOAL)
        result.rows.append(row)
    result.plots.append(_plot_of(figures))
    return result


def set_runs(
    ports: Mapping[str, Sequence[int]], pipeline: int, seconds: float
) -> dict[str, Callable[[], float]]:
    """For `Session.alternate`: SET at the ports of each, as many connections in all."""
    return {
        name: RedisBenchmark(of, connections_of(CONNECTIONS, len(of)), pipeline, seconds).run
        for name, of in ports.items()
    }


def row_against_redis(build: str, pipeline: int, own: list[float], redis: list[float]) -> Row:
    """Ours in memory against one Redis server."""
    work = f"{build}SET, in memory, pipeline {pipeline}, 3 x 17 connections"
    return Session.row(work, "one Redis server", "/s", own, redis, GOALS[pipeline])


def _plot_of(figures: dict[int, Figures]) -> Plot:
    shown: dict[str, list[float | None]] = {
        name: [median(figures[pipeline][name]) for pipeline in PIPELINES]
        for name in ("Redis", "memory", "LevelDB")
    }
    names = {
        "Redis": "one Redis server",
        "memory": "epaxos x 3, memory",
        "LevelDB": "epaxos x 3, LevelDB, sync",
    }
    return Plot(
        "set",
        "SET, 16-byte values, random keys, all replicas loaded",
        "commands/s",
        [f"pipeline {pipeline}" for pipeline in PIPELINES],
        {names[name]: values for name, values in shown.items()},
    )


def _first_figure(session: Session, ports: list[int]) -> Table:
    """redis-benchmark as a newcomer calls it, beside the sketch."""
    benchmark = RedisBenchmark(ports, [50] * 3, 16, session.seconds)
    rates = session.alternate("SET, 3 x 50 connections, pipeline 16", {"memory": benchmark.run}, rounds=3)
    return Table(
        "`redis-benchmark -t set -P 16 -r 1000000` at all three ports at once",
        ["", "commands/s"],
        [
            ["three replicas in memory, 3 x 50 connections", f"{median(rates['memory']):,.0f}"],
            ["the sketch that the design began with, 3 x 17 connections", f"{SKETCH_RATES[16]:,}"],
        ],
    )


# -- with sync, against systems that replicate too

ETCD_LOADS = ((17, 1), (50, 1), (17, 8), (50, 8), (17, 32), (50, 32))
PYSYNCOBJ_LOADS = ((50, 50, 50), (500, 500, 500), (1000, 1000, 1000))


def durable(session: Session, available: dict[str, str]) -> Result:
    """SET with sync and one command outstanding a connection, against etcd and PySyncObj."""
    result = Result("SET with sync, against systems that replicate")
    table = Table("etcd and PySyncObj at other loads", ["load", "commands/s"])
    result.tables.append(table)
    work = "SET, LevelDB and sync, pipeline 1, 3 x 50 connections"
    if "etcd" in available:
        own, other = _against_etcd(session, result, table)
        result.rows.append(session.row(work, "etcd, three nodes, at its best", "/s", own, other, 10))
    else:
        result.missing.append("etcd (Debian: etcd-server etcd-client)")
    if "PySyncObj" in available:
        own, other = _against_pysyncobj(session, result, table)
        result.rows.append(session.row(work, "PySyncObj, three processes, at its best", "/s", own, other, 5))
    else:
        result.missing.append("PySyncObj (pip install -e '.[bench]')")
    return result


def _against_etcd(session: Session, result: Result, table: Table) -> tuple[list[float], list[float]]:
    with cluster(3) as own, peers.etcd(session.folder) as etcd:
        rates = {}
        for connections, streams in ETCD_LOADS:
            load_text = f"etcd: 3 x {connections} connections x {streams} puts outstanding"
            session.say(load_text)
            seconds = min(2.0, session.seconds)
            rates[connections, streams] = etcd_wire.generate(
                etcd.client_ports, connections, streams, seconds
            )()
            table.lines.append([load_text, f"{rates[connections, streams]:,.0f}"])
        best = max(rates, key=rates.__getitem__)
        runs = {
            "epaxos": RedisBenchmark(own.redis_ports, [50] * 3, 1, session.seconds).run,
            "etcd": etcd_wire.generate(etcd.client_ports, *best, session.seconds),
        }
        figures = session.alternate("SET with sync, against etcd", runs)
        if not session.quick:
            session.say("etcdctl check perf, a minute")
            said = etcd.ctl("check", "perf", "--load=xl", timeout_s=120)
            match = re.search(r"(\d+) writes/s", said)
            table.lines.append(["`etcdctl check perf --load=xl`", match[1] if match else "failed"])
    result.settings.append(
        "etcd: default settings, puts over gRPC from a generator that costs little (see"
        f" `tests/bench/etcd_wire.py`), its best load being {best[1]} outstanding on each of 3 x {best[0]}"
        " connections."
    )
    return figures["epaxos"], figures["etcd"]


def _against_pysyncobj(session: Session, result: Result, table: Table) -> tuple[list[float], list[float]]:
    rates = {}
    for outstanding in PYSYNCOBJ_LOADS:
        session.say(f"PySyncObj: {outstanding[0]} outstanding in each process")
        rates[outstanding] = peers.pysyncobj(session.folder, outstanding, session.seconds)()
        table.lines.append(
            [f"PySyncObj: 3 x {outstanding[0]} calls outstanding", f"{rates[outstanding]:,.0f}"]
        )
    best = max(rates, key=rates.__getitem__)
    with cluster(3) as own:
        runs = {
            "epaxos": RedisBenchmark(own.redis_ports, [50] * 3, 1, session.seconds).run,
            "PySyncObj": peers.pysyncobj(session.folder, best, session.seconds),
        }
        rounds = max(1, session.rounds - 2)
        figures = session.alternate("SET with sync, against PySyncObj", runs, rounds)
    result.settings.append(
        f"PySyncObj: a replicated dict, batches, a journal file (which it does not sync), {best[0]} calls"
        " outstanding in each of the three processes: its clients are in its processes and cost no"
        " connection."
    )
    return figures["epaxos"], figures["PySyncObj"]


# -- against ourselves


def mixes(session: Session, available: dict[str, str]) -> Result:
    """Interference, reads, and more replicas, each against the plain case."""
    result = Result("Interference, reads, five replicas (in memory, pipeline 16)")
    seconds = session.seconds
    with cluster(3, MEMORY) as three, cluster(5, MEMORY) as five:
        random_keys = RedisBenchmark(three.redis_ports, [17] * 3, 16, seconds)
        one_key = RedisBenchmark(three.redis_ports, [17] * 3, 16, seconds)
        of_five = RedisBenchmark(five.redis_ports, connections_of(CONNECTIONS, 5), 16, seconds)
        runs = {
            "random keys": random_keys.run,
            "one key": lambda: one_key.run(one_key=True),
            "five replicas": of_five.run,
        }
        figures = session.alternate("interference and five replicas", runs)
        runs = {
            f"{share}% GET": load.generate(three.redis_ports, 17, 16, seconds, share / 100)
            for share in (0, 90)
        }
        reads = session.alternate("GET and SET", runs)
    plain = figures["random keys"]
    result.rows += [
        session.row(
            "every command on one key (100 % interference), pipeline 16",
            "own without interference",
            "/s",
            figures["one key"],
            plain,
            0.60,
        ),
        session.row(
            "90 % GET, 10 % SET, pipeline 16", "own SET", "/s", reads["90% GET"], reads["0% GET"], 1.2
        ),
        session.row(
            "five replicas, SET, pipeline 16", "three replicas", "/s", figures["five replicas"], plain, 0.55
        ),
    ]
    result.settings.append(
        f"3 x 17 connections, and {CONNECTIONS} over the five replicas, by redis-benchmark; GET and SET by"
        " our own generator on both sides (`tests/bench/load.py`)."
    )
    return result
