"""Members of a large sorted set in the order of their scores, in blocks.

A search is a bisection over the last members of the blocks, and one in a block.  A copy shares every block
with the original, until one of the two is about to change the block.  How the members are parted into blocks
depends on what was done; nothing that anybody sees depends on the blocks.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

from epaxos.statemachines.redis.discards import discard

__all__ = ["BLOCK_MEMBERS_MAX", "Ordered"]

BLOCK_MEMBERS_MAX = 1024
"""The most members of a block, which is copied in 5 us.  Of a million members, the list of blocks has 2,000
at most, and is copied in as short a time."""
_FEW = BLOCK_MEMBERS_MAX // 4


class _Block:
    """Members in order, and their scores.  `owner`: the token of the one Ordered that may change it."""

    __slots__ = ("members", "owner", "scores")

    def __init__(self, scores: list[float], members: list[bytes], owner: object) -> None:
        self.scores = scores
        self.members = members
        self.owner = owner


class Ordered:
    """Pairs of a score and a member, each pair at most once."""

    __slots__ = ("_blocks", "_counts", "_ends", "_last_members", "_last_scores", "_token")

    def __init__(self) -> None:
        self._blocks: list[_Block] = []
        self._counts: list[int] = []
        self._last_scores: list[float] = []
        self._last_members: list[bytes] = []
        self._ends: list[int] | None = None  # the sums of _counts, see `ends`, until something changes
        self._token = object()

    def copy(self) -> Ordered:
        """Independent of this one, whichever of the two changes."""
        copied = Ordered()
        copied._blocks = self._blocks.copy()
        copied._counts = self._counts.copy()
        copied._last_scores = self._last_scores.copy()
        copied._last_members = self._last_members.copy()
        self._token = object()
        return copied

    def __del__(self) -> None:
        if len(self._blocks) > 1:
            discard(self._blocks)

    # -- changing

    def extend(self, scores: list[float], members: list[bytes]) -> None:
        """Add members that are in order, and behind all that are there.  Nobody else has the two lists."""
        for start in range(0, len(members), BLOCK_MEMBERS_MAX):
            end = start + BLOCK_MEMBERS_MAX
            block = _Block(scores[start:end], members[start:end], self._token)
            self._insert_block(len(self._blocks), block)

    def add(self, score: float, member: bytes) -> None:
        """Add a pair that is not there."""
        if not self._blocks:
            self.extend([score], [member])
            return
        number = min(self._block_of(score, member), len(self._blocks) - 1)
        block = self._own(number)
        place = _place_in(block.scores, block.members, score, member)
        block.scores.insert(place, score)
        block.members.insert(place, member)
        if len(block.members) > BLOCK_MEMBERS_MAX:
            self._split(number, block)
        else:
            self._note(number, block)

    def remove(self, score: float, member: bytes) -> None:
        """Remove a pair that is there."""
        number = self._block_of(score, member)
        block = self._own(number)
        place = _place_in(block.scores, block.members, score, member)
        del block.scores[place], block.members[place]
        if not block.members:
            self._delete_block(number)
            return
        self._note(number, block)
        if len(block.members) < _FEW and number and self._counts[number - 1] < _FEW:
            before = self._own(number - 1)
            before.scores += block.scores
            before.members += block.members
            self._delete_block(number)
            self._note(number - 1, before)

    def _own(self, number: int) -> _Block:
        block = self._blocks[number]
        if block.owner is not self._token:
            block = _Block(block.scores.copy(), block.members.copy(), self._token)
            self._blocks[number] = block
        return block

    def _split(self, number: int, block: _Block) -> None:
        half = len(block.members) // 2
        behind = _Block(block.scores[half:], block.members[half:], self._token)
        del block.scores[half:], block.members[half:]
        self._note(number, block)
        self._insert_block(number + 1, behind)

    def _note(self, number: int, block: _Block) -> None:
        """A block has changed."""
        self._counts[number] = len(block.members)
        self._last_scores[number] = block.scores[-1]
        self._last_members[number] = block.members[-1]
        self._ends = None

    def _insert_block(self, number: int, block: _Block) -> None:
        self._blocks.insert(number, block)
        self._counts.insert(number, len(block.members))
        self._last_scores.insert(number, block.scores[-1])
        self._last_members.insert(number, block.members[-1])
        self._ends = None

    def _delete_block(self, number: int) -> None:
        del self._blocks[number], self._counts[number]
        del self._last_scores[number], self._last_members[number]
        self._ends = None

    # -- places, which begin at 0

    def rank(self, score: float, member: bytes) -> int:
        """The place of a pair that is there."""
        number = self._block_of(score, member)
        block = self._blocks[number]
        return sum(self._counts[:number]) + _place_in(block.scores, block.members, score, member)

    def below(self, score: float) -> int:
        """The number of members with a lower score."""
        number = bisect_left(self._last_scores, score)
        return self._place(number, bisect_left, score)

    def up_to(self, score: float) -> int:
        """The number of members with this score or a lower one."""
        number = bisect_right(self._last_scores, score)
        return self._place(number, bisect_right, score)

    def _place(self, number: int, bisect: object, score: float) -> int:
        within = 0
        if number < len(self._blocks):
            within = bisect(self._blocks[number].scores, score)  # type: ignore[operator]
        return sum(self._counts[:number]) + within

    def member_at(self, place: int) -> bytes:
        """The member at this place."""
        ends = self.ends()
        number = bisect_right(ends, place)
        return self._blocks[number].members[place - ends[number]]  # counted from the end of the block

    def pieces(self, start: int, end: int) -> Iterator[tuple[list[float], list[bytes]]]:
        """The scores and members from `start` up to, not including, `end`, in lists of BLOCK_MEMBERS_MAX at
        most.  Nobody may change them meanwhile, nor the lists."""
        ends = self.ends()
        number = bisect_right(ends, start)
        while start < end and number < len(ends):
            block = self._blocks[number]
            begin = ends[number] - len(block.members)
            if start == begin and ends[number] <= end:
                yield block.scores, block.members
            else:
                yield block.scores[start - begin : end - begin], block.members[start - begin : end - begin]
            start = ends[number]
            number += 1

    def members_of(self, block: int) -> list[bytes]:
        """The members in one block.  Nobody may change the list."""
        return self._blocks[block].members

    def ends(self) -> list[int]:
        """For each block, how many members are in it and before it."""
        if self._ends is None:
            self._ends = list(accumulate(self._counts))
        return self._ends

    def _block_of(self, score: float, member: bytes) -> int:
        """The first block that does not end before this pair; behind all blocks where each one does."""
        return _place_in(self._last_scores, self._last_members, score, member)


def _place_in(scores: Sequence[float], members: Sequence[bytes], score: float, member: bytes) -> int:
    """The number of pairs that come before this one."""
    place = bisect_left(scores, score)
    if place < len(scores) and scores[place] == score:
        place = bisect_left(members, member, place, bisect_right(scores, score, place))
    return place
