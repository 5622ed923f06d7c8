"""The value of a sorted set: members in the order of their scores, and of their bytes where scores are equal.

It has one of three forms, as a hash has (`fields.py`):

- *packed*: one `bytes` (`packed_ranking.py`), for at most 128 members of at most 64 bytes;
- *listed*: a dict of the scores, and blocks of the members in order (`ordered.py`), for at most LISTED_MAX;
- *parted*: the same with many dicts (`parted.py`).

The order of the scores is a property of what is in it; so no reply depends on what else was done.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, pairwise
from math import isnan
from struct import Struct, pack, unpack
from typing import Union

from epaxos.statemachines.redis import packed_ranking as packed
from epaxos.statemachines.redis.named import LISTED_MAX, scan
from epaxos.statemachines.redis.ordered import Ordered
from epaxos.statemachines.redis.packed_ranking import put as put_packed
from epaxos.statemachines.redis.parted import Parted
from epaxos.statemachines.redis.pieces import decode_piece, pieces_of
from epaxos.statemachines.redis.scores import LexBound, ScoreBound
from epaxos.statemachines.redis.values import NOWHERE, Collection

__all__ = ["Ranking"]


LARGE_MEMBER_BYTES = 125
"""About the memory of a member of a large sorted set beside its own bytes: its head, its score, a place in a
dictionary that is two thirds full, and its place in a block."""
_MEASURED_MEMBERS = 256
"""The first ones, and not those of a block, because another replica may have other blocks."""

_PACKED, _LISTED, _PARTED = b"pld"
_HEAD = Struct("<BQ")

_Scores = Union["dict[bytes, float]", "Parted[float]"]


class Ranking(Collection):
    """A sorted set.  `copy` takes less than 0.1 ms, whatever the size is.

    No score is NaN or minus zero.  `_packed`: the packed form; what `_scores` and `_order` are does not
    matter, unless it is None.
    """

    __slots__ = ("_order", "_packed", "_scores")

    type_name = "zset"
    letter = b"z"

    def __init__(self, data: bytes = packed.EMPTY) -> None:
        self.generation = NOWHERE
        self._packed: bytes | None = data
        self._scores: _Scores
        self._order: Ordered

    # -- reading

    @property
    def encoding(self) -> str:
        """The form in the words of OBJECT ENCODING."""
        return "skiplist" if self._packed is None else "listpack"

    def __len__(self) -> int:
        return len(self._scores) if self._packed is None else self._packed[0]

    def size_bytes(self) -> int:
        """About the memory that it takes; of a large one as if all members were as long as some."""
        if self._packed is not None:
            return len(self._packed)
        _, members = self.part(0, _MEASURED_MEMBERS)
        return len(self) * (LARGE_MEMBER_BYTES + sum(map(len, members)) // len(members))

    def get(self, member: bytes) -> float | None:
        """The score of a member, None where there is none."""
        data = self._packed
        return self._scores.get(member) if data is None else packed.get(data, member)

    def rank(self, member: bytes) -> int | None:
        """The place of a member, which begins at 0; None where there is none."""
        score = self.get(member)
        return None if score is None else self._ordered().rank(score, member)

    def pieces(self, start: int, end: int) -> Iterator[tuple[list[float], list[bytes]]]:
        """The scores and the members at the places from `start` up to, not including, `end`, in lists that
        are one step each.  Nobody may change the sorted set meanwhile, nor the lists."""
        return self._ordered().pieces(start, end)

    def part(self, start: int, end: int) -> tuple[list[float], list[bytes]]:
        """The scores and the members at few places, in lists of the caller's own."""
        scores: list[float] = []
        members: list[bytes] = []
        for some_scores, some_members in self.pieces(start, end):
            scores += some_scores
            members += some_members
        return scores, members

    def place_of_score(self, bound: ScoreBound, is_end: bool) -> int:
        """Where the members begin, or end, that are within this bound of a range of scores."""
        order = self._ordered()
        return order.up_to(bound.score) if bound.is_open is not is_end else order.below(bound.score)

    def place_of_member(self, bound: LexBound, is_end: bool) -> int:
        """The same of a range of members, all of which should have one score.

        Where they have not, the answer means nothing; the steps of the search depend on the number of
        members alone, so it is the same at every replica.
        """
        size = len(self)
        if bound.side:
            return 0 if bound.side < 0 else size
        search = bisect_right if bound.is_open is not is_end else bisect_left
        return search(range(size), bound.member, key=self._ordered().member_at)

    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        """See Named.scan.  The order of what is found does not depend on that of the dicts."""
        if self._packed is not None:
            return 0, packed.ordered(self._packed)[1]
        cursor, members = scan(self._scores, cursor, count)
        return cursor, sorted(members)

    def ends(self) -> list[int]:
        """For each part of the order, how many members are in it and before it."""
        return self._ordered().ends()

    def names_of(self, part: int) -> list[bytes]:
        """The members in one part of the order.  Nobody may change the list."""
        return self._ordered().members_of(part)

    def _ordered(self) -> Ordered:
        """The members in order, which may not be changed."""
        if self._packed is None:
            return self._order
        order = Ordered()
        order.extend(*packed.ordered(self._packed))
        return order

    # -- changing

    def put(self, member: bytes, score: float) -> float | None:
        """Set the score of a member.  Returns the score that it had, None where it is new."""
        data = self._packed
        if data is not None:
            if len(member) <= packed.MEMBER_BYTES_MAX:
                done = put_packed(data, member, score)
                if done is not None:
                    self._packed, before = done
                    return before
            self._unpack(data)
        scores, order = self._scores, self._order
        before = scores.get(member)
        if before is None:
            scores[member] = score
            order.add(score, member)
            if len(scores) > LISTED_MAX and not isinstance(scores, Parted):
                self._scores = Parted(scores.items())
        elif before != score:
            order.remove(before, member)
            scores[member] = score
            order.add(score, member)
        return before

    def remove(self, member: bytes) -> bool:
        """Remove a member.  Returns whether there was one."""
        if self._packed is not None:
            rest = packed.remove(self._packed, member)
            if rest is not None:
                self._packed = rest
            return rest is not None
        score = self._scores.pop(member, None)
        if score is not None:
            self._order.remove(score, member)
        return score is not None

    def copy(self) -> Ranking:
        """See Collection."""
        copied = Ranking()
        copied._packed = self._packed
        if self._packed is None:
            copied._scores = self._scores.copy()
            copied._order = self._order.copy()
        return copied

    def _unpack(self, data: bytes) -> None:
        scores, members = packed.ordered(data)
        self._scores = dict(zip(members, scores))
        self._order = Ordered()
        self._order.extend(scores, members)
        self._packed = None

    # -- encoding

    def encode(self) -> Iterator[bytes]:
        """See Collection: the form, the number of members, and each score with its member, in order."""
        if self._packed is not None:
            yield bytes([_PACKED]) + self._packed
            return
        size = len(self._scores)
        head = _HEAD.pack(_PARTED if isinstance(self._scores, Parted) else _LISTED, size)
        for scores, members in self._order.pieces(0, size):
            texts = _in_eights(pack(f"<{len(scores)}d", *scores))
            for piece in pieces_of(list(chain.from_iterable(zip(texts, members))), 2):
                yield head + piece
                head = b""

    @classmethod
    def decode(cls, pieces: Iterable[bytes]) -> Ranking:
        """See Collection."""
        rest = iter(pieces)
        first = next(rest, b"")
        made = cls()
        if first[:1] == bytes([_PACKED]):
            packed.check(first[1:])
            made._packed = first[1:]
        else:
            made._decode_large(first, rest)
        if next(rest, None) is not None:
            raise ValueError("a sorted set with more pieces than it has")
        return made

    def _decode_large(self, first: bytes, rest: Iterator[bytes]) -> None:
        if len(first) < _HEAD.size:
            raise ValueError(f"a sorted set of {len(first)} bytes")
        form, count = _HEAD.unpack_from(first)
        if form not in (_LISTED, _PARTED):
            raise ValueError(f"a sorted set of the unknown form {form}: it was written by a later version")
        held: _Scores = Parted[float]() if form == _PARTED else {}
        self._packed, self._scores, self._order = None, held, Ordered()
        found = 0
        last: list[tuple[float, bytes]] = []
        piece: bytes | None = first[_HEAD.size :]
        while found < count and piece is not None:
            scores, members = _decode_pairs(piece)
            last = _in_order([*last, *zip(scores, members)])
            found += len(members)
            held.update(zip(members, scores))
            self._order.extend(scores, members)
            piece = next(rest, None) if found < count else None
        if not 0 < len(held) == found == count:
            raise ValueError(f"a sorted set of {count} members with {len(held)}")


def _in_eights(data: bytes) -> list[bytes]:
    return [data[start : start + 8] for start in range(0, len(data), 8)]


def _decode_pairs(piece: bytes) -> tuple[list[float], list[bytes]]:
    """The scores and the members in a piece.  Raises ValueError."""
    items = decode_piece(piece)
    texts, members = items[::2], items[1::2]
    if len(items) % 2 or set(map(len, texts)) != {8}:
        raise ValueError("a piece of a sorted set with something else for a score")
    return list(unpack(f"<{len(texts)}d", b"".join(texts))), members


def _in_order(pairs: Sequence[tuple[float, bytes]]) -> list[tuple[float, bytes]]:
    """The last of these pairs.  Raises ValueError unless each is behind the one before it."""
    if any(map(isnan, (score for score, _ in pairs))) or any(one >= other for one, other in pairwise(pairs)):
        raise ValueError("members of a sorted set that are not in order")
    return list(pairs[-1:])
