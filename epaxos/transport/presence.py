"""Whether another replica is there, as its connections show."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

__all__ = ["Presence"]


class Presence:
    """Watches the two connections with one replica: the one made here and the one made there.

    `tell(True)` is called when there is a connection after there was none.  `tell(False)` is called when
    both are lost and no new one is made: at once when an attempt fails, else after `patience_s`, because a
    killed process closes its connections and refuses new ones, while a live one has connected by then.
    """

    def __init__(self, clock: IReactorTime, patience_s: float, tell: Callable[[bool], None]) -> None:
        self._clock = clock
        self._patience_s = self._patience_min_s = patience_s
        self._tell = tell
        self._told = False
        self._outgoing = False
        self._incoming = False
        self._refused = False  # an attempt has failed since the last connection from here
        self._ends: IDelayedCall | None = None

    def outgoing_made(self, took_s: float) -> None:
        """The other side has accepted our connection, `took_s` seconds after the link dialled.

        A distant site needs more patience: twice `took_s`.
        """
        self._outgoing = True
        self._refused = False
        self._patience_s = max(self._patience_min_s, 2 * took_s)
        self._update()

    def outgoing_lost(self) -> None:
        """Our connection, which was accepted, is lost."""
        self._outgoing = False
        self._update()

    def outgoing_failed(self) -> None:
        """An attempt to connect was refused, or ended before it was accepted."""
        self._refused = True
        self._update()

    def incoming(self, is_open: bool) -> None:
        """The connection from the other side is made (`is_open`), or lost."""
        self._incoming = is_open
        self._update()

    def stop(self) -> None:
        """Tell nothing any more."""
        self._cancel()
        self._told = self._outgoing = self._incoming = False
        self._tell = _nothing

    def _update(self) -> None:
        if self._outgoing or self._incoming:
            self._cancel()
            if not self._told:
                self._told = True
                self._tell(True)
        elif self._told:
            if self._refused:
                self._end()
            elif self._ends is None:
                self._ends = self._clock.callLater(self._patience_s, self._end)

    def _end(self) -> None:
        self._cancel()
        self._told = False
        self._tell(False)

    def _cancel(self) -> None:
        ends, self._ends = self._ends, None
        if ends is not None and ends.active():
            ends.cancel()


def _nothing(is_there: bool) -> None:
    """Do nothing, because nobody is told any more."""
