"""The commands that answer, or store, a range of a sorted set: ZRANGE and its older forms, ZRANGESTORE."""

from __future__ import annotations

from itertools import chain
from typing import Any, NamedTuple

from epaxos.interfaces import Command, CommandError, ReplyPairs
from epaxos.interfaces.redis import SYNTAX_ERROR
from epaxos.statemachines.redis import zset_bounds as bounds
from epaxos.statemachines.redis.ranking import Ranking
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Keys, Piecewise, always, at_once
from epaxos.statemachines.redis.zset_bounds import Range, integer_or_error
from epaxos.statemachines.redis.zset_pops import STEP_MEMBERS, is_large

__all__ = ["COMMANDS"]

_BY = {b"BYSCORE": bounds.scores, b"BYLEX": bounds.lexes}


class _Asked(NamedTuple):
    """`limit`: the most members, negative for all; `offset`: how many before them are left out."""

    range: Range
    is_reversed: bool
    offset: int
    limit: int
    with_scores: bool

    def places(self, ranking: Ranking) -> tuple[int, int]:
        """The place of the first member, in the order of the scores, and the one behind the last."""
        start, end = self.range.places(ranking, self.is_reversed)
        if self.offset < 0:
            return start, start
        count = max(0, end - start - self.offset)
        if self.limit >= 0:
            count = min(count, self.limit)
        begin = end - self.offset - count if self.is_reversed else start + self.offset
        return begin, begin + count


class _RangeCommand:
    """A command whose range begins at the argument `at`; `by` and `is_reversed`: what its name says.

    `allowed`: the options that it takes.
    """

    def __init__(self, allowed: str, by: bytes = b"", is_reversed: bool = False, at: int = 2) -> None:
        self._allowed = set(allowed.encode().split())
        self._by = by
        self._is_reversed = is_reversed
        self._at = at

    def asked(self, command: Command) -> _Asked:
        """Raises CommandError."""
        low, high = command[self._at : self._at + 2]
        by, is_reversed = self._by, self._is_reversed
        offset, limit, with_scores = 0, -1, False
        words = iter(command[self._at + 2 :])
        for word in words:
            option = word.upper()
            numbers = [next(words, None), next(words, None)] if option == b"LIMIT" else []
            if option not in self._allowed or None in numbers or (option in _BY and by):
                raise CommandError(SYNTAX_ERROR)
            if option == b"LIMIT":
                offset, limit = (integer_or_error(number or b"") for number in numbers)
            elif option == b"WITHSCORES":
                with_scores = True
            elif option == b"REV":
                if is_reversed:
                    raise CommandError(SYNTAX_ERROR)
                is_reversed = True
            else:
                by = option
        if limit != -1 and by not in _BY:
            raise CommandError(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
            )
        if with_scores and by == b"BYLEX":
            raise CommandError("ERR syntax error, WITHSCORES not supported in combination with BYLEX")
        if by not in _BY:
            return _Asked(bounds.ranks(low, high), is_reversed, 0, -1, with_scores)
        asked = _BY[by](high, low) if is_reversed else _BY[by](low, high)
        return _Asked(asked, is_reversed, offset, limit, with_scores)

    def check(self, command: Command) -> None:
        """See CommandSpec.check."""
        self.asked(command)

    def in_pieces(self, space: Space, command: Command, size: int) -> Piecewise:
        """See CommandSpec.in_pieces."""
        asked = self.asked(command)
        found: list[Any] = ReplyPairs() if asked.with_scores else []
        ranking = space.typed(command[1], Ranking)
        if ranking is None:
            return found
        pieces: Any = ranking.pieces(*asked.places(ranking))
        if asked.is_reversed:
            pieces = [(scores[::-1], members[::-1]) for scores, members in pieces][::-1]
        for number, (scores, members) in enumerate(pieces):
            if number:
                yield
            if asked.with_scores:
                found += chain.from_iterable(zip(members, scores))
            else:
                found += members
        return found


class _Store(_RangeCommand):
    """ZRANGESTORE."""

    def in_pieces(self, space: Space, command: Command, size: int) -> Piecewise:
        """See CommandSpec.in_pieces."""
        asked = self.asked(command)
        ranking = space.typed(command[2], Ranking)
        made = Ranking()
        if ranking is not None:
            start, end = asked.places(ranking)
            for begin in range(start, end, STEP_MEMBERS):
                if begin > start:
                    yield
                scores, members = ranking.part(begin, min(begin + STEP_MEMBERS, end))
                for score, member in zip(scores, members):
                    made.put(member, score)
        return store(space, command[1], made)


def store(space: Space, key: bytes, made: Ranking) -> int:
    """Set `key` to a new sorted set, or remove it where that is empty; the number of members."""
    if len(made):
        space.set(key, made)
    else:
        space.pop(key)
    return len(made)


def _read(
    name: bytes, command: _RangeCommand, usage: str, summary: str, complexity: str = "O(log(N) + M)"
) -> CommandSpec:
    return CommandSpec(
        name, at_once(command.in_pieces), -4, Keys.FIRST, False, check=command.check, flags=(),
        in_pieces=command.in_pieces, is_large=is_large, usage=f"{name.decode()} key {usage}", summary=summary,
        complexity=f"{complexity} with M members that are answered", categories=("sortedset",),
    )  # fmt: skip


_ANY = "WITHSCORES LIMIT"
_STORE = _Store("REV LIMIT BYSCORE BYLEX", at=3)

COMMANDS = (
    _read(
        b"ZRANGE", _RangeCommand("WITHSCORES REV LIMIT BYSCORE BYLEX"),
        "start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]",
        "members in the order of their scores: those at places, with scores, or, where all have one score,"
        " of a range of members",
    ),
    _read(
        b"ZREVRANGE", _RangeCommand(_ANY, is_reversed=True), "start stop [WITHSCORES]",
        "members at places, the highest score first",
    ),
    _read(
        b"ZRANGEBYSCORE", _RangeCommand(_ANY, b"BYSCORE"), "min max [WITHSCORES] [LIMIT offset count]",
        "as ZRANGE with `BYSCORE`",
    ),
    _read(
        b"ZREVRANGEBYSCORE", _RangeCommand(_ANY, b"BYSCORE", True),
        "max min [WITHSCORES] [LIMIT offset count]", "as ZRANGE with `BYSCORE` and `REV`",
    ),
    _read(
        b"ZRANGEBYLEX", _RangeCommand(_ANY, b"BYLEX"), "min max [LIMIT offset count]",
        "as ZRANGE with `BYLEX`",
    ),
    _read(
        b"ZREVRANGEBYLEX", _RangeCommand(_ANY, b"BYLEX", True), "max min [LIMIT offset count]",
        "as ZRANGE with `BYLEX` and `REV`",
    ),
    CommandSpec(
        b"ZRANGESTORE", at_once(_STORE.in_pieces), -5, Keys.TWO, True, check=_STORE.check,
        in_pieces=_STORE.in_pieces, is_large=always, flags=("denyoom",), categories=("sortedset",),
        usage="ZRANGESTORE destination source start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count]",
        summary="set a key to what ZRANGE answers; the reply counts the members",
        complexity="O(log(N) + M) with M members that are stored",
    ),
)  # fmt: skip
