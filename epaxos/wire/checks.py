"""Checks of the fields of a message from outside; each function returns the value of a valid field.

All raise WireError, with a few words that say why.  `n` is the number of rows of the epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from epaxos.protocol.values.ids import NUMBER_LIMIT, Deps, InstanceId

__all__ = ["Named", "WireError", "ballot_of", "deps_of", "fast_quorum_of", "id_of", "ids_of", "own_deps_of"]


class WireError(ValueError):
    """Bytes from outside that are not what they should be; the text says in a few words why."""


class Named(Protocol):
    """A wire message about one instance."""

    replica: int
    slot: int


def id_of(message: Named, n: int) -> InstanceId:
    """The instance that the message is about."""
    replica, slot = message.replica, message.slot
    if replica >= n:
        raise WireError(f"an instance of replica {replica}")
    if not 0 < slot < NUMBER_LIMIT:
        raise WireError(f"an instance with slot {slot}")
    return InstanceId(replica, slot)


def ids_of(replicas: Sequence[int], slots: Sequence[int], n: int) -> list[InstanceId]:
    """Columns of rows and slots as instances."""
    if len(replicas) != len(slots):
        raise WireError(f"columns of {len(replicas)} replicas and {len(slots)} slots")
    if replicas and (max(replicas) >= n or min(slots) < 1 or max(slots) >= NUMBER_LIMIT):
        raise WireError("a list with an impossible instance")
    return list(map(InstanceId, replicas, slots))


def ballot_of(number: int) -> int:
    """A ballot."""
    if number >= NUMBER_LIMIT:
        raise WireError(f"ballot {number}")
    return number


def deps_of(vector: Sequence[int], n: int) -> Deps:
    """A dependency vector: for each row the highest slot, 0 for none."""
    deps = tuple(vector[:])
    if len(deps) != n:
        raise WireError(f"a vector of {len(deps)} elements in a cluster of {n}")
    if max(deps) >= NUMBER_LIMIT:
        raise WireError(f"a vector with slot {max(deps)}")
    return deps


def own_deps_of(id: InstanceId, vector: Sequence[int], n: int) -> Deps:
    """The dependencies of `id`: of its own row they name only what comes before it."""
    deps = deps_of(vector, n)
    if deps[id.replica] >= id.slot:
        raise WireError(f"an instance {id} that depends on slot {deps[id.replica]} of its own row")
    return deps


def fast_quorum_of(id: InstanceId, replicas: Sequence[int], n: int) -> tuple[int, ...]:
    """The replicas that the leader of `id` named: other ones than itself, in ascending order."""
    named = tuple(replicas[:])
    if named and (named[-1] >= n or id.replica in named or named != tuple(sorted(set(named)))):
        raise WireError(f"an instance {id} with the fast quorum {named}")
    return named
