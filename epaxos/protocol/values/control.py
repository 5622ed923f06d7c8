"""What replicas tell each other about epochs: values that belong to no epoch (docs: protocol/epochs)."""

from __future__ import annotations

from typing import NamedTuple, Union

from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.membership import Member, Membership
from epaxos.protocol.values.transfer import Piece, PieceAsk, StateAsk, StateOffer

__all__ = ["TRANSFERS", "Candidate", "Control", "EpochIs", "Founded", "Standing", "Written"]


class Standing(NamedTuple):
    """How far the sender is: `epoch` is the newest epoch that it has opened, `installed` the newest whose
    initial state, or a later one, is durable at the sender.

    `asks`: the sender wants to be told the same.
    """

    epoch: int
    installed: int
    asks: bool = False


class EpochIs(NamedTuple):
    """The newest epoch that the sender has opened.

    `previous` is the membership of the epoch before it, and `opened_by` the instance of that epoch that
    carried `membership`.  Both are None when the sender holds nothing of the epoch before: whoever has not
    reached its end needs the state.  `is_safe`: the sender knows that this epoch is safe.
    """

    membership: Membership
    opened_by: InstanceId | None = None
    previous: Membership | None = None
    is_safe: bool = False


class Written(NamedTuple):
    """The number of the newest write that is durable in the folder of the sender."""

    number: int


class Founded(NamedTuple):
    """The sender has written down that these are the first members of the cluster."""

    membership: Membership


class Candidate(NamedTuple):
    """The sender is no member and wants to become one.

    `behind`: the bytes of the state of a member that it still lacks; None when it does not know yet.
    """

    member: Member
    behind: int | None = None


Control = Union[Standing, EpochIs, Written, Founded, Candidate, StateAsk, StateOffer, PieceAsk, Piece]

TRANSFERS = (StateAsk, StateOffer, PieceAsk, Piece)
"""The kinds of control messages with which a state is transferred."""
