"""Gives back the room on disk of instances that were deleted.

LevelDB keeps what was deleted until a compaction comes by, level after level; of the large batches of an
epoch that has ended hardly anything would ever go.  So their keys are compacted, in a thread of its own, in
parts so small that no write waits for long: LevelDB switches to another log at the beginning of each.
"""

from __future__ import annotations

from collections.abc import Iterator
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any

from epaxos.storage.leveldb import engine
from epaxos.storage.leveldb.records import INSTANCE_PREFIX, LATER_PREFIX, encode_number

__all__ = ["Compaction", "parts_of"]

PART_BYTES = 8 << 20
"""About the most bytes of tables that are compacted at a time, which takes some 10 ms."""
PAUSE_S = 0.02
"""Seconds between two parts, for the writes that have waited."""
KEY_BYTES = 24
"""More than a key has."""


class Compaction:
    """Compacts the keys of ended epochs in `db`.  `stop` has to be called before `db` is closed."""

    def __init__(self, db: Any) -> None:
        self._db = db
        self._queue: SimpleQueue[int | None] = SimpleQueue()
        self._stopped = Event()
        self._thread: Thread | None = None

    def begin(self, epoch: int) -> None:
        """All instances up to this epoch are deleted: give their room back, in time.  Never blocks."""
        if self._stopped.is_set():
            return
        if self._thread is None:
            self._thread = Thread(target=self._run, name="epaxos compaction", daemon=True)
            self._thread.start()
        self._queue.put(epoch)

    def stop(self) -> None:
        """Stop soon, and wait for that.  Not to be called in the event loop."""
        self._stopped.set()
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while (epoch := self._queue.get()) is not None:
            end = LATER_PREFIX + encode_number(epoch + 1)
            try:
                for start, stop in parts_of(self._db, INSTANCE_PREFIX, end):
                    if self._stopped.is_set():
                        return
                    self._db.compact_range(start=start, stop=stop)
                    self._stopped.wait(PAUSE_S)
            except engine.Error:
                return  # whoever writes next says it


def parts_of(db: Any, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The parts between two keys in which there are any tables, each of about PART_BYTES at most."""
    waiting = [(_number(start), _number(stop))]
    while waiting:
        low, high = waiting.pop()
        size = db.approximate_size(_key(low), _key(high))
        if size > PART_BYTES and high - low > 1:
            middle = (low + high) // 2
            waiting += [(middle, high), (low, middle)]
        elif size:
            yield _key(low), _key(high)


def _number(key: bytes) -> int:
    return int.from_bytes(key.ljust(KEY_BYTES, b"\0"), "big")


def _key(number: int) -> bytes:
    return number.to_bytes(KEY_BYTES, "big")
