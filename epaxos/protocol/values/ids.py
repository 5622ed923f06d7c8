"""Names of things: instances, ballots and dependency vectors.

Everything here is a plain immutable value, so that it can be a dictionary key,
cross the wire and be compared in a test.
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
"""A dependency vector: one slot per replica.  ``(q, s)`` is *in* D when ``s <= D[q]``."""

NUMBER_LIMIT = 2**63
"""Slots and ballots are below it: they fit the signed 64 bits of anything that stores them."""

initial_ballot = 0
"""The ballot of the command leader; every other ballot b is owned by row ``b mod n``."""


class InstanceId(NamedTuple):
    """One slot (from 1) of one replica's row."""

    replica: int
    slot: int

    def __str__(self) -> str:
        return f"{self.replica}.{self.slot}"


def no_deps(epoch: Epoch) -> Deps:
    """The empty dependency set."""
    return (0,) * len(epoch.members)


def merge(vectors: Iterable[Deps]) -> Deps:
    """The union of one or more dependency sets: the element-wise maximum."""
    return tuple(map(max, zip(*vectors)))


def is_in(id: InstanceId, deps: Deps) -> bool:
    """Whether `id` is a member of the set that `deps` describes."""
    return id.slot <= deps[id.replica]


def next_ballot(ballot: int, replica: int, epoch: Epoch) -> int:
    """The lowest ballot above `ballot` that `replica` owns; never 0, which is the command leader's."""
    above = ballot + 1
    return above + (replica - above) % len(epoch.members)


def owner(ballot: int, id: InstanceId, epoch: Epoch) -> int:
    """Who alone may propose a value for `id` at `ballot`."""
    return id.replica if ballot == initial_ballot else ballot % len(epoch.members)
