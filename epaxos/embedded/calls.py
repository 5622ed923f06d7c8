"""The calls of a program that its replica has not answered yet."""

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.internet.defer import Deferred

from epaxos.embedded.errors import NotRun, as_raised
from epaxos.interfaces import Command, CommandError, IClients, Outcome, Unavailable
from epaxos.machines.calls import result_of

__all__ = ["BYTES_MAX", "CALLS_MAX", "Calls"]

CALLS_MAX = 10_000
"""Calls that may wait at a time: as many commands as one connection of a Redis client may have under way."""
BYTES_MAX = 32_000_000
"""Bytes of the commands of these calls, for the same reason."""


class Calls:
    """Hands commands in, and lets a Deferred fire with the result of each."""

    def __init__(self) -> None:
        self._waiting = 0
        self._bytes = 0

    def submit(self, clients: IClients, command: Command, size_bytes: int, result: Deferred[Any]) -> None:
        """Let `result` fire with the result of the command, unless it is cancelled before.

        Raises CommandError when the command can never run, and NotRun when too many calls wait already.
        """
        clients.check(command)
        if self._waiting >= CALLS_MAX or (self._waiting and self._bytes + size_bytes > BYTES_MAX):
            raise NotRun(f"{self._waiting} calls wait already; the command was not run", False)
        self._waiting += 1
        self._bytes += size_bytes
        clients.submit([command], partial(self._on_outcome, result, size_bytes), size_bytes)

    def _on_outcome(self, result: Deferred[Any], size_bytes: int, outcome: Outcome) -> None:
        self._waiting -= 1
        self._bytes -= size_bytes
        if result.called:  # it was cancelled
            return
        if isinstance(outcome, Unavailable):
            result.errback(as_raised(outcome))
            return
        try:
            value = result_of(outcome[0])
        except CommandError as error:
            result.errback(error)
        else:
            result.callback(value)
