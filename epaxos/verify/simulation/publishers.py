"""Clients that publish on a few channels, at any replica, by themselves, in transactions and by scripts."""

from __future__ import annotations

from epaxos.interfaces import IClients, Outcome
from epaxos.interfaces.composites import Transaction, transaction
from epaxos.verify.simulation.asking import Servers, Words
from epaxos.verify.simulation.clock import VirtualTime
from epaxos.verify.simulation.dice import Dice
from epaxos.verify.simulation.plan import Workload

__all__ = ["Publisher"]

_CHANNELS = 2
_FACTOR = 6
"""A publisher publishes this many times as often as other clients send sets of commands."""
_LAST = 2
_RETRY_US = 20_000
_SCRIPT = b"return redis.call('PUBLISH', KEYS[1], ARGV[1])"


class Publisher:
    """One client.  It does not care whether its messages were told, or when."""

    def __init__(
        self, number: int, workload: Workload, seed: int, time: VirtualTime, servers: Servers
    ) -> None:
        self._number = number
        self._workload = workload
        self._dice = Dice(seed, "publisher", number)
        self._time = time
        self._servers = servers
        self._left = _FACTOR * workload.operations
        self._said = 0
        self._soon()

    @property
    def finished(self) -> bool:
        """Whether it publishes no more."""
        return self._left <= 0

    def come_to_an_end(self) -> None:
        """The faults are over: publish twice more at most."""
        self._left = min(self._left, _LAST)

    def __str__(self) -> str:
        return f"the publisher {self._number} has {self._left} messages left"

    def _soon(self) -> None:
        self._time.after(1 + self._dice.below(self._workload.think_us // 4 + 1), self._next)

    def _next(self) -> None:
        if self._left <= 0:
            return
        if self._servers.connect(self._dice.below(self._servers.n), self._hand_in, _lost):
            self._left -= 1
            self._soon()
        else:
            self._time.after(_RETRY_US, self._next)

    def _hand_in(self, clients: IClients) -> None:
        commands = [self._command() for _ in range(self._dice.pick((1, 1, 2, 3)))]
        clients.submit(commands, _ignore, 60 * len(commands))

    def _command(self) -> Words:
        self._said += 1
        text = b"%d.%d" % (self._number, self._said)
        channel = b"channel %d" % self._dice.below(_CHANNELS)
        kind = self._dice.below(10)
        if kind < 6:
            return (b"PUBLISH", channel, text)
        if kind == 6:
            return (b"SPUBLISH", channel, text)
        if kind == 7:
            return (b"EVAL", _SCRIPT, b"1", channel, text)
        queued = [(self._dice.below(2), (b"PUBLISH", channel, text)), (0, (b"SET", b"said", text))]
        return tuple(transaction(Transaction(None, (), queued)))


def _lost() -> None:
    """A connection ends: what it has sent may be told or not."""


def _ignore(outcome: Outcome) -> None:
    """See _lost."""
