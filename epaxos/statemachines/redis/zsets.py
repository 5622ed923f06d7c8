"""The commands that add members to sorted sets and remove them, as Redis 7 has them: see `ranking.py`."""

from __future__ import annotations

from collections.abc import Callable
from math import isnan
from typing import Any, NamedTuple

from epaxos.interfaces import Command, CommandError, Reply
from epaxos.interfaces.redis import SYNTAX_ERROR
from epaxos.statemachines.redis import zset_bounds as bounds
from epaxos.statemachines.redis.common_writes import removal_from
from epaxos.statemachines.redis.ranking import Ranking
from epaxos.statemachines.redis.scores import NOT_A_NUMBER, score_of, score_or_error
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Keys, Piecewise, at_once
from epaxos.statemachines.redis.zset_bounds import Range
from epaxos.statemachines.redis.zset_pops import COMMANDS as _POPS
from epaxos.statemachines.redis.zset_pops import STEP_MEMBERS, is_large
from epaxos.statemachines.redis.zset_ranges import COMMANDS as _RANGES
from epaxos.statemachines.redis.zset_reads import COMMANDS as _READS
from epaxos.statemachines.redis.zset_unions import COMMANDS as _UNIONS

__all__ = ["COMMANDS", "ZADD"]


# -- adding

_OPTIONS = {b"NX", b"XX", b"GT", b"LT", b"CH", b"INCR"}


class _Added(NamedTuple):
    """What ZADD is asked for.  `start`: the place of the first score."""

    options: set[bytes]
    start: int


def _options_of(command: Command) -> _Added:
    """Raises CommandError, also for a score that is none."""
    options: set[bytes] = set()
    start = 2
    while start < len(command) and (option := command[start].upper()) in _OPTIONS:
        options.add(option)
        start += 1
    pairs = len(command) - start
    if pairs % 2 or not pairs:
        raise CommandError(SYNTAX_ERROR)
    if {b"NX", b"XX"} <= options:
        raise CommandError("ERR XX and NX options at the same time are not compatible")
    if len(options & {b"NX", b"GT", b"LT"}) > 1:
        raise CommandError("ERR GT, LT, and/or NX options at the same time are not compatible")
    if b"INCR" in options and pairs > 2:
        raise CommandError("ERR INCR option supports a single increment-element pair")
    for text in command[start::2]:
        score_or_error(text)
    return _Added(options, start)


def _zadd(space: Space, command: Command) -> Reply:
    key = command[1]
    if len(command) == 4 and (score := score_of(command[2])) is not None:
        ranking = space.own(key, Ranking)
        before = ranking.put(command[3], score)
        if before != score:
            space.keep(key, ranking)
        return int(before is None)
    options, start = _options_of(command)
    if b"INCR" in options:
        return _increased(space, key, command[start + 1], score_or_error(command[start]), options)
    return _ZADD(space, command)  # type: ignore[return-value]


def _zadd_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    options, start = _options_of(command)
    key = command[1]
    if b"INCR" in options:
        return _increased(space, key, command[start + 1], score_or_error(command[start]), options)
    ranking = space.own(key, Ranking)
    is_wanted = _chooser(options)
    added = updated = 0
    for place in range(start, len(command), 2):
        if place % STEP_MEMBERS < 2 and place > STEP_MEMBERS:
            yield
        score, member = score_or_error(command[place]), command[place + 1]
        if is_wanted is not None and not is_wanted(ranking.get(member), score):
            continue
        before = ranking.put(member, score)
        added += before is None
        updated += before is not None and before != score
    if added or updated:
        space.keep(key, ranking)
    return added + updated if b"CH" in options else added


ZADD = _zadd_in_pieces
"""ZADD in pieces: see CommandSpec.in_pieces."""
_ZADD = at_once(ZADD)


def _chooser(options: set[bytes]) -> Callable[[float | None, float], bool] | None:
    """Whether a member with this score, or none, gets another one; None where it always does."""
    if options <= {b"CH", b"INCR"}:
        return None

    def is_wanted(before: float | None, score: float) -> bool:
        if before is None:
            return b"XX" not in options
        if b"GT" in options:
            return score > before
        return score < before if b"LT" in options else b"NX" not in options

    return is_wanted


