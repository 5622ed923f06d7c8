"""Explore the models of the catalogue, one after the other: `python -m epaxos.verify.models`."""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Sequence
from inspect import isfunction

from epaxos.protocol.replica import Replica
from epaxos.verify.models.catalogue import MODELS
from epaxos.verify.models.explorer import Explorer, State, Violation
from epaxos.verify.models.liveness import stuck
from epaxos.verify.models.model import Model, loses_nothing
from epaxos.verify.models.story import tell
from epaxos.verify.models.turn_explorer import TurnExplorer
from epaxos.verify.models.turn_model import TurnModel

__all__ = ["main"]

HEADER = (
    f"{'model':44} {'n':>2} {'states':>8} {'steps':>5} {'replicas':>8} {'outcomes':>8} {'cpu s':>6}  all?"
    f" {'ends':>6}"
)


class _Timeout(Exception):
    """The time for one model is over."""


class _Exploration:
    """The exploration of one model, with a line that shows its progress."""

    def __init__(self, model: Model, seconds: float) -> None:
        turns = isinstance(model, TurnModel)
        self._explorer = (TurnExplorer if turns else Explorer)(model, self._on_progress)
        self._looks_for_stuck = model.lost is loses_nothing and not turns
        self._started = time.process_time()
        self._seconds = seconds
        self._outcomes: int | None = None
        self._checked = 0

    def run(self) -> bool:
        """Explore, and print the result.  Returns whether every rule held."""
        explorer = self._explorer
        end = None
        try:
            explorer.run()
            self._outcomes = len(explorer.outcomes())  # before it is continued beyond the bounds
            if explorer.complete and self._looks_for_stuck:
                end = self._find_stuck()
        except _Timeout:
            pass
        except Violation as violation:
            print(f"\r{self._line()}\n\n{violation}\n")
            print("\n".join(tell(explorer, violation.before, violation.move)), flush=True)
            return False
        print(f"\r{self._line()}", flush=True)
        if end is not None:
            print(f"\nafter this: {explorer.broken or 'not everything can be decided'}\n")
            print("\n".join(tell(explorer, end)), flush=True)
        return end is None

    def _find_stuck(self) -> State | None:
        """A state from which not everything can be decided; None if there is none."""
        for end in stuck(self._explorer):
            if end is not None:
                return end
            self._checked += 1
            if self._checked % 1_000 == 0:
                self._on_progress(self._explorer)
        return None

    def _on_progress(self, explorer: Explorer) -> None:
        gc.freeze()  # states are only added, so the collector would search them in vain
        if sys.stdout.isatty():
            print(f"\r{self._line()}", end="", flush=True)
        if time.process_time() - self._started > self._seconds:
            raise _Timeout

    def _line(self) -> str:
        explorer = self._explorer
        model = explorer.model
        outcomes = len(explorer.outcomes()) if self._outcomes is None else self._outcomes
        return (
            f"{model.name:44} {model.n:2} {len(explorer.parents):8} {explorer.depth:5}"
            f" {len(explorer.replicas):8} {outcomes:8}"
            f" {time.process_time() - self._started:6.1f}  {'yes' if explorer.complete else 'no ':4}"
            f" {self._checked or '':6}".rstrip()
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Explore the models that the arguments name.  Returns the exit code: 1 when a rule was broken."""
    parser = argparse.ArgumentParser(prog="python -m epaxos.verify.models", description=__doc__)
    parser.add_argument(
        "--seconds", type=float, default=120.0, help="CPU seconds for each model, at most (default: 120)"
    )
    parser.add_argument("model", nargs="*", help="the names of the models; all, when none is given")
    options = parser.parse_args(arguments)
    unknown = set(options.model) - set(MODELS)
    if unknown:
        parser.error(f"no such model: {', '.join(sorted(unknown))}")
    if not isfunction(Replica.receive):
        parser.error("this epaxos is compiled, and only plain Python can be explored")
    print(HEADER)
    chosen = [MODELS[name] for name in options.model or MODELS]
    return 0 if all(_Exploration(model, options.seconds).run() for model in chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
