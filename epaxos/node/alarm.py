"""The one timer that wakes a replica when nothing arrives."""

from __future__ import annotations

from collections.abc import Callable

from epaxos.interfaces import ITimeout, ITimeoutService

__all__ = ["Alarm"]


class Alarm:
    """Calls `ring` once at the time that `set` named last.

    A later time leaves the running timer as it is, because most turns move the deadline: the
    timer then fires once too early, and is started anew.
    """

    def __init__(self, timeouts: ITimeoutService, ring: Callable[[], None]) -> None:
        self._timeouts = timeouts
        self._ring = ring
        self._timer: ITimeout | None = None
        self._fires_at = self._rings_at = 0.0
        self._is_over = False

    def set(self, now: float, rings_at: float) -> None:
        """Ring at `rings_at`, not earlier.  Both times are on the clock of `ITimeoutService`.

        A turn that stops its own replica sets the alarm behind that: then nothing rings.
        """
        if self._is_over:
            return
        self._rings_at = rings_at
        if self._timer is not None:
            if self._fires_at <= rings_at:
                return
            self._timer.cancel()
        self._start(now)

    def end(self) -> None:
        """Never ring again."""
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start(self, now: float) -> None:
        self._fires_at = self._rings_at
        self._timer = self._timeouts.call_later(self._fires_at - now, self._on_timeout)

    def _on_timeout(self) -> None:
        self._timer = None
        now = self._timeouts.now()
        if now < self._rings_at:
            self._start(now)
        else:
            self._ring()
