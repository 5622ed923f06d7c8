"""One run of the bench: how long, how often, until when, and the line that says where it is."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from tests.bench.results import Row

__all__ = ["OutOfTime", "Session"]


class OutOfTime(Exception):
    """The bench has run for as long as it may."""


@dataclass
class Session:
    """`rounds` alternating runs of `seconds` each, less when `deadline` (monotonic) comes first.

    `dead_s`: how long the load beside a dead member takes.
    """

    folder: Path
    quick: bool
    expected_s: float
    deadline: float
    dead_s: float = 600.0
    started: float = field(default_factory=time.monotonic)

    @property
    def rounds(self) -> int:
        return 2 if self.quick else 5

    @property
    def seconds(self) -> float:
        """How long one run of a load takes, about."""
        return 1.0 if self.quick else 3.0

    def say(self, text: str) -> None:
        """Show where the bench is."""
        gone, expected = time.monotonic() - self.started, max(self.expected_s, 1)
        share = min(99, int(100 * gone / expected))
        line = f"[{share:2}% {_minutes(gone)} of about {_minutes(expected)}] {text}"
        if sys.stderr.isatty():
            print(f"\r\x1b[K{line[:110]}", end="", file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)

    def alternate(
        self, what: str, runs: Mapping[str, Callable[[], float]], rounds: int = 0
    ) -> dict[str, list[float]]:
        """Each of the runs, one after the other, again and again; the figures of each.

        So what disturbs the machine for a while disturbs all of them.  The first round is not counted.
        """
        figures: dict[str, list[float]] = {name: [] for name in runs}
        rounds = rounds or self.rounds
        for number in range(rounds + 1):
            if number > 1 and time.monotonic() > self.deadline:
                break
            for name, run in runs.items():
                part = f"round {number} of {rounds}" if number else "warm-up"
                self.say(f"{what}: {part}, {name}")
                figure = run()
                if number:
                    figures[name].append(figure)
        return figures

    @staticmethod
    def row(
        work: str,
        against: str,
        unit: str,
        own: list[float],
        other: list[float],
        goal: float,
        at_most: bool = False,
    ) -> Row:
        """The row of two figures that were measured alternately."""
        if not (own and all(other)):
            raise RuntimeError(f"{work}: {own} against {other} cannot be compared")
        ratio = median(mine / theirs for mine, theirs in zip(own, other))
        return Row(work, against, unit, median(own), median(other), ratio, goal, at_most, [own, other])


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
