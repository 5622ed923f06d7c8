"""Ends connections on which nothing happens for too long.

One timer serves all connections, and activity only sets a flag, so that a command costs no work here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

__all__ = ["LEAVE_S", "Patience", "Quiet"]

LEAVE_S = 30.0
"""Seconds without activity after which one that is leaving, or in the handshake of TLS, is cut off."""
LOOKS = 8
"""How often the timer looks at the connections in the shortest time that it has to measure."""
LOOK_S_MIN = 0.05


class Quiet(Protocol):
    """A connection."""

    quiet_since: float
    """When it was last seen to be active."""

    def take_activity(self) -> bool:
        """Whether something came or was taken since the last call, or the client waits for the replica."""

    @property
    def is_leaving(self) -> bool:
        """Whether the connection closes as soon as the client has taken its replies."""

    def on_impatience(self) -> None:
        """Nothing has happened for too long."""


class Patience:
    """Looks at the connections that it watches, while there are any.

    `timeout_s`: how long a client may be idle, in seconds; 0: without bound.  A client that waits for an
    answer is not idle.
    """

    def __init__(self, clock: IReactorTime, timeout_s: float) -> None:
        self._clock = clock
        self._set_timeout(timeout_s)
        self._watched: dict[Quiet, None] = {}
        self._due: IDelayedCall | None = None

    def _set_timeout(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._look_s = max(LOOK_S_MIN, min(timeout_s or LEAVE_S, LEAVE_S) / LOOKS)

    def use_timeout(self, timeout_s: float, connections: Iterable[Quiet]) -> None:
        """From now on clients may be idle for this time, also those of these connections."""
        if timeout_s == self._timeout_s:
            return
        self._set_timeout(timeout_s)
        for connection in connections:
            if not (timeout_s or connection.is_leaving):
                self.on_lost(connection)
            elif timeout_s:
                self.watch(connection)

    def on_connected(self, connection: Quiet) -> None:
        """A client has connected: look at the connection, if idle clients are cut off."""
        if self._timeout_s:
            self.watch(connection)

    def watch(self, connection: Quiet) -> None:
        """Look at the connection from now on, until it is lost."""
        if connection not in self._watched:
            connection.quiet_since = self._clock.seconds()
            self._watched[connection] = None
            if self._due is None:
                self._due = self._clock.callLater(self._look_s, self._look)

    def on_lost(self, connection: Quiet) -> None:
        """The connection is lost."""
        self._watched.pop(connection, None)
        if not self._watched and self._due is not None:
            self._due.cancel()
            self._due = None

    def _look(self) -> None:
        self._due = self._clock.callLater(self._look_s, self._look)
        now_s = self._clock.seconds()
        for connection in list(self._watched):
            if connection.take_activity():
                connection.quiet_since = now_s
            elif now_s - connection.quiet_since >= (LEAVE_S if connection.is_leaving else self._timeout_s):
                connection.on_impatience()
