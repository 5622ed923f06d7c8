"""The base class of machines."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from epaxos.interfaces import CommandError
from epaxos.machines.commands import CommandSpec, spec_of
from epaxos.machines.tables import Work

__all__ = ["Machine", "Refused"]

_CODE = re.compile(r"[A-Z]+")


class Refused(CommandError):
    """A command raises it to say no: it has no effect then, and its caller gets the text.

    `code`: what programs may go by, one word in capitals.  It comes first in the text.
    """

    def __init__(self, text: str, code: str = "ERR") -> None:
        if not _CODE.fullmatch(code):
            raise ValueError(f"{code!r} is not a code such as LOCKED")
        super().__init__(f"{code} {' '.join(text.split())}")


class Machine:
    """A state machine of which only the commands have to be written.

    Its state is its tables (`Table`), and its commands are the methods marked with `@command`.  A command
    goes by its arguments and the tables alone: no clock, no chance, no set whose order matters, no attribute
    or variable that another command has changed (docs: using/state-machines).
    """

    command_specs: ClassVar[Mapping[str, CommandSpec]] = {}
    """The commands, by their names in capitals."""
    examples: ClassVar[Mapping[str, Sequence[Any]]] = {}
    """Values for the simulator to choose from, by the name of the parameter; else the type decides."""

    _work: Work | None = None

    def __init_subclass__(cls) -> None:
        """Raises TypeError when a command says too little of itself."""
        super().__init_subclass__()
        found: dict[str, CommandSpec] = {}
        for spec in filter(None, (spec_of(cls, name) for name in dir(cls))):
            same = found.setdefault(spec.name, spec)
            if same is not spec:
                raise TypeError(
                    f"{cls.__name__}: {same.method} and {spec.method} are one command, because the case of"
                    " its name does not count"
                )
        cls.command_specs = found

    def __setattr__(self, name: str, value: object) -> None:
        if self._work is not None and name != "_work":
            raise AttributeError(f"{name} is no table, and a command changes tables only")
        super().__setattr__(name, value)
