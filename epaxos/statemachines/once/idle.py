"""Ends the sessions that nobody uses any more.

Every replica looks now and then, and proposes to end what was not used for too long, *if* it still was not
used when that runs.  So nothing depends on who proposes: doubles do nothing.  Each replica waits for another
time, so mostly one proposes alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from epaxos.interfaces import IClients, ITimeout, ITimeoutService, Outcome

__all__ = ["IdleSessions"]

LOOK_EVERY_S = 60.0
"""Seconds between two looks; less where the sessions' time is short.  A replica waits longer than that time
by as many of these as its number is modulo NUMBERS."""
LOOKS = 4
"""The looks in the time of a session, at least."""
ENDS_MAX = 1000
"""Sessions that one look ends."""
NUMBERS = 8
"""Replicas whose numbers are equal modulo this look at the same time, so that a high number does not wait
for ever."""


class IdleSessions:
    """Ends, at replica `id`, the sessions that were not used for `timeout_s` seconds.

    `idle`: see Sessions.  `now_s()`: seconds since 1970.
    """

    def __init__(
        self,
        id: int,
        idle: Callable[[int, int], Sequence[tuple[bytes, int]]],
        clients: IClients,
        timeouts: ITimeoutService,
        now_s: Callable[[], float],
        timeout_s: float,
    ) -> None:
        self._idle = idle
        self._clients = clients
        self._timeouts = timeouts
        self._now_s = now_s
        self._every_s = min(LOOK_EVERY_S, timeout_s / LOOKS)
        self._wait_s = timeout_s + id % NUMBERS * self._every_s
        self._due: ITimeout | None = None

    def start(self) -> None:
        """Begin to look.  Call it once the replica takes commands."""
        self._due = self._timeouts.call_later(self._every_s, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _look(self) -> None:
        self.start()
        # A batch may be applied in part just now.  That does no harm, because what is found is only proposed.
        found = self._idle(int(self._now_s() - self._wait_s), ENDS_MAX)
        if found:
            ends = [(b"EPAXOS", b"SESSION", b"END", id.hex().encode(), b"%d" % uses) for id, uses in found]
            for end in ends:
                self._clients.check(end)
            self._clients.submit(ends, _ignore, sum(len(word) for end in ends for word in end))


def _ignore(outcome: Outcome) -> None:
    """The next look finds what could not be ended."""
