"""The giving side: it answers what it is asked, and remembers nothing of who asks."""

from __future__ import annotations

from collections.abc import Callable

from epaxos.interfaces import IStateTransfer
from epaxos.protocol.values.control import Control
from epaxos.protocol.values.transfer import PIECE_BYTES_MAX, Piece, PieceAsk, StateAsk

__all__ = ["Source"]

BACKLOG_BYTES_MAX = 1_000_000
"""Bytes that may wait for a replica when it is sent a piece: the messages of the protocol go first."""


class Source:
    """Gives the state of `transfer` to whoever asks.

    `send(replica, control)` sends; `backlog(replica)` tells the bytes that wait to be sent there.  A question
    that comes while these are more than BACKLOG_BYTES_MAX is not answered, because it will be asked again.
    `piece_bytes`: the most bytes of a piece, whatever is asked for.
    """

    def __init__(
        self,
        transfer: IStateTransfer,
        send: Callable[[int, Control], bool],
        backlog: Callable[[int], int],
        piece_bytes: int = PIECE_BYTES_MAX,
    ) -> None:
        self.bytes_given = 0
        self._transfer = transfer
        self._send = send
        self._backlog = backlog
        self._piece_bytes = piece_bytes

    def on_state_ask(self, sender: int, ask: StateAsk) -> None:
        """Offer the newest durable state, if it is of a later epoch than `ask.beyond`.  Raises StoreError."""
        if self._backlog(sender) <= BACKLOG_BYTES_MAX:
            offer = self._transfer.offer()
            if offer is not None and offer.membership.number > ask.beyond:
                self._send(sender, offer)

    def on_piece_ask(self, sender: int, ask: PieceAsk) -> None:
        """Send the bytes, or say that there are none."""
        if self._backlog(sender) <= BACKLOG_BYTES_MAX:
            data = self._transfer.read(ask._replace(size=min(ask.size, self._piece_bytes)))
            if self._send(sender, Piece(ask.generation, ask.is_base, ask.offset, data)):
                self.bytes_given += len(data)
