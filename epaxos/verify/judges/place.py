"""Instances of all epochs on one line: the slots of an epoch come behind those of the one before.

So it compares instances and vectors of different epochs without knowing how an epoch ends.
"""

from __future__ import annotations

from epaxos.protocol.values.ids import Deps, InstanceId

__all__ = ["covers", "epoch_of", "place", "places"]

_SLOTS = 1 << 40
"""More than any run uses in an epoch."""


def place(epoch: int, id: InstanceId) -> InstanceId:
    """Where `id` of this epoch stands."""
    return InstanceId(id.replica, epoch * _SLOTS + id.slot)


def places(epoch: int, deps: Deps) -> Deps:
    """A vector of this epoch: it names everything of the epochs before it, too."""
    return tuple(epoch * _SLOTS + slot for slot in deps)


def covers(vector: Deps, id: InstanceId) -> bool:
    """Whether a vector of `places` names `id`.  Epochs may have different rows."""
    epoch = epoch_of(vector[0])
    if epoch != epoch_of(id.slot):
        return epoch > epoch_of(id.slot)
    return id.slot <= vector[id.replica]


def epoch_of(slot: int) -> int:
    """The epoch of a slot, as `place` and `places` number them."""
    return slot // _SLOTS
