"""Judges the states that the processes of a run give to each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from epaxos.interfaces import WriteSet
from epaxos.protocol.values.transfer import StateOffer
from epaxos.verify.judges.invariants import Invariants
from epaxos.verify.judges.place import place, places
from epaxos.verify.simulation.contents import Contents, FileName
from epaxos.verify.simulation.members import UID_BASE
from epaxos.verify.simulation.state_transfer import TransferWatch
from epaxos.verify.simulation.traps import Traps
from epaxos.verify.trace import Trace

__all__ = ["Handover", "Offers"]

Files = Mapping[FileName, bytes]


class Offers:
    """All states that were offered in a run, with their bytes: by the replica that did, and the offer."""

    def __init__(self) -> None:
        self.files: dict[tuple[int, StateOffer], Files] = {}


class Handover(TransferWatch):
    """The transfers of one process of replica `id`.

    `contents()`: what is durable on its disk; `is_alive()`: whether the process still runs.
    """

    def __init__(
        self,
        id: int,
        offers: Offers,
        invariants: Invariants,
        traps: Traps,
        trace: Trace,
        contents: Callable[[], Contents],
        is_alive: Callable[[], bool],
        violated: Callable[[str], None],
    ) -> None:
        self._id = id
        self._offers = offers
        self._invariants = invariants
        self._traps = traps
        self._trace = trace
        self._contents = contents
        self._is_alive = is_alive
        self._violated = violated
        self._installs: int | None = None

    def offers(self, offer: StateOffer, files: Files) -> None:
        """See TransferWatch."""
        self._offers.files[self._id, offer] = dict(files)

    def installs(self, source: int, offer: StateOffer, files: Files) -> None:
        """See TransferWatch.  The bytes are those that the source had when it offered them."""
        source -= UID_BASE
        epoch = offer.membership.number
        self._trace.note(f"R{self._id}", f"installs the state of R{source}, of epoch {epoch}")
        offered = self._offers.files.get((source, offer))
        if offered is None:
            self._violated(f"Transfer: replica {self._id} installs what replica {source} never offered")
            return
        if dict(offered) != dict(files):
            self._violated(f"Transfer: what replica {self._id} installs is not what replica {source} has")
        if epoch <= self._contents().epoch:
            self._violated(
                f"Transfer: replica {self._id} installs epoch {epoch}, and is in {self._contents().epoch}"
            )
        self._traps.spring("Installation", after=False)
        if self._is_alive():
            self._installs = epoch
            beyond = tuple(place(epoch, id) for id in offer.beyond)
            end = place(offer.previous.number, offer.opened_by)
            self._invariants.on_install(self._id, source, places(epoch, offer.executed), beyond, end)

    def has_handed_in(self) -> None:
        """See TransferWatch."""
        if self._is_alive():
            self._traps.spring("Installation", after=True)

    def has_installed(self) -> None:
        """See TransferWatch."""
        if self._is_alive():
            self._trace.note(f"R{self._id}", "has installed it")
            self._traps.spring("Installed", after=True)

    def on_write(self, write_set: WriteSet) -> None:
        """The process writes.  Behind an installation, only instances of its own epoch have no effect on the
        state that was installed."""
        if self._installs is None:
            return
        touching = write_set.checkpoint, write_set.opened, write_set.reserved, write_set.floor
        if any(one is not None for one in touching):
            self._violated(
                f"Transfer: replica {self._id} writes {write_set} behind the state of epoch {self._installs}"
            )
