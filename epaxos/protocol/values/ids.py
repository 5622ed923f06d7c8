"""Instance ids, ballots and dependency vectors.

All are plain immutable values: they are dictionary keys, cross the wire, and are compared in tests.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from epaxos.protocol.values.epoch import Epoch

__all__ = [
    "NUMBER_LIMIT",
    "Deps",
    "InstanceId",
    "initial_ballot",
    "is_in",
    "merge",
    "next_ballot",
    "no_deps",
    "owner",
]

Deps = tuple[int, ...]
"""A dependency vector D: one slot for each row.  The instance (q, s) is *in* D when s <= D[q]."""

NUMBER_LIMIT = 2**63
"""Slots and ballots are below this, so that they fit in signed 64 bits."""

initial_ballot = 0
"""The ballot of the command leader; row b mod n owns every other ballot b."""


class InstanceId(NamedTuple):
    """One slot of one replica's row.  Slots count from 1."""

    replica: int
    slot: int

    def __str__(self) -> str:
        return f"{self.replica}.{self.slot}"


def no_deps(epoch: Epoch) -> Deps:
    """The empty dependency set of an epoch."""
    return (0,) * len(epoch.members)


def merge(vectors: Iterable[Deps]) -> Deps:
    """The union of one or more dependency sets: the element-wise maximum."""
    return tuple(map(max, zip(*vectors)))


def is_in(id: InstanceId, deps: Deps) -> bool:
    """Whether `id` is in the set that `deps` describes."""
    return id.slot <= deps[id.replica]


def next_ballot(ballot: int, replica: int, epoch: Epoch) -> int:
    """The lowest ballot above `ballot` that `replica` owns.  It is never 0, the command leader's ballot."""
    above = ballot + 1
    return above + (replica - above) % len(epoch.members)


def owner(ballot: int, id: InstanceId, epoch: Epoch) -> int:
    """The one replica that may propose a value for `id` at `ballot`."""
    return id.replica if ballot == initial_ballot else ballot % len(epoch.members)
