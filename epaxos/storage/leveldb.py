"""The store of a replica that remembers: LevelDB and the files of the state, written by one thread.

While one write is under way, write sets gather; all that have gathered are the next write, with one
sync.  The event loop only puts write sets into a queue and hears what has become durable.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from epaxos.interfaces import Identity, IStore, Restored, StoreError, WriteSet
from epaxos.storage.database import open_database, restore, text_of
from epaxos.storage.folder import DataFolder
from epaxos.storage.records import RecordFormat
from epaxos.storage.state_files import StateFiles
from epaxos.storage.writer import GroupWriter

__all__ = ["LevelDBStore"]

HELD_BACK_MAX = 64
"""So many write sets that nobody waits for are held back at most, until one comes that somebody waits for."""

_Item = tuple[WriteSet, Callable[[], None]]


@implementer(IStore)
class LevelDBStore:
    """`engine = leveldb`: the store in the data folder `path`.

    `call_from_thread` has a function called in the event loop (`IReactorFromThreads.callFromThread`);
    `failed` is told there, once, when a write failed.  With `sync` False nothing is synced: what is
    reported durable survives the process, but not the machine.

    Encoding is done in the thread: it costs the interpreter lock as much there as in the event loop,
    but needs no second lane for checkpoints, whose ten thousand commands must not hold up the loop.
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
        self._queue: SimpleQueue[list[_Item] | None] = SimpleQueue()  # None: close
        self._held_back: list[_Item] = []
        self._thread: Thread | None = None
        self._at_end = False  # the thread's own
        self._accepts = False
        self._closing: list[Deferred[None]] = []
        self._queued = 0
        self.wants_state = False
        self._counters = {"store_writes": 0, "store_syncs": 0, "store_bytes": 0}

    # -- the event loop's side

    def open(self, identity: Identity) -> Restored:
        """See IStore."""
        assert self._thread is None and not self._at_end, "a store is opened once"
        format = RecordFormat(identity.n)
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
        self.wants_state = writer.wants_state
        self._accepts = True
        self._thread = Thread(target=self._run, args=(writer,), name="epaxos store", daemon=True)
        self._thread.start()
        return restored

    def write(self, write_set: WriteSet, durable: Callable[[], None]) -> None:
        """See IStore.  After `close` or a failure nothing is written, nor reported durable.

        What nobody waits for is written with the next that somebody does: to wake the thread costs
        the event loop more than most writes.
        """
        if self._accepts:
            self._queued += 1
            self._held_back.append((write_set, durable))
            if write_set.sync or len(self._held_back) >= HELD_BACK_MAX:
                self._hand_over()

    def _hand_over(self) -> None:
        held_back, self._held_back = self._held_back, []
        self._queue.put(held_back)

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

    def counters(self) -> Mapping[str, int]:
        """See IStore.  `store_queue` counts write sets."""
        return {**self._counters, "store_queue": self._queued}

    def _on_written(self, group: Sequence[_Item], counters: dict[str, int], wants_state: bool) -> None:
        self.wants_state = wants_state
        self._queued -= len(group)
        self._counters = counters
        for _, durable in group:
            durable()

    def _on_failed(self, text: str) -> None:
        self._accepts = False
        self._queued = 0
        self._failed(StoreError(text))

    def _on_closed(self) -> None:
        self._thread = None
        self._folder.close()
        closing, self._closing = self._closing, []
        for closed in closing:
            closed.callback(None)

    # -- the thread's side

    def _run(self, writer: GroupWriter) -> None:
        try:
            self._write_until_closed(writer)
        except Exception as error:  # whatever it was, nothing may be reported durable from now on
            text = f"{self._folder.path} cannot be written: {text_of(error)}"
            self._call_from_thread(self._on_failed, text)
            while not self._at_end:
                self._next_group()
        finally:
            writer.close()
            self._call_from_thread(self._on_closed)

    def _write_until_closed(self, writer: GroupWriter) -> None:
        while not self._at_end:
            group = self._next_group()
            sets = [write_set for write_set, _ in group]
            synced = writer.write(sets, self._at_end or any(write_set.sync for write_set in sets))
            counters = {
                "store_writes": writer.writes,
                "store_syncs": writer.syncs,
                "store_bytes": writer.bytes,
            }
            self._call_from_thread(self._on_written, group, counters, writer.wants_state)
            if synced:
                self._folder.set_synced(writer.sequence.last)
            writer.go_on()

    def _next_group(self) -> list[_Item]:
        """All that has gathered; waits until it is something, or the end."""
        group: list[_Item] = []
        items = self._queue.get()
        with suppress(Empty):
            while items is not None:
                group += items
                items = self._queue.get_nowait()
        self._at_end = items is None
        return group
