"""Prints the progress of runs, their failures, and the commands that repeat them."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import TextIO

from epaxos.verify.simulation.plan import Plan
from epaxos.verify.simulation.pool import Settings, Shrunk
from epaxos.verify.simulation.run import Result

__all__ = ["Failures", "Progress", "again"]

_SHOW_EVERY_S = 1.0
_SHOW_EVERY_S_IN_A_LOG = 30.0


def again(plan: Plan, settings: Settings, *options: str) -> str:
    """The command line that runs `plan` again."""
    whole = settings.plan(plan.seed)
    words = ["python -m epaxos.verify.simulation", f"--seed {plan.seed}"]
    words += settings.arguments()
    if plan.workload.clients != whole.workload.clients:
        words.append(f"--clients {_listed(plan.workload.clients)}")
    if plan.faults != whole.faults:
        words.append(f"--faults {_listed(tuple(fault.name for fault in plan.faults))}")
    if plan.workload.operations != whole.workload.operations:
        words.append(f"--operations {plan.workload.operations}")
    return " ".join((*words, *options))


def _listed(names: tuple[int, ...]) -> str:
    return ",".join(map(str, names)) or "none"


class Progress:
    """Counts the runs, and prints a line about them once a second (every 30 s to a file)."""

    def __init__(self, out: TextIO, total: int | None) -> None:
        self._out = out
        self._total = total
        self._began = time.monotonic()
        self._shown_at = self._began
        self._line = ""
        self._sums: Counter[str] = Counter()

    @property
    def runs(self) -> int:
        """How many runs were counted."""
        return self._sums["runs"]

    @property
    def failures(self) -> int:
        """How many of them failed."""
        return self._sums["failed"]

    def count(self, result: Result) -> None:
        """A run has ended."""
        self._sums.update(
            runs=1,
            failed=result.failed,
            undecided=result.undecided,
            operations=result.operations,
            messages=result.messages,
        )
        every = _SHOW_EVERY_S if self._out.isatty() else _SHOW_EVERY_S_IN_A_LOG
        if time.monotonic() - self._shown_at >= every:
            self._shown_at = time.monotonic()
            self._show()

    def __str__(self) -> str:
        sums = self._sums
        took_s = max(0.001, time.monotonic() - self._began)
        of = f" of {self._total}" if self._total is not None else ""
        return (
            f"{sums['runs']}{of} runs in {took_s:.0f} s, {60 * sums['runs'] / took_s:.0f} a minute;"
            f" {sums['operations']} operations, {sums['messages']} messages;"
            f" {sums['failed']} failed, {sums['undecided']} undecided"
        )

    def _show(self) -> None:
        line = str(self)
        if self._out.isatty():
            self._out.write(f"\r{line:{len(self._line)}}")
            self._line = line
        else:
            self._out.write(line + "\n")
        self._out.flush()

    def clear(self) -> None:
        """Remove the line from a terminal."""
        if self._line:
            self._out.write(f"\r{'':{len(self._line)}}\r")
            self._out.flush()
            self._line = ""


def _counted(count: int, noun: str) -> str:
    """A number and its noun: "1 fault", "2 faults"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


class Failures:
    """Prints failures, and appends them to files in `folder`, if that is not None."""

    def __init__(self, out: TextIO, settings: Settings, folder: Path | None) -> None:
        self._out = out
        self._settings = settings
        self._folder = folder

    def found(self, result: Result) -> None:
        """Tell of a run that failed."""
        self._write(
            result.plan,
            f"seed {result.plan.seed} failed:\n{result.violations[0]}\n"
            f"again: {again(result.plan, self._settings, '--trace')}\n",
        )

    def made_small(self, shrunk: Shrunk) -> None:
        """Tell of a failing plan that was made small."""
        plan = shrunk.plan
        self._write(
            plan,
            f"shrunk, seed {plan.seed} fails with {_counted(len(plan.workload.clients), 'client')},"
            f" {_counted(plan.workload.operations, 'operation')} each,"
            f" {_counted(len(plan.faults), 'fault')}:\n"
            f"{shrunk.violation}\n"
            f"trace: {again(plan, self._settings, '--trace')}\n"
            f"{plan.describe()}\n",
        )

    def _write(self, plan: Plan, text: str) -> None:
        self._out.write(text)
        self._out.flush()
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            with (self._folder / f"seed-{plan.seed}.txt").open("a", encoding="utf-8") as file:
                file.write(text)
