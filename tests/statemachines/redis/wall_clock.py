"""The clock of this host as that of the cluster, for stores without one."""

from __future__ import annotations

from collections.abc import Callable

from zope.interface import implementer

from epaxos.interfaces import IClusterClock

__all__ = ["WallClock"]


@implementer(IClusterClock)
class WallClock:
    """`now_s()`: seconds since 1970.  While that clock is put back, this one stands still."""

    is_trusted = True
    is_settling = False

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._last_ms = 0

    def now_ms(self) -> int:
        """See IClusterClock."""
        self._last_ms = max(self._last_ms, int(self._now_s() * 1000))
        return self._last_ms
