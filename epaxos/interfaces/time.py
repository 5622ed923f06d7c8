"""Time."""

from __future__ import annotations

from collections.abc import Callable

from zope.interface import Interface

__all__ = ["ITimeout", "ITimeoutService"]


class ITimeout(Interface):
    """A call that is due later."""

    def cancel() -> None:
        """Do not call.  Does nothing when the call has been made or was cancelled."""


class ITimeoutService(Interface):
    """Time.  The only clock of a replica."""

    def now() -> float:
        """Seconds on a clock that never goes back."""

    def call_later(delay_s: float, call: Callable[[], None]) -> ITimeout:
        """Call after `delay_s` seconds; 0 means: when everything that has arrived is handled."""
