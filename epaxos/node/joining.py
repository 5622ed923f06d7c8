"""How a replica that is no member becomes one: it asks to join, and takes the state until it is named.

It votes nowhere and serves nobody.  It begins as a member with the state of an epoch that names it, which it
installs in one write (docs: protocol/epochs, "Joining").
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from epaxos.interfaces import ITransport
from epaxos.node.transfers import Transfers
from epaxos.node.versions import Versions
from epaxos.protocol.values.control import Candidate, EpochIs
from epaxos.protocol.values.membership import Member, Membership
from epaxos.protocol.values.transfer import StateOffer

__all__ = ["Joining"]

_log = Logger()

SAY_EVERY_S = 1.0
"""Seconds between two times that it says who and how far it is."""


class Joining:
    """Makes `member`, whose number and uid are those of this replica, a member.

    `ended(text)` is called when it never can be one.
    """

    def __init__(
        self,
        member: Member,
        transfers: Transfers,
        transport: ITransport,
        versions: Versions,
        now: Callable[[], float],
        ended: Callable[[str], None],
    ) -> None:
        self.due = 0.0
        """When `on_time` has to be called next, on the clock of `ITimeoutService`."""
        self.newest: Membership | None = None
        """The newest list of members that it knows."""
        self._member = member
        self._transfers = transfers
        self._transport = transport
        self._versions = versions
        self._now = now
        self._ended = ended
        self._met: set[int] = set()

    def is_for_us(self, offer: StateOffer) -> bool:
        """Whether this state is of an epoch with this very member."""
        return offer.membership.uid_of(self._member.number) == self._member.uid

    def on_connection(self, replica: int, is_there: bool) -> None:
        """There is a connection with a member, or none any more."""
        if is_there:
            self._met.add(replica)
            self._say(replica)
        else:
            self._met.discard(replica)

    def on_time(self) -> None:
        """Say again who and how far it is."""
        now = self._now()
        if now >= self.due:
            self.due = now + SAY_EVERY_S
            newest = self.newest  # of members there is no connection where the transport has none
            known = () if newest is None else (member.number for member in newest.members)
            for replica in sorted(self._met.union(known)):
                if replica != self._member.number:  # it may have been named just now
                    self._say(replica)

    def _say(self, replica: int) -> None:
        self._transport.send_control(replica, Candidate(self._member, self._transfers.behind))

    def on_epoch_is(self, told: EpochIs) -> None:
        """A member tells who the members are."""
        newest, known, member = told.membership, self.newest, self._member
        if (known is not None and known.uuid != newest.uuid) or self._versions.is_outdated(newest):
            return
        uid = newest.uid_of(member.number)
        if member.number < newest.unused and uid != member.uid:
            state = (
                "is a member with another data folder"
                if uid
                else "was a member before, or one with a higher number was"
            )
            self._ended(
                f"replica {member.number} of this cluster {state}, and no number is used again: a new member"
                f" has the number {newest.unused}, or a higher one"
            )
            return
        if known is None or newest.number > known.number:
            self.newest = newest
            self._transport.know(newest, told.previous)
            _log.info(
                "replica {id} asks to join the cluster, whose members in epoch {number} are {members}",
                id=member.number,
                number=newest.number,
                members=", ".join(str(one.number) for one in newest.members),
            )
        if self.newest is not None:
            self._transfers.want(0, self.newest, self._sources(self.newest, told.previous))

    def _sources(self, newest: Membership, previous: Membership | None) -> list[tuple[int, int]]:
        """Who can give the state, those who are connected first.  Who has just been removed can, too."""
        lists = (newest,) if previous is None or newest.number - 1 != previous.number else (newest, previous)
        sources = {one.number: one.uid for list_ in reversed(lists) for one in list_.members}
        sources.pop(self._member.number, None)
        return sorted(sources.items(), key=lambda source: source[0] not in self._met)
