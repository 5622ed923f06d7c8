"""Runs the simulator against every mutant until the mutant is caught, and against the product itself.

`python -m epaxos.verify.mutants.hunt` exits with 1 when a mutant was not caught, and when a control, the
product itself, was.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from multiprocessing import get_context

from twisted.logger import globalLogBeginner

from epaxos.verify.mutants.catalogue import MUTANTS
from epaxos.verify.mutants.mutation import Mutant
from epaxos.verify.simulation.plan import Plan
from epaxos.verify.simulation.run import simulate

__all__ = ["CONTROLS", "Catch", "Hunt", "check_of", "hunt", "main", "try_seed"]

SEEDS_MAX = 2000
"""A mutant that was not caught in this many seeds has won."""
CONTROL_SEEDS = 200
CONTROLS = tuple(
    Mutant("the product itself", "none", (), n, profile)
    for profile, n in sorted(
        {(mutant.profile, mutant.n) for mutant in MUTANTS}, key=lambda plans: (plans[0], plans[1] or 0)
    )
)
"""The product itself, with each kind of plan that mutants are hunted with."""
_SUBJECTS = (*MUTANTS, *CONTROLS)
_AT_ONCE = 8
_CHECKS = (
    ("Survivors:", "survivors"),
    ("Agreement:", "Agreement"),
    ("Visibility:", "Visibility"),
    ("Order:", "order"),
    ("Digest:", "digest"),
    ("Linearizability:", "linearizability"),
    ("Liveness:", "liveness"),
    ("Wholeness:", "wholeness"),
    ("Epochs:", "epochs"),
    ("Members:", "members"),
    ("Versions:", "versions"),
    ("cannot be applied", "versions"),
    ("Transfer:", "transfer"),
    ("Once:", "exactly once"),
    ("Expiry:", "deadlines"),
    ("Fence:", "fences"),
    ("was run in", "executed twice"),
    ("twice", "executed twice"),
    ("which was not decided", "Agreement"),
    ("checkpoint", "frontier"),
    ("starts at", "frontier"),
    ("Claims:", "claims"),
    ("Channels:", "channels"),
    ("answered", "answers"),
)


@dataclass(frozen=True)
class Catch:
    """The run of `seed` found a violation."""

    seed: int
    text: str

    @property
    def check(self) -> str:
        """The check that found it, in a word."""
        return check_of(self.text)


Trial = tuple["Catch | None", int, float]
"""The catch in a range of seeds, if any; how many seeds were tried; and the seconds of processor time."""


@dataclass
class Hunt:
    """The state of the hunt for one mutant: the seeds from 0 to `seeds` - 1 were tried.

    Workers have claimed further ones.  The catch with the lowest seed counts, whoever finds it first.
    """

    mutant: Mutant
    seeds_max: int
    seeds: int = 0
    seconds: float = 0.0
    catch: Catch | None = None
    _claimed: int = 0
    _trials: dict[int, Trial] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """Whether the mutant is caught, or has won."""
        return self.catch is not None or self.seeds >= self.seeds_max

    @property
    def claimable(self) -> bool:
        """Whether there are seeds left to try."""
        return self.catch is None and self._claimed < self.seeds_max

    def claim(self) -> range:
        """Claim the seeds to be tried next."""
        first = self._claimed
        self._claimed = min(first + _AT_ONCE, self.seeds_max)
        return range(first, self._claimed)

    def take(self, first: int, trial: Trial) -> None:
        """Take the trial of the claimed seeds from `first` on."""
        self._trials[first] = trial
        while self.catch is None and self.seeds in self._trials:
            self.catch, seeds, seconds = self._trials.pop(self.seeds)
            self.seeds += seeds
            self.seconds += seconds


def check_of(violation: str) -> str:
    """The check that the text of a violation comes from.  An exception comes from the product's own
    checks."""
    for words, check in _CHECKS:
        if words in violation:
            return check
    return "the product's own checks"


def try_seed(mutant: Mutant, seed: int) -> Catch | None:
    """Run this seed.  A mutant that raises an exception is caught, too."""
    with mutant.applied():
        try:
            result = simulate(Plan.of(seed, mutant.n, mutant.profile))
        except Exception as error:
            return Catch(seed, f"{type(error).__name__}: {error}")
    return Catch(seed, result.violations[0]) if result.failed else None


def _try_seeds(subject: int, seeds: range) -> Trial:
    """Try seeds in a worker process, until one catches."""
    began = time.process_time()
    for seed in seeds:
        catch = try_seed(_SUBJECTS[subject], seed)
        if catch is not None:
            return catch, seed - seeds.start + 1, time.process_time() - began
    return None, len(seeds), time.process_time() - began


def _be_quiet() -> None:
    """Drop the log, because here replicas fail all the time."""
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)


def hunt(hunts: Mapping[int, Hunt], workers: int) -> Iterator[Hunt]:
    """Try seeds for these mutants and controls, by number, in turn, until all hunts are over.

    Yields a hunt whenever seeds of it were tried.  The findings do not depend on the number of workers.
    """
    pending: dict[Future[Trial], tuple[int, int]] = {}
    turns = deque(hunts)
    with ProcessPoolExecutor(workers, get_context("spawn"), _be_quiet) as pool:
        while True:
            for number in tuple(turns):
                if len(pending) == workers:
                    break
                if hunts[number].claimable:
                    seeds = hunts[number].claim()
                    pending[pool.submit(_try_seeds, number, seeds)] = number, seeds.start
                    turns.remove(number)
                    turns.append(number)
            if not pending:
                return
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                number, first = pending.pop(future)
                hunts[number].take(first, future.result())
                yield hunts[number]


def _table(hunts: Sequence[Hunt]) -> str:
    lines = [
        "| mutant | rule that it breaks | caught by | seeds | seconds |",
        "| --- | --- | --- | --- | --- |",
    ]
    for current in hunts:
        caught = current.catch.check if current.catch is not None else "**nothing**"
        name, rule = (text.replace("|", "\\|") for text in (current.mutant.name, current.mutant.rule))
        lines.append(f"| {name} | {rule} | {caught} | {current.seeds} | {current.seconds:.1f} |")
    return "\n".join(lines)


def _controls(hunts: Sequence[Hunt], seeds_max: int) -> dict[int, Hunt]:
    """The controls for these hunts, by number, with as many seeds as the mutant that was hardest to catch."""
    controls = {}
    for number, control in enumerate(CONTROLS, len(MUTANTS)):
        plans = (control.profile, control.n)
        taken = [current.seeds for current in hunts if (current.mutant.profile, current.mutant.n) == plans]
        if taken:
            controls[number] = Hunt(control, min(seeds_max, max(CONTROL_SEEDS, *taken)))
    return controls


def _verdicts(controls: Sequence[Hunt]) -> str:
    lines = []
    for control in controls:
        n, profile = control.mutant.n, control.mutant.profile
        line = f"the product itself, {profile}, {n or '1 to 7'} replicas: {control.seeds} seeds"
        if control.catch is not None:
            line += f"; seed {control.catch.seed} failed: {control.catch.text}"
        else:
            line += f", nothing found ({control.seconds:.1f} s)"
        lines.append(line)
    return "\n".join(lines)


class _Progress:
    """Shows progress: one line on a terminal that changes; in a file a line every 15 s."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._said = 0.0
        self._terminal = sys.stderr.isatty()

    def say(self, hunts: Collection[Hunt], last: Hunt) -> None:
        """Show how many hunts are over."""
        now = time.monotonic()
        if now - self._said < (0.2 if self._terminal else 15):
            return
        self._said = now
        over = sum(current.over for current in hunts)
        seeds = sum(current.seeds for current in hunts)
        text = f"{now - self._began:5.0f} s, {seeds} runs, {over} of {len(hunts)} over"
        text += f"; {last.mutant.name}: {last.seeds}"
        if self._terminal:
            print(f"\r{text:100.100}", end="", file=sys.stderr)
        else:
            print(text, file=sys.stderr)


def _carry_out(hunts: Mapping[int, Hunt], workers: int) -> None:
    progress = _Progress()
    for current in hunt(hunts, workers):
        progress.say(hunts.values(), current)
    print(file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Hunt, print the table, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m epaxos.verify.mutants.hunt", description=__doc__)
    parser.add_argument("names", nargs="*", help="only mutants whose name has one of these in it")
    parser.add_argument("--seeds", type=int, default=SEEDS_MAX, help="seeds for each, at most (%(default)s)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (%(default)s)")
    options = parser.parse_args(arguments)
    hunts = {
        number: Hunt(mutant, options.seeds)
        for number, mutant in enumerate(MUTANTS)
        if not options.names or any(name in mutant.name for name in options.names)
    }
    _carry_out(hunts, options.workers)
    print(_table(list(hunts.values())))
    survivors = [current.mutant.name for current in hunts.values() if current.catch is None]
    if survivors:
        print(f"\nnot caught in {options.seeds} seeds: {', '.join(survivors)}")
    controls = _controls(list(hunts.values()), options.seeds)
    _carry_out(controls, options.workers)
    print(f"\n{_verdicts(list(controls.values()))}")
    return 1 if survivors or any(control.catch is not None for control in controls.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
