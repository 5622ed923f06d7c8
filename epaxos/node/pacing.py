"""When the commands that wait are proposed: a short wait for clients that are just being answered.

Clients that wait for their answers fall into groups: while the instance of one group is under way,
the commands of another gather, and leave as soon as they can.  So two groups never share an
instance.  As long as instances are small, two of them cost nearly twice as much as one with the
same commands.  So when its instances are decided and their clients are answered, a replica
expects as many commands again, in addition to those that wait already.
"""

from __future__ import annotations

from epaxos.node.backoff import Backoff

__all__ = ["Pacing"]

WAIT_MAX_S = 0.005
"""The longest wait of a command for others."""
COMMANDS_EXPECTED_MAX = 1000
"""With more commands, the fixed cost of an instance and of a sync does not matter any more."""
WEIGHT = 1 / 8
"""The weight of the latest instance in the average time that an instance takes."""


class Pacing:
    """Decides when the commands that wait are proposed.

    At most `window` own instances are in flight.  Commands wait for others no longer than an
    instance usually takes, nor than WAIT_MAX_S.  When the expected commands do not come, the next
    waits are skipped (`Backoff`).

    `wait_ends`: the time, in seconds on the clock of `ITimeoutService`, at which the current wait
    ends; None when nothing is waited for.
    """

    def __init__(self, window: int) -> None:
        self.window = window
        self.wait_ends: float | None = None
        self._expected = 0
        self._usual_s = 0.0
        self._backoff = Backoff()

    def on_decided(self, now: float, took_s: float, decided: int, queued: int) -> None:
        """`decided` own commands, proposed `took_s` seconds ago, are decided; `queued` wait."""
        self._usual_s += WEIGHT * (took_s - self._usual_s)
        if self._backoff.may_try() and decided + queued <= COMMANDS_EXPECTED_MAX:
            self._expected = decided + queued
            self.wait_ends = now + min(self._usual_s, WAIT_MAX_S)

    def is_complete(self, now: float, queued: int) -> bool:
        """Whether the `queued` commands need not wait for others, or not any more."""
        if self.wait_ends is None:
            return True
        if queued >= self._expected:
            self._backoff.on_success()
        elif now >= self.wait_ends:
            self._backoff.on_failure()
        else:
            return False
        self.wait_ends = None
        return True