def _increased(space: Space, key: bytes, member: bytes, increment: float, options: set[bytes]) -> Reply:
    ranking = space.own(key, Ranking)
    before = ranking.get(member)
    score = increment if before is None else before + increment
    if isnan(score):
        raise CommandError(NOT_A_NUMBER)
    is_wanted = _chooser(options)
    if is_wanted is not None and not is_wanted(before, score):
        return None
    if before != score:
        ranking.put(member, score)
        space.keep(key, ranking)
    return score


def _zincrby(space: Space, command: Command) -> Reply:
    return _increased(space, command[1], command[3], score_or_error(command[2]), set())


# -- removing


_REMOVAL = removal_from(Ranking, STEP_MEMBERS)


class _RemoveRange:
    """ZREMRANGEBY…: `range_of` makes a range of what the client writes."""

    def __init__(self, range_of: Callable[[bytes, bytes], Range]) -> None:
        self._range_of = range_of

    def check(self, command: Command) -> None:
        """See CommandSpec.check."""
        self._range_of(command[2], command[3])

    def in_pieces(self, space: Space, command: Command, size: int) -> Piecewise:
        """See CommandSpec.in_pieces."""
        asked = self._range_of(command[2], command[3])
        if space.typed(command[1], Ranking) is None:
            return 0
        ranking = space.own(command[1], Ranking)
        start, end = asked.places(ranking)
        for begin in range(start, end, STEP_MEMBERS):
            if begin > start:
                yield
            _, members = ranking.part(start, start + min(STEP_MEMBERS, end - begin))
            for member in members:
                ranking.remove(member)
        if end > start:
            space.keep_rest(command[1], ranking)
        return end - start


def _write(name: bytes, handler: Any, arity: int, usage: str, summary: str, **more: Any) -> CommandSpec:
    return CommandSpec(
        name, handler, arity, Keys.FIRST, True, usage=usage, summary=summary, categories=("sortedset",),
        **more,
    )  # fmt: skip


def _remove_range(
    name: bytes, range_of: Callable[[bytes, bytes], Range], words: str, summary: str
) -> CommandSpec:
    remove = _RemoveRange(range_of)
    return _write(
        name, at_once(remove.in_pieces), 4, f"{name.decode()} key {words}", summary, check=remove.check,
        in_pieces=remove.in_pieces, is_large=is_large, flags=(),
        complexity="O(log(N) + M) with M members that are removed",
    )  # fmt: skip


COMMANDS = (
    _write(
        b"ZADD", _zadd, -4, "ZADD key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]",
        "set scores of members; the reply counts new members, with `CH` changed ones, too; with `INCR` it"
        " is the sum",
        in_pieces=_zadd_in_pieces, flags=("denyoom", "fast"),
        complexity="O(log(N)) for each member",
    ),
    _write(
        b"ZINCRBY", _zincrby, 4, "ZINCRBY key increment member",
        "add to the score of a member; one that does not exist counts as 0", flags=("denyoom", "fast"),
        complexity="O(log(N))",
    ),
    _write(
        b"ZREM", _REMOVAL.handler, -3, "ZREM key member [member ...]",
        "remove members; the reply counts those that existed; a sorted set without members is removed",
        in_pieces=_REMOVAL.in_pieces, complexity="O(log(N)) for each member",
    ),
    _remove_range(
        b"ZREMRANGEBYRANK", bounds.ranks, "start stop", "remove the members at these places of the order"
    ),
    _remove_range(b"ZREMRANGEBYSCORE", bounds.scores, "min max", "remove the members with these scores"),
    _remove_range(
        b"ZREMRANGEBYLEX", bounds.lexes, "min max",
        "remove the members of this range, where all of them have one score",
    ),
    *_POPS,
    *_READS,
    *_RANGES,
    *_UNIONS,
)  # fmt: skip
