"""Random commands to us and to a real server, until a difference that is not meant, or for a while.

    python -m tests.differential --seconds 60 --against valkey --families hashes,strings

A session that differs is made small and printed with its seed.  The exit status is 1 then.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from random import Random
from unittest import SkipTest

from tests.differential.families import FAMILIES, Family
from tests.differential.hunt import Players
from tests.differential.sessions import session_of

__all__ = ["main"]

FAILURES_MAX = 20


def hunt(
    players: Players, families: Sequence[Family], seed: int, seconds: float, commands: int
) -> tuple[int, int]:
    """Play from this seed on; how many commands were compared, and how many sessions differed."""
    tried = failures = 0
    ends = time.monotonic() + seconds
    while time.monotonic() < ends and tried < commands and failures < FAILURES_MAX:
        session = session_of(Random(seed), families)
        tried += sum(len(step.asked) for step in session)
        if players.difference(session, seed) is not None:
            failures += 1
            small = players.smaller(session, seed)
            print(f"seed {seed}: {players.difference(small, seed)}\nin\n" + "\n".join(map(str, small)))
        seed += 1
    return tried, failures


def main(arguments: Sequence[str] | None = None) -> int:
    """Hunt, say what was found, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.differential",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="(%(default)s)")
    parser.add_argument("--commands", type=int, default=10**9, help="at most (%(default)s)")
    parser.add_argument("--seed", type=int, default=None, help="the first one; the time by default")
    parser.add_argument("--against", choices=("redis", "valkey"), default="redis", help="(%(default)s)")
    parser.add_argument("--families", default="", help="all of them by default, else names with commas")
    options = parser.parse_args(arguments)
    wanted = set(filter(None, options.families.split(",")))
    families = [
        one
        for one in FAMILIES
        if (not wanted or one.name in wanted) and (options.against == "valkey" or not one.valkey)
    ]
    seed = time.time_ns() // 10**6 % 10**9 if options.seed is None else options.seed
    try:
        players = Players(options.against)
    except SkipTest as why:
        print(why)
        return 2
    try:
        began = time.monotonic()
        tried, failures = hunt(players, families, seed, options.seconds, options.commands)
    finally:
        players.close()
    print(
        f"{tried} commands against {options.against} from seed {seed} on, in"
        f" {time.monotonic() - began:.0f} s: {failures} sessions differ"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
