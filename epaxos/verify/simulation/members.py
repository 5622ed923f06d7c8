"""Who belongs to a simulated cluster."""

from __future__ import annotations

from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.membership import VERSION, Member, Membership
from epaxos.verify.simulation.contents import Contents

__all__ = ["UID_BASE", "founded", "is_member", "member_of", "was_member"]

UID_BASE = 1000
"""The uid of a replica is this and its number."""
UUID = 77


def member_of(number: int) -> Member:
    """A replica as a member."""
    return Member(number, UID_BASE + number)


def founded(epoch: Epoch, version: int = VERSION) -> Membership:
    """The list of the first members, which every disk of the cluster holds from the start."""
    return Membership(UUID, 0, version, tuple(map(member_of, epoch.members)))


def was_member(contents: Contents, number: int, n: int) -> bool:
    """Whether the replica with this disk was ever a member, in a cluster of `n` at first."""
    return number < n or contents.epoch > 0


def is_member(contents: Contents, number: int, n: int) -> bool:
    """Whether it is a member of the newest epoch that its disk knows of."""
    opened = contents.opened
    return number < n if opened is None else opened.membership.find(number) is not None
