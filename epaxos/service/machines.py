"""The state machine that a configuration names."""

from __future__ import annotations

from epaxos.config.model import Config
from epaxos.interfaces import IStateMachine, IStateMachineFactory
from epaxos.statemachines.registry import find_factory

__all__ = ["machine_of"]


def machine_of(config: Config, factory: IStateMachineFactory | None = None) -> IStateMachine:
    """A new one, of `factory` or of the plugin that the configuration names.  Raises ConfigError."""
    try:
        found = find_factory(config.cluster.state_machine) if factory is None else factory
        return IStateMachine(found.create(config.state_machine))
    except ValueError as error:
        raise config.error(str(error)) from None
