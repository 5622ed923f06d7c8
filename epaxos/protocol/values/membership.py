"""Who the members of an epoch are: the value that an epoch is opened with (docs: protocol/epochs)."""

from __future__ import annotations

from typing import NamedTuple

from epaxos.protocol.values.epoch import Epoch

__all__ = ["UID_LIMIT", "UUID_LIMIT", "VERSION", "Member", "Membership"]

UID_LIMIT = 2**64
"""Uids, which are random, are below this and above 0."""
UUID_LIMIT = 2**128
"""The uuids of clusters, which are random, are below this and above 0."""
VERSION = 1
"""The version of the meaning of commands and records.  It rises only with a turn of the epoch."""


class Member(NamedTuple):
    """One member: its number, and the uid of its data folder."""

    number: int
    uid: int


class Membership(NamedTuple):
    """The members of epoch `number` of the cluster `uuid`, in the order of their rows.

    `version` is the version of the meaning of everything that is proposed in this epoch.
    """

    uuid: int
    number: int
    version: int
    members: tuple[Member, ...]

    @property
    def epoch(self) -> Epoch:
        """The epoch as the core knows it."""
        return Epoch(self.number, tuple(member.number for member in self.members))

    def successor(self) -> Membership:
        """The next epoch, with the same members."""
        return self._replace(number=self.number + 1)

    def uid_of(self, number: int) -> int | None:
        """The uid of the member `number`; None when it is not in the list."""
        return next((member.uid for member in self.members if member.number == number), None)
