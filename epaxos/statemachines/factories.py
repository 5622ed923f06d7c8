"""The factories of our state machines, which `twisted/plugins/` offers as plugins."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

from twisted.plugin import IPlugin
from zope.interface import implementer

from epaxos.interfaces import IStateMachine, IStateMachineFactory
from epaxos.statemachines.printer import Printer
from epaxos.statemachines.redis.machine import KeyValueStore

__all__ = ["KeyValueFactory", "PrinterFactory"]


def _refuse_unknown(options: Mapping[str, str], known: tuple[str, ...] = ()) -> None:
    for name in options:
        if name not in known:
            raise ValueError(f"unknown option {name!r}; known are: {', '.join(known) or 'none'}")


@implementer(IPlugin, IStateMachineFactory)
class KeyValueFactory:
    """Makes key-value stores.

    The option `undeclared` (`barrier` or `refuse`) says what becomes of scripts that touch keys that they do
    not declare.
    """

    name = "kv"
    description = "A key-value store that speaks the Redis commands for strings."

    def create(self, options: Mapping[str, str]) -> IStateMachine:
        """See IStateMachineFactory."""
        _refuse_unknown(options, ("undeclared",))
        undeclared = options.get("undeclared", "barrier")
        if undeclared not in ("barrier", "refuse"):
            raise ValueError(f"undeclared is {undeclared!r}, and must be barrier or refuse")
        return KeyValueStore(refuses_undeclared=undeclared == "refuse")


@implementer(IPlugin, IStateMachineFactory)
class PrinterFactory:
    """Makes printers.  The option `output` names the file for the lines (default: standard output)."""

    name = "printer"
    description = "Prints the commands in executed order: a demonstration."

    def create(self, options: Mapping[str, str]) -> IStateMachine:
        """See IStateMachineFactory."""
        _refuse_unknown(options, ("output",))
        return Printer(self._writer(options.get("output", "")))

    @staticmethod
    def _writer(path: str) -> Callable[[str], None]:
        try:
            stream = open(path, "a", encoding="utf-8") if path else sys.stdout  # noqa: SIM115
        except OSError as error:
            raise ValueError(f"cannot write to {path}: {error.strerror}") from None

        def write(line: str) -> None:
            stream.write(line + "\n")
            stream.flush()

        return write
