"""Removes the keys that are due and that nobody touches.

Every replica finds the same keys, and whoever proposes to remove one names its deadline, so doubles do
nothing.  The connected member with the lowest number proposes at once.  Any other one waits until no due key
was removed for a while, longer the more connected members have lower numbers.
"""

from __future__ import annotations

from collections.abc import Callable

from epaxos.interfaces import (
    IClients,
    IClusterClock,
    IExpires,
    ITimeout,
    ITimeoutService,
    Outcome,
    Unavailable,
)

__all__ = ["DueKeys"]

LOOK_EVERY_S = 0.25
"""Seconds between two looks while nothing is due."""
RANK_S = 2.0
"""Seconds that the member of each rank waits for those before it."""
REST = 0.5
"""After a batch of removals the next one waits for this part of the time which that one took, so that others
have their share of the replicas' time."""
REST_MIN_S = 0.002


class DueKeys:
    """Removes what `machine` calls due, at one replica.

    `rank()`: how many members with lower numbers are connected.
    """

    def __init__(
        self,
        machine: IExpires,
        clients: IClients,
        clock: IClusterClock,
        timeouts: ITimeoutService,
        rank: Callable[[], int],
    ) -> None:
        self._machine = machine
        self._clients = clients
        self._clock = clock
        self._timeouts = timeouts
        self._rank = rank
        self._removed = 0
        self._waits_since: float | None = None
        self._due: ITimeout | None = None
        self._runs = False

    def start(self) -> None:
        """Begin to look.  Call it once the replica takes commands."""
        self._runs = True
        self._look_in(LOOK_EVERY_S)

    def stop(self) -> None:
        """Look no more."""
        self._runs = False
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _look_in(self, seconds: float) -> None:
        if self._runs:
            self._due = self._timeouts.call_later(seconds, self._look)

    def _look(self) -> None:
        commands = self._machine.take_due() if self._may_propose() else ()
        if not commands:
            self._look_in(LOOK_EVERY_S)
            return
        began = self._timeouts.now()

        def done(outcome: Outcome) -> None:
            took_s = self._timeouts.now() - began
            refused = isinstance(outcome, Unavailable)
            self._look_in(LOOK_EVERY_S if refused else max(REST_MIN_S, REST * took_s))

        self._clients.submit(commands, done, sum(len(word) for command in commands for word in command))

    def _may_propose(self) -> bool:
        """Whether something may be due, and it is this replica's turn."""
        machine = self._machine
        if not machine.is_due() or not self._clock.is_trusted:
            self._waits_since = None
            return False
        now, removed = self._timeouts.now(), machine.removed()
        if self._waits_since is None or removed != self._removed:
            self._waits_since = now
            self._removed = removed
        return now - self._waits_since >= self._rank() * RANK_S
