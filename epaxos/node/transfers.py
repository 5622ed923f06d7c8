"""The state that this replica gives to others, or takes from one of them (docs: protocol/transfer)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from twisted.logger import Logger

from epaxos.interfaces import IStateTransfer, IStore, ITransport, StoreError
from epaxos.protocol.values.control import Control
from epaxos.protocol.values.membership import Membership
from epaxos.protocol.values.transfer import Piece, PieceAsk, StateAsk, StateOffer
from epaxos.transfer.source import Source
from epaxos.transfer.target import Target

__all__ = ["Transfers"]

_log = Logger()

LOG_EVERY_S = 5.0
"""Seconds between two lines in the log that say how far a transfer is."""


class Transfers:
    """Gives the state of replica `id`, and takes one when this replica is too far behind.

    `asks_again_s`: the time after which a question without an answer is asked again.  `leave(offer)` is
    called when the whole state that `offer` names is there, and has to be installed; `fail(text)` when the
    disk fails.
    """

    def __init__(
        self,
        id: int,
        store: IStore,
        transport: ITransport,
        now: Callable[[], float],
        asks_again_s: float,
        leave: Callable[[StateOffer], None],
        fail: Callable[[str], None],
    ) -> None:
        self._id = id
        self._store = store
        self._transport = transport
        self._now = now
        self._asks_again_s = asks_again_s
        self._leave = leave
        self._fail = fail
        self._source: Source | None = None
        self._target: Target | None = None
        self._began_at = 0.0
        self._log_at = math.inf

    def start(self, is_for_us: Callable[[StateOffer], bool]) -> None:
        """The store is open.  Only states of which `is_for_us` is true are installed."""
        transfer: IStateTransfer | None = self._store.transfer
        if transfer is not None:
            transport = self._transport
            self._source = Source(
                transfer, transport.send_control, transport.backlog_bytes, transport.piece_bytes_max
            )
            self._target = Target(
                transfer,
                transport.send_control,
                self._now,
                self._asks_again_s,
                transport.piece_bytes_max,
                self._on_whole,
                is_for_us,
                self._tell,
                self._warn,
            )

    @property
    def is_possible(self) -> bool:
        """Whether this replica can give its state, or take one."""
        return self._target is not None

    @property
    def is_active(self) -> bool:
        """Whether a state is being taken."""
        return self._target is not None and self._target.is_active

    @property
    def due(self) -> float:
        """When `on_time` has to be called next."""
        return math.inf if self._target is None else min(self._target.due, self._log_at)

    @property
    def behind(self) -> int | None:
        """The bytes that are missing of the state that is being taken; None while that is not known."""
        return None if self._target is None else self._target.behind

    def status(self) -> dict[str, Any] | None:
        """What `GET /status` shows: how far the transfer is; None when there is none."""
        progress = None if self._target is None else self._target.progress
        if progress is None:
            return None
        return {
            "epoch": progress.epoch,
            "source": progress.source,
            "taken_bytes": progress.taken,
            "bytes": progress.bytes,
        }

    def refusal(self) -> str:
        """What clients are told meanwhile."""
        return "CLUSTERDOWN the replica was away for too long, and takes the state of another one"

    # -- what arrives

    def want(self, own: int, newest: Membership, sources: Sequence[tuple[int, int]]) -> None:
        """Take the state of a later epoch than `own`, from one of `sources`, each a member and its uid.

        `newest`: the newest epoch that is known.  `own` is 0 for a replica that joins, as in epoch 0 nobody
        gives a state.
        """
        target = self._target
        if target is None:
            return
        if not target.is_active:
            self._began_at = self._now()
            self._log_at = self._began_at + LOG_EVERY_S
            _log.info(
                "replica {id} takes the state of a member, because it is in epoch {own}, and the cluster in"
                " epoch {newest}; clients are refused meanwhile"
                if newest.find(self._id) is not None
                else "replica {id} takes the state of a member",
                id=self._id,
                own=own,
                newest=newest.number,
            )
        self._try(target.begin, own, sources, newest.uuid)

    def on_opened(self, number: int) -> None:
        """This replica has opened epoch `number` by itself.

        Whatever is being taken may be of this very epoch, in which it votes from now on: it must never be
        installed.  If there is a later one, this replica will hear of it, and begin anew.
        """
        target, transfer = self._target, self._store.transfer
        if target is None:
            return
        self._log_at = math.inf
        if target.is_active:
            self._try(target.give_up)
            _log.info(
                "replica {id} has reached epoch {number} by itself, without the state that it was taking",
                id=self._id,
                number=number,
            )
        else:
            self._try(transfer.give_up)  # an earlier process may have left something

    def on_control(self, sender: int, control: Control) -> None:
        """A question or an answer about a state."""
        source, target = self._source, self._target
        if source is None or target is None:
            return
        if isinstance(control, StateAsk):
            self._try(source.on_state_ask, sender, control)
        elif isinstance(control, PieceAsk):
            self._try(source.on_piece_ask, sender, control)
        elif isinstance(control, StateOffer):
            self._try(target.on_offer, sender, control)
        elif isinstance(control, Piece):
            self._try(target.on_piece, sender, control)

    def _try(self, do: Callable[..., None], *arguments: Any) -> None:
        try:
            do(*arguments)
        except StoreError as why:
            self._fail(str(why))

    def on_time(self) -> None:
        """Ask again what was not answered, and log how far it is."""
        target = self._target
        if target is None:
            return
        self._try(target.on_time)
        now = self._now()
        if now >= self._log_at:
            self._log_at = now + LOG_EVERY_S
            self._log_progress()

    def _log_progress(self) -> None:
        status = self.status()
        if status is not None and status["taken_bytes"] < status["bytes"]:
            _log.info(
                "replica {id} takes the state of replica {source}: {taken} of {whole} MB",
                id=self._id,
                source=status["source"],
                taken=_mb(status["taken_bytes"]),
                whole=_mb(status["bytes"]),
            )

    def _tell(self, text: str) -> None:
        _log.info("replica {id}: {what}", id=self._id, what=text)

    def _warn(self, text: str) -> None:
        _log.warn("replica {id}: {what}", id=self._id, what=text)

    def _on_whole(self, offer: StateOffer) -> None:
        took_s = self._now() - self._began_at
        _log.info(
            "replica {id} begins again with the state of epoch {number}, {bytes} bytes, taken in {seconds} s",
            id=self._id,
            number=offer.membership.number,
            bytes=offer.bytes,
            seconds=f"{took_s:.1f}",
        )
        self._leave(offer)


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f}"
