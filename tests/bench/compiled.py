"""The build that mypyc compiles, as `make compiled` leaves it, beside plain Python and one Redis server."""

from __future__ import annotations

import filecmp
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from sysconfig import get_config_var

from tests.bench import peers
from tests.bench.latency import Latency, echo
from tests.bench.load import KEYS, VALUE_BYTES
from tests.bench.processes import MEMORY, cluster
from tests.bench.rates import PIPELINES, Figures, row_against_redis, set_runs
from tests.bench.results import Result, Table
from tests.bench.session import Session

__all__ = ["compiled", "lines_of", "why_not"]

FOLDER = Path("build/compiled")


def why_not(folder: Path, source: Path = Path()) -> str | None:
    """What is wrong with the build in `folder`, None when this Python can run it and it is of `source`."""
    if not (folder / "epaxos" / "node" / f"node{get_config_var('EXT_SUFFIX')}").exists():
        return "the compiled build (`make compiled`, with the same PYTHON)"
    for path in source.glob("epaxos/**/*.py"):
        built = folder / path.relative_to(source)
        if not (built.exists() and filecmp.cmp(path, built, shallow=False)):
            return "the compiled build, which is of other sources (`make compiled`)"
    return None


def compiled(session: Session, available: dict[str, str]) -> Result:
    """SET against Redis and one client against an echo, as for plain Python; and against plain Python."""
    result = Result("The compiled build")
    missing = why_not(FOLDER)
    if missing is not None:
        result.missing.append(missing)
        return result
    result.settings.append(
        f"`redis-benchmark -t set -r {KEYS} -d {VALUE_BYTES}` as above; one client as below. The same"
        " interpreter runs both builds, all of them in turns."
    )
    source = FOLDER.absolute()
    table = Table(
        "The compiled build against plain Python; the control is plain Python once more",
        ["work", "compiled", "plain", "ratio", "control"],
    )
    with ExitStack() as stack:
        ports = {
            name: stack.enter_context(cluster(3, settings, source=of)).redis_ports
            for name, settings, of in (
                ("compiled", MEMORY, source),
                ("plain", MEMORY, None),
                ("control", MEMORY, None),
                ("compiled, LevelDB", "", source),
                ("plain, LevelDB", "", None),
                ("control, LevelDB", "", None),
            )
        }
        redis = stack.enter_context(peers.redis_server(session.folder))
        for pipeline in PIPELINES:
            runs = set_runs({**ports, "Redis": [redis]}, pipeline, session.seconds)
            figures = session.alternate(f"compiled, SET, pipeline {pipeline}", runs)
            row = row_against_redis("compiled: ", pipeline, figures["compiled"], figures["Redis"])
            result.rows.append(row)
            table.lines += lines_of(f"SET, pipeline {pipeline}, commands/s", figures)
        waits = Latency(500 if session.quick else 2000)
        echo_port = stack.enter_context(echo(session.folder))
        figures = session.alternate("compiled, latency", waits.runs(ports, echo_port))
        result.rows.append(waits.row("compiled: ", figures["compiled"], figures["echo"]))
        table.lines += lines_of("one client's median wait, us", figures)
    result.tables.append(table)
    return result


def lines_of(work: str, figures: Figures) -> list[list[str]]:
    """Both engines' lines of the table."""
    lines = []
    for engine, suffix in (("memory", ""), ("LevelDB", ", LevelDB")):
        own, plain, control = (figures[name + suffix] for name in ("compiled", "plain", "control"))
        ratios = (median(mine / other for mine, other in zip(runs, plain)) for runs in (own, control))
        shown = [f"{median(own):,.0f}", f"{median(plain):,.0f}", *(f"{ratio:.2f}" for ratio in ratios)]
        lines.append([f"{engine}: {work}", *shown])
    return lines
