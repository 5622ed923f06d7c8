"""The clock and the timeouts of a replica."""

from __future__ import annotations

from collections.abc import Callable

from zope.interface import Attribute, Interface

__all__ = ["IClusterClock", "ITimeout", "ITimeoutService"]


class IClusterClock(Interface):
    """The time that this replica puts into what it proposes (docs: internals/expiry)."""

    is_trusted = Attribute("bool: whether the time is near that of the other replicas.")
    is_settling = Attribute(
        "bool: whether the replica has just been started, and does not yet know whether the time is to be"
        " trusted.  What needs the time waits meanwhile."
    )

    def now_ms() -> int:
        """Milliseconds since 1970; it never goes back within one process."""


class ITimeout(Interface):
    """A call that is due later."""

    def cancel() -> None:
        """Do not make the call.  Does nothing when the call was made or cancelled before."""


class ITimeoutService(Interface):
    """The only clock of a replica."""

    def now() -> float:
        """Seconds on a clock that never goes back.  Its zero is arbitrary: only differences mean anything,
        and only within one process."""

    def call_later(delay_s: float, call: Callable[[], None]) -> ITimeout:
        """Call `call` once, `delay_s` >= 0 seconds of this clock from now, never before this method returns.

        With 0 seconds the call is made when everything that has arrived is handled.
        """
