"""Many runs at once: seeds are spread over processes, and each result comes back as soon as it is known."""

from __future__ import annotations

import gc
import signal
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from epaxos.verify.simulation.components import Components
from epaxos.verify.simulation.own_machine import MachineSubject, find_machine
from epaxos.verify.simulation.plan import Plan
from epaxos.verify.simulation.run import Result, simulate
from epaxos.verify.simulation.shrink import Shrinker, kind
from epaxos.verify.simulation.subject import Subject

__all__ = ["Settings", "Shrunk", "results", "run", "shrunk"]

CHUNK = 8
"""Runs that are handed to a process at a time."""
CHUNKS_AHEAD = 2
"""Chunks that are handed out for each process, the current one included."""


class Settings(NamedTuple):
    """What the arguments of a call choose for all its runs; the seed decides the rest.

    `state_machine`, `commands`, `options`: the plugin whose state machine is hunted, the file with the
    templates of its commands (see `subject`), and the options of its factory.  The first two or none.
    `machine`: the `MODULE:CLASS` of a machine that is hunted instead.
    """

    n: int | None = None
    profile: str | None = None
    state_machine: str | None = None
    commands: Path | None = None
    options: tuple[tuple[str, str], ...] = ()
    machine: str | None = None

    def plan(self, seed: int) -> Plan:
        """The plan of a seed."""
        return Plan.of(seed, self.n, self.profile)

    def components(self) -> Components:
        """The components of the replicas.  Raises ValueError as `Subject.load` and `find_machine` do."""
        return _components(self.state_machine, self.commands, self.options, self.machine)

    def arguments(self) -> list[str]:
        """The arguments of the command that choose the same."""
        chosen = {
            "--n": self.n,
            "--profile": self.profile,
            "--state-machine": self.state_machine,
            "--commands": self.commands,
            "--machine": self.machine,
        }
        words = [f"{name} {value}" for name, value in chosen.items() if value is not None]
        return words + [f"--option {name}={value}" for name, value in self.options]


@lru_cache(maxsize=1)
def _components(
    state_machine: str | None,
    commands: Path | None,
    options: tuple[tuple[str, str], ...],
    machine: str | None,
) -> Components:
    """The same object for every run of a process."""
    if machine is not None:
        return Components(subject=MachineSubject(find_machine(machine)))
    if state_machine is None or commands is None:
        return Components()
    return Components(subject=Subject.load(state_machine, commands, dict(options)))


class Shrunk(NamedTuple):
    """A failing plan made small, and how it fails."""

    plan: Plan
    violation: str


def run(plan: Plan, settings: Settings) -> Result:
    """The result of one run.  An exception of the simulator itself is a violation, too."""
    try:
        return simulate(plan, components=settings.components())
    except Exception:
        return Result(plan, [f"the simulation broke off: {traceback.format_exc()}"])


def shrunk(result: Result, settings: Settings) -> Shrunk:
    """The plan of a failing run made small, so that it still fails in the same way."""
    sought = kind(result.violations[0])
    last = Shrunk(result.plan, result.violations[0])

    def fails(plan: Plan) -> bool:
        nonlocal last
        violations = run(plan, settings).violations
        if not violations or kind(violations[0]) != sought:
            return False
        last = Shrunk(plan, violations[0])
        return True

    Shrinker(fails).shrink(result.plan)
    return last


def _begin() -> None:
    """In each process: leave Ctrl-C to the parent, and collect garbage less often than by default."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def _run_chunk(seeds: list[int], settings: Settings) -> list[Result]:
    return [run(settings.plan(seed), settings) for seed in seeds]


def results(
    seeds: Iterable[int], settings: Settings, jobs: int, stop: Callable[[], bool] = lambda: False
) -> Iterator[Result]:
    """The results of the runs of `seeds` by `jobs` processes, in the order in which the runs end.

    Once `stop()` is true no further run begins, and those under way are finished.
    """
    rest = iter(seeds)
    with ProcessPoolExecutor(jobs, initializer=_begin) as executor:
        under_way: set[Future[list[Result]]] = set()
        try:
            while True:
                while len(under_way) < CHUNKS_AHEAD * jobs and not stop():
                    chunk = list(islice(rest, CHUNK))
                    if not chunk:
                        break
                    under_way.add(executor.submit(_run_chunk, chunk, settings))
                if not under_way:
                    return
                done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                for future in done:
                    yield from future.result()
        finally:
            executor.shutdown(cancel_futures=True)
