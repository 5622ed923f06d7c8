"""What several connections send in one turn, handled as one: parsed, judged and submitted once.

With one command a read, most of what a command costs is the way there and back.  Only what is usual goes
together; everything else is given to its connection, as if it had come alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import Any, TypeVar

from twisted.logger import Logger

from epaxos.interfaces import Command, IClients, Outcome, Unavailable
from epaxos.net.shared_reader import Read, hand_over
from epaxos.resp.hiredis_parser import CommonParser

__all__ = ["COMMANDS_TOGETHER", "Together"]

COMMANDS_TOGETHER = 1000
"""So many commands are submitted together at most."""
READ_BYTES_MAX = 16384
"""In a longer read the commands themselves count most, and it may be cut off in the middle of one."""

_log = Logger()
_T = TypeVar("_T")

_Wanted = tuple[Any, list[list[bytes]], int]
"""A connection, its commands, and how many bytes they were."""


class Together:
    """Takes (connection, data) pairs, each connection once, and asks `clients` for what they want.

    `are_valid(commands)`: whether the replica can run all of them.
    """

    def __init__(self, clients: IClients, are_valid: Callable[[Sequence[Command]], bool]) -> None:
        self._clients = clients
        self._are_valid = are_valid
        self._parser = CommonParser()

    def receive(self, reads: Sequence[Read]) -> None:
        """All that has come in a turn."""
        usual, alone = _partition(reads, _is_usual)
        parsed = self._parse(usual)
        if parsed is None and len(usual) > 1:  # some only look like it
            usual, others = _partition(usual, lambda read: self._parse([read]) is not None)
            alone += others
            parsed = self._parse(usual)
        if parsed is None:
            alone += usual
        elif parsed:
            self._take([(connection, own, len(data)) for (connection, data), own in zip(usual, parsed)])
        hand_over(alone)

    def _parse(self, reads: Sequence[Read]) -> list[list[list[bytes]]] | None:
        return self._parser.parse([data for _, data in reads])

    def _take(self, wanted: list[_Wanted]) -> None:
        commands = list(chain.from_iterable(own for _, own, _ in wanted))
        alone: list[_Wanted] = []
        if not self._are_valid(commands):
            wanted, alone = _partition(wanted, lambda part: self._are_valid(part[1]))
            commands = list(chain.from_iterable(own for _, own, _ in wanted))
        if len(commands) > COMMANDS_TOGETHER:
            wanted, alone = [], alone + wanted
        for connection, own, size_bytes in alone:
            connection.take(own, size_bytes)
        if wanted:
            parts = [
                (connection, connection.expect(own, size_bytes)) for connection, own, size_bytes in wanted
            ]
            total = sum(size_bytes for _, _, size_bytes in wanted)
            self._clients.submit(commands, partial(_hand_out, parts), total)


def _partition(items: Sequence[_T], is_one: Callable[[_T], bool]) -> tuple[list[_T], list[_T]]:
    """Those that are, and those that are not."""
    parts: tuple[list[_T], list[_T]] = ([], [])
    for item in items:
        parts[not is_one(item)].append(item)
    return parts


def _is_usual(read: Read) -> bool:
    """Whether it looks like whole commands."""
    connection, data = read
    return (
        data[:1] == b"*"
        and data[-2:] == b"\r\n"
        and len(data) <= READ_BYTES_MAX
        and connection.is_between_commands
    )


def _hand_out(parts: list[tuple[Any, Any]], outcome: Outcome) -> None:
    """Tell each connection what became of its commands."""
    end = 0
    for connection, span in parts:
        start, end = end, end + span.commands
        try:
            connection.on_outcome(span, outcome if isinstance(outcome, Unavailable) else outcome[start:end])
        except Exception:
            _log.failure("an answer could not be delivered")
            connection.transport.abortConnection()
