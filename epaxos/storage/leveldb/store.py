"""The store of a replica that remembers: LevelDB and the files of the state.

What is brief is written in the event loop: on a busy machine it takes ten times as long to wake a
thread and to hear of it as to sync what a turn promises, and what other clients ask meanwhile shares
the next sync just so.  What is not, checkpoints above all, and everything where the disk is slow, is
written by a thread; while it works, write sets gather, and all that have gathered are its next write.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from time import monotonic

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from epaxos.interfaces import Identity, IStore, Restored, StoreError, WriteSet
from epaxos.storage.folder import DataFolder
from epaxos.storage.leveldb.opening import open_database, restore, text_of
from epaxos.storage.leveldb.records import RecordFormat
from epaxos.storage.leveldb.writer import GroupWriter
from epaxos.storage.state.files import StateFiles

__all__ = ["LevelDBStore"]

HELD_BACK_MAX = 64
"""So many write sets that nobody waits for are held back at most, until one comes that somebody waits for."""
BRIEF_S = 0.002
"""No more than this a write should take in the event loop."""
BRIEF_BYTES_MAX = 256 << 10
"""Batches of more bytes go to the thread."""
BRIEF_DROPPED_MAX = 2000
"""So do more deletions, of which a thousand take about 2 ms."""
SLOW_WRITES = 8
"""When so many writes in a row were not brief, the disk is slow: one may have waited for a processor."""
STALL_S = 0.05
"""One that takes so long shows it alone: a second of such, and others would suspect the replica."""
SLOW_GROUPS = 1000
"""Then so many groups go to the thread before the event loop tries again."""
UNFINISHED_S = 0.1
"""A base that is not whole goes on after this time without a checkpoint, because the state that it is
made of stays in memory until it is."""
BUSY_BYTES = 1
"""Then at least so much of it is written, which is a piece, because promises wait for it."""
QUIET_BYTES = 1 << 20
"""And so much when nothing was written meanwhile: a base of a GB takes two minutes."""

_Item = tuple[WriteSet, Callable[[], None]]


class _Pace:
    """Whether the disk is fast enough for the event loop to wait for it."""

    def __init__(self) -> None:
        self._slow_writes = 0
        self._groups_left = 0

    def is_fast(self) -> bool:
        """Asked for each group."""
        if self._groups_left:
            self._groups_left -= 1
        return not self._groups_left

    def took(self, seconds: float) -> None:
        """The event loop waited so long for a write."""
        if seconds < BRIEF_S:
            self._slow_writes = 0
            return
        self._slow_writes += 1 if seconds < STALL_S else SLOW_WRITES
        if self._slow_writes >= SLOW_WRITES:
            self._groups_left = SLOW_GROUPS


def _is_small(group: Sequence[_Item]) -> bool:
    size = dropped = 0
    for write_set, _ in group:
        if write_set.checkpoint is not None:
            return False
        size += sum(len(batch.payload) for _, batch in write_set.batches)
        dropped += len(write_set.dropped)
    return size <= BRIEF_BYTES_MAX and dropped <= BRIEF_DROPPED_MAX


@implementer(IStore)
class LevelDBStore:
    """`engine = leveldb`: the store in the data folder `path`.

    `call_from_thread` has a function called in the event loop (`IReactorFromThreads.callFromThread`);
    `failed` is told there, once, when a write failed.  With `sync` False nothing is synced: what is
    reported durable survives the process, but not the machine.
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
        self._writer: GroupWriter | None = None
        self._writer_lock = Lock()
        self._queue: SimpleQueue[list[_Item] | None] = SimpleQueue()  # None: close
        self._thread: Thread | None = None
        self._accepts = False
        self._broken = False
        self._held_back: list[_Item] = []
        self._wanted = False  # what is held back, by somebody
        self._reporting = False
        self._pace = _Pace()
        self._closing: list[Deferred[None]] = []
        self._queued = 0
        self.wants_state = False
        self._counters = {"store_writes": 0, "store_syncs": 0, "store_bytes": 0}

    # -- opening and closing

    def open(self, identity: Identity) -> Restored:
        """See IStore."""
        assert self._writer is None, "a store is opened once"
        format = RecordFormat(identity.epoch)
        self._folder.lock()
        try:
            db, sequence, fresh = open_database(self._folder, identity)
            try:
                restored, parts = restore(db, self._folder, format, fresh)
                self._folder.make_state()
                state = StateFiles(self._folder.state, parts, sync=self._sync)
            except BaseException:
                db.close()
                raise
        except BaseException:
            self._folder.close()
            raise
        writer = GroupWriter(db, self._folder.database, format, sequence, state, sync=self._sync)
        self._writer = writer
        self.wants_state = writer.wants_state
        self._accepts = True
        self._thread = Thread(target=self._run, args=(writer,), name="epaxos store", daemon=True)
        self._thread.start()
        return restored

    def close(self) -> Deferred[None]:
        """See IStore.  May be called again, and when `open` failed."""
        self._accepts = False
        if self._thread is None:
            return succeed(None)
        if not self._closing:
            self._hand_over()
            self._queue.put(None)
        closed: Deferred[None] = Deferred()
        self._closing.append(closed)
        return closed

    def _on_closed(self) -> None:
        self._thread = None
        try:
            self._folder.close()
        finally:
            closing, self._closing = self._closing, []
            for closed in closing:
                closed.callback(None)

    # -- the event loop's side

    def write(self, write_set: WriteSet, durable: Callable[[], None]) -> None:
        """See IStore.  After `close` or a failure nothing is written, nor reported durable.

        What nobody waits for is written with the next that somebody does.
        """
        if not self._accepts:
            return
        self._queued += 1
        self._held_back.append((write_set, durable))
        self._wanted |= write_set.sync or len(self._held_back) >= HELD_BACK_MAX
        self._write_wanted()

    def _write_wanted(self) -> None:
        """What those want that hear of a write comes after it: they are all told first."""
        while self._wanted and not self._reporting:
            if not self._write_here():
                self._hand_over()

    def _write_here(self) -> bool:
        """Write what is held back, unless the thread has something to do before, or it may take long."""
        writer, pace = self._writer, self._pace
        in_thread = self._queued - len(self._held_back)
        if in_thread or not (_is_small(self._held_back) and pace.is_fast()):
            return False
        if not self._writer_lock.acquire(blocking=False):
            return False
        group = self._take_group()
        began = monotonic()
        try:
            assert writer is not None
            self._write(writer, group, False)
        except Exception as error:
            self._on_failed(self._failure(error))
            return True
        finally:
            self._writer_lock.release()
        pace.took(monotonic() - began)
        self._report(group, *self._progress(writer))
        return True

    def _hand_over(self) -> None:
        self._queue.put(self._take_group())

    def _take_group(self) -> list[_Item]:
        group, self._held_back = self._held_back, []
        self._wanted = False
        return group

    def _on_written(self, group: Sequence[_Item], counters: dict[str, int], wants_state: bool) -> None:
        self._report(group, counters, wants_state)
        self._write_wanted()

    def _report(self, group: Sequence[_Item], counters: dict[str, int], wants_state: bool) -> None:
        self.wants_state = wants_state
        self._counters = counters
        self._queued -= len(group)
        self._reporting = True
        try:
            for _, durable in group:
                durable()
        finally:
            self._reporting = False

    def _on_failed(self, text: str) -> None:
        self._accepts = self._wanted = False
        self._broken = True
        self._queued = 0
        self._failed(StoreError(text))

    def counters(self) -> Mapping[str, int]:
        """See IStore.  `store_queue` counts write sets."""
        return {**self._counters, "store_queue": self._queued}

    # -- what both do, one at a time

    def _write(self, writer: GroupWriter, group: Sequence[_Item], at_end: bool) -> None:
        sets = [write_set for write_set, _ in group]
        if writer.write(sets, at_end or any(write_set.sync for write_set in sets)):
            self._folder.set_synced(writer.sequence.last)

    @staticmethod
    def _progress(writer: GroupWriter) -> tuple[dict[str, int], bool]:
        counters = {
            "store_writes": writer.writes,
            "store_syncs": writer.syncs,
            "store_bytes": writer.bytes,
        }
        return counters, writer.wants_state

    def _failure(self, error: BaseException) -> str:
        return f"{self._folder.path} cannot be written: {text_of(error)}"

    # -- the thread's side

    def _run(self, writer: GroupWriter) -> None:
        """Whatever ends the thread early is a failure, because the replica would wait for it for ever."""
        try:
            self._try(self._write_until_closed, writer)
            self._try(GroupWriter.close, writer)
        finally:
            self._call_from_thread(self._on_closed)

    def _try(self, do: Callable[[GroupWriter], None], writer: GroupWriter) -> None:
        try:
            do(writer)
        except BaseException as error:
            self._broken = True
            self._call_from_thread(self._on_failed, self._failure(error))

    def _write_until_closed(self, writer: GroupWriter) -> None:
        at_end = more = False
        while not at_end:
            writes, wait_s = writer.writes, self._wait_s(writer, more)
            group, at_end = self._next_group(wait_s)
            idle = not (group or at_end or more)
            more = False
            try:
                with self._writer_lock:
                    if self._broken:  # perhaps by the event loop, a moment ago
                        continue
                    least = 0
                    if idle:
                        least = QUIET_BYTES if writer.writes == writes else BUSY_BYTES
                    if group or at_end or (idle and not writer.recorded):
                        self._write(writer, group, at_end or idle)
                        self._call_from_thread(self._on_written, group, *self._progress(writer))
                    more = writer.go_on(least)
            except Exception as error:  # whatever it was, nothing may be reported durable from now on
                self._broken = True
                self._call_from_thread(self._on_failed, self._failure(error))

    def _wait_s(self, writer: GroupWriter, more: bool) -> float | None:
        """How long the thread waits for something to write; None: until there is something."""
        if more:
            return 0
        return UNFINISHED_S if writer.unfinished and not self._broken else None

    def _next_group(self, wait_s: float | None) -> tuple[list[_Item], bool]:
        """All that has gathered, or what comes first within this time, and whether it is the last."""
        group: list[_Item] = []
        try:
            while (items := self._queue.get(not group, wait_s)) is not None:
                group += items
        except Empty:
            return group, False
        return group, True
