"""The time of a replica: the reactor as ITimeoutService, and a reactor clock that never goes back."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from epaxos.interfaces import ITimeout, ITimeoutService
from epaxos.net.shared_reader import SharedReader

__all__ = ["ReactorTimeouts", "use_steady_clock"]


def use_steady_clock(reactor: Any) -> None:
    """Give `reactor` the monotonic clock, which nobody can set.

    Twisted's reactors read the time of day.  When that is set back by an hour, every scheduled call comes
    an hour late, heartbeats included.  To be called before anything is scheduled.
    """
    reactor.seconds = time.monotonic


@implementer(ITimeout)
class _Timeout:
    """A scheduled call, which may be cancelled at any time, also after it was made."""

    __slots__ = ("_delayed",)

    def __init__(self, delayed: IDelayedCall) -> None:
        self._delayed = delayed

    def cancel(self) -> None:
        """See ITimeout."""
        if self._delayed.active():
            self._delayed.cancel()


@implementer(ITimeout)
class _Soon:
    """A call that is made once everything that was received in this turn has been handed over."""

    __slots__ = ("_call", "_run")

    def __init__(self, run: Callable[[Callable[[], None]], None], call: Callable[[], None]) -> None:
        self._run = run
        self._call: Callable[[], None] | None = call

    def cancel(self) -> None:
        """See ITimeout."""
        self._call = None

    def make(self) -> None:
        """Make the call, unless it was cancelled."""
        if self._call is not None:
            self._run(self._call)


@implementer(ITimeoutService)
class ReactorTimeouts:
    """The timeout service of a running replica.

    An exception of a call is logged and goes no further, because it must not prevent other calls.
    """

    _log = Logger()

    def __init__(self, reactor: IReactorTime, reader: SharedReader | None = None) -> None:
        self._reactor = reactor
        self._reader = reader or SharedReader()

    def now(self) -> float:
        """See ITimeoutService."""
        return self._reactor.seconds()

    def call_later(self, delay_s: float, call: Callable[[], None]) -> ITimeout:
        """See ITimeoutService.  A delay below 0 counts as 0."""
        if delay_s <= 0 and self._reader.is_handing_over:
            soon = _Soon(self._run, call)
            self._reader.call_afterwards(soon.make)
            return soon
        return _Timeout(self._reactor.callLater(max(0.0, delay_s), self._run, call))

    def _run(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception:
            self._log.failure("a timed call failed")
