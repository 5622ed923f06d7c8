"""What a range of a sorted set is: from which place to which one, by places, scores, or members."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from epaxos.interfaces import CommandError
from epaxos.interfaces.redis import NOT_AN_INTEGER, integer_of
from epaxos.statemachines.redis.ranking import Ranking
from epaxos.statemachines.redis.scores import LexBound, ScoreBound, lex_bound_of, score_bound_of

__all__ = ["Range", "integer_or_error", "lexes", "ranks", "scores"]


def integer_or_error(text: bytes) -> int:
    """Raises CommandError."""
    number = integer_of(text)
    if number is None:
        raise CommandError(NOT_AN_INTEGER)
    return number


class Range(NamedTuple):
    """`find(ranking, low, high)`: the place of the first member, and the one behind the last."""

    find: Callable[[Ranking, Any, Any], tuple[int, int]]
    low: Any
    high: Any

    def places(self, ranking: Ranking, is_reversed: bool = False) -> tuple[int, int]:
        """The place of the first member, and the one behind the last, which is no lower.

        `is_reversed`: places that the client gave count from the end.
        """
        start, end = self.find(ranking, self.low, self.high)
        if is_reversed and self.find is _by_rank:
            start, end = len(ranking) - end, len(ranking) - start
        return start, max(start, end)


def _by_rank(ranking: Ranking, low: int, high: int) -> tuple[int, int]:
    size = len(ranking)
    start = max(0, low + size if low < 0 else low)
    end = min(size, (high + size if high < 0 else high) + 1)
    return (start, end) if start < end else (0, 0)


def _by_score(ranking: Ranking, low: ScoreBound, high: ScoreBound) -> tuple[int, int]:
    return ranking.place_of_score(low, is_end=False), ranking.place_of_score(high, is_end=True)


def _by_lex(ranking: Ranking, low: LexBound, high: LexBound) -> tuple[int, int]:
    return ranking.place_of_member(low, is_end=False), ranking.place_of_member(high, is_end=True)


def ranks(low: bytes, high: bytes) -> Range:
    """A range of places as a client writes it.  Raises CommandError."""
    return Range(_by_rank, integer_or_error(low), integer_or_error(high))


def scores(low: bytes, high: bytes) -> Range:
    """A range of scores as a client writes it.  Raises CommandError."""
    return Range(_by_score, score_bound_of(low), score_bound_of(high))


def lexes(low: bytes, high: bytes) -> Range:
    """A range of members as a client writes it.  Raises CommandError."""
    return Range(_by_lex, lex_bound_of(low), lex_bound_of(high))
