"""A machine as a Twisted plugin."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.plugin import IPlugin
from zope.interface import implementer

from epaxos.interfaces import IStateMachine, IStateMachineFactory
from epaxos.machines.machine import Machine
from epaxos.machines.runner import MachineRunner

__all__ = ["MachineFactory"]


@implementer(IPlugin, IStateMachineFactory)
class MachineFactory:
    """Makes machines of one class.  `name`: what the configuration calls it, by default that of the class
    in lower case.  Its description is the first line of the docstring of the class."""

    def __init__(self, machine: type[Machine], name: str = "") -> None:
        self._machine = machine
        self.name = name or machine.__name__.lower()
        self.description = (machine.__doc__ or machine.__name__).strip().partition("\n")[0]

    def create(self, options: Mapping[str, str]) -> IStateMachine:
        """See IStateMachineFactory.  A machine has no options."""
        if options:
            raise ValueError(f"{self.name} has no options, and [state_machine] has {', '.join(options)}")
        return IStateMachine(MachineRunner(self._machine()))
