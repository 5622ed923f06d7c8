"""The commands that only read sorted sets, but for ranges (`zset_ranges.py`)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

from epaxos.interfaces import Command, CommandError, NilArray, Reply, ReplyPairs
from epaxos.interfaces.doubles import text_of_double
from epaxos.interfaces.redis import INTEGER_MAX, SYNTAX_ERROR, wrong_arity
from epaxos.statemachines.redis import zset_bounds as bounds
from epaxos.statemachines.redis.drawing import (
    OUT_OF_RANGE,
    check_drawn,
    drawn_count,
    is_large_draw,
    name_drawn,
    names_drawn,
)
from epaxos.statemachines.redis.named_reads import Scan, check_scan, size_of
from epaxos.statemachines.redis.ranking import Ranking
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Keys, Piecewise, at_once, never
from epaxos.statemachines.redis.zset_bounds import Range
from epaxos.statemachines.redis.zset_pops import STEP_MEMBERS

__all__ = ["COMMANDS"]

# -- single members


def _zscore(space: Space, command: Command) -> Reply:
    ranking = space.typed(command[1], Ranking)
    return None if ranking is None else ranking.get(command[2])


def _zmscore_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    ranking = space.typed(command[1], Ranking) or Ranking()
    found: list[Any] = []
    for start in range(2, len(command), size):
        if start > 2:
            yield
        found += map(ranking.get, command[start : start + size])
    return found


class _Rank:
    """ZRANK or ZREVRANK."""

    def __init__(self, is_reversed: bool) -> None:
        self._is_reversed = is_reversed

    def check(self, command: Command) -> None:
        """See CommandSpec.check."""
        if len(command) > 4:
            raise wrong_arity(command[0].decode().lower())
        if len(command) == 4 and command[3].upper() != b"WITHSCORE":
            raise CommandError(SYNTAX_ERROR)

    def run(self, space: Space, command: Command) -> Reply:
        """See CommandSpec.handler."""
        with_score = len(command) == 4
        ranking = space.typed(command[1], Ranking)
        rank = None if ranking is None else ranking.rank(command[2])
        if ranking is None or rank is None:
            return NilArray() if with_score else None
        if self._is_reversed:
            rank = len(ranking) - 1 - rank
        return [rank, ranking.get(command[2])] if with_score else rank


# -- counting


class _Count:
    """ZCOUNT or ZLEXCOUNT: `range_of` makes a range of what the client writes."""

    def __init__(self, range_of: Callable[[bytes, bytes], Range]) -> None:
        self._range_of = range_of

    def check(self, command: Command) -> None:
        """See CommandSpec.check."""
        self._range_of(command[2], command[3])

    def run(self, space: Space, command: Command) -> Reply:
        """See CommandSpec.handler."""
        asked = self._range_of(command[2], command[3])
        ranking = space.typed(command[1], Ranking)
        if ranking is None:
            return 0
        start, end = asked.places(ranking)
        return end - start


# -- members by chance


def _check_random(command: Command) -> None:
    if len(command) == 2:
        return
    count = drawn_count(command[2])
    with_scores = len(command) == 4
    if len(command) > 4 or (with_scores and command[3].upper() != b"WITHSCORES"):
        raise CommandError(SYNTAX_ERROR)
    check_drawn(count)
    if with_scores and count > INTEGER_MAX // 2:
        raise CommandError(OUT_OF_RANGE)


def _zrandmember_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    ranking = space.typed(command[1], Ranking)
    if len(command) == 2:
        return None if ranking is None else name_drawn(ranking, space.moment)
    with_scores = len(command) == 4
    reply: list[Any] = ReplyPairs() if with_scores else []
    if ranking is None:
        return reply
    count = int(command[2])
    if count < len(ranking):
        members = yield from names_drawn(ranking, space.moment, count)
    else:
        members = []
        for _, some in ranking.pieces(0, len(ranking)):
            members += some
            yield
    if not with_scores:
        return members
    for start in range(0, len(members), STEP_MEMBERS):
        some = members[start : start + STEP_MEMBERS]
        reply += chain.from_iterable(zip(some, map(ranking.get, some)))
        yield
    return reply


# -- ZSCAN


def _with_texts(ranking: Ranking, members: list[bytes]) -> list[bytes]:
    """The members, each followed by its score: ZSCAN tells no doubles, in RESP3 neither."""
    scores: Any = map(ranking.get, members)
    return list(chain.from_iterable(zip(members, map(text_of_double, scores))))


_ZSCAN = Scan(Ranking, _with_texts)


def _read(name: bytes, handler: Any, arity: int, usage: str, summary: str, **more: Any) -> CommandSpec:
    return CommandSpec(
        name, handler, arity, Keys.FIRST, False, usage=usage, summary=summary, categories=("sortedset",),
        **more,
    )  # fmt: skip


def _rank(name: bytes, rank: _Rank, which: str) -> CommandSpec:
    return _read(
        name, rank.run, -3, f"{name.decode()} key member [WITHSCORE]",
        f"how many members have a {which} place in the order, and the score; nil for no such member",
        check=rank.check, plain=3, complexity="O(log(N))",
    )  # fmt: skip


def _count(name: bytes, count: _Count, summary: str) -> CommandSpec:
    return _read(
        name, count.run, 4, f"{name.decode()} key min max", summary, check=count.check, complexity="O(log(N))"
    )


COMMANDS = (
    _read(b"ZSCORE", _zscore, 3, "ZSCORE key member", "the score of a member, nil when there is none"),
    _read(
        b"ZMSCORE", at_once(_zmscore_in_pieces), -3, "ZMSCORE key member [member ...]",
        "the scores of members", in_pieces=_zmscore_in_pieces, complexity="O(N) with N members",
    ),
    _read(b"ZCARD", size_of(Ranking), 2, "ZCARD key", "the number of members"),
    _rank(b"ZRANK", _Rank(False), "lower"),
    _rank(b"ZREVRANK", _Rank(True), "higher"),
    _count(b"ZCOUNT", _Count(bounds.scores), "how many members have these scores"),
    _count(
        b"ZLEXCOUNT", _Count(bounds.lexes),
        "how many members are in this range of members, where all have one score",
    ),
    _read(
        b"ZRANDMEMBER", at_once(_zrandmember_in_pieces), -2, "ZRANDMEMBER key [count [WITHSCORES]]",
        "a member by chance, or `count` different ones; -`count`: one may come again",
        check=_check_random, plain=2, in_pieces=_zrandmember_in_pieces, is_large=is_large_draw(Ranking),
        takes_seed=True, flags=(), complexity="O(N) with N members that are answered",
    ),
    _read(
        b"ZSCAN", _ZSCAN, -3, "ZSCAN key cursor [MATCH pattern] [COUNT count]",
        "some members with their scores, and the cursor that goes on, 0 when that was all",
        check=check_scan, is_large=never, flags=(), complexity="O(1) for each call",
    ),
)  # fmt: skip
