"""The commands that make one sorted set of several sorted sets and sets: ZUNION, ZINTER, ZDIFF, and more.

In a set each member has the score 1.  Scores are added in the order of the sizes of the sorted sets, as in
Redis, because sums of doubles depend on it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import chain
from math import isnan
from typing import Any, NamedTuple

from epaxos.interfaces import Command, CommandError, ReplyPairs
from epaxos.interfaces.redis import SYNTAX_ERROR, WRONG_TYPE
from epaxos.statemachines.redis.elements import elements_of
from epaxos.statemachines.redis.ranking import Ranking
from epaxos.statemachines.redis.scores import score_or_error
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Keys, Piecewise, Touched, always, at_once
from epaxos.statemachines.redis.values import Collection
from epaxos.statemachines.redis.zset_bounds import integer_or_error
from epaxos.statemachines.redis.zset_pops import STEP_MEMBERS
from epaxos.statemachines.redis.zset_ranges import store

__all__ = ["COMMANDS"]


# -- what is asked


def _sum(one: float, other: float) -> float:
    total = one + other
    return 0.0 if isnan(total) else total


def _min(one: float, other: float) -> float:
    return other if other < one else one


def _max(one: float, other: float) -> float:
    return other if other > one else one


_AGGREGATES: dict[bytes, Callable[[float, float], float]] = {b"SUM": _sum, b"MIN": _min, b"MAX": _max}


class _Asked(NamedTuple):
    """`limit`: of ZINTERCARD, 0 for none."""

    keys: Sequence[bytes]
    weights: Sequence[float]
    aggregate: Callable[[float, float], float]
    with_scores: bool
    limit: int


def _keys_of(command: Command, at: int) -> Sequence[bytes]:
    """The keys whose number is the argument `at`.  Raises CommandError."""
    count = integer_or_error(command[at])
    if count < 1:
        name = command[0].decode().lower()
        raise CommandError(f"ERR at least 1 input key is needed for '{name}' command")
    keys = command[at + 1 : at + 1 + count]
    if len(keys) < count:
        raise CommandError(SYNTAX_ERROR)
    return keys


def _asked_of(command: Command, at: int, allowed: set[bytes]) -> _Asked:
    """Raises CommandError."""
    keys = _keys_of(command, at)
    weights, with_scores, limit = [1.0] * len(keys), False, 0
    aggregate = _AGGREGATES[b"SUM"]
    place = at + 1 + len(keys)
    while place < len(command):
        option = command[place].upper()
        width = {b"WEIGHTS": len(keys) + 1, b"WITHSCORES": 1}.get(option, 2)
        values = command[place + 1 : place + width]
        if option not in allowed or len(values) + 1 < width:
            raise CommandError(SYNTAX_ERROR)
        if option == b"WEIGHTS":
            weights = [score_or_error(text, "ERR weight value is not a float") for text in values]
        elif option == b"WITHSCORES":
            with_scores = True
        elif option == b"LIMIT":
            limit = _limit_of(values[0])
        elif values[0].upper() in _AGGREGATES:
            aggregate = _AGGREGATES[values[0].upper()]
        else:
            raise CommandError(SYNTAX_ERROR)
        place += width
    return _Asked(keys, weights, aggregate, with_scores, limit)


def _limit_of(text: bytes) -> int:
    try:
        limit = integer_or_error(text)
    except CommandError:
        limit = -1
    if limit < 0:
        raise CommandError("ERR LIMIT can't be negative")
    return limit


# -- where members come from


class _Source:
    """A sorted set or a set, or nothing."""

    def __init__(self, value: Any, weight: float) -> None:
        self.value = value
        self.weight = weight

    def __len__(self) -> int:
        return 0 if self.value is None else len(self.value)

    def pieces(self) -> Iterator[tuple[list[float], list[bytes]]]:
        """The scores, by their weight, and the members, in lists that are one step each."""
        if isinstance(self.value, Ranking):
            for start in range(0, len(self), STEP_MEMBERS):
                scores, members = self.value.part(start, min(start + STEP_MEMBERS, len(self)))
                yield list(map(self._weighed, scores)), members
        elif self.value is not None:
            one = self._weighed(1.0)
            for found in elements_of(self.value):
                for start in range(0, len(found), STEP_MEMBERS):
                    some = found[start : start + STEP_MEMBERS]
                    yield [one] * len(some), some

    def _weighed(self, score: float) -> float:
        score *= self.weight
        return 0.0 if isnan(score) else score + 0.0

    def get(self, member: bytes) -> float | None:
        """The score of a member, not yet by its weight; None where there is none."""
        if isinstance(self.value, Ranking):
            return self.value.get(member)
        return 1.0 if self.value is not None and member in self.value else None


def _sources(space: Space, asked: _Asked) -> list[_Source]:
    """Raises CommandError."""
    found = []
    for key, weight in zip(asked.keys, asked.weights):
        value = space.get(key)
        is_right = value is None or (isinstance(value, Collection) and value.type_name in ("zset", "set"))
        if not is_right:
            raise CommandError(WRONG_TYPE)
        found.append(_Source(value, weight))
    return found


# -- what comes out


def _union(sources: list[_Source], asked: _Asked) -> Generator[None, None, Ranking]:
    made = Ranking()
    for source in sorted(sources, key=len):
        for scores, members in source.pieces():
            for score, member in zip(scores, members):
                before = made.get(member)
                made.put(member, score if before is None else asked.aggregate(before, score))
            yield
    return made


def _inter(sources: list[_Source], asked: _Asked) -> Generator[None, None, Ranking]:
    made = Ranking()
    smallest, *others = sorted(sources, key=len)
    step = max(1, STEP_MEMBERS // len(sources))
    for scores, members in smallest.pieces():
        for start in range(0, len(members), step):
            for score, member in zip(scores[start : start + step], members[start : start + step]):
                total = _total(score, member, others, asked.aggregate)
                if total is not None:
                    made.put(member, total)
                    if len(made) == asked.limit:
                        return made
            yield
    return made


def _total(
    score: float, member: bytes, others: list[_Source], aggregate: Callable[[float, float], float]
) -> float | None:
    """The score of a member of all sources; None where one does not have it."""
    for other in others:
        found = other.get(member)
        if found is None:
            return None
        score = aggregate(score, found * other.weight)
    return score + 0.0


def _diff(sources: list[_Source], asked: _Asked) -> Generator[None, None, Ranking]:
    made = Ranking()
    first, *others = sources
    step = max(1, STEP_MEMBERS // len(sources))
    for scores, members in first.pieces():
        for start in range(0, len(members), step):
            for score, member in zip(scores[start : start + step], members[start : start + step]):
                if all(other.get(member) is None for other in others):
                    made.put(member, score)
            yield
    return made


_Operation = Callable[["list[_Source]", _Asked], Generator[None, None, Ranking]]


class _Combined:
    """A command that makes one of several.  `at`: the place of their number; before it is a destination."""

    def __init__(self, operation: _Operation, at: int, allowed: str) -> None:
        self._operation = operation
        self._at = at
        self._allowed = set(allowed.encode().split())

    def check(self, command: Command) -> None:
        """See CommandSpec.check."""
        _asked_of(command, self._at, self._allowed)

    def find(self, command: Command) -> Touched:
        """See CommandSpec.find.  What is stored may remove a source that is due: so it writes them all."""
        keys = _keys_of(command, self._at)
        return Touched((), keys) if self._at == 1 else Touched((command[1], *keys))

    def in_pieces(self, space: Space, command: Command, size: int) -> Piecewise:
        """See CommandSpec.in_pieces."""
        asked = _asked_of(command, self._at, self._allowed)
        made = yield from self._operation(_sources(space, asked), asked)
        if self._at == 2:
            return store(space, command[1], made)
        if b"LIMIT" in self._allowed:
            return len(made)
        reply: list[Any] = ReplyPairs() if asked.with_scores else []
        for scores, members in made.pieces(0, len(made)):
            if asked.with_scores:
                reply += chain.from_iterable(zip(members, scores))
            else:
                reply += members
            yield
        return reply


_WEIGHTS = "WEIGHTS AGGREGATE"
_WEIGHTS_USAGE = " [WEIGHTS weight ...] [AGGREGATE SUM | MIN | MAX]"


def _spec(
    name: bytes, operation: _Operation, allowed: str, options: str, summary: str, writes: bool = False
) -> CommandSpec:
    combined = _Combined(operation, 2 if writes else 1, allowed)
    destination = "destination " if writes else ""
    return CommandSpec(
        name, at_once(combined.in_pieces), -4 if writes else -3, Keys.FIRST if writes else Keys.NONE, writes,
        check=combined.check, find=combined.find, in_pieces=combined.in_pieces, is_large=always,
        usage=f"{name.decode()} {destination}numkeys key [key ...]{options}", summary=summary,
        flags=("denyoom",) if writes else (), categories=("sortedset",),
        complexity="O(N log(N)) with N members of all of them",
    )  # fmt: skip


_ALSO = "; sets count as sorted sets whose scores are 1"

COMMANDS = (
    _spec(
        b"ZUNION", _union, _WEIGHTS + " WITHSCORES", _WEIGHTS_USAGE + " [WITHSCORES]",
        "the members of any of several sorted sets, with the sums of their scores" + _ALSO,
    ),
    _spec(
        b"ZUNIONSTORE", _union, _WEIGHTS, _WEIGHTS_USAGE,
        "set a key to what ZUNION answers; the reply counts the members", True,
    ),
    _spec(
        b"ZINTER", _inter, _WEIGHTS + " WITHSCORES", _WEIGHTS_USAGE + " [WITHSCORES]",
        "the members that all of several sorted sets have, with the sums of their scores" + _ALSO,
    ),
    _spec(
        b"ZINTERSTORE", _inter, _WEIGHTS, _WEIGHTS_USAGE,
        "set a key to what ZINTER answers; the reply counts the members", True,
    ),
    _spec(
        b"ZINTERCARD", _inter, "LIMIT", " [LIMIT limit]",
        "how many members all of several sorted sets have, at most `limit`",
    ),
    _spec(
        b"ZDIFF", _diff, "WITHSCORES", " [WITHSCORES]",
        "the members of the first of several sorted sets that no other has" + _ALSO,
    ),
    _spec(
        b"ZDIFFSTORE", _diff, "", "", "set a key to what ZDIFF answers; the reply counts the members", True
    ),
)  # fmt: skip
