"""The bench: everything that docs: performance and internals/benchmark claim, measured again.

It finds which of Redis, etcd and PySyncObj are installed, runs ours and theirs in turns on this
machine, prints the ratios with the goals beside them, and writes JSON, Markdown and SVG plots.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from tests.bench import (
    backing_up,
    backlog,
    bases,
    compiled,
    dead_member,
    due,
    latency,
    memory,
    parts,
    peers,
    profile,
    rates,
    report,
    restart,
    sleeper,
    turning,
    wide_area,
)
from tests.bench.results import Result
from tests.bench.session import OutOfTime, Session


class Section(NamedTuple):
    """What measures, and about how many seconds it takes.

    `loads_s`: it takes this many times `--dead-s` more.  Such a section runs only when it is named.
    """

    run: Callable[[Session, dict[str, str]], Result]
    full_s: float
    quick_s: float
    loads_s: int = 0

    def expected_s(self, options: argparse.Namespace) -> float:
        """About how many seconds it takes with these options."""
        return self.quick_s if options.quick else self.full_s + self.loads_s * options.dead_s


SECTIONS = {
    "set": Section(rates.sets, 260, 50),
    "compiled": Section(compiled.compiled, 520, 110),
    "durable": Section(rates.durable, 190, 50),
    "mixes": Section(rates.mixes, 110, 25),
    "latency": Section(latency.one_client, 25, 12),
    "wide-area": Section(wide_area.wide_area, 290, 90),
    "backlog": Section(backlog.backlog, 40, 6),
    "restart": Section(restart.restart, 90, 12),
    "bases": Section(bases.bases, 360, 40),
    "backup": Section(backing_up.backup, 260, 60),
    "turns": Section(turning.turns, 190, 35),
    "sleeper": Section(sleeper.sleeper, 150, 60),
    "dead-member": Section(dead_member.dead_member, 200, 100, loads_s=2),
    "due": Section(due.due, 150, 40),
    "memory": Section(memory.memory, 110, 25),
    "parts": Section(parts.micro, 60, 15),
    "profile": Section(profile.profile, 90, 35),
}

LIMIT_S = {False: 40 * 60, True: 9 * 60}
PATIENCE_S = 60
"""A section is ended when it has taken so much more than three times what it should, or than was left."""
SUMMARY = Path("docs/performance.md")
PAGE = Path("docs/internals/benchmark.md")
PLOTS_AT = "benchmark"


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="sections: " + ", ".join(SECTIONS) + "; dead-member runs only when it is named",
    )
    parser.add_argument(
        "--only", metavar="NAME", action="append", choices=SECTIONS, help="this section; may be repeated"
    )
    parser.add_argument(
        "--dead-s",
        type=float,
        default=600,
        metavar="SECONDS",
        help="of each load of dead-member (%(default)s)",
    )
    parser.add_argument("--quick", action="store_true", help="shorter and fewer runs, about 6 minutes")
    parser.add_argument(
        "--out", type=Path, default=Path("build/bench"), metavar="FOLDER", help="for results (%(default)s)"
    )
    parser.add_argument("--report", action="store_true", help="measure nothing, write the results anew")
    parser.add_argument(
        "--docs", action="store_true", help=f"put results and plots into {SUMMARY}, {PAGE} and beside it"
    )
    return parser.parse_args(arguments)


def _machine() -> str:
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(": ")[2] for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    python = f"{platform.python_implementation()} {platform.python_version()}"
    found = ", ".join(f"{name} {version}" for name, version in peers.available().items())
    return f"{os.cpu_count()} processors ({model}), {python}; peers: {found or 'none'}."


def _load(path: Path) -> dict[str, Result]:
    """What earlier runs found, so that one section can be measured again."""
    if not path.exists():
        return {}
    return {name: Result.of_json(result) for name, result in json.loads(path.read_text()).items()}


def _out_of_time(number: int, frame: FrameType | None) -> None:
    raise OutOfTime


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(f"ended by signal {number}")


def _measure(options: argparse.Namespace, save: Callable[[str, Result], None]) -> list[str]:
    """Run the sections; what could not be measured."""
    names = options.only or [name for name, section in SECTIONS.items() if not section.loads_s]
    expected_s = sum(SECTIONS[name].expected_s(options) for name in names)
    limit_s = max(LIMIT_S[options.quick], 2 * expected_s)
    session = Session(options.out, options.quick, expected_s, time.monotonic() + limit_s, options.dead_s)
    available = peers.available()
    failures = []
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGALRM, _out_of_time)
    for name in names:
        if time.monotonic() > session.deadline:
            failures.append(f"{name}: no time left")
            continue
        left_s = session.deadline - time.monotonic()
        busy = os.getloadavg()[0]
        longest_s = max(SECTIONS[name].full_s, SECTIONS[name].expected_s(options))
        signal.alarm(PATIENCE_S + int(min(left_s, 3 * longest_s)))
        try:
            result = SECTIONS[name].run(session, available)
        except OutOfTime:
            failures.append(f"{name}: took too long")
        except Exception as error:
            failures.append(f"{name}: {type(error).__name__}: {error}")
        else:
            result.date = time.strftime("%Y-%m-%d %H:%M")
            result.quick, result.busy = options.quick, busy
            save(name, result)
    signal.alarm(0)
    session.say("done\n")
    return failures


def main(arguments: list[str] | None = None) -> int:
    """The command; its exit status says whether everything could be measured."""
    options = _options(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "results.json"
    results = _load(path)

    def save(name: str, result: Result) -> None:
        results[name] = result
        path.write_text(json.dumps({name: result.as_json() for name, result in results.items()}, indent=1))

    failures = [] if options.report else _measure(options, save)
    ordered = [results[name] for name in SECTIONS if name in results]
    machine = _machine()
    text = report.markdown(ordered, machine, PLOTS_AT)
    (options.out / "benchmark.md").write_text(text)
    report.write_plots(ordered, options.out / PLOTS_AT)
    if options.docs:
        report.insert(SUMMARY, report.summary(ordered, machine))
        report.insert(PAGE, text)
        report.write_plots(ordered, PAGE.parent / PLOTS_AT)
    print(text)
    print(f"results are in {options.out}: results.json, benchmark.md, {PLOTS_AT}/*.svg")
    for failure in failures:
        print(f"not measured: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
