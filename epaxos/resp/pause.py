"""CLIENT PAUSE: what clients send waits, until the pause is over."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from epaxos.interfaces import Command
from epaxos.resp.session import Session

__all__ = ["Pausable", "Pause"]

_EXEC, _EPAXOS = b"EXEC", b"EPAXOS"


class Pausable(Protocol):
    """A connection."""

    def heed_pause(self) -> None:
        """The pause has begun, or is over."""


class Pause:
    """Whether the commands of clients wait, of all of them.

    `connections()`: those of now.  `writes`: the names, in upper case, of the commands that may write.
    """

    def __init__(
        self,
        clock: IReactorTime,
        connections: Callable[[], Iterable[Pausable]],
        writes: Collection[bytes],
    ) -> None:
        self._clock = clock
        self._connections = connections
        self._writes = frozenset(writes)
        self._only_writes = False
        self._over: IDelayedCall | None = None

    @property
    def is_on(self) -> bool:
        """Whether some commands wait."""
        return self._over is not None

    def begin(self, duration_s: float, only_writes: bool) -> None:
        """Let commands wait for at least so long; of two pauses the later end counts, and the later kind."""
        self._only_writes = only_writes
        if self._over is None:
            self._over = self._clock.callLater(duration_s, self._on_over)
            for connection in list(self._connections()):
                connection.heed_pause()
            return
        if self._over.getTime() < self._clock.seconds() + duration_s:
            self._over.reset(duration_s)

    def end(self) -> None:
        """Let all commands run again."""
        if self._over is not None:
            self._over.cancel()
            self._on_over()

    def _on_over(self) -> None:
        self._over = None
        for connection in list(self._connections()):
            connection.heed_pause()

    def holds(self, session: Session, command: Command) -> bool:
        """Whether this command of this session has to wait."""
        if self._over is None:
            return False
        if not self._only_writes:
            return True
        name = command[0].upper()
        if name == _EXEC:
            queued = () if session.transaction is None else session.transaction.queued
            return any(each[0].upper() in self._writes for each, _ in queued)
        if session.transaction is not None:
            return False  # it is queued
        if name == _EPAXOS:
            return [word.upper() for word in command[1:2]] in ([b"ONCE"], [b"TRACE"])
        return name in self._writes
