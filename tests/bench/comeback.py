"""How long a member that was away needs until it is where the others are, and what of the state it takes."""

from __future__ import annotations

import re
import time
from typing import Any, NamedTuple

from tests.bench.processes import BenchCluster

__all__ = ["Back", "Returning", "bytes_installed", "bytes_text", "wait_until_back"]

PAUSE_S = 0.2
"""Seconds between two looks."""


_INSTALLED = re.compile(r"begins again with the state of epoch \d+, (\d+) bytes, taken in")


class Back(NamedTuple):
    """`seconds` until a member is back; `state_bytes`: what it took of other members' states."""

    seconds: float
    state_bytes: int


class Returning:
    """Follows what `GET /status` shows of a member that returns, and of one that was there all the time."""

    def __init__(self) -> None:
        self.seen_bytes = 0
        """Of the state, what it had taken when that was seen last."""

    def is_back(self, returning: dict[str, Any], other: dict[str, Any]) -> bool:
        """Whether the member has executed all that the other had executed before.

        `other` has to be the older of both statuses, because the other goes on meanwhile.
        """
        epoch = returning["epoch"]
        behind = epoch.get("behind")
        if behind is not None:
            self.seen_bytes = max(self.seen_bytes, int(behind["taken_bytes"]))
            return False
        if epoch["number"] != other["epoch"]["number"]:
            return bool(epoch["number"] > other["epoch"]["number"])
        return all(mine >= theirs for mine, theirs in zip(returning["executed"], other["executed"]))


def bytes_installed(log: str) -> int:
    """The size of the states that a replica with this log has installed."""
    return sum(int(match[1]) for match in _INSTALLED.finditer(log))


def wait_until_back(
    replicas: BenchCluster, id: int, other: int, begin: float, patience_s: float = 300.0
) -> Back:
    """Wait for replica `id`.  Seconds count from `begin`, on the monotonic clock.  Raises TimeoutError."""
    returning = Returning()
    before = bytes_installed(replicas.log(id))
    while time.monotonic() < begin + patience_s:
        there = replicas.try_status(other)
        asked_at = time.monotonic()  # what a status shows was so when it was asked for
        mine = replicas.try_status(id)
        if there is not None and mine is not None and returning.is_back(mine, there):
            installed = (
                bytes_installed(replicas.log(id)) - before
            )  # a short transfer is over between two looks
            return Back(asked_at - begin, max(returning.seen_bytes, installed))
        time.sleep(PAUSE_S)
    raise TimeoutError(f"replica {id} is not back within {patience_s:g} s")


def bytes_text(count: float) -> str:
    """In MB."""
    return f"{count / 1e6:,.1f}"
