"""Whose messages count: the members of the present epoch, and of the one before while somebody needs it.

Pure.
"""

from __future__ import annotations

from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.membership import Membership
from epaxos.protocol.values.messages import Message
from epaxos.wire.codec import WireError, decode_frame

__all__ = ["Roster"]


class Roster:
    """The lists of members that count now, as the replica `number` knows them.

    Until there is a list the members are those of `founding`, whose folders are not known; None where nobody
    is known, because this replica joins.
    """

    def __init__(self, number: int, founding: Epoch | None) -> None:
        self.membership: Membership | None = None
        self._number = number
        self._founding = founding
        self._newest = founding
        self._epochs = {} if founding is None else {founding.number: founding}
        self._uids: dict[int, int] = {}
        self._addresses: dict[int, str] = {}

    def know(self, membership: Membership, previous: Membership | None = None) -> None:
        """These lists count from now on; `previous` is the one of the epoch before, None when it is over."""
        lists = [membership] if previous is None else [previous, membership]
        self.membership = membership
        self._newest = membership.epoch
        self._epochs = {each.number: each.epoch for each in lists}
        self._uids = {member.number: member.uid for each in lists for member in each.members}
        self._addresses = {number: address for each in lists for number, address in self._where(each).items()}

    def _where(self, membership: Membership) -> dict[int, str]:
        """The address of each member, "" where the configuration says it.

        It does while the members are the first ones: an operator may have edited it since the list was made.
        """
        founding = self._founding
        is_first = not membership.next_number
        configured = founding.members if is_first and founding is not None else ()
        return {
            member.number: "" if member.number in configured else member.peer_connect
            for member in membership.members
        }

    @property
    def n(self) -> int:
        """How many members the newest list has; 0 where nobody is known."""
        return 0 if self._newest is None else self._newest.n

    @property
    def others(self) -> tuple[int, ...]:
        """The numbers of all other members, in ascending order."""
        numbers = {number for epoch in self._epochs.values() for number in epoch.members}
        return tuple(sorted(numbers - {self._number}))

    def has(self, number: int) -> bool:
        """Whether this is the number of a member."""
        return any(number in epoch.members for epoch in self._epochs.values())

    def uid_of(self, number: int) -> int | None:
        """The uid of the folder of a member; None where the lists do not have it, or there is none."""
        return self._uids.get(number)

    def address_of(self, number: int) -> str:
        """How a member is dialled, as the newer list says that has it; "" where the configuration counts."""
        return self._addresses.get(number, "")

    def decode(self, sender: int, number: int, frame: bytes) -> list[Message] | None:
        """The messages of epoch `number` in a frame of `sender`; None where they cannot be read, because
        `sender` is no member of that epoch, or no list says who is.

        A frame of a later epoch is read by the rows of the newest one, because most epochs have the members
        of the one before.  Raises WireError for what no member of an epoch that is known says.
        """
        epoch = self._epochs.get(number)
        if epoch is not None:
            return decode_frame(frame, epoch) if sender in epoch.members else None
        newest = self._newest
        if newest is None or number < newest.number or sender not in newest.members:
            return None
        try:
            return decode_frame(frame, newest)
        except WireError:
            return None
