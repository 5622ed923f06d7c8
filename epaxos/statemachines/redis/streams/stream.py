"""The value of a stream: entries in blocks (`blocks.py`), in the order of their ids, and groups.

A copy shares blocks and groups with the original, so it takes no time; whoever changes a block or a group
first copies it.  The block of the highest ids is open while entries are added; one that was opened for a
removal is packed again when another one is opened.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from struct import Struct, error
from typing import Union

from epaxos.interfaces.redis import INTEGER_MAX
from epaxos.statemachines.redis.discards import discard
from epaxos.statemachines.redis.pieces import decode_piece
from epaxos.statemachines.redis.streams.blocks import (
    BLOCK_ENTRIES,
    PACKED_BYTES_MAX,
    Block,
    Entry,
    Packed,
    count_of,
    packed,
    reading,
    size_of,
    unpacked,
)
from epaxos.statemachines.redis.streams.encoding import (
    elements_of_blocks,
    elements_of_groups,
    in_pieces,
    read_blocks,
    read_groups,
    taken,
)
from epaxos.statemachines.redis.streams.groups import Groups
from epaxos.statemachines.redis.streams.ids import HIGHEST_ID, ID_BYTES
from epaxos.statemachines.redis.values import NOWHERE, Collection

__all__ = ["Stream"]

_FREED_BLOCKS = 64
"""Blocks that are freed in one step."""
_MEASURED_BLOCKS = 1000
_PENDING_BYTES = 180
"""About the bytes that an entry takes because it is pending."""

_HEAD = Struct(">16s16sQII")
"""The last id, the highest that was deleted, the number of entries ever, of blocks, and of groups."""

_Held = Union[bytes, Block]


class Stream(Collection):
    """A stream, which may be empty: then it stays, as in Redis.

    `last_id`: the highest id that it ever gave; `max_deleted`: the highest one that XDEL removed, 0 for none;
    `added`: the number of entries that it ever got.
    """

    __slots__ = (
        *("_blocks", "_firsts", "_length", "_opened", "_owner"),
        *("added", "groups", "last_id", "max_deleted"),
    )

    type_name = "stream"
    letter = b"x"
    encoding = "stream"

    def __init__(self) -> None:
        self.generation = NOWHERE
        self.last_id = 0
        self.max_deleted = 0
        self.added = 0
        self._length = 0
        self._blocks: list[_Held] = []
        self._firsts: list[int] = []
        """For each block the id with which it began."""
        self._opened = -1
        """The id with which a block began that was opened for a removal; -1 when there is none."""
        self._owner = object()
        self.groups = Groups()

    def __len__(self) -> int:
        return self._length

    def __del__(self) -> None:
        blocks = self._blocks
        if len(blocks) > _FREED_BLOCKS:
            discard([blocks[i : i + _FREED_BLOCKS] for i in range(0, len(blocks), _FREED_BLOCKS)])

    def copy(self) -> Stream:
        """See Collection."""
        copied = Stream()
        copied.last_id, copied.max_deleted, copied.added = self.last_id, self.max_deleted, self.added
        copied._length, copied._opened = self._length, self._opened
        copied._blocks, copied._firsts = self._blocks.copy(), self._firsts.copy()
        copied.groups = self.groups.copy()
        self._owner = object()
        return copied

    # -- reading

    @property
    def first_id(self) -> int:
        """The lowest id that is there, 0 where there is none."""
        return self._read(0).ids[0] if self._blocks else 0

    @property
    def first_count(self) -> int:
        """The number of entries of the first block, 0 where there is none."""
        return count_of(self._blocks[0]) if self._blocks else 0

    @property
    def top_id(self) -> int:
        """The highest id that is there, 0 where there is none."""
        return self._read(len(self._blocks) - 1).ids[-1] if self._blocks else 0

    def get(self, number: int) -> Entry | None:
        """The entry with this id, None where there is none."""
        at = bisect_right(self._firsts, number) - 1
        if at < 0:
            return None
        block = self._read(at)
        place = bisect_left(block.ids, number)
        if place == len(block.ids) or block.ids[place] != number:
            return None
        return block.part(place, place + 1)[0]

    def some_from(
        self, start: int, end: int = HIGHEST_ID, most: int = BLOCK_ENTRIES
    ) -> tuple[list[int], list[Entry]]:
        """The next ids from `start` up to `end`, and their entries: at most `most` of one block, or none at
        all."""
        for at in range(max(0, bisect_right(self._firsts, start) - 1), len(self._blocks)):
            block = self._read(at)
            place = bisect_left(block.ids, start)
            if place < len(block.ids):
                behind = min(bisect_right(block.ids, end), place + most)
                return block.ids[place:behind], block.part(place, max(place, behind))
        return [], []

    def some_down(self, end: int, start: int = 0, most: int = BLOCK_ENTRIES) -> tuple[list[int], list[Entry]]:
        """The same from `end` down to `start`."""
        for at in range(bisect_right(self._firsts, end) - 1, -1, -1):
            block = self._read(at)
            behind = bisect_right(block.ids, end)
            if behind:
                place = min(behind, max(bisect_left(block.ids, start), behind - most))
                return block.ids[place:behind][::-1], block.part(place, behind)[::-1]
        return [], []

    @property
    def block_count(self) -> int:
        """The number of blocks."""
        return len(self._blocks)

    def blocks(self) -> Sequence[tuple[int, bytes | Block]]:
        """All blocks, each behind the id with which it began.  Nobody may change them."""
        return list(zip(self._firsts, self._blocks))

    def size_bytes(self) -> int:
        """About the bytes that it takes; as if all blocks were as long as the first ones."""
        some = self._blocks[:_MEASURED_BLOCKS]
        held = sum(map(size_of, some))
        groups = list(islice(map(self.groups.get, self.groups.names), _MEASURED_BLOCKS))
        pending = sum(len(group.pending) for group in groups if group is not None)
        return held * len(self._blocks) // max(1, len(some)) + _PENDING_BYTES * pending

    # -- changing

    def append(self, number: int, fields: tuple[bytes, ...]) -> None:
        """Add an entry with the highest id."""
        last = len(self._blocks) - 1
        if last >= 0:
            block = self._open(last)
            size_bytes = block.bytes_for(fields)
            if not block.has_room(size_bytes):
                self._pack(last)
                last = -1
        if last < 0:
            block = Block(self._owner, [], [])
            size_bytes = block.bytes_for(fields)
            self._blocks.append(block)
            self._firsts.append(number)
        block.append(number, fields, size_bytes)
        self._length += 1
        self.added = min(self.added + 1, INTEGER_MAX)
        self.last_id = number

    def remove(self, number: int) -> bool:
        """Remove the entry with this id.  Returns whether there was one."""
        at = bisect_right(self._firsts, number) - 1
        if at < 0:
            return False
        ids = self._read(at).ids
        place = bisect_left(ids, number)
        if place == len(ids) or ids[place] != number:
            return False
        self._remove_within(at, place, place + 1)
        return True

    def trim_block(self, count: int, minimum: int, exact: bool) -> int:
        """Remove entries of the first block, which there is; return their number.

        At most `count` of them, and those with ids below `minimum`.  Unless it is `exact`, all or none.
        """
        block = self._blocks[0]
        entries = count_of(block)
        if entries > count or (minimum <= HIGHEST_ID and self._read(0).ids[-1] >= minimum):
            if not exact:
                return 0
            entries = min(count, bisect_left(self._read(0).ids, minimum))
            if entries:
                self._remove_within(0, 0, entries)
            return entries
        del self._blocks[0], self._firsts[0]
        self._length -= entries
        return entries

    def _remove_within(self, at: int, start: int, end: int) -> None:
        if end - start == count_of(self._blocks[at]):
            del self._blocks[at], self._firsts[at]
        else:
            if at < len(self._blocks) - 1 and self._firsts[at] != self._opened:
                self._close()
                self._opened = self._firsts[at]
            self._open(at).remove(start, end)
        self._length -= end - start

    def _read(self, at: int) -> Block | Packed:
        block = self._blocks[at]
        return reading(block) if isinstance(block, bytes) else block

    def _open(self, at: int) -> Block:
        """The block, to be changed."""
        block = self._blocks[at]
        if isinstance(block, bytes):
            block = self._blocks[at] = unpacked(reading(block), self._owner)
        elif block.owner is not self._owner:
            block = self._blocks[at] = block.copy(self._owner)
        return block

    def _pack(self, at: int) -> None:
        block = self._blocks[at]
        if isinstance(block, Block) and block.size_bytes <= PACKED_BYTES_MAX:
            self._blocks[at] = packed(block)

    def _close(self) -> None:
        """Pack the block that was opened for a removal, unless entries are added to it."""
        at = bisect_left(self._firsts, self._opened)
        if at < len(self._firsts) - 1 and self._firsts[at] == self._opened:
            self._pack(at)

    # -- encoding

    def encode(self) -> Iterator[bytes]:
        """See Collection: the head, the blocks, and the groups."""
        ids = (number.to_bytes(ID_BYTES, "big") for number in (self.last_id, self.max_deleted))
        head = _HEAD.pack(*ids, self.added, len(self._blocks), len(self.groups))
        return in_pieces(chain((head,), elements_of_blocks(self.blocks()), elements_of_groups(self.groups)))

    @classmethod
    def decode(cls, pieces: Iterable[bytes]) -> Stream:
        """See Collection."""
        stream = cls()
        elements = chain.from_iterable(map(decode_piece, pieces))
        try:
            last_id, max_deleted, stream.added, blocks, groups = _HEAD.unpack(taken(elements))
            stream.last_id, stream.max_deleted = (
                int.from_bytes(number, "big") for number in (last_id, max_deleted)
            )
            for first, block in read_blocks(elements, blocks, stream.last_id):
                stream._blocks.append(block)
                stream._firsts.append(first)
                stream._length += count_of(block)
            read_groups(stream.groups, elements, groups)
        except error:
            raise ValueError("a stream with an element that is none") from None
        if next(elements, None) is not None:
            raise ValueError("a stream with more elements than it has")
        return stream
