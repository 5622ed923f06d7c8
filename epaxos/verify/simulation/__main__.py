"""The command of the simulator: `python -m epaxos.verify.simulation --help`."""

from __future__ import annotations

import os
import random
import sys
import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from pathlib import Path

from epaxos.verify.simulation.digests import write_digests
from epaxos.verify.simulation.plan import PROFILES, Plan
from epaxos.verify.simulation.pool import Settings, results, run, shrunk
from epaxos.verify.simulation.report import Failures, Progress
from epaxos.verify.simulation.run import simulate

__all__ = ["main"]

SEEDS_MAX = 10**9
SHRUNK_MAX = 5
"""Failures of one call that are made small.  Further ones are likely to have the same cause."""

_EXAMPLES = """examples:
  python -m epaxos.verify.simulation --seeds 0..1000          these seeds, on all cores
  python -m epaxos.verify.simulation --fresh 1000             1000 seeds from a random one on
  python -m epaxos.verify.simulation --soak --save found      fresh ones until Ctrl-C; failures go to a folder
  python -m epaxos.verify.simulation --seed 7 --trace         one, message by message
  python -m epaxos.verify.simulation --seed 7 --shrink        the smallest part of it that still fails
  python -m epaxos.verify.simulation --seeds 0..1000 --state-machine leaderboard --commands scores.txt
                                                              your own state machine, a Twisted plugin
  python -m epaxos.verify.simulation --seeds 0..1000 --machine locks:Locks
                                                              your own machine, of epaxos.machines

The exit status is 0 when nothing was found, 1 when something was, 2 when the call makes no sense."""


def _seeds(text: str) -> range:
    """Parse `A..B`: the seeds from A to B-1."""
    first, dots, last = text.partition("..")
    try:
        seeds = range(int(first), int(last)) if dots else range(int(first), int(first) + 1)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no range of seeds such as 0..100") from None
    if not seeds:
        raise ArgumentTypeError(f"there is no seed in {text}")
    return seeds


def _names(text: str) -> tuple[int, ...]:
    """Parse a list such as `1,4,7`, or `none`."""
    try:
        return () if text == "none" else tuple(map(int, text.split(",")))
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no list of numbers such as 1,4,7") from None


