"""Explore the models of the catalogue, one after the other: `python -m epaxos.exploration`."""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Sequence

from epaxos.exploration.catalogue import MODELS
from epaxos.exploration.explorer import Explorer, Violation
from epaxos.exploration.model import Model
from epaxos.exploration.story import tell

__all__ = ["main"]

HEADER = f"{'model':36} {'n':>2} {'states':>10} {'steps':>6} {'machines':>9} {'outcomes':>9} {'s':>6}  all?"


class _Timeout(Exception):
    """The time for one model is over."""


class _Exploration:
    """One model, with a line that tells how it comes along."""

    def __init__(self, model: Model, seconds: float) -> None:
        self._explorer = Explorer(model, self._on_progress)
        self._started = time.monotonic()
        self._seconds = seconds

    def run(self) -> bool:
        """Explore, and print what came out.  Whether every rule held."""
        explorer = self._explorer
        try:
            explorer.run()
        except _Timeout:
            pass
        except Violation as violation:
            print(f"\r{self._line()}\n\n{violation}\n")
            print("\n".join(tell(explorer, violation.before, violation.move)), flush=True)
            return False
        print(f"\r{self._line()}", flush=True)
        return True

    def _on_progress(self, explorer: Explorer) -> None:
        gc.freeze()  # states are only added: to look through them again and again finds nothing
        if sys.stdout.isatty():
            print(f"\r{self._line()}", end="", flush=True)
        if time.monotonic() - self._started > self._seconds:
            raise _Timeout

    def _line(self) -> str:
        explorer = self._explorer
        model = explorer.model
        return (
            f"{model.name:36} {model.n:2} {len(explorer.parents):10} {explorer.depth:6}"
            f" {len(explorer.machines):9} {len(explorer.outcomes()):9}"
            f" {time.monotonic() - self._started:6.0f}  {'yes' if explorer.complete else 'no'}"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Explore what the arguments name.  The process's exit code: 1 when a rule was broken."""
    parser = argparse.ArgumentParser(prog="epaxos.exploration", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="for each model at most (default: 120)")
    parser.add_argument("model", nargs="*", help="the names of the models; all, when none is given")
    options = parser.parse_args(arguments)
    unknown = set(options.model) - set(MODELS)
    if unknown:
        parser.error(f"no such model: {', '.join(sorted(unknown))}")
    print(HEADER)
    chosen = [MODELS[name] for name in options.model or MODELS]
    return 0 if all(_Exploration(model, options.seconds).run() for model in chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
