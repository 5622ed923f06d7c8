"""Virtual time: the queue of everything that will happen, and a clock for each replica.

Time is counted in whole microseconds, so that it is exact.  What happens at the same instant happens
in the order in which it was planned, but what was planned as `late` comes after all else.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable

from zope.interface import implementer

from epaxos.interfaces import ITimeout, ITimeoutService

__all__ = ["SECOND", "Event", "Process", "ReplicaClock", "VirtualTime"]

SECOND = 1_000_000
"""Microseconds."""


class Event:
    """Something planned; `cancel` takes it back."""

    __slots__ = ("call", "cancelled")

    def __init__(self, call: Callable[[], None]) -> None:
        self.call = call
        self.cancelled = False

    def cancel(self) -> None:
        """Do not let it happen."""
        self.cancelled = True


class VirtualTime:
    """The time of the simulated world; `now` is in microseconds since its beginning."""

    def __init__(self) -> None:
        self.now = 0
        self.happened = 0
        self._planned: list[tuple[int, bool, int, Event]] = []
        self._count = 0

    def at(self, when: int, call: Callable[[], None], late: bool = False) -> Event:
        """Plan a call; what should have been in the past happens now."""
        self._count += 1
        event = Event(call)
        heapq.heappush(self._planned, (max(when, self.now), late, self._count, event))
        return event

    def after(self, delay: int, call: Callable[[], None], late: bool = False) -> Event:
        """Plan a call in `delay` microseconds."""
        return self.at(self.now + delay, call, late)

    def step(self, until: int) -> bool:
        """Let the next thing happen, if there is one up to then; else it is `until` now."""
        planned = self._planned
        while planned and planned[0][0] <= until:
            when, _, _, event = heapq.heappop(planned)
            if not event.cancelled:
                self.now = when
                self.happened += 1
                event.call()
                return True
        self.now = until
        return False


class Process:
    """One life of a replica, from its start to its crash: does one thing after the other, as a
    reactor does, and nothing any more once it is dead.

    `cost`: microseconds that each thing takes.  While it is busy or paused, what arrives has to wait.
    """

    def __init__(self, time: VirtualTime, cost: int = 0) -> None:
        self.time = time
        self.cost = cost
        self.alive = True
        self._busy_until = 0
        self._waiting: tuple[deque[Event], deque[Event]] = (deque(), deque())
        self._woken = False

    def kill(self) -> None:
        """Nothing planned for this process happens any more."""
        self.alive = False

    def pause(self, duration: int) -> None:
        """Do nothing for a while (SIGSTOP, a starved machine)."""
        self._busy_until = max(self._busy_until, self.time.now + duration)

    def at(self, when: int, call: Callable[[], None], late: bool = False) -> Event:
        """Plan a call in this process."""
        event = Event(call)
        self.time.at(when, lambda: self._arrive(event, late), late)
        return event

    def soon(self, call: Callable[[], None]) -> Event:
        """Plan a call at this instant, after what has arrived so far."""
        return self.at(self.time.now, call)

    def _arrive(self, event: Event, late: bool) -> None:
        if not self.alive or event.cancelled:
            return
        if self.time.now < self._busy_until or any(self._waiting):
            self._waiting[late].append(event)
            self._wake_later()
        else:
            self._do(event)

    def _do(self, event: Event) -> None:
        self._busy_until = self.time.now + self.cost
        event.call()

    def _wake_later(self) -> None:
        if not self._woken:
            self._woken = True
            self.time.at(self._busy_until, self._on_wake)

    def _on_wake(self) -> None:
        self._woken = False
        if not self.alive:
            return
        while self.time.now >= self._busy_until:
            queue = next(filter(None, self._waiting), None)
            if queue is None:
                return
            event = queue.popleft()
            if not event.cancelled:
                self._do(event)
                if not self.alive:
                    return
        self._wake_later()


@implementer(ITimeout)
class _Timeout:
    """A call that is due at a time of the replica's own clock."""

    __slots__ = ("call", "clock", "due", "event")

    def __init__(self, clock: ReplicaClock, due: int, call: Callable[[], None]) -> None:
        self.clock = clock
        self.due = due
        self.call = call
        self.event: Event | None = None

    def cancel(self) -> None:
        """See ITimeout."""
        if self.event is not None:
            self.event.cancel()
            self.clock.forget(self)

    def happen(self) -> None:
        """It is due."""
        self.clock.forget(self)
        self.call()


@implementer(ITimeoutService)
class ReplicaClock:
    """The monotonic clock of one process: it may go fast or slow, and jump ahead.

    `rate`: percent of the true speed.  `start`: what it shows at the start of the process.
    """

    def __init__(self, process: Process, start: int = 0, rate: int = 100) -> None:
        self._process = process
        self._time = process.time
        self._shown = start
        self._since = self._time.now
        self._rate = rate
        self._timeouts: dict[_Timeout, None] = {}

    def _now(self) -> int:
        return self._shown + (self._time.now - self._since) * self._rate // 100

    def now(self) -> float:
        """See ITimeoutService."""
        return self._now() / SECOND

    def call_later(self, delay_s: float, call: Callable[[], None]) -> _Timeout:
        """See ITimeoutService."""
        if delay_s < 0:
            raise ValueError(f"a delay of {delay_s} s")
        timeout = _Timeout(self, self._now() + round(delay_s * SECOND), call)
        if delay_s == 0:
            timeout.event = self._process.at(self._time.now, timeout.happen, late=True)
        else:
            self._plan(timeout)
        self._timeouts[timeout] = None
        return timeout

    def _plan(self, timeout: _Timeout) -> None:
        wait = -((self._shown - timeout.due) * 100 // self._rate)
        timeout.event = self._process.at(max(self._since + wait, self._time.now + 1), timeout.happen)

    def forget(self, timeout: _Timeout) -> None:
        """The timeout has happened or was cancelled."""
        self._timeouts.pop(timeout, None)

    def change(self, jump: int = 0, rate: int | None = None) -> None:
        """Jump ahead by microseconds, or go on at another rate.  What is due waits no longer."""
        if jump < 0:
            raise ValueError("a monotonic clock never goes back")
        now = self._now()
        self._shown = now + jump
        self._since = self._time.now
        self._rate = self._rate if rate is None else rate
        for timeout in tuple(self._timeouts):
            if timeout.due > now and timeout.event is not None:
                timeout.event.cancel()
                self._plan(timeout)
