"""State machines by name: ours and those that others install, found as Twisted plugins."""

from __future__ import annotations

from types import ModuleType

from twisted.plugin import getPlugins

import twisted.plugins
from epaxos.interfaces import IStateMachineFactory

__all__ = ["find_factory"]


def find_factory(name: str, package: ModuleType = twisted.plugins) -> IStateMachineFactory:
    """The factory that is called `name`.

    Raises ValueError, with the names of all that are installed, when there is none or more than one.
    """
    factories = list(getPlugins(IStateMachineFactory, package))
    found = [factory for factory in factories if factory.name == name]
    if not found:
        known = ", ".join(sorted({factory.name for factory in factories})) or "none is installed"
        raise ValueError(f"there is no state machine {name!r}: known are {known}")
    if len(found) > 1:
        places = ", ".join(sorted(type(factory).__module__ for factory in found))
        raise ValueError(f"more than one plugin offers the state machine {name!r}: {places}")
    return found[0]
