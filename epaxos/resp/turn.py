"""What several connections receive in one turn, handled as one: parsed, checked and submitted together.

When each client sends one command, the handling around a command costs more than the command.  Only whole,
valid commands of connections that run commands as usual go together.  Everything else is given to its
connection, as if it had come alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import TypeVar

from twisted.logger import Logger

from epaxos.connections.order import COMMANDS_TOGETHER
from epaxos.interfaces import Command, Outcome, Unavailable
from epaxos.net.shared_reader import Received, hand_over
from epaxos.resp.hiredis_parser import CommonParser
from epaxos.resp.interfaces import IClientConnection
from epaxos.resp.pipeline import Pipeline
from epaxos.resp.session import Session
from epaxos.resp.span import Span
from epaxos.resp.statistics import Counted
from epaxos.resp.traffic import Traffic

__all__ = ["Turn"]

RECEIVED_BYTES_MAX = 16384
"""Longer input is handled alone: its commands cost more than that handling, and the last may be cut."""

_log = Logger()
_T = TypeVar("_T")

_Wanted = tuple[IClientConnection, list[list[bytes]], int]
"""A connection, its commands, and the number of their bytes."""


class Turn:
    """Takes what connections have received, and submits the commands in it to `clients`.

    `are_valid(commands)`: whether the replica can run all of them.  `seconds()`: a clock that never goes
    back.
    """

    def __init__(
        self,
        clients: Counted,
        are_valid: Callable[[Sequence[Command]], bool],
        traffic: Traffic,
        seconds: Callable[[], float],
    ) -> None:
        self._clients = clients
        self._are_valid = are_valid
        self._traffic = traffic
        self._seconds = seconds
        self._parser = CommonParser()

    def receive(self, received: Sequence[Received]) -> None:
        """Handle pairs of a connection (IClientConnection) and its data, each connection once."""
        self._traffic.turn_s = self._seconds()
        usual, alone = _partition(received, _is_usual)
        parsed = self._parse(usual)
        if parsed is None and len(usual) > 1:  # some only look like whole commands
            usual, others = _partition(usual, self._is_parsed)
            alone += others
            parsed = self._parse(usual)
        if parsed is None:
            alone += usual
        elif parsed:
            self._take([(connection, own, len(data)) for (connection, data), own in zip(usual, parsed)])
        hand_over(alone)

    def _parse(self, received: Sequence[Received]) -> list[list[list[bytes]]] | None:
        return self._parser.parse([data for _, data in received])

    def _is_parsed(self, one: Received) -> bool:
        return self._parse([one]) is not None

    def _is_runnable(self, wanted: _Wanted) -> bool:
        return self._are_valid(wanted[1])

    def _take(self, wanted: list[_Wanted]) -> None:
        commands = list(chain.from_iterable([own for _, own, _ in wanted]))
        alone: list[_Wanted] = []
        if not self._are_valid(commands):
            wanted, alone = _partition(wanted, self._is_runnable)
            commands = list(chain.from_iterable([own for _, own, _ in wanted]))
        if len(commands) > COMMANDS_TOGETHER:
            wanted, alone = [], alone + wanted
        for connection, own, size_bytes in alone:
            connection.take(own, size_bytes)
        if wanted:
            expected: list[tuple[Pipeline, Span, Sequence[Command]]] = []
            for connection, own, size_bytes in wanted:
                pipeline = connection.pipeline
                pipeline.order.begun = own
                expected.append((pipeline, pipeline.expect(own, size_bytes), own))
            total = sum([size_bytes for _, _, size_bytes in wanted])
            who = partial(_who, wanted)
            self._clients.submit(commands, partial(_hand_out, expected), total, who)


def _partition(items: Sequence[_T], is_one: Callable[[_T], bool]) -> tuple[list[_T], list[_T]]:
    """The items for which `is_one` is true, and the others, both in order."""
    halves: tuple[list[_T], list[_T]] = ([], [])
    for item in items:
        halves[not is_one(item)].append(item)
    return halves


def _is_usual(received: Received) -> bool:
    """Whether the data looks like whole commands, of a connection that runs commands as usual."""
    connection, data = received
    return (
        data[:1] == b"*"
        and data[-2:] == b"\r\n"
        and len(data) <= RECEIVED_BYTES_MAX
        and connection.is_between_commands()
    )


def _who(wanted: Sequence[_Wanted], number: int) -> Session:
    """The client of the command with this number."""
    for connection, own, _ in wanted:
        if number < len(own):
            return connection.session
        number -= len(own)
    raise IndexError(number)


def _hand_out(expected: list[tuple[Pipeline, Span, Sequence[Command]]], outcome: Outcome) -> None:
    """Give each client its replies.  A bug costs the connection that shows it."""
    end = 0
    for pipeline, span, own in expected:
        start, end = end, end + span.commands
        try:
            pipeline.on_outcome(span, outcome if isinstance(outcome, Unavailable) else outcome[start:end])
        except Exception:
            _log.failure("an answer could not be delivered")
            pipeline.abort()
        pipeline.order.end(own, outcome)
