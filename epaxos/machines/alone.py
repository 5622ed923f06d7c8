"""A machine without replicas, for its tests."""

from __future__ import annotations

from typing import Any

from epaxos.interfaces import Ready
from epaxos.machines.calls import command_of, result_of
from epaxos.machines.machine import Machine
from epaxos.machines.runner import MachineRunner
from epaxos.protocol.values.ids import InstanceId

__all__ = ["Alone"]


class Alone:
    """A machine of this class in this process: every command runs at once, as a replica would run it."""

    def __init__(self, machine: type[Machine]) -> None:
        self._machine = machine
        self._runner = MachineRunner(machine())
        self._slot = 0

    def call(self, name: str, /, *arguments: Any, **named: Any) -> Any:
        """Run a command, and return what its method returns.

        Raises CommandError (`Refused`) when it fails, and AttributeError, TypeError and ValueError as
        `command_of` does.
        """
        command = command_of(self._machine, name, arguments, named)
        self._runner.check(command)
        self._slot += 1
        batch = self._runner.batch([command])
        ((reply,),) = self._runner.apply([Ready(InstanceId(0, self._slot), batch, True)])
        return result_of(reply)
