"""The commands on sorted sets for which clients may wait: BZPOPMIN, BZPOPMAX, BZMPOP (`blocking_lists`)."""

from __future__ import annotations

from typing import Any

from epaxos.interfaces import Command, NilArray
from epaxos.interfaces.redis import timeout_ms_of
from epaxos.statemachines.redis.blocking_lists import check_last_timeout
from epaxos.statemachines.redis.ranking import Ranking
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Keys, Piecewise, Touched, at_once
from epaxos.statemachines.redis.zset_pops import STEP_MEMBERS, pop_from_of, popped, popped_from

__all__ = ["COMMANDS"]


def _elements(value: Any, command: Command, key: bytes) -> int:
    return len(value) if isinstance(value, Ranking) else 0


class _Pop:
    """BZPOPMIN or BZPOPMAX: takes a member from the first key that has a sorted set."""

    def __init__(self, is_max: bool) -> None:
        self._is_max = is_max
        self.handler = at_once(self.in_pieces)

    def in_pieces(self, space: Space, command: Command, size: int) -> Piecewise:
        """See CommandSpec.in_pieces."""
        for place, key in enumerate(command[1:-1], 1):
            found = popped(space, key, self._is_max)
            if found:
                return [key, *found]
            if place % size == 0:
                yield
        return NilArray()


def _check_bzmpop(command: Command) -> None:
    pop_from_of(command[2:])
    timeout_ms_of(command[1])


def _bzmpop_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    return (yield from popped_from(space, pop_from_of(command[2:])))


def _find_bzmpop(command: Command) -> Touched:
    return Touched(pop_from_of(command[2:]).keys)


def _is_large_bzmpop(space: Space, command: Command) -> bool:
    return pop_from_of(command[2:]).members > STEP_MEMBERS


_BLOCKS: Any = {"categories": ("sortedset", "blocking"), "elements": _elements}


def _pop(name: bytes, is_max: bool, which: str) -> CommandSpec:
    pop = _Pop(is_max)
    return CommandSpec(
        name, pop.handler, -3, Keys.ALL_BUT_LAST, True, check=check_last_timeout, in_pieces=pop.in_pieces,
        usage=f"{name.decode()} key [key ...] timeout", complexity="O(K) with K keys, and O(log(N))",
        summary=f"remove the member with the {which} score from the first key that has a sorted set;"
        " the reply has the key and the score; the client waits until there is one, for at most `timeout`"
        " seconds",
        flags=("fast", "blocking"), **_BLOCKS,
    )  # fmt: skip


COMMANDS = (
    _pop(b"BZPOPMIN", False, "lowest"),
    _pop(b"BZPOPMAX", True, "highest"),
    CommandSpec(
        b"BZMPOP", at_once(_bzmpop_in_pieces), -5, Keys.NONE, True, check=_check_bzmpop, find=_find_bzmpop,
        in_pieces=_bzmpop_in_pieces, is_large=_is_large_bzmpop, flags=("blocking",),
        usage="BZMPOP timeout numkeys key [key ...] MIN|MAX [COUNT count]",
        summary="as ZMPOP; the client waits until there is a member, for at most `timeout` seconds",
        complexity="O(K) with K keys, and O(log(N)) for each member", **_BLOCKS,
    ),
)  # fmt: skip
