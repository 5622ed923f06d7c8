"""Which commands the replica can run, judged by their names, their lengths, and at most their options."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

from epaxos.interfaces import Command, CommandError, IClients
from epaxos.resp.commands.table import LOOKED_AT

__all__ = ["Shapes"]

SHAPES_MAX = 4096
"""Shapes of commands that are remembered as valid, and options."""
OPTIONS_BYTES_MAX = 64
"""Longer options are not remembered."""

_name = itemgetter(0)


class Shapes:
    """Remembers the shapes (name and length) of commands that `clients` can run, so most need no check.

    Of commands whose check looks at their options only (CommandInfo.options_from), it remembers the options.
    """

    def __init__(self, clients: IClients) -> None:
        self._clients = clients
        self._valid: set[tuple[bytes, int]] = set()
        self._valid_options: set[tuple[bytes, tuple[bytes, ...]]] = set()
        self._options_from: dict[bytes, int] | None = None
        self._is_trusting = True

    def trust(self, is_trusting: bool) -> None:
        """Whether commands may go to the replica without that somebody looks at each."""
        self._is_trusting = is_trusting

    def are_valid(self, commands: Sequence[Command]) -> bool:
        """Whether the replica can run all of them.  False may also mean that they need a closer look."""
        if not self._is_trusting:
            return False
        names, lengths = set(map(_name, commands)), set(map(len, commands))
        if len(names) == len(lengths) == 1:
            shapes = set(zip(names, lengths))
        else:
            shapes = set(zip(map(_name, commands), map(len, commands)))
        return shapes <= self._valid or all(
            self._is_valid(*shape) or self._has_valid_options(*shape, commands)
            for shape in shapes - self._valid
        )

    def _is_valid(self, name: bytes, length: int) -> bool:
        if name.upper() in LOOKED_AT or not self._clients.is_valid_shape(name, length):
            return False
        if len(self._valid) < SHAPES_MAX:
            self._valid.add((name, length))
        return True

    def _has_valid_options(self, name: bytes, length: int, commands: Sequence[Command]) -> bool:
        """Whether those of the commands that have this shape have options that have passed the check."""
        start = self._find_options(name.upper())
        if not start or length > start + OPTIONS_BYTES_MAX:
            return False
        own = [command for command in commands if len(command) == length and command[0] == name]
        by_options = dict(zip(map(tuple, map(itemgetter(slice(start, None)), own)), own))
        return all(
            (name, options) in self._valid_options or self._passes(options, command)
            for options, command in by_options.items()
        )

    def _find_options(self, name: bytes) -> int:
        """Where the options begin of commands of this name, 0 where they are not known, or looked at."""
        if self._options_from is None:
            self._options_from = {
                info.name.upper().encode(): info.options_from for info in self._clients.commands()
            }
        return 0 if name in LOOKED_AT else self._options_from.get(name, 0)

    def _passes(self, options: tuple[bytes, ...], command: Command) -> bool:
        if sum(map(len, options)) > OPTIONS_BYTES_MAX:
            return False
        try:
            self._clients.check(command)
        except CommandError:
            return False
        if len(self._valid_options) < SHAPES_MAX:
            self._valid_options.add((command[0], options))
        return True

    def forget(self) -> None:
        """What the replica runs has changed: ask it again."""
        self._valid.clear()
        self._valid_options.clear()
