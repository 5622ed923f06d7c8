"""Where a replica's time goes, seen from outside: the stacks of one under load, by part of the house."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from threading import Thread

from tests.bench.load import RedisBenchmark
from tests.bench.processes import GUARD, MEMORY, cluster
from tests.bench.results import Plot, Result, Table
from tests.bench.session import Session

__all__ = ["part_of", "profile"]

PIPELINES = (100, 16, 1)
SAMPLES_PER_S = 200
BEFORE_S = 1.0
FRAME = re.compile(r"(?P<function>\S+) \((?:.*/)?(?P<root>epaxos|twisted)/(?P<path>[^:]*)")
NODE = "node: batching, turns"
OTHER, EPOLL, SOCKETS, TWISTED = "other", "Twisted: epoll", "socket calls", "Twisted: the rest"
PARTS = {
    "resp": "frontend: Redis protocol",
    "node": NODE,
    "service": NODE,
    "net": SOCKETS,
    "protocol": "protocol",
    "execution": "execution",
    "statemachines": "key-value store",
    "storage": "storage",
    "transport": "transport, codec",
    "wire": "transport, codec",
}
SHORT = {
    "key-value store": "store",
    "transport, codec": "transport",
    SOCKETS: "sockets",
    EPOLL: "epoll",
    TWISTED: "Twisted",
}
COUNTED = (*dict.fromkeys(part for part in PARTS.values() if part != SOCKETS), SOCKETS, EPOLL, TWISTED, OTHER)


def _py_spy() -> str | None:
    """Beside this Python, or on the path."""
    beside = Path(sys.executable).with_name("py-spy")
    return str(beside) if beside.exists() else shutil.which("py-spy")


def part_of(frame: str) -> str:
    """The part to which a stack belongs whose innermost frame this is."""
    match = FRAME.match(frame)
    if match is None:
        return OTHER
    if match["root"] == "epaxos":
        return PARTS.get(match["path"].partition("/")[0], OTHER)
    if match["function"].endswith(".doPoll"):
        return EPOLL
    return SOCKETS if match["function"] == "untilConcludes" else TWISTED


def _shares(lines: Iterable[str]) -> dict[str, float]:
    """Of folded stacks, what share of the samples each part has."""
    counts: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        counts[part_of(stack.rpartition(";")[2])] += int(count)
    return {part: counts[part] / max(1, counts.total()) for part in COUNTED}


def _sampled(session: Session, py_spy: str, settings: str, pipeline: int) -> dict[str, float]:
    seconds = 2 if session.quick else 8
    path = session.folder / "stacks.txt"
    path.unlink(missing_ok=True)
    with cluster(3, settings) as replicas:
        RedisBenchmark(replicas.redis_ports, [17] * 3, pipeline, 0.5).run()
        load = RedisBenchmark(replicas.redis_ports, [17] * 3, pipeline, seconds + 2 * BEFORE_S)
        load.run()  # short: it only learns how many commands that takes
        running = Thread(target=load.run, daemon=True)
        running.start()
        running.join(BEFORE_S)
        pid = replicas.processes[0].pid
        command = [py_spy, "record", "-p", str(pid), "-d", str(seconds), "-r", str(SAMPLES_PER_S)]
        spied = subprocess.run(
            [*GUARD, *command, "-f", "raw", "-o", str(path)],
            capture_output=True,
            text=True,
            timeout=seconds + 30,
            check=False,
        )
        running.join(60)
    if not path.exists():
        raise RuntimeError(f"py-spy failed: {spied.stderr.strip()[-200:]}")
    return _shares(path.read_text().splitlines())


def profile(session: Session, available: dict[str, str]) -> Result:
    """One of three replicas, at each pipeline, in memory and with LevelDB."""
    result = Result("Where the time of a replica goes")
    py_spy = _py_spy()
    if py_spy is None:
        result.missing.append("py-spy (pip install -e '.[bench]')")
        return result
    engines = {"memory": MEMORY, "LevelDB": ""}
    shares: dict[str, dict[str, float]] = {}
    for engine, settings in engines.items():
        for pipeline in PIPELINES:
            session.say(f"profile, {engine}, pipeline {pipeline}")
            shares[f"{engine}, P={pipeline}"] = _sampled(session, py_spy, settings, pipeline)
    lines = [[part, *(f"{of[part]:.0%}" for of in shares.values())] for part in COUNTED]
    title = "Share of the samples in which a replica did something, by the innermost frame's part"
    result.tables.append(Table(title, ["part", *shares], lines))
    series: dict[str, list[float | None]] = {
        name: [100 * of[part] for part in COUNTED] for name, of in shares.items() if name.startswith("memory")
    }
    groups = [SHORT.get(part, part.partition(":")[0]) for part in COUNTED]
    result.plots.append(Plot("profile", "Where the time of a replica goes, in memory", "%", groups, series))
    result.settings.append(
        f"SET as above, one of three replicas sampled {SAMPLES_PER_S} times a second by py-spy; what waits in"
        " epoll while the machine is busy with others is counted there, and under storage the store's thread"
        " while the disk syncs."
    )
    return result
