"""Keeps what the keys of a replica take within `maxmemory`: measures it, and proposes which keys go.

The connected member with the lowest number proposes at once.  Any other one waits until no key was removed
for a while, longer the more connected members have lower numbers.
"""

from __future__ import annotations

from collections.abc import Callable

from epaxos.interfaces import IClients, ITimeout, ITimeoutService, Outcome, Unavailable
from epaxos.interfaces.memory import IMemoryBound

__all__ = ["Evictions"]

LOOK_EVERY_S = 0.05
"""Seconds between two looks at what is used."""
RANK_S = 2.0
"""Seconds that the member of each rank waits for those before it."""


class Evictions:
    """The upkeep of `bound`, at one replica.

    `rank()`: how many members with lower numbers are connected.  `changed()` is called when other commands
    are refused than before.
    """

    def __init__(
        self,
        bound: IMemoryBound,
        clients: IClients,
        timeouts: ITimeoutService,
        rank: Callable[[], int],
        changed: Callable[[], None],
    ) -> None:
        self._bound = bound
        self._clients = clients
        self._timeouts = timeouts
        self._rank = rank
        self._changed = changed
        self._was_full = False
        self._evicted = 0
        self._waits_since: float | None = None
        self._is_busy = False
        self._due: ITimeout | None = None
        self._runs = False

    def start(self) -> None:
        """Begin to look.  Call it once the replica takes commands."""
        self._runs = True
        self._due = self._timeouts.call_later(LOOK_EVERY_S, self._look)

    def stop(self) -> None:
        """Look no more."""
        self._runs = False
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _look(self) -> None:
        self._due = self._timeouts.call_later(LOOK_EVERY_S, self._look)
        bound = self._bound
        bound.measure()
        if bound.is_full is not self._was_full:
            self._was_full = bound.is_full
            self._changed()
        if not self._is_busy and self._may_propose():
            self._evict()

    def _evict(self) -> None:
        commands = self._bound.take_evictions()
        if not commands:
            return
        self._is_busy = True

        def done(outcome: Outcome) -> None:
            self._is_busy = False
            if self._runs and not isinstance(outcome, Unavailable):
                self._bound.measure()
                if self._may_propose():
                    self._evict()

        self._clients.submit(commands, done, sum(len(word) for command in commands for word in command))

    def _may_propose(self) -> bool:
        """Whether keys have to go, and it is this replica's turn."""
        bound = self._bound
        if not bound.is_over():
            self._waits_since = None
            return False
        now, evicted = self._timeouts.now(), bound.evicted()
        if self._waits_since is None or evicted != self._evicted:
            self._waits_since, self._evicted = now, evicted
        return now - self._waits_since >= self._rank() * RANK_S
