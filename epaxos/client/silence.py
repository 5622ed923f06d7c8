"""Whether a peer that owes an answer has said nothing for too long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Silence"]

BYTES_PER_S = 1_000_000
"""The rate at which a peer is taken to receive what was sent to it.  A long command takes its time to arrive,
during which the peer cannot answer."""


class Silence:
    """Calls `on_silence` when something is owed and nothing was heard for `limit_s`, once.

    Bytes that were sent and are not answered prolong `limit_s` (see BYTES_PER_S).  `clock`: IReactorTime.
    There is one timer, which may fire too early and is then set anew, because what is owed changes with
    every command.
    """

    def __init__(self, clock: Any, limit_s: float, on_silence: Callable[[], object]) -> None:
        self._clock = clock
        self._limit_s = limit_s
        self._on_silence = on_silence
        self._since = 0.0
        self._owed_bytes = 0
        self._timer: Any = None

    def sent(self, size: int) -> None:
        """Note that the peer owes an answer to `size` (at least 1) bytes more."""
        if not self._owed_bytes:
            self._since = self._clock.seconds()
            if self._timer is None:
                self._arm(self._limit_s)
        self._owed_bytes += size

    def heard(self, answered: int) -> None:
        """Note that the peer said something, by which `answered` of the bytes are answered."""
        self._since = self._clock.seconds()
        self._owed_bytes -= answered

    def stop(self) -> None:
        """Watch no more."""
        self._owed_bytes = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, delay_s: float) -> None:
        self._timer = self._clock.callLater(delay_s, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._owed_bytes:
            deadline = self._since + self._limit_s + self._owed_bytes / BYTES_PER_S
            if (left_s := deadline - self._clock.seconds()) > 0:
                self._arm(left_s)
            else:
                # When this process itself stood still, the answer may lie in the socket: read it first.
                self._timer = self._clock.callLater(0, self._look_again, self._since)

    def _look_again(self, since: float) -> None:
        self._timer = None
        if self._owed_bytes:
            if self._since == since:
                self._on_silence()
            else:
                self._arm(self._limit_s)
