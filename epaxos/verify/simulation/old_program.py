"""A state machine as an earlier program has it: it knows no command of a later version."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zope.interface import implementer

from epaxos.interfaces import IStateMachine, IStepwise, IVersioned, Ready, Steps
from epaxos.node.stepwise import stepwise
from epaxos.protocol.values.membership import VERSION
from epaxos.statemachines.columns import decode_columns, decode_commands
from epaxos.statemachines.once.envelope import MARK
from epaxos.statemachines.redis.commands import INTERNAL
from epaxos.statemachines.redis.versions import since_of

__all__ = ["OldProgram"]


@implementer(IStepwise)
class OldProgram:
    """`machine`, a key-value store with sessions, as far as it was known in `version`."""

    def __init__(self, machine: IStateMachine, version: int) -> None:
        self._machine = machine
        self._stepwise = stepwise(machine)
        self._version = version
        IVersioned(machine).on_version(version)  # it knows nothing else, and is told of none

    def __getattr__(self, name: str) -> Any:
        return getattr(self._machine, name)

    def apply_in_steps(self, ready: Ready) -> Steps:
        """See IStepwise."""
        if ready.batch.payload.startswith(MARK) or max(self._sinces(ready)) > self._version:
            raise ValueError(f"{ready.id} has a command that version {self._version} does not know")
        return self._stepwise.apply_in_steps(ready)

    def _sinces(self, ready: Ready) -> Iterator[int]:
        for command in decode_commands(decode_columns(ready.batch)):
            yield VERSION if command[0].startswith(INTERNAL) else since_of(command)
