"""Writes long replies in steps, by turns, so that no client waits for the whole reply of another."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

__all__ = ["Writer", "Writers"]

TURN_S = 0.005
"""About the seconds of steps until other work of the event loop runs."""

_log = Logger()


class Writer(Protocol):
    """A connection with more to write."""

    is_writing: bool
    """Whether the connection waits for its turn here."""

    def write_step(self) -> bool:
        """Write the next step, at most some milliseconds of work.  Returns whether more can follow now."""

    def abandon(self) -> None:
        """End the connection, because `write_step` has raised an exception, which is a bug."""


class Writers:
    """The connections that have more to write and can write it; each writes one step at a time."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._queue: deque[Writer] = deque()
        self._due: IDelayedCall | None = None

    def add(self, writer: Writer) -> None:
        """`writer` has more to write."""
        if not writer.is_writing:
            writer.is_writing = True
            self._queue.append(writer)
            if self._due is None:
                self._due = self._clock.callLater(0, self._turn)

    def _turn(self) -> None:
        ends = self._clock.seconds() + TURN_S
        queue = self._queue
        while queue:
            writer = queue.popleft()
            writer.is_writing = False
            try:
                if writer.write_step():
                    self.add(writer)
            except Exception:
                _log.failure("an answer could not be delivered")
                writer.abandon()
            if self._clock.seconds() >= ends:
                break
        self._due = self._clock.callLater(0, self._turn) if queue else None
