"""What the clients saw: every operation, when it was called, when it returned, and its reply."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from epaxos.interfaces import Reply

__all__ = ["History", "NamedCommand", "Operation", "Outcome"]


class Outcome(Enum):
    """How an operation ended."""

    PENDING = "pending"
    ANSWERED = "answered"
    UNKNOWN = "unknown"  # it may have run, may still run, or never
    REFUSED = "refused"  # it has not run and never will


class NamedCommand(tuple[bytes, ...]):
    """A command with a name, so that it differs from an equal command of another client."""

    name: str


@dataclass(eq=False)
class Operation:
    """One command of one client.  `called`, `returned` and `ran` are moments, which are numbered in the
    order of the whole history; `ran`: when it was first seen to take effect at a replica, None if never."""

    name: str
    command: NamedCommand
    called: int
    called_at: int
    replica: int
    outcome: Outcome = Outcome.PENDING
    returned: int | None = None
    reply: Reply = None
    ran: int | None = None

    def __str__(self) -> str:
        words = " ".join(repr(word)[2:-1] for word in self.command)
        answer = repr(self.reply) if self.outcome is Outcome.ANSWERED else self.outcome.value
        return f"{self.name} [{self.called}..{self.returned or ''}] at R{self.replica}: {words} -> {answer}"


class History:
    """The operations in the order in which they were called."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self._moments = 0
        self._by_name: dict[str, Operation] = {}

    def copy(self) -> History:
        """What was seen so far, in a history that goes on by itself."""
        copy = History()
        copy.operations = [replace(operation) for operation in self.operations]
        copy._moments = self._moments
        copy._by_name = {operation.name: operation for operation in copy.operations}
        return copy

    def _moment(self) -> int:
        self._moments += 1
        return self._moments

    def call(self, name: str, command: tuple[bytes, ...], now: int, replica: int) -> Operation:
        """A client sends a command to a replica."""
        named = NamedCommand(command)
        named.name = name
        operation = Operation(name, named, self._moment(), now, replica)
        self.operations.append(operation)
        self._by_name[name] = operation
        return operation

    def run(self, name: str) -> None:
        """The command called `name` takes effect at a replica, for the first time."""
        self._by_name[name].ran = self._moment()

    def answer(self, operation: Operation, reply: Reply) -> None:
        """The client has the reply."""
        self._end(operation, Outcome.ANSWERED)
        operation.reply = reply

    def give_up(self, operation: Operation, may_have_run: bool) -> None:
        """The client will never know whether the command ran, or was told that it did not."""
        self._end(operation, Outcome.UNKNOWN if may_have_run else Outcome.REFUSED)

    def forget(self, operation: Operation) -> None:
        """Whether the command ran makes no difference to anything that the history tells."""
        self.operations.remove(operation)

    def _end(self, operation: Operation, outcome: Outcome) -> None:
        if operation.outcome is not Outcome.PENDING:
            raise ValueError(f"{operation} has ended before")
        operation.outcome = outcome
        operation.returned = self._moment()
