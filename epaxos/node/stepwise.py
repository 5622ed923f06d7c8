"""Lets any state machine be driven step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from epaxos.interfaces import Command, IStateMachine, IStepwise, Ready, Steps

__all__ = ["stepwise"]


def stepwise(machine: IStateMachine) -> IStepwise:
    """`machine` itself when it provides IStepwise, else an adapter with one step a batch.

    A class that is derived from a stepwise one and overrides only `apply` or `read` gets the
    adapter, because its `apply_in_steps` or `read_in_steps` is not its own.
    """
    if (
        IStepwise.providedBy(machine)
        and not _is_overridden(type(machine), "apply", "apply_in_steps")
        and not _is_overridden(type(machine), "read", "read_in_steps")
    ):
        return machine
    return cast(IStepwise, _OneStep(machine))


def _is_overridden(kind: type, name: str, in_steps: str) -> bool:
    """Whether a class in the MRO of `kind` defines `name`, and neither it nor an earlier one `in_steps`."""
    for each in kind.__mro__:
        if in_steps in vars(each):
            return False
        if name in vars(each):
            return True
    return False


class _OneStep:
    """Adds the methods of IStepwise to a machine that has only `apply` and `read`."""

    def __init__(self, machine: IStateMachine) -> None:
        self._machine = machine

    def apply_in_steps(self, ready: Ready) -> Steps:
        """See IStepwise."""
        return iter(self._machine.apply([ready]))

    def read_in_steps(self, commands: Sequence[Command]) -> Steps:
        """See IStepwise."""
        return iter((self._machine.read(commands),))
