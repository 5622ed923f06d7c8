"""Waiting a moment for the clients that are just being answered, so that they share an instance.

Clients that wait for their answers fall into groups: while the instance of one group is under way, the
commands of another gather, and leave as soon as they can; the two never meet.  Twice the instances
for the same commands cost nearly twice as much, as long as they are small.  So when its instances are
decided, and their clients are answered, a replica expects as many commands from them, beside those
that wait already.
"""

from __future__ import annotations

from epaxos.node.backoff import Backoff

__all__ = ["Gathering"]

WAIT_MAX_S = 0.005
"""No command waits longer for others."""
COMMANDS_EXPECTED_MAX = 1000
"""With more commands an instance's own cost, and that of a sync, does not matter any more."""
WEIGHT = 1 / 8
"""Of the latest instance in what one usually takes."""


class Gathering:
    """Decides whether the commands that wait are to wait for more.

    Never longer than an instance usually takes, nor than WAIT_MAX_S; and when those that were
    expected do not come, it tries again only after some decisions, twice as many every time.
    """

    def __init__(self) -> None:
        self.wait_ends: float | None = None
        self._expected = 0
        self._usual_s = 0.0
        self._backoff = Backoff()

    def on_decided(self, now: float, took_s: float, decided: int, queued: int) -> None:
        """`decided` own commands, proposed `took_s` ago, are decided, and `queued` ones wait."""
        self._usual_s += WEIGHT * (took_s - self._usual_s)
        if self._backoff.may_try() and decided + queued <= COMMANDS_EXPECTED_MAX:
            self._expected = decided + queued
            self.wait_ends = now + min(self._usual_s, WAIT_MAX_S)

    def is_complete(self, now: float, queued: int) -> bool:
        """Whether the `queued` commands may be proposed now."""
        if self.wait_ends is None:
            return True
        if queued >= self._expected:
            self._backoff.was_of_use()
        elif now >= self.wait_ends:
            self._backoff.was_in_vain()
        else:
            return False
        self.wait_ends = None
        return True
