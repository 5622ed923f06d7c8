"""A thread that does jobs one after the other, and answers in the event loop."""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

__all__ = ["Worker"]

T = TypeVar("T")


class Worker:
    """A thread called `name`, which is started with the first job.

    `call_from_thread` has a function called in the event loop.
    """

    def __init__(self, name: str, call_from_thread: Callable[..., object]) -> None:
        self._name = name
        self._call_from_thread = call_from_thread
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()  # None: end
        self._thread: Thread | None = None
        self._is_over = False

    def do(self, job: Callable[[], T]) -> Deferred[T]:
        """Do a job behind those before it.  Fires with what it returns, or fails with what it raises; never
        after `stop`."""
        done: Deferred[T] = Deferred()
        if self._is_over:
            return done
        if self._thread is None:
            self._thread = Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        self._queue.put(_Job(job, done, self._call_from_thread).run)
        return done

    def stop(self) -> None:
        """End the thread after the jobs so far."""
        self._is_over = True
        self._queue.put(None)

    def join(self) -> None:
        """Wait until the thread has ended.  To be called outside the event loop, after `stop`."""
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while (job := self._queue.get()) is not None:
            job()


class _Job:
    def __init__(
        self, job: Callable[[], object], done: Deferred[T], call_from_thread: Callable[..., object]
    ) -> None:
        self._job = job
        self._done = done
        self._call_from_thread = call_from_thread

    def run(self) -> None:
        try:
            result: object = self._job()
        except BaseException:
            result = Failure()  # type: ignore[no-untyped-call]
        self._call_from_thread(self._done.callback, result)
