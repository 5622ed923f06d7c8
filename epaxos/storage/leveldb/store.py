"""The store of a replica that remembers: LevelDB and the files of the state.

```
        event loop                              writer's thread
  ┌──────────────────────┐                 ┌─────────────────────────┐
  │ LevelDBStore         │   groups        │ WriterThread            │
  │   write, close       │ ──────────────► │   long writes           │
  │   brief writes       │                 │   checkpoints           │
  │   on_written         │ ◄────────────── │   bases of the state    │
  │   on_failed          │ call_from_thread│   remove old files      │
  └──────────┬───────────┘                 └────────────┬────────────┘
             │        one at a time, by a lock          │
             └───────────► SharedWriter ◄───────────────┘
                            GroupWriter: LevelDB, StateFiles
```

The event loop writes what is brief itself, because on a busy host waking a thread and hearing from it
takes ten times as long as syncing what a turn promises; what other clients send meanwhile shares the next
sync.  The thread writes everything else: checkpoints above all, and everything where the disk is slow.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from time import monotonic
from typing import Any

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from epaxos.interfaces import Identity, IStore, Restored, StoreError, WriteSet
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.instance import InstanceRecord
from epaxos.protocol.values.membership import MEMBERS_MAX
from epaxos.protocol.values.messages import Batch
from epaxos.storage.folder import DataFolder
from epaxos.storage.leveldb import engine
from epaxos.storage.leveldb.backups import LevelDBBackups
from epaxos.storage.leveldb.ended import EndedEpochs
from epaxos.storage.leveldb.held import epochs_held
from epaxos.storage.leveldb.opening import open_database, restore, text_of
from epaxos.storage.leveldb.pace import DiskPace, is_brief
from epaxos.storage.leveldb.records import RecordFormat
from epaxos.storage.leveldb.shared import Item, SharedWriter
from epaxos.storage.leveldb.thread import WriterThread
from epaxos.storage.leveldb.transfer import LevelDBTransfer
from epaxos.storage.leveldb.writer import DurableState, GroupWriter
from epaxos.storage.state.files import StateFiles
from epaxos.storage.state.incoming import remove_left_over
from epaxos.storage.state.pins import Pins

__all__ = ["LevelDBStore"]

HELD_BACK_MAX = 64
"""The most write sets that are held back because the node waits for none of them to be durable."""


@implementer(IStore)
class LevelDBStore:
    """`engine = leveldb`: the store in the data folder `path`.

    `call_from_thread` has a function called in the event loop (`IReactorFromThreads.callFromThread`).
    `failed` is told there, once, that a write failed.  With `sync` False nothing is synced: what is
    reported durable survives the process, but not a failure of the host.
    """

    persistent = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        call_from_thread: Callable[..., object],
        failed: Callable[[StoreError], None],
        sync: bool = True,
    ) -> None:
        self._folder = DataFolder(path)
        self._call_from_thread = call_from_thread
        self._failed = failed
        self._sync = sync
        self._shared: SharedWriter | None = None
        self._db: Any = None
        self._ended: EndedEpochs | None = None
        self._thread: WriterThread | None = None
        self._accepts = self._has_failed = False
        self._held_back: list[Item] = []
        self._wanted = False  # the node waits for one that is held back
        self._reporting = False
        self._pace = DiskPace()
        self._closing: list[Deferred[None]] = []
        self._queued = 0
        self._least_held = 0  # nothing is held of epochs before
        self.wants_state = False
        self.transfer: LevelDBTransfer | None = None
        self.backups: LevelDBBackups | None = None
        self._counters = {"store_writes": 0, "store_syncs": 0, "store_bytes": 0}

    @property
    def written(self) -> int:
        """See IStore."""
        return 0 if self._shared is None else self._shared.written

    # -- opening and closing

    def open(self, identity: Identity) -> Restored:
        """See IStore.  Raises RuntimeError when the store was opened before."""
        if self._shared is not None:
            raise RuntimeError("a store is opened once")
        self._folder.lock()
        try:
            db, held, sequence, fresh = open_database(self._folder, identity)
            try:
                restored, manifest = restore(db, self._folder, RecordFormat(held.epoch), fresh)
                self._folder.make_state()
                self._remove_left_over()
                pins = Pins()
                state = StateFiles(self._folder.state, manifest, sync=self._sync, pins=pins)
            except BaseException:
                db.close()
                raise
        except BaseException:
            self._folder.close()
            raise
        opened = restored.opened
        format = RecordFormat(held.epoch if opened is None else opened.membership.epoch)
        self._db = db
        durable = DurableState(opened, restored.executed, restored.beyond, manifest)
        self.backups = backups = LevelDBBackups(
            identity, self._folder.state, self._folder.backups, self._call_from_thread, sync=self._sync
        )
        writer = GroupWriter(
            db,
            self._folder.database,
            format,
            sequence,
            state,
            sync=self._sync,
            durable=durable,
            take_backup=backups.take,
        )
        self._shared = shared = SharedWriter(writer, self._folder)
        self.wants_state = writer.wants_state
        self._accepts = True
        self.transfer = LevelDBTransfer(
            self,
            shared,
            self._call_from_thread,
            self._folder.state,
            self._folder.incoming,
            pins,
            sync=self._sync,
        )
        self._ended = ended = EndedEpochs(db, self._call_from_thread, self._on_unreadable)
        self._thread = WriterThread(shared, self._call_from_thread, self, ended.stop, self._join)
        self._thread.start()
        return restored

    def _join(self) -> None:
        """The writer's thread ends: wait for the others."""
        if self.backups is not None:
            self.backups.join()
        if self.transfer is not None:
            self.transfer.join()

    def _remove_left_over(self) -> None:
        incoming = self._folder.incoming
        try:
            remove_left_over(incoming)
        except OSError as error:
            raise StoreError(f"{incoming} cannot be used: {error.strerror}") from None

    # -- reading

    def find(self, epoch: int, id: InstanceId) -> tuple[InstanceRecord, Batch | None] | None:
        """See IStore."""
        format = self._format_of(epoch)
        try:
            record = self._db.get(format.record_key(id), verify_checksums=True)
            batch = self._db.get(format.batch_key(id), verify_checksums=True)
            if record is None:
                return None
            return format.decode_record(id, record), None if batch is None else format.decode_batch(id, batch)
        except (engine.Error, ValueError) as why:
            raise StoreError(f"{self._folder.path} cannot be read: {text_of(why)}") from None

    def held(
        self,
        epoch: int,
        after: InstanceId | None,
        limit: int,
        found: Callable[[list[InstanceId]], None],
    ) -> None:
        """See IStore.  A thread looks."""
        if self._ended is not None and self._accepts:
            self._ended.find(self._format_of(epoch), after, limit, partial(self._on_found, found))

    def _on_found(self, found: Callable[[list[InstanceId]], None], ids: list[InstanceId]) -> None:
        if self._accepts:
            found(ids)

    def _on_unreadable(self, why: Exception) -> None:
        if self._accepts:
            self.on_failed(f"{self._folder.path} cannot be read: {text_of(why)}")

    def held_epochs(self) -> list[int]:
        """See IStore."""
        if self._shared is None:
            raise RuntimeError("the store is not open")
        durable = self._shared.writer.durable
        now = 0 if durable is None or durable.opened is None else durable.opened.membership.number
        try:
            held = epochs_held(self._db, self._least_held, now)
        except (engine.Error, ValueError) as why:
            raise StoreError(f"{self._folder.path} cannot be read: {text_of(why)}") from None
        self._least_held = held[0] if held else now
        return held

    def give_back(self, epoch: int) -> None:
        """See IStore.  A thread does it, which may not be started while the writer's thread ends it."""
        if self._ended is not None and self._accepts:
            self._ended.give_back(epoch)

    def _format_of(self, epoch: int) -> RecordFormat:
        """The format of an epoch.  Only of the newest and the one before it the members are known: of those
        before, the keys alone can be read."""
        if self._shared is None:
            raise RuntimeError("the store is not open")
        durable = self._shared.writer.durable
        opened = None if durable is None else durable.opened
        for membership in () if opened is None else (opened.membership, opened.previous):
            if membership.number == epoch:
                return RecordFormat(membership.epoch)
        return RecordFormat(Epoch.first(MEMBERS_MAX)._replace(number=epoch))

    def close(self) -> Deferred[None]:
        """See IStore.  May be called again, and when `open` failed."""
        self._accepts = False
        if self._thread is None:
            return succeed(None)
        if not self._closing:
            if self.transfer is not None:
                self.transfer.stop()
            if self.backups is not None:
                self.backups.stop()
            self._thread.put(self._take_group())
            self._thread.close()
        closed: Deferred[None] = Deferred()
        self._closing.append(closed)
        return closed

    def on_closed(self) -> None:
        """See Reports."""
        self._thread = None
        try:
            self._folder.close()
        finally:
            closing, self._closing = self._closing, []
            for closed in closing:
                closed.callback(None)

    # -- writing

    def write(self, write_set: WriteSet, durable: Callable[[], None]) -> None:
        """See IStore.  After `close` or a failure nothing is written, nor reported durable.

        A write set without `sync` is held back until one with `sync` comes, or HELD_BACK_MAX are there.
        """
        if not self._accepts:
            return
        self._queued += 1
        self._held_back.append((write_set, durable))
        self._wanted |= write_set.sync or len(self._held_back) >= HELD_BACK_MAX
        self._write_wanted()

    def _write_wanted(self) -> None:
        """Write the write sets that are held back, if the node waits for one of them.

        Nothing is written while a write is reported, so that reports come in the order of the writes.
        """
        while self._wanted and not self._reporting:
            if not self._write_here():
                thread = self._thread
                if thread is None:
                    raise RuntimeError("the store is not open")
                thread.put(self._take_group())

    def _write_here(self) -> bool:
        """Write the write sets that are held back, if no write of the thread comes before and they are brief.

        Returns whether they were written.
        """
        shared, pace = self._shared, self._pace
        in_thread = self._queued - len(self._held_back)
        if shared is None or in_thread or not (is_brief(self._held_back) and pace.is_fast()):
            return False
        if not shared.lock.acquire(blocking=False):
            return False
        if shared.is_over:  # another state was installed, a moment ago
            shared.lock.release()
            return False
        group = self._take_group()
        began = monotonic()
        try:
            shared.write(group, False)
        except Exception as error:
            self.on_failed(shared.failure(error))
            return True
        finally:
            shared.lock.release()
        pace.on_write(monotonic() - began)
        self._report(group, *shared.progress())
        return True

    def _take_group(self) -> list[Item]:
        group, self._held_back = self._held_back, []
        self._wanted = False
        return group

    # -- what was written

    def on_written(self, group: list[Item], counters: dict[str, int], wants_state: bool) -> None:
        """See Reports."""
        self._report(group, counters, wants_state)
        self._write_wanted()

    def _report(self, group: Sequence[Item], counters: dict[str, int], wants_state: bool) -> None:
        self.wants_state = wants_state
        self._counters = counters
        self._queued -= len(group)
        self._reporting = True
        try:
            for _, durable in group:
                durable()
        finally:
            self._reporting = False

    def on_failed(self, text: str) -> None:
        """See Reports."""
        self._accepts = self._wanted = False
        if self._shared is not None:
            self._shared.is_over = True
        self._queued = 0
        if not self._has_failed:
            self._has_failed = True
            self._failed(StoreError(text))

    # -- another state

    def after_writes(self, job: Callable[[], None]) -> None:
        """See TransferOwner."""
        if self._thread is not None and self._accepts:
            self._thread.put(self._take_group())
            self._thread.call(job)

    def on_installed(self) -> None:
        """See TransferOwner."""
        self._accepts = self._wanted = False
        self._queued = 0

    def counters(self) -> Mapping[str, int]:
        """See IStore.  `store_queue` counts write sets."""
        return {**self._counters, "store_queue": self._queued}
