"""A state machine that is not ours, in which the simulator hunts bugs: the plugin, and its clients' commands.

The commands come from a text file, one template a line; blank lines and lines that begin with `;` say
nothing.  Words are separated by blanks.  In a word `#9` stands for a number from 0 to 8, and `@` for a text
that no other command of the run has.  A template that stands there twice is asked for twice as often:

    SCORE board#2 player#3 #9
    TOP board#2
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from epaxos.interfaces import CommandError, IStateMachine, IStateMachineFactory
from epaxos.statemachines.registry import find_factory
from epaxos.verify.judges.linearizability import Model
from epaxos.verify.simulation.dice import Dice
from epaxos.verify.simulation.plan import Workload

__all__ = ["Hunted", "Subject"]

_VARIABLE = re.compile(rb"#([1-9][0-9]{0,8})|@")
_SAMPLES = 20
NO_OPTIONS: Mapping[str, str] = MappingProxyType({})


class Hunted(Protocol):
    """A state machine that is hunted.  `model`: what its commands mean, None if nobody knows."""

    @property
    def model(self) -> Model | None: ...

    @property
    def kind(self) -> type:
        """The class of the state machine."""

    def state_machine(self) -> IStateMachine:
        """A new, empty state machine."""

    def commands_of(self, dice: Dice, workload: Workload, name: str) -> list[tuple[bytes, ...]]:
        """The commands that a client submits next: one, or a pipeline of up to four."""

    def keys_of(self, command: Sequence[bytes]) -> Sequence[bytes]:
        """The keys that the state machine names for `command`."""


class Subject:
    """How to make the state machine, and the templates of its commands.

    `options` are handed to the factory.  Raises ValueError when the factory refuses them, when there is no
    template, and when `check` of the state machine refuses a sample.
    """

    model: Model | None = None

    def __init__(
        self, factory: IStateMachineFactory, lines: Iterable[str], options: Mapping[str, str] = NO_OPTIONS
    ) -> None:
        self._factory = factory
        self._options = options
        self._templates = [
            tuple(line.encode().split()) for line in lines if line.strip() and not line.startswith(";")
        ]
        if not self._templates:
            raise ValueError("there is no command")
        self._specimen = self.state_machine()
        dice = Dice(0, "samples")
        for template in self._templates:
            for _ in range(_SAMPLES):
                self._try(_filled(template, dice, b"sample"))

    @classmethod
    def load(cls, name: str, commands: Path, options: Mapping[str, str] = NO_OPTIONS) -> Subject:
        """The state machine of the plugin `name`, with the templates of a file.

        Raises ValueError, with a text for people, when either is wrong or missing.
        """
        try:
            lines = commands.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise ValueError(f"{commands} cannot be read: {error.strerror}") from error
        except UnicodeError as error:
            raise ValueError(f"{commands} cannot be read: {error}") from error
        try:
            return cls(find_factory(name), lines, options)
        except ValueError as error:
            raise ValueError(f"{name}, {commands}: {error}") from error

    @property
    def kind(self) -> type:
        """The class of the state machine."""
        return type(self._specimen)

    def _try(self, command: tuple[bytes, ...]) -> None:
        try:
            self._specimen.check(command)
        except CommandError as error:
            raise ValueError(f"{b' '.join(command).decode()!r} is refused: {error}") from error

    def state_machine(self) -> IStateMachine:
        """A new, empty state machine."""
        return self._factory.create(dict(self._options))

    def commands_of(self, dice: Dice, workload: Workload, name: str) -> list[tuple[bytes, ...]]:
        """The commands that a client submits next: one, or a pipeline of up to four."""
        count = dice.between(2, 4) if dice.below(100) < workload.pipelined else 1
        return [
            _filled(dice.pick(self._templates), dice, f"{name}{'abcd'[i]}".encode()) for i in range(count)
        ]

    def keys_of(self, command: Sequence[bytes]) -> Sequence[bytes]:
        """The keys that the state machine names for `command`."""
        batch = self._specimen.batch([command])
        return (*batch.writes, *batch.reads)


def _filled(template: tuple[bytes, ...], dice: Dice, unique: bytes) -> tuple[bytes, ...]:
    """The command that the template stands for, with this `unique` text in the place of each `@`."""

    def value(match: re.Match[bytes]) -> bytes:
        return unique if match[1] is None else b"%d" % dice.below(int(match[1]))

    return tuple(_VARIABLE.sub(value, word) for word in template)
