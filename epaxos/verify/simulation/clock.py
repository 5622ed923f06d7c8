"""Virtual time: the queue of all planned events, and a clock for each replica.

Time is counted in whole microseconds, so that it is exact.  Events of the same instant happen in the order
in which they were planned; those planned as `late` happen after all others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush

from zope.interface import implementer

from epaxos.interfaces import ITimeout, ITimeoutService

__all__ = ["SECOND", "Event", "Process", "ReplicaClock", "VirtualTime"]

SECOND = 1_000_000
"""Microseconds in a second."""
_TIMEOUTS_KEPT = 64
"""A clock that holds more timeouts removes those that are over."""


@implementer(ITimeout)
class Event:
    """A planned event."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        """Do not let the event happen.  Does nothing when it has happened."""
        self.call = None


class VirtualTime:
    """The time of the simulated world; `now` is in microseconds since its beginning.

    `happened` counts the events that have happened.
    """

    def __init__(self) -> None:
        self.now = 0
        self.happened = 0
        self._planned: list[tuple[int, int, Event, Process | None]] = []
        self._count = 0
        self._stopped = False

    def at(self, when: int, call: Callable[[], None]) -> Event:
        """Plan a call at the time `when`; a time in the past means now."""
        event = Event(call)
        self.plan(when, event)
        return event

    def after(self, delay: int, call: Callable[[], None]) -> Event:
        """Plan a call in `delay` microseconds."""
        return self.at(self.now + delay, call)

    def plan(self, when: int, event: Event, process: Process | None = None, late: bool = False) -> None:
        """Plan an event of a process, or of the world."""
        if when < self.now:
            when = self.now
        self._count += 1
        heappush(self._planned, (2 * when + late, self._count, event, process))

    def stop(self) -> None:
        """No event happens after this one."""
        self._stopped = True

    def run(self, until: int, events_max: int) -> None:
        """Let all events up to `until` happen; then it is `until`, unless time was stopped.  Ends early when
        `events_max` events have happened since the beginning."""
        planned = self._planned
        last = 2 * until + 1
        while planned and planned[0][0] <= last:
            if self._stopped or self.happened >= events_max:
                return
            moment, _, event, process = heappop(planned)
            call = event.call
            if call is None:
                continue
            self.now = moment >> 1
            self.happened += 1
            if process is None:
                call()
            else:
                process.take(event, moment & 1)
        if not self._stopped:
            self.now = until


class Process:
    """One process of a replica, from its start to its end.  Like a reactor it makes one call after the
    other, and none after its end.

    `cost`: microseconds that each call takes.  While the process is busy or paused, events wait.
    """

    def __init__(self, time: VirtualTime, cost: int = 0) -> None:
        self.time = time
        self.cost = cost
        self.alive = True
        self._busy_until = 0
        self._spent_until = 0
        self._waiting: tuple[deque[Event], deque[Event]] = (deque(), deque())
        self._woken = False

    @property
    def now(self) -> int:
        """The time as the process sees it: the call that it makes now may have taken some."""
        return max(self.time.now, self._spent_until)

    def kill(self) -> None:
        """End the process: no event that was planned for it happens."""
        self.alive = False

    def pause(self, duration: int) -> None:
        """Make no call for a while, as under SIGSTOP or without a processor."""
        self._busy_until = max(self._busy_until, self.time.now + duration)

    def spend(self, duration: int) -> None:
        """The call that the process makes now takes `duration` microseconds longer."""
        self._spent_until = self.now + duration
        self._busy_until += duration

    def at(self, when: int, call: Callable[[], None], late: bool = False) -> Event:
        """Plan a call in this process."""
        event = Event(call)
        self.time.plan(when, event, self, late)
        return event

    def soon(self, call: Callable[[], None]) -> Event:
        """Plan a call at this instant, after those that are planned for it."""
        return self.at(self.time.now, call)

    def arrive(self, call: Callable[[], None]) -> None:
        """An event comes from outside: make the call as soon as the process has time."""
        self.take(Event(call), 0)

    def take(self, event: Event, late: int) -> None:
        """An event is due."""
        if not self.alive:
            return
        on_time, after_all = self._waiting
        if on_time or after_all or self.time.now < self._busy_until:
            self._waiting[late].append(event)
            self._wake_later()
        else:
            self._do(event)

    def _do(self, event: Event) -> None:
        call, event.call = event.call, None
        if call is not None:
            self._busy_until = self.time.now + self.cost
            call()

    def _wake_later(self) -> None:
        if not self._woken:
            self._woken = True
            self.time.at(self._busy_until, self._on_wake)

    def _on_wake(self) -> None:
        self._woken = False
        on_time, after_all = self._waiting
        while self.alive and (on_time or after_all):
            if self.time.now < self._busy_until:
                self._wake_later()
                return
            self._do(on_time.popleft() if on_time else after_all.popleft())


@implementer(ITimeout)
class _Timeout:
    """A call that is due at a time of the replica's own clock."""

    __slots__ = ("due", "event")

    def __init__(self, due: int, event: Event) -> None:
        self.due = due
        self.event = event

    def cancel(self) -> None:
        """See ITimeout."""
        self.event.cancel()


@implementer(ITimeoutService)
class ReplicaClock:
    """The monotonic clock of one process.  It may go fast or slow, and jump ahead.

    `rate`: percent of the true speed.  `start`: its time, in microseconds, at the start of the process.
    """

    def __init__(self, process: Process, start: int = 0, rate: int = 100) -> None:
        self._process = process
        self._time = process.time
        self._shown = start
        self._since = process.now
        self._rate = rate
        self._timeouts: list[_Timeout] = []

    def _now(self) -> int:
        return self._shown + (self._process.now - self._since) * self._rate // 100

    def now(self) -> float:
        """See ITimeoutService."""
        return self._now() / SECOND

    def call_later(self, delay_s: float, call: Callable[[], None]) -> ITimeout:
        """See ITimeoutService.  A call that is due at once does not depend on the clock; it comes after
        all other events of this instant."""
        if delay_s < 0:
            raise ValueError(f"a delay of {delay_s} s")
        if delay_s == 0:
            return self._process.at(self._time.now, call, late=True)
        due = self._now() + round(delay_s * SECOND)
        timeout = _Timeout(due, self._plan(due, call))
        self._timeouts.append(timeout)
        if len(self._timeouts) > _TIMEOUTS_KEPT:
            self._timeouts = self._pending()
        return timeout

    def _plan(self, due: int, call: Callable[[], None]) -> Event:
        wait = -((self._shown - due) * 100 // self._rate)
        return self._process.at(max(self._since + wait, self._time.now + 1), call)

    def _pending(self) -> list[_Timeout]:
        """The timeouts that have neither happened nor been cancelled."""
        return [timeout for timeout in self._timeouts if timeout.event.call is not None]

    def change(self, jump: int = 0, rate: int | None = None) -> None:
        """Jump ahead by some microseconds, or go on at another rate.  Timeouts that are due by then happen
        now."""
        if jump < 0:
            raise ValueError("a monotonic clock never goes back")
        now = self._now()
        self._shown = now + jump
        self._since = self._process.now
        self._rate = self._rate if rate is None else rate
        self._timeouts = self._pending()
        for timeout in self._timeouts:
            call = timeout.event.call
            if timeout.due > now and call is not None:
                timeout.event.cancel()
                timeout.event = self._plan(timeout.due, call)
