"""What the database still holds of epochs that have ended, until it is deleted and its room given back.

Both take as long as there was much of it: LevelDB walks over what was deleted lately at about a microsecond
each, and keeps it until a compaction comes by, level after level.  Of the large batches of an epoch hardly
anything would ever go.  So a thread of its own looks for what is held, and compacts the keys of ended epochs
in parts so small that no write waits for long: LevelDB switches to another log at the beginning of each.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any

from epaxos.protocol.values.ids import InstanceId
from epaxos.storage.leveldb import engine
from epaxos.storage.leveldb.compaction import key_ranges
from epaxos.storage.leveldb.records import INSTANCE_PREFIX, LATER_PREFIX, RecordFormat, encode_number

__all__ = ["EndedEpochs", "ids_held"]

PAUSE_S = 0.02
"""Seconds between two parts that are compacted, for the writes that have waited."""


def ids_held(db: Any, format: RecordFormat, after: InstanceId | None, limit: int) -> list[InstanceId]:
    """The next instances, at most `limit`, that `db` holds of the epoch of `format`, in their order.

    Raises ValueError, engine.Error.
    """
    start = format.prefix if after is None else format.batch_key(after)
    found: list[InstanceId] = []
    with closing(db.iterator(start=start, include_start=False, include_value=False)) as keys:
        for key in keys:
            if not key.startswith(format.prefix) or len(found) == limit:
                break
            id, is_batch = format.decode_instance_key(key)
            if not is_batch:
                found.append(id)
    return found


class EndedEpochs:
    """Looks and compacts in `db`, one after the other.  `stop` has to be called before `db` is closed.

    `call_from_thread` has a function called in the event loop; `failed` is called there when the database
    cannot be read.
    """

    def __init__(
        self, db: Any, call_from_thread: Callable[..., object], failed: Callable[[Exception], None]
    ) -> None:
        self._db = db
        self._call_from_thread = call_from_thread
        self._failed = failed
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._stopped = Event()
        self._thread: Thread | None = None

    def find(
        self,
        format: RecordFormat,
        after: InstanceId | None,
        limit: int,
        found: Callable[[list[InstanceId]], None],
    ) -> None:
        """Have `found` called in the event loop with what `ids_held` returns.  Never blocks."""
        self._call(partial(self._find, format, after, limit, found))

    def give_back(self, epoch: int) -> None:
        """All instances up to this epoch are deleted: give their room back, in time.  Never blocks."""
        self._call(partial(self._compact, LATER_PREFIX + encode_number(epoch + 1)))

    def stop(self) -> None:
        """Stop soon, and wait for that.  Not to be called in the event loop."""
        self._stopped.set()
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join()

    def _call(self, job: Callable[[], None]) -> None:
        if self._stopped.is_set():
            return
        if self._thread is None:
            self._thread = Thread(target=self._run, name="epaxos ended epochs", daemon=True)
            self._thread.start()
        self._queue.put(job)

    # -- in the thread

    def _run(self) -> None:
        while (job := self._queue.get()) is not None and not self._stopped.is_set():
            job()

    def _find(
        self,
        format: RecordFormat,
        after: InstanceId | None,
        limit: int,
        found: Callable[[list[InstanceId]], None],
    ) -> None:
        try:
            ids = ids_held(self._db, format, after, limit)
        except (engine.Error, ValueError) as why:
            self._call_from_thread(self._failed, why)
        else:
            self._call_from_thread(found, ids)

    def _compact(self, end: bytes) -> None:
        try:
            for start, stop in key_ranges(self._db, INSTANCE_PREFIX, end):
                if self._stopped.is_set():
                    return
                self._db.compact_range(start=start, stop=stop)
                self._stopped.wait(PAUSE_S)
        except engine.Error:
            return  # whoever writes next says it
