"""The virtual disk, and the store of a replica on it.

A disk outlives the processes that use it.  A write set is first on its way, then known to the operating
system, then synced.  When a process is killed, write sets on their way may be lost; when the host loses
power, also those that are not synced.  Any prefix of these write sets may survive, whole ones only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from epaxos.interfaces import Identity, IStore, Restored, StoreError, WriteSet
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.instance import InstanceRecord
from epaxos.protocol.values.membership import VERSION, Membership
from epaxos.protocol.values.messages import Batch
from epaxos.verify.simulation.clock import SECOND, Process, VirtualTime
from epaxos.verify.simulation.contents import Contents, Installation, Written
from epaxos.verify.simulation.dice import Dice
from epaxos.verify.simulation.incoming import Incoming
from epaxos.verify.simulation.members import UID_BASE, founded
from epaxos.verify.simulation.state_transfer import TransferWatch, VirtualTransfer

__all__ = ["Disk", "DiskSettings", "VirtualStore"]


@dataclass(frozen=True)
class DiskSettings:
    """`sync_us`, `write_us`: microseconds of a synced and of an unsynced write; 0: the write is done before
    `write` returns.

    `grouped`: whether all write sets that wait are written together.  `forgetful`: whether a power failure
    loses all write sets that are not synced, always.  `pinned_us`: how long files that were offered are kept
    after the last question for them.  `version`: that of the list of the first members.
    """

    sync_us: int
    write_us: int
    grouped: bool = True
    forgetful: bool = False
    pinned_us: int = 60 * SECOND
    version: int = VERSION


LOG_BATCHES_MIN = 8
"""Batches in the log from which on the next checkpoint has to bring the whole state."""


class Disk:
    """The disk of one replica."""

    def __init__(self, settings: DiskSettings, dice: Dice) -> None:
        self.settings = settings
        self.slowness = 1
        self.full = False
        self.hung = False
        self._dice = dice
        self.incoming = Incoming()
        self.on_opened: Callable[[], None] = _nothing
        """Called when a new epoch is durable here."""
        self._synced = Contents()
        self._unsynced: list[Written] = []
        self._on_the_way: list[Written] = []

    @property
    def contents(self) -> Contents:
        """The synced state."""
        return self._synced

    def copy_synced(self, other: Disk) -> None:
        """Hold what is synced on the other disk, and nothing else."""
        self._synced = other.contents.copy()
        self._unsynced, self._on_the_way = [], []

    def duration(self, sync: bool) -> int:
        """How long the next write takes, in microseconds."""
        base = (self.settings.sync_us if sync else self.settings.write_us) * self.slowness
        return base // 2 + self._dice.below(base + 1)

    def hang(self) -> None:
        """From now on no write ends.  Earlier writes can be read."""
        self.hung = True

    def begin(self, group: list[Written]) -> None:
        """A group of write sets is on its way."""
        self._on_the_way = group

    def finish(self, sync: bool) -> None:
        """The operating system has the group; with `sync` it is synced."""
        self._unsynced += self._on_the_way
        self._on_the_way = []
        if sync:
            self.sync()

    def sync(self) -> None:
        """Sync all write sets that the operating system has."""
        epoch = self._synced.epoch
        for written in self._unsynced:
            self._synced.apply(written)
            if isinstance(written, Installation):
                self.incoming.clear()
        self._unsynced = []
        if self._synced.epoch != epoch:
            self.on_opened()

    def crash(self, power: bool) -> int:
        """The process has ended, or, with `power`, the host has lost power.  How many write sets were
        lost."""
        at_risk = self._unsynced + self._on_the_way if power else self._on_the_way
        safe = [] if power else self._unsynced
        survivors = self._dice.below(len(at_risk) + 1)
        if power and self.settings.forgetful:
            survivors = 0
        self._unsynced = safe + at_risk[:survivors]
        self._on_the_way = []
        self.incoming.crash(_none if power and self.settings.forgetful else self._dice.below)
        self.sync()
        return len(at_risk) - survivors


def _nothing() -> None:
    """Nobody has to be told."""


def _none(limit: int) -> int:
    """Nothing is left."""
    return 0


def _copy(write_set: WriteSet) -> WriteSet:
    """A copy that later changes of the writer's lists do not touch."""
    return WriteSet(
        list(write_set.batches),
        list(write_set.records),
        write_set.reserved,
        write_set.floor,
        list(write_set.dropped),
        write_set.checkpoint,
        write_set.sync,
        write_set.epoch,
        write_set.opened,
    )


