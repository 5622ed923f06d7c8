"""The instructions that a SET, or another command, takes, of this tree and of another revision.

`python -m tests.bench.instructions REVISION [--work INCR]`: cachegrind counts what one process with three
replicas and their clients does (`lockstep.py`), at two numbers of commands; the difference is without the
start.  The count depends little on what else the machine does, but tells nothing of caches, system calls and
waiting.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from epaxos.tools.demo import free_base_port
from tests.bench.lockstep import WORKS
from tests.bench.report import table
from tests.bench.revisions import ROOT, exported

__all__ = ["Load", "counted", "main"]

LOCKSTEP = Path(__file__).with_name("lockstep.py")
TIMEOUT_S = 300


class Load(NamedTuple):
    """`connections` to each replica; `commands`: how many commands the count covers."""

    engine: str
    connections: int
    pipeline: int
    commands: int


LOADS = [
    Load(engine, *load)
    for engine in ("memory", "leveldb")
    for load in ((1, 1, 1_200), (17, 1, 8_000), (17, 16, 60_000), (17, 100, 200_000))
]


def counted(errors: str) -> int:
    """What cachegrind says that it has counted.  Raises ValueError when it says nothing of it."""
    match = re.search(r"I\s+refs:\s+([\d,]+)", errors)
    if match is None:
        raise ValueError(f"cachegrind has counted nothing: {errors[-500:]}")
    return int(match[1].replace(",", ""))


def _run(source: Path, load: Load, work: str, commands: int) -> tuple[int, int]:
    """Instructions, and commands."""
    arguments = [load.engine, load.connections, load.pipeline, commands, free_base_port(3), work]
    done = subprocess.run(
        [
            *("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"),
            *(sys.executable, str(LOCKSTEP), *map(str, arguments)),
        ],
        env={**os.environ, "PYTHONPATH": str(source), "PYTHONHASHSEED": "0"},
        cwd=source,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{LOCKSTEP.name} failed: {done.stderr[-1000:]}")
    return counted(done.stderr), int(done.stdout)


def measure(source: Path, load: Load, work: str = "SET") -> float:
    """Instructions of one command."""
    first, before = _run(source, load, work, load.commands // 2)
    second, after = _run(source, load, work, load.commands + load.commands // 2)
    return (second - first) / (after - before)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.instructions",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("base", metavar="REVISION", help="what to hold this tree against, as Git names it")
    parser.add_argument("--loads", type=int, default=len(LOADS), help="only the first so many (%(default)s)")
    parser.add_argument("--work", choices=WORKS, default="SET", help="which commands (%(default)s)")
    options = parser.parse_args(arguments)
    if shutil.which("valgrind") is None:
        sys.exit("valgrind is not installed")
    lines = []
    with exported(options.base) as base:
        for load in LOADS[: options.loads]:
            work = (
                f"{options.work}, {load.engine}, pipeline {load.pipeline}, 3 x {load.connections} connections"
            )
            print(work, file=sys.stderr)
            this, other = (measure(source, load, options.work) for source in (ROOT, base))
            lines.append([work, f"{this:,.0f}", f"{other:,.0f}", f"{this / other:.4f}"])
    print(table(["instructions of", "this tree", options.base, "ratio"], lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
