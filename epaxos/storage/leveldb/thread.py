"""The writer's thread: writes that would hold up the event loop, and bases of the state.

While the thread writes, groups gather in its queue, and its next write has all of them.  Everything in
this module but the constructor, `start`, `put`, `call` and `close` runs in the thread.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Protocol

from epaxos.storage.leveldb.shared import Item, SharedWriter

__all__ = ["Reports", "WriterThread"]

UNFINISHED_S = 0.1
"""The time without a write, in seconds, after which a base under way is continued.  The snapshot that it
is made of keeps replaced values in memory until the base is whole."""
PINNED_WAIT_S = 1
"""The least time, in seconds, after which the thread looks again whether files are still pinned."""
BUSY_BYTES = 1
"""The least bytes of a base that are then written when other writes came meanwhile: one piece, because
promises wait for it."""
QUIET_BYTES = 1 << 20
"""The same when no other write came meanwhile.  A base of 1 GB takes two minutes."""


class Reports(Protocol):
    """The callbacks of the thread, which it has called in the event loop."""

    def on_written(self, group: list[Item], counters: dict[str, int], wants_state: bool) -> None:
        """The group is written, and synced if a write set of it asked for that."""

    def on_failed(self, text: str) -> None:
        """A write failed, or the thread did.  Nothing is written any more."""

    def on_closed(self) -> None:
        """The database and the files are closed, and the thread ends."""


class WriterThread:
    """The thread of one store, from `start` to `close`.

    `call_from_thread` has a function called in the event loop.  `before_end` is called in the thread
    before the database is closed, and `end` before the thread ends.
    """

    def __init__(
        self,
        shared: SharedWriter,
        call_from_thread: Callable[..., object],
        reports: Reports,
        before_end: Callable[[], None],
        end: Callable[[], None],
    ) -> None:
        self._shared = shared
        self._call_from_thread = call_from_thread
        self._reports = reports
        self._before_end = before_end
        self._end = end
        self._queue: SimpleQueue[list[Item] | Callable[[], None] | None] = SimpleQueue()  # None: close

    def start(self) -> None:
        """Begin to write."""
        Thread(target=self._run, name="epaxos store", daemon=True).start()

    def put(self, group: list[Item]) -> None:
        """Have the group written after those before it."""
        self._queue.put(group)

    def call(self, job: Callable[[], None]) -> None:
        """Have `job` called in the thread after the groups before it.  It holds the lock; what it raises is
        a failure of a write.  It is not called when nothing may be written any more."""
        self._queue.put(job)

    def close(self) -> None:
        """Have everything closed once all groups are written and synced."""
        self._queue.put(None)

    # -- in the thread

    def _run(self) -> None:
        """Write until `close`.  Whatever ends the thread early is reported, because the node waits for it."""
        try:
            self._try(self._write_until_closed)
            self._try(self._before_end)
            self._try(self._shared.writer.close)
            self._try(self._end)
        finally:
            self._call_from_thread(self._reports.on_closed)

    def _try(self, do: Callable[[], None]) -> None:
        try:
            do()
        except BaseException as error:
            self._report_failure(error)

    def _report_failure(self, error: BaseException) -> None:
        self._shared.is_over = True
        self._call_from_thread(self._reports.on_failed, self._shared.failure(error))

    def _write_until_closed(self) -> None:
        writer = self._shared.writer
        at_end = more = False
        while not at_end:
            writes, wait_s = writer.writes, self._wait_s(more)
            group, job, at_end = self._next_group(wait_s)
            idle = not (group or job or at_end or more)
            more = False
            try:
                with self._shared.lock:
                    if not self._shared.is_over:  # perhaps by the event loop, a moment ago
                        more = self._write(group, at_end, idle, writes)
                        if job is not None:
                            job()
            except Exception as error:  # whatever it was, nothing may be reported durable from now on
                self._report_failure(error)

    def _write(self, group: list[Item], at_end: bool, idle: bool, writes: int) -> bool:
        """Write the group, and some of a base under way.  The lock is held.

        `idle`: no group came for a while, when `writes` writes had been done.  Returns whether there is
        more to do now.
        """
        shared, writer = self._shared, self._shared.writer
        least = 0
        if idle:
            least = QUIET_BYTES if writer.writes == writes else BUSY_BYTES
        if group or at_end or (idle and not writer.recorded):
            shared.write(group, at_end or idle)
            self._call_from_thread(self._reports.on_written, group, *shared.progress())
        return writer.go_on(least)

    def _wait_s(self, more: bool) -> float | None:
        """How long to wait for a group, in seconds; None: until one comes."""
        if more:
            return 0
        writer = self._shared.writer
        if self._shared.is_over:
            return None
        if writer.unfinished:
            return UNFINISHED_S
        return None if writer.pinned_s is None else max(PINNED_WAIT_S, writer.pinned_s)

    def _next_group(self, wait_s: float | None) -> tuple[list[Item], Callable[[], None] | None, bool]:
        """All groups that have gathered, or the first one that comes within `wait_s`, as one; the job behind
        them, if one comes next; and whether it is the last."""
        group: list[Item] = []
        try:
            while (found := self._queue.get(not group, wait_s)) is not None:
                if not isinstance(found, list):
                    return group, found, False
                group += found
        except Empty:
            return group, None, False
        return group, None, True
