"""Gives the state on a virtual disk to other replicas, and takes one from them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from zope.interface import implementer

from epaxos.interfaces import EpochRecord
from epaxos.interfaces.transfer import IStateTransfer
from epaxos.protocol.values.ids import no_deps
from epaxos.protocol.values.transfer import PieceAsk, StateOffer, StatePart
from epaxos.verify.simulation.clock import Process
from epaxos.verify.simulation.contents import Contents, FileName, Installation, Written
from epaxos.verify.simulation.incoming import Incoming
from epaxos.verify.simulation.state_bytes import decode_base, decode_log, good_part

__all__ = ["TransferWatch", "VirtualTransfer"]

Files = Mapping[FileName, bytes]


class TransferWatch:
    """Is told what the transfers of one process do.  `installs` and what comes after it may crash the
    process."""

    def offers(self, offer: StateOffer, files: Files) -> None:
        """The state in these files is offered to others."""

    def installs(self, source: int, offer: StateOffer, files: Files) -> None:
        """The state in these files, taken from the replica with the uid `source`, is about to be written."""

    def has_handed_in(self) -> None:
        """It is on its way to the disk."""

    def has_installed(self) -> None:
        """It is durable, and the process does not know it yet."""


class _Settings(Protocol):
    @property
    def pinned_us(self) -> int: ...


class _Disk(Protocol):
    """The disk, as a transfer sees it."""

    incoming: Incoming
    full: bool
    hung: bool

    @property
    def contents(self) -> Contents: ...

    @property
    def settings(self) -> _Settings: ...

    def duration(self, sync: bool) -> int: ...


@implementer(IStateTransfer)
class VirtualTransfer:
    """The transfers of one process.  What was taken outlives it, on the disk.

    `write` puts a write behind all that were handed in before; `fail()` is called when the disk is full.
    """

    def __init__(
        self,
        disk: _Disk,
        process: Process,
        write: Callable[[Written, Callable[[], None]], None],
        fail: Callable[[], None],
        watch: TransferWatch,
    ) -> None:
        self._disk = disk
        self._process = process
        self._write = write
        self._fail = fail
        self._watch = watch
        self._pinned: dict[FileName, bytes] = {}
        self._pinned_until = 0
        self._taking: deque[tuple[FileName, int, bytes, Callable[[bool], None]]] = deque()
        self._busy = False

    # -- giving

    def offer(self) -> StateOffer | None:
        """See IStateTransfer."""
        contents = self._disk.contents
        opened = contents.opened
        if opened is None:
            return None
        files = contents.files()
        self._pinned.update(files)
        self._pin()
        parts = [StatePart(*name, len(data), good_part(data).crc) for name, data in files.items()]
        offer = StateOffer(
            opened.membership,
            opened.opened_by,
            opened.previous,
            contents.executed,
            contents.beyond,
            tuple(parts),
        )
        self._watch.offers(offer, files)
        return offer

    def _pin(self) -> None:
        self._pinned_until = self._process.now + self._disk.settings.pinned_us

    def read(self, ask: PieceAsk) -> bytes:
        """See IStateTransfer."""
        if self._process.now > self._pinned_until:
            names = self._disk.contents.files()
            self._pinned = {name: data for name, data in self._pinned.items() if name in names}
        self._pin()
        data = self._pinned.get((ask.generation, ask.is_base), b"")
        return data[ask.offset : ask.offset + ask.size]

    # -- taking

    def begin(self, source: int) -> tuple[StatePart, ...]:
        """See IStateTransfer."""
        incoming = self._disk.incoming
        incoming.begin(source)
        return tuple(
            StatePart(*name, len(data), good_part(data).crc) for name, data in incoming.files.items()
        )

    def room(self) -> int:
        """See IStateTransfer: there is always enough."""
        return 1 << 40

    def take(
        self, generation: int, is_base: bool, offset: int, data: bytes, done: Callable[[bool], None]
    ) -> None:
        """See IStateTransfer."""
        self._taking.append(((generation, is_base), offset, data, done))
        self._go_on()

    def _go_on(self) -> None:
        if self._taking and not self._busy and not self._disk.hung:
            self._busy = True
            self._process.time.after(self._disk.duration(False), self._finish)

    def _finish(self) -> None:
        """The bytes have reached the disk.  The process hears of it when it has time."""
        if self._process.alive and not self._disk.hung:
            self._process.arrive(self._end)

    def _end(self) -> None:
        if self._disk.full:
            self._fail()
            return
        self._busy = False
        name, offset, data, done = self._taking.popleft()
        incoming = self._disk.incoming
        done(offset == incoming.length(name) and incoming.take(name, data))
        self._go_on()

    def install(self, offer: StateOffer, done: Callable[[str], None]) -> None:
        """See IStateTransfer."""
        incoming = self._disk.incoming
        files: dict[FileName, bytes] = {}
        for part in offer.parts:
            name = part.generation, part.is_base
            files[name] = data = incoming.files.get(name, b"")
            good = good_part(data)
            if (good.length, good.crc, len(data)) != (part.length, part.crc, part.length):
                self._process.soon(partial(done, f"{part} has {good} of {len(data)} bytes"))
                return
        self._watch.installs(incoming.source, offer, files)
        if self._process.alive:
            self._write(_installation(offer, files), partial(self._on_installed, done))
            self._watch.has_handed_in()

    def _on_installed(self, done: Callable[[str], None]) -> None:
        self._watch.has_installed()
        if self._process.alive:
            done("")

    def give_up(self) -> None:
        """See IStateTransfer."""
        self._disk.incoming.clear()


def _installation(offer: StateOffer, files: Files) -> Installation:
    record = EpochRecord(offer.membership, offer.previous, offer.opened_by, no_deps(offer.previous.epoch))
    bases = [decode_base(data) for (_, is_base), data in files.items() if is_base]
    logs = [decode_log(data) for (_, is_base), data in files.items() if not is_base]
    return Installation(record, offer.executed, offer.beyond, bases[0] if bases else None, logs)
