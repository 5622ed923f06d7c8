"""What replicas say to each other while one gives its state to another (docs: protocol/transfer).

The state is a number of files that are only appended to.  What counts of each is its first `length` bytes, a
row of checked pieces (`storage/state/pieces.py`), so what was received of a file stays good while it grows.
"""

from __future__ import annotations

from typing import NamedTuple

from epaxos.protocol.values.ids import Deps, InstanceId
from epaxos.protocol.values.membership import Membership

__all__ = ["PIECE_BYTES_MAX", "Piece", "PieceAsk", "StateAsk", "StateOffer", "StatePart"]

PIECE_BYTES_MAX = 65_536
"""The most bytes of a file that one message brings."""


class StatePart(NamedTuple):
    """What counts of a file of the state: its first `length` bytes, of which `crc` is the last checksum.

    `generation` and `is_base` name the file: at one replica, no two files ever have the same name.
    """

    generation: int
    is_base: bool
    length: int
    crc: int


class StateAsk(NamedTuple):
    """Asks which state the receiver can give.  `beyond`: it is of use only if it is of a later epoch."""

    beyond: int


class StateOffer(NamedTuple):
    """The newest durable state of the sender.

    It is the state after the instances up to `executed`, and those of `beyond`, of the epoch of `membership`,
    which `opened_by` of the epoch of `previous` began.  `parts`: the base first, if there is one, then the
    logs in the order in which they have to be read.
    """

    membership: Membership
    opened_by: InstanceId
    previous: Membership
    executed: Deps
    beyond: tuple[InstanceId, ...]
    parts: tuple[StatePart, ...]

    @property
    def bytes(self) -> int:
        """The size of the whole."""
        return sum(part.length for part in self.parts)


class PieceAsk(NamedTuple):
    """Asks for at most `size` bytes of a file, from the byte `offset` on."""

    generation: int
    is_base: bool
    offset: int
    size: int


class Piece(NamedTuple):
    """These are bytes of a file, from the byte `offset` on.  No bytes: the sender has them no more."""

    generation: int
    is_base: bool
    offset: int
    data: bytes
