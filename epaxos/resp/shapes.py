"""Which commands the replica can run, judged by their names and lengths alone."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

from epaxos.interfaces import Command, IClients
from epaxos.resp.commands.table import HANDLERS

__all__ = ["Shapes"]

SHAPES_MAX = 4096
"""Shapes of commands that are remembered as valid."""

_name = itemgetter(0)


class Shapes:
    """Remembers the shapes (name and length) of commands that `clients` can run, so most need no check."""

    def __init__(self, clients: IClients) -> None:
        self._clients = clients
        self._valid: set[tuple[bytes, int]] = set()

    def are_valid(self, commands: Sequence[Command]) -> bool:
        """Whether the replica can run all of them.  False may also mean that they need a closer look."""
        names, lengths = set(map(_name, commands)), set(map(len, commands))
        if len(names) == len(lengths) == 1:
            shapes = set(zip(names, lengths))
        else:
            shapes = set(zip(map(_name, commands), map(len, commands)))
        if shapes <= self._valid:
            return True
        for name, length in shapes:
            if name.upper() in HANDLERS or not self._clients.is_valid_shape(name, length):
                return False
        if len(self._valid) < SHAPES_MAX:
            self._valid |= shapes
        return True
