"""Who the members of an epoch are: the value that an epoch is opened with (docs: protocol/epochs)."""

from __future__ import annotations

from typing import NamedTuple

from epaxos.protocol.values.epoch import Epoch

__all__ = [
    "ADDRESS_BYTES_MAX",
    "FIRST_VERSION",
    "MEMBERS_MAX",
    "NUMBER_MAX",
    "UID_LIMIT",
    "UUID_LIMIT",
    "VERSION",
    "WHEN_LOST",
    "WHY_BYTES_MAX",
    "Member",
    "Membership",
    "is_writable",
]

UID_LIMIT = 2**64
"""Uids, which are random, are below this and above 0."""
UUID_LIMIT = 2**128
"""The uuids of clusters, which are random, are below this and above 0."""
FIRST_VERSION = 1
"""That of clusters whose list of members does not say another one, and of programs that tell none."""
VERSION = 2
"""The highest version of the meaning of commands and records that this program can do.  That of a cluster
rises only with a turn of the epoch.

Version 2 has the sessions of clients, and whatever says so in its table of commands."""
MEMBERS_MAX = 1000
"""The most members of a list, so that what comes from outside is bounded."""
NUMBER_MAX = 2**31 - 1
"""The highest number of a member.  Numbers are never used again, so there have to be enough."""
ADDRESS_BYTES_MAX = 256
"""The most bytes of an address in a list; a path of a Unix socket has at most 107."""
WHY_BYTES_MAX = 200
"""The most bytes of the text that says why an epoch was begun."""

WHEN_LOST = (
    "put its folder back; if that is lost, start a replica of a new number with --join, and let it take the"
    " place of this one (epaxosctl replace)"
)
"""What the operator of a member does whose folder was wiped."""


def is_writable(text: str, bytes_max: int) -> bool:
    """Whether a list of members may hold this text: it is printable, and has at most `bytes_max` bytes."""
    return len(text.encode()) <= bytes_max and text.isprintable()


class Member(NamedTuple):
    """One member: its number, the uid of its data folder, and where others find it.

    `peer_connect` is where other replicas connect to, `client_connect` where clients do, `status_connect`
    where its status is: strings as the ini file has them.  An empty one means what the ini file of the
    reader says, because lists that were made by earlier versions have none.
    """

    number: int
    uid: int
    peer_connect: str = ""
    client_connect: str = ""
    status_connect: str = ""


class Membership(NamedTuple):
    """The members of epoch `number` of the cluster `uuid`, in the order of their rows.

    `version` is the version of the meaning of everything that is proposed in this epoch; it never falls.

    `next_number` is 0 in a list that is the first one of the cluster, but for its number, and where members
    are; programs that know of no other lists can read it.  Else no member ever had this number or a higher
    one.  `why` says in a few words why the epoch was begun, and by whom, and `at` when that was proposed, in
    seconds since 1970.  Both are for people alone.
    """

    uuid: int
    number: int
    version: int
    members: tuple[Member, ...]
    next_number: int = 0
    why: str = ""
    at: int = 0

    @property
    def epoch(self) -> Epoch:
        """The epoch as the core knows it."""
        return Epoch(self.number, tuple(member.number for member in self.members))

    @property
    def unused(self) -> int:
        """The lowest number such that no member ever had it, or a higher one."""
        return max(self.next_number, 1 + max(member.number for member in self.members))

    def successor(self, why: str = "", at: int = 0) -> Membership:
        """The next epoch, with the same members."""
        return self._replace(number=self.number + 1, why=why, at=at)

    def find(self, number: int) -> Member | None:
        """The member `number`; None when it is not in the list."""
        return next((member for member in self.members if member.number == number), None)

    def uid_of(self, number: int) -> int | None:
        """The uid of the member `number`; None when it is not in the list."""
        member = self.find(number)
        return None if member is None else member.uid
