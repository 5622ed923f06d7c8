"""What writes of hashes, sets and sorted sets have in common: HDEL, SREM and ZREM; SPOP and ZPOPMIN."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from epaxos.interfaces import Command, CommandError
from epaxos.interfaces.redis import SYNTAX_ERROR, integer_of
from epaxos.statemachines.redis.fields import Fields
from epaxos.statemachines.redis.members import Members
from epaxos.statemachines.redis.ranking import Ranking
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import Piecewise

__all__ = ["Removal", "check_pop", "removal_from"]


class Removal(NamedTuple):
    """See CommandSpec, where these are `handler` and `in_pieces`."""

    handler: Callable[[Space, Command], int]
    in_pieces: Callable[[Space, Command, int], Piecewise]


def removal_from(kind: type[Fields | Members | Ranking], step_max: int | None = None) -> Removal:
    """Remove names from the key's collection, which is of this kind; at most `step_max` of them in a step."""

    def remove(space: Space, command: Command) -> int:
        if space.typed(command[1], kind) is None:
            return 0
        held = space.own(command[1], kind)
        removed = sum(map(held.remove, command[2:]))
        if removed:
            space.keep_rest(command[1], held)
        return removed

    def in_pieces(space: Space, command: Command, size: int) -> Piecewise:
        if space.typed(command[1], kind) is None:
            return 0
        held = space.own(command[1], kind)
        removed, step = 0, min(size, step_max or size)
        for start in range(2, len(command), step):
            if start > 2:
                yield
            removed += sum(map(held.remove, command[start : start + step]))
        if removed:
            space.keep_rest(command[1], held)
        return removed

    return Removal(remove, in_pieces)


def check_pop(command: Command) -> None:
    """`key [count]`.  Raises CommandError."""
    if len(command) > 3:
        raise CommandError(SYNTAX_ERROR)
    if len(command) == 3:
        count = integer_of(command[2])
        if count is None or count < 0:
            raise CommandError("ERR value is out of range, must be positive")