@implementer(IStore)
class VirtualStore:
    """The store of one process.

    `failed(text)` is called once when a write fails.  `on_write` is called with every write set when it is
    handed in, and may crash the process.  `watch` is told of states that are given and taken.
    """

    persistent = True
    written = 0
    backups = None

    def __init__(
        self,
        disk: Disk,
        process: Process,
        failed: Callable[[str], None],
        on_write: Callable[[WriteSet], None],
        watch: TransferWatch | None = None,
    ) -> None:
        self._disk = disk
        self._process = process
        self._time: VirtualTime = process.time
        self._failed = failed
        self._on_write = on_write
        self.transfer = VirtualTransfer(disk, process, self.enqueue, self.fail, watch or TransferWatch())
        self._queue: deque[tuple[Written, Callable[[], None]]] = deque()
        self._writing = False
        self._broken = False
        self._closing: Deferred[None] | None = None
        self._writes = self._syncs = 0

    @property
    def wants_state(self) -> bool:
        """See IStore."""
        return len(self._disk.contents.log) >= LOG_BATCHES_MIN

    def open(self, identity: Identity) -> Restored:
        """See IStore.  Syncs the writes of earlier processes."""
        self._disk.sync()
        contents = self._disk.contents
        fresh = contents.identity is None
        if fresh:
            contents.format(identity)
        elif contents.identity != identity:
            raise StoreError(f"the disk is of {contents.identity}, not of {identity}")
        contents.begin_log()
        records = [(record, contents.batches.get(id)) for id, record in sorted(contents.records.items())]
        return Restored(
            fresh,
            contents.reserved,
            contents.floor,
            contents.executed,
            contents.beyond,
            iter(records),
            [dict(contents.entries)],
            iter(list(contents.log)),
            contents.opened,
            uid=UID_BASE + identity.replica,
            founded=self._founded(identity, contents),
        )

    def _founded(self, identity: Identity, contents: Contents) -> Membership | None:
        """The newest list that the disk holds.  That of a replica which joins holds none at first."""
        if contents.opened is not None:
            return contents.opened.membership
        if identity.epoch != Epoch.first(identity.epoch.n):
            return None
        return founded(identity.epoch, self._disk.settings.version)

    def find(self, epoch: int, id: InstanceId) -> tuple[InstanceRecord, Batch | None] | None:
        """See IStore."""
        return self._disk.contents.closed.get(epoch, {}).get(id)

    def held(
        self,
        epoch: int,
        after: InstanceId | None,
        limit: int,
        found: Callable[[list[InstanceId]], None],
    ) -> None:
        """See IStore.  What is found arrives later."""
        ids = sorted(self._disk.contents.closed.get(epoch, {}))
        self._process.soon(partial(found, [id for id in ids if after is None or id > after][:limit]))

    def held_epochs(self) -> list[int]:
        """See IStore."""
        return sorted(epoch for epoch, held in self._disk.contents.closed.items() if held)

    def give_back(self, epoch: int) -> None:
        """See IStore: nothing takes room here."""

    def write(self, write_set: WriteSet, on_durable: Callable[[], None]) -> None:
        """See IStore."""
        frozen = _copy(write_set)
        self._on_write(frozen)
        self.enqueue(frozen, on_durable)

    def enqueue(self, written: Written, on_durable: Callable[[], None]) -> None:
        """Write behind everything that was written before, unless the process is dead or the disk is."""
        if not self._broken and self._process.alive:
            self._queue.append((written, on_durable))
            self._go_on()

    def _go_on(self) -> None:
        """Begin to write what waits, unless a write is under way."""
        while self._queue and not self._writing:
            self._begin()

    def _begin(self) -> None:
        """Write the next group."""
        count = len(self._queue) if self._disk.settings.grouped else 1
        group = [self._queue.popleft() for _ in range(count)]
        sync = any(write_set.sync for write_set, _ in group)
        self._writing = True
        self._writes += 1
        self._syncs += sync
        self._disk.begin([write_set for write_set, _ in group])
        if self._disk.hung:
            return
        duration = self._disk.duration(sync)
        if duration == 0:
            self._end(group, sync)
        else:
            self._time.after(duration, partial(self._finish, group, sync))

    def _finish(self, group: list[tuple[Written, Callable[[], None]]], sync: bool) -> None:
        """The write ends.  The process hears of it when it has time."""
        if self._process.alive and not self._disk.hung:
            if not self._disk.full:
                self._disk.finish(sync)
            self._process.arrive(partial(self._end_later, group, sync))

    def _end_later(self, group: list[tuple[Written, Callable[[], None]]], sync: bool) -> None:
        self._end(group, sync)
        self._go_on()

    def _end(self, group: list[tuple[Written, Callable[[], None]]], sync: bool) -> None:
        if self._disk.full:
            self.fail()
            return
        self._disk.finish(sync)
        for _, on_durable in group:
            on_durable()
        self._writing = False
        if not self._queue:
            self._closed()

    def fail(self) -> None:
        """The disk is full: nothing is written any more."""
        if not self._broken:
            self._broken = True
            self._failed("the disk is full")
            self._closed()

    def _closed(self) -> None:
        """No write set is left: finish `close`, if it was called."""
        if self._closing is not None:
            closing, self._closing = self._closing, None
            closing.callback(None)

    def close(self) -> Deferred[None]:
        """See IStore."""
        if self._broken or not self._writing:
            return succeed(None)
        self._closing = Deferred()
        return self._closing

    def counters(self) -> Mapping[str, int]:
        """See IStore."""
        return {
            "store_writes": self._writes,
            "store_syncs": self._syncs,
            "store_bytes": 0,
            "store_queue": len(self._queue),
        }
