"""The removal of keys whose deadline has come: `\\0DUE database key deadline …`.

Any replica may propose it.  A key is removed if exactly that deadline stands when the command runs, so one
that was set again meanwhile stays, and doubles do nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from epaxos.interfaces import Command, Reply
from epaxos.statemachines.redis.names import name_of
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Keys, Piecewise, Touched

__all__ = ["COMMANDS", "DUE", "removal_of"]

DUE = b"\0DUE"


def removal_of(due: Iterable[tuple[int, bytes, int]]) -> Command:
    """The command that removes these keys: of each its database, the key, and its deadline."""
    command = [DUE]
    for database, key, deadline_ms in due:
        command += (b"%d" % database, key, b"%d" % deadline_ms)
    return command


def _parse(command: Command) -> Sequence[tuple[int, bytes, int]]:
    return [(int(command[i]), command[i + 1], int(command[i + 2])) for i in range(1, len(command), 3)]


def _remove(space: Space, command: Command) -> Reply:
    removed = 0
    for database, key, deadline_ms in _parse(command):
        removed += space.in_database(database).remove_due(key, deadline_ms)
    return removed


def _in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    removed = 0
    words = 3 * max(1, size // 3)
    for start in range(1, len(command), words):
        if start > 1:
            yield
        removed += sum(
            space.in_database(database).remove_due(key, deadline_ms)
            for database, key, deadline_ms in _parse((DUE, *command[start : start + words]))
        )
    return removed


def _find(command: Command) -> Touched:
    return Touched([name_of(database, key) for database, key, _ in _parse(command)])


COMMANDS = (CommandSpec(DUE, _remove, -4, Keys.NONE, True, find=_find, in_pieces=_in_pieces),)
