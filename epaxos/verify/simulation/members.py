"""Who belongs to a simulated cluster."""

from __future__ import annotations

from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.membership import VERSION, Member, Membership

__all__ = ["UID_BASE", "founded"]

UID_BASE = 1000
"""The uid of a replica is this and its number."""
UUID = 77


def founded(epoch: Epoch) -> Membership:
    """The list of the first members, which every disk of the cluster holds from the start."""
    members = tuple(Member(number, UID_BASE + number) for number in epoch.members)
    return Membership(UUID, 0, VERSION, members)
