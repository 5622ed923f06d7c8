"""The commands that take the first or the last members from sorted sets: ZPOPMIN, ZPOPMAX, ZMPOP."""

from __future__ import annotations

from collections.abc import Generator
from itertools import chain
from typing import Any, NamedTuple

from epaxos.interfaces import Command, CommandError, NilArray, Reply, ReplyPairs
from epaxos.interfaces.redis import SYNTAX_ERROR, integer_of
from epaxos.statemachines.redis.common_writes import check_pop
from epaxos.statemachines.redis.ranking import Ranking
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Keys, Piecewise, Touched, at_once

__all__ = ["COMMANDS", "STEP_MEMBERS", "PopFrom", "is_large", "pop_from_of", "popped", "popped_from"]

STEP_MEMBERS = 256
"""Members of a large sorted set that a step adds or removes: each takes up to 4 us."""
_FEW = 8
"""A command that takes more members has a step of its own."""


def is_large(space: Space, command: Command) -> bool:
    """For `is_large` of a command whose time depends on the size of the sorted set of its first argument."""
    ranking = space.typed(command[1], Ranking)
    return ranking is not None and len(ranking) > STEP_MEMBERS


# -- from one key


def popped(space: Space, key: bytes, is_max: bool) -> list[Any]:
    """The first or the last member and its score, which are removed; empty where there is no such key."""
    if space.typed(key, Ranking) is None:
        return []
    ranking = space.own(key, Ranking)
    start = len(ranking) - 1 if is_max else 0
    (score,), (member,) = ranking.part(start, start + 1)
    ranking.remove(member)
    space.keep_rest(key, ranking)
    return [member, score]


def _pairs_popped(
    space: Space, key: bytes, count: int, is_max: bool
) -> Generator[None, None, list[tuple[bytes, Any]]]:
    """`count` members and their scores, or all; None after each step, but for few."""
    if space.typed(key, Ranking) is None or not count:
        return []
    ranking = space.own(key, Ranking)
    pairs: list[tuple[bytes, Any]] = []
    left = min(count, len(ranking))
    while left:
        some = min(left, STEP_MEMBERS)
        start = len(ranking) - some if is_max else 0
        scores, members = ranking.part(start, start + some)
        for member in members:
            ranking.remove(member)
        found = list(zip(members, scores))
        pairs += found[::-1] if is_max else found
        left -= some
        if some > _FEW:
            yield
    space.keep_rest(key, ranking)
    return pairs


class _Pop:
    """ZPOPMIN or ZPOPMAX."""

    def __init__(self, is_max: bool) -> None:
        self._is_max = is_max

    def run(self, space: Space, command: Command) -> Reply:
        """See CommandSpec.handler."""
        if len(command) == 2:
            return popped(space, command[1], self._is_max)
        return at_once(self.in_pieces)(space, command)  # type: ignore[return-value]

    def in_pieces(self, space: Space, command: Command, size: int) -> Piecewise:
        """See CommandSpec.in_pieces."""
        if len(command) == 2:
            return popped(space, command[1], self._is_max)
        pairs = yield from _pairs_popped(space, command[1], int(command[2]), self._is_max)
        return ReplyPairs(chain.from_iterable(pairs))

    def is_long(self, command: Command) -> bool:
        """See CommandSpec.is_long."""
        return len(command) > 2 and (integer_of(command[2]) or 0) > _FEW


# -- from the first of several keys


class PopFrom(NamedTuple):
    """What ZMPOP is asked for.  `members`: how many, at most."""

    keys: Command
    is_max: bool
    members: int


def pop_from_of(words: Command) -> PopFrom:
    """`numkeys key … MIN | MAX [COUNT count]`.  Raises CommandError."""
    number = integer_of(words[0])
    if number is None or number < 1:
        raise CommandError("ERR numkeys should be greater than 0")
    keys, rest = words[1 : number + 1], words[number + 1 :]
    where = rest[0].upper() if rest else b""
    options = rest[1:]
    if where not in (b"MIN", b"MAX") or (options and (len(options) < 2 or options[0].upper() != b"COUNT")):
        raise CommandError(SYNTAX_ERROR)
    count = integer_of(options[1]) if options else 1
    if count is None or count < 1:
        raise CommandError("ERR count should be greater than 0")
    if len(options) > 2:
        raise CommandError(SYNTAX_ERROR)
    return PopFrom(keys, where == b"MAX", count)


def popped_from(space: Space, asked: PopFrom) -> Piecewise:
    """The first key that has members, and those that are removed, each with its score; NilArray for none."""
    for key in asked.keys:
        if space.typed(key, Ranking) is not None:
            pairs = yield from _pairs_popped(space, key, asked.members, asked.is_max)
            return [key, list(map(list, pairs))]
    return NilArray()


def _check_from(command: Command) -> None:
    pop_from_of(command[1:])


def _find_from(command: Command) -> Touched:
    return Touched(pop_from_of(command[1:]).keys)


def _zmpop_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    return (yield from popped_from(space, pop_from_of(command[1:])))


def _is_long_from(command: Command) -> bool:
    return command[-2].upper() == b"COUNT" and command[-1] != b"1"


def _pop(name: bytes, is_max: bool, which: str) -> CommandSpec:
    pop = _Pop(is_max)
    return CommandSpec(
        name, pop.run, -2, Keys.FIRST, True, check=check_pop, plain=2, in_pieces=pop.in_pieces,
        is_long=pop.is_long, usage=f"{name.decode()} key [count]", categories=("sortedset",),
        complexity="O(log(N)) for each member",
        summary=f"remove the member with the {which} score, or `count` of them; the reply has their scores",
    )  # fmt: skip


COMMANDS = (
    _pop(b"ZPOPMIN", False, "lowest"),
    _pop(b"ZPOPMAX", True, "highest"),
    CommandSpec(
        b"ZMPOP", at_once(_zmpop_in_pieces), -4, Keys.NONE, True, check=_check_from, find=_find_from,
        in_pieces=_zmpop_in_pieces, is_long=_is_long_from, flags=(), categories=("sortedset",),
        usage="ZMPOP numkeys key [key ...] MIN | MAX [COUNT count]", complexity="O(K) with K keys, and"
        " O(log(N)) for each member",
        summary="as ZPOPMIN or ZPOPMAX, from the first of the keys that has members; nil when none has",
    ),
)  # fmt: skip
