"""What single commands go through, step by step, for `EPAXOS TRACE`.

Everything is measured here, at the replica that proposes: of another member it is known when its answer came.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import chain
from typing import Any

from epaxos.interfaces import Command
from epaxos.interfaces.instruments import Took
from epaxos.node.submissions import Submission
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import AcceptOK, Message, PreAcceptOK, ReadOK

__all__ = ["Trace", "Tracer"]

TRACES_MAX = 16
"""Commands that are traced at a time; with one more, the oldest is traced no further."""
ANSWERS_MAX = 100
"""Answers and writes that are noted of one command."""
_ANSWERS = {PreAcceptOK: "PreAccept", AcceptOK: "Accept", ReadOK: "Read"}
"""What each answer answers."""


class Trace:
    """One command, from `since` on.  All times are seconds on the clock of `ITimeoutService`."""

    def __init__(self, command: Command, since: float) -> None:
        self.command = command
        self._since = since
        self._proposed = since
        self._commands = 0
        self._instances: list[InstanceId] = []
        self._number: int | None = None
        self._answers: list[dict[str, Any]] = []
        self._writes: list[dict[str, Any]] = []
        self._is_slow = False

    def on_proposed(self, now: float, commands: int) -> None:
        """It is proposed, or read, among so many commands.  It may be more than once."""
        self._proposed = now
        self._commands = commands

    def on_instance(self, id: InstanceId) -> None:
        """It is in this instance."""
        self._instances.append(id)
        self._is_slow = False

    def on_read(self, number: int) -> None:
        """It is in the read of this number."""
        self._number = number

    def on_answer(self, member: int, message: Message, now: float) -> None:
        """An answer of `member` has come, to this command or to any other."""
        asked = _ANSWERS.get(type(message))
        if asked is None or len(self._answers) >= ANSWERS_MAX:
            return
        if isinstance(message, ReadOK):
            is_ours = message.number == self._number
        else:
            assert isinstance(message, (PreAcceptOK, AcceptOK))
            is_ours = self._instances[-1:] == [message.id]
            self._is_slow = self._is_slow or (is_ours and asked == "Accept")
        if is_ours:
            self._answers.append({"member": member, "to": asked, "after_s": now - self._proposed})

    def on_written(self, ids: Collection[InstanceId], began: float, now: float) -> None:
        """A write of these instances, which began then, is synced."""
        if self._instances and self._instances[-1] in ids and len(self._writes) < ANSWERS_MAX:
            self._writes.append({"after_s": began - self._proposed, "took_s": now - began})

    def report(self, took: Took | None, now: float) -> dict[str, Any]:
        """What each step took, in seconds; `took`: of the batch that is answered now."""
        id = self._instances[-1] if self._instances else None
        path = "read" if id is None else "slow" if self._is_slow else "fast"
        return {
            "path": None if took is None else path,
            "instance": None if id is None else {"row": id.replica, "slot": id.slot},
            "proposals": len(self._instances),
            "commands": self._commands,
            "waiting_s": self._proposed - self._since,
            "quorum_s": None if took is None else took.quorum,
            "turn_s": None if took is None else took.turn,
            "run_s": None if took is None else took.run,
            "total_s": now - self._since,
            "answers": self._answers,
            "syncs": self._writes,
        }


class Tracer:
    """The commands that are traced now.  `is_on`: whether there are any, so that others cost nothing."""

    def __init__(self) -> None:
        self.is_on = False
        self._traces: dict[int, Trace] = {}  # by the identity of the command, which the trace keeps

    def begin(self, command: Command, now: float) -> Trace:
        """Trace this command, which is submitted next as this very object."""
        while len(self._traces) >= TRACES_MAX:
            del self._traces[next(iter(self._traces))]
        trace = self._traces[id(command)] = Trace(command, now)
        self.is_on = True
        return trace

    def end(self, trace: Trace) -> None:
        """Trace it no further."""
        self._traces.pop(id(trace.command), None)
        self.is_on = bool(self._traces)

    def on_proposed(
        self, now: float, submissions: Sequence[Submission], instance: InstanceId | None, number: int | None
    ) -> None:
        """These submissions are in this instance, this read, or both."""
        commands = list(chain.from_iterable(submission.commands for submission in submissions))
        for command in commands:
            trace = self._traces.get(id(command))
            if trace is not None:
                trace.on_proposed(now, len(commands))
                if instance is not None:
                    trace.on_instance(instance)
                if number is not None:
                    trace.on_read(number)

    def on_messages(self, member: int, messages: Sequence[Message], now: float) -> None:
        """These messages of `member` have come."""
        for trace in self._traces.values():
            for message in messages:
                trace.on_answer(member, message, now)

    def on_written(self, ids: Collection[InstanceId], began: float, now: float) -> None:
        """A write of these instances, which began then, is synced."""
        for trace in self._traces.values():
            trace.on_written(ids, began, now)