def _option(text: str) -> tuple[str, str]:
    """Parse `NAME=VALUE`."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ArgumentTypeError(f"{text!r} is no option such as NAME=VALUE")
    return name, value


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise ArgumentTypeError(f"{text!r} is not a number from 1 up")
    return int(text)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m epaxos.verify.simulation",
        description="Runs whole clusters on a virtual clock, network and disk, with faults, and judges them.",
        epilog=_EXAMPLES,
        formatter_class=RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--seed", type=int, help="one run")
    what.add_argument("--seeds", type=_seeds, metavar="A..B", help="the runs of the seeds from A to B - 1")
    what.add_argument("--fresh", type=_positive, metavar="COUNT", help="COUNT runs of fresh seeds")
    what.add_argument("--soak", action="store_true", help="runs of fresh seeds until Ctrl-C or --seconds")
    what.add_argument(
        "--digests", type=Path, metavar="FILE", help="write the digests of the seeds in FILE anew"
    )
    chosen = parser.add_argument_group("what a seed does not decide")
    chosen.add_argument("--n", type=_positive, metavar="N", help="the number of replicas")
    chosen.add_argument("--profile", choices=sorted(PROFILES), help="the kind of network and times")
    chosen.add_argument(
        "--state-machine", metavar="NAME", help="hunt the state machine of this plugin, with --commands"
    )
    chosen.add_argument(
        "--commands", type=Path, metavar="FILE", help="what its clients ask for, one template a line"
    )
    chosen.add_argument(
        "--option", type=_option, action="append", metavar="NAME=VALUE", help="an option of its factory"
    )
    chosen.add_argument("--machine", metavar="MODULE:CLASS", help="hunt this machine (epaxos.machines)")
    one = parser.add_argument_group("with --seed")
    one.add_argument("--trace", action="store_true", help="print what happens, message by message")
    one.add_argument("--shrink", action="store_true", help="make the plan small if it fails")
    one.add_argument("--clients", type=_names, metavar="A,B,…", help="only these clients (or none)")
    one.add_argument("--faults", type=_names, metavar="A,B,…", help="only these faults (or none)")
    one.add_argument("--operations", type=_positive, metavar="N", help="N operations for each client")
    many = parser.add_argument_group("with --seeds, --fresh and --soak")
    many.add_argument("--jobs", type=_positive, default=os.cpu_count() or 1, metavar="N", help="processes")
    many.add_argument("--seconds", type=_positive, metavar="S", help="begin no run after S seconds")
    many.add_argument("--first", type=int, metavar="SEED", help="take fresh seeds from here on")
    many.add_argument("--save", type=Path, metavar="FOLDER", help="write failures to files in this folder")
    return parser


def _one(options: Namespace, settings: Settings) -> int:
    """Run the seed of `--seed`, and return the exit status."""
    plan = settings.plan(options.seed).keep(options.clients, options.faults, options.operations)
    print(plan.describe())
    if options.trace:
        result = simulate(plan, trace=True, show=print, components=settings.components())
    else:
        result = run(plan, settings)
    if result.failed:
        print("FOUND", result.violations[0])
        if options.shrink:
            Failures(sys.stdout, settings, None).made_small(shrunk(result, settings))
        return 1
    print(
        f"nothing found: {result.answered} of {result.operations} operations answered,"
        f" {result.instances} instances, {result.messages} messages, {result.seconds:.3f} s of virtual time"
    )
    if result.undecided:
        print("whether the history is linearizable could not be decided in bounded time")
    if result.digest:
        print(f"digest {result.digest}")
    return 0


def _chosen_seeds(options: Namespace) -> tuple[Iterable[int], int | None]:
    """The seeds, and their number, None when there is no end.  Print where fresh ones begin."""
    if options.seeds is not None:
        return options.seeds, len(options.seeds)
    first = options.first
    if first is None:
        first = random.SystemRandom().randrange(SEEDS_MAX)
    print(f"fresh seeds from {first} on", flush=True)
    if options.fresh is not None:
        return range(first, first + options.fresh), options.fresh
    return count(first), None


def _stop_after(seconds: int | None) -> Callable[[], bool]:
    if seconds is None:
        return lambda: False
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


def _many(options: Namespace, settings: Settings) -> int:
    """Run the seeds of `--seeds`, `--fresh` or `--soak`, and return the exit status."""
    seeds, total = _chosen_seeds(options)
    progress = Progress(sys.stderr, total)
    failures = Failures(sys.stdout, settings, options.save)
    try:
        for result in results(seeds, settings, options.jobs, _stop_after(options.seconds)):
            progress.count(result)
            if result.failed:
                progress.clear()
                failures.found(result)
                if progress.failures <= SHRUNK_MAX:
                    failures.made_small(shrunk(result, settings))
    except KeyboardInterrupt:
        pass
    progress.clear()
    print(progress)
    return 1 if progress.failures else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments ask for, and return the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if (options.state_machine is None) is not (options.commands is None):
        parser.error("--state-machine and --commands need each other")
    if options.machine and options.state_machine:
        parser.error("--machine and --state-machine exclude each other")
    if options.option and options.state_machine is None:
        parser.error("--option needs --state-machine")
    settings = Settings(
        options.n,
        options.profile,
        options.state_machine,
        options.commands,
        tuple(options.option or ()),
        options.machine,
    )
    try:
        Plan.of(0, settings.n, settings.profile)
        settings.components()
    except ValueError as error:
        parser.error(str(error))
    if options.digests is not None:
        write_digests(options.digests)
        return 0
    return _one(options, settings) if options.seed is not None else _many(options, settings)


if __name__ == "__main__":
    sys.exit(main())
