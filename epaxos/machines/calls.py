"""Calls from Python: their commands, and the results of their replies."""

from __future__ import annotations

from typing import Any

from epaxos.interfaces import Command, CommandError, Reply
from epaxos.machines.machine import Machine
from epaxos.machines.runner import AS_JSON
from epaxos.machines.values import decode

__all__ = ["command_of", "result_of"]


def command_of(
    machine: type[Machine], name: str, arguments: tuple[Any, ...], named: dict[str, Any]
) -> Command:
    """The command of a call of the method `name`.

    Raises AttributeError when the machine has no such command, and TypeError or ValueError for arguments
    that it does not take.
    """
    spec = machine.command_specs.get(name.upper())
    if spec is None:
        raise AttributeError(f"{machine.__name__} has no command {name!r}")
    return [AS_JSON + name.encode(), *spec.words(arguments, named)]


def result_of(reply: Reply) -> Any:
    """What the method returned.  Raises CommandError when it failed."""
    if isinstance(reply, CommandError):
        raise reply
    if not isinstance(reply, bytes):
        raise TypeError(f"a reply of the type {type(reply).__name__} is no result")
    return decode(reply)
