"""A large list of bytes: blocks of at most BLOCK_ELEMENTS elements, so that no step takes long, nor a copy.

How the elements lie in blocks is seen by nobody outside: two lists of the same elements may differ in it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Generator, Iterable, Iterator
from itertools import accumulate, compress, islice
from operator import not_

from epaxos.statemachines.redis.discards import discard

__all__ = ["BLOCK_ELEMENTS", "Blocks"]

BLOCK_ELEMENTS = 1024
"""The most elements of a block, which is copied in 0.005 ms.  A list of a million has a thousand blocks."""


class Blocks:
    """Elements in their order.

    A copy shares every block with the original, until one of the two is about to change the block.  Only one
    thread may change them; the blocks of a list that nobody changes may be read in another thread.  No block
    is empty, but for the only one of an empty list.
    """

    __slots__ = ("_blocks", "_count", "_owned")

    def __init__(self, elements: Iterable[bytes] = ()) -> None:
        self._blocks: list[list[bytes]] = []
        rest = iter(elements)
        self._blocks.append(list(islice(rest, BLOCK_ELEMENTS)))
        while block := list(islice(rest, BLOCK_ELEMENTS)):
            self._blocks.append(block)
        self._owned = bytearray(b"\1" * len(self._blocks))
        """For each block whether nobody else has it."""
        self._count = sum(map(len, self._blocks))

    def copy(self) -> Blocks:
        """Independent of this one, whichever of the two changes."""
        copied = Blocks.__new__(Blocks)
        copied._blocks = self._blocks.copy()
        copied._count = self._count
        copied._owned = bytearray(len(self._blocks))
        self._owned = bytearray(len(self._blocks))
        return copied

    def __del__(self) -> None:
        if len(self._blocks) > 1:
            discard(self._blocks)

    def __len__(self) -> int:
        return self._count

    # -- reading

    def get(self, index: int) -> bytes:
        """The element at this place, which begins at 0."""
        number, place = self._locate(index)
        return self._blocks[number][place]

    def slices(self, start: int, end: int) -> Iterator[list[bytes]]:
        """The elements from `start` up to, not including, `end`: lists of at most BLOCK_ELEMENTS.

        Nobody may change the list meanwhile.
        """
        if start >= end:
            return
        number, place = self._locate(start)
        left = end - start
        while left > 0:
            some = self._blocks[number][place : place + left]
            yield some
            left -= len(some)
            number, place = number + 1, 0

    def backwards(self) -> Iterator[list[bytes]]:
        """The blocks, the last one first; each in its order.  Nobody may change them."""
        return reversed(self._blocks)

    # -- changing

    def push_left(self, element: bytes) -> None:
        """Add a first element."""
        if len(self._blocks[0]) < BLOCK_ELEMENTS:
            self._own(0).insert(0, element)
        else:
            self._blocks.insert(0, [element])
            self._owned.insert(0, 1)
        self._count += 1

    def push_right(self, element: bytes) -> None:
        """Add a last element."""
        if len(self._blocks[-1]) < BLOCK_ELEMENTS:
            self._own(-1).append(element)
        else:
            self._blocks.append([element])
            self._owned.append(1)
        self._count += 1

    def pop_left(self) -> bytes:
        """Remove the first element of one or more."""
        element = self._own(0).pop(0)
        self._after_pop(0)
        return element

    def pop_right(self) -> bytes:
        """Remove the last element of one or more."""
        element = self._own(-1).pop()
        self._after_pop(-1)
        return element

    def _after_pop(self, number: int) -> None:
        self._count -= 1
        if not self._blocks[number] and self._count:
            del self._blocks[number], self._owned[number]

    def set(self, index: int, element: bytes) -> None:
        """Replace the element at this place."""
        number, place = self._locate(index)
        self._own(number)[place] = element

    def insert(self, index: int, element: bytes) -> None:
        """Add an element before that at this place, at the end where `index` is the length."""
        if index == self._count:
            self.push_right(element)
            return
        number, place = self._locate(index)
        block = self._own(number)
        block.insert(place, element)
        self._count += 1
        if len(block) > BLOCK_ELEMENTS:
            half = len(block) // 2
            self._blocks[number : number + 1] = [block[:half], block[half:]]
            self._owned.insert(number, 1)

    def keep(self, start: int, end: int) -> None:
        """Remove all but the elements from `start` up to, not including, `end`, which are one or more."""
        last, behind = self._locate(end - 1)
        first, before = self._locate(start)
        del self._own(last)[behind + 1 :]
        del self._own(first)[:before]
        discard(self._blocks[last + 1 :])
        discard(self._blocks[:first])
        self._blocks = self._blocks[first : last + 1]
        self._owned = self._owned[first : last + 1]
        self._count = end - start

    def remove(self, element: bytes, most: int, from_end: bool) -> Generator[None, None, int]:
        """Remove elements that are equal to this one, at most this number of them; None after each block."""
        removed = 0
        numbers = range(len(self._blocks))
        for number in reversed(numbers) if from_end else numbers:
            block = self._blocks[number]
            count = min(block.count(element), most - removed)
            if count:
                self._blocks[number] = without(block, element, count, from_end)
                self._owned[number] = 1
                removed += count
                if removed == most:
                    break
            yield
        self._count -= removed
        is_kept = list(map(bool, self._blocks))
        if not self._count:
            is_kept[0] = True
        self._owned = bytearray(compress(self._owned, is_kept))
        self._blocks = list(compress(self._blocks, is_kept))
        return removed

    # -- blocks

    def _locate(self, index: int) -> tuple[int, int]:
        """The number of a block, and the place in it."""
        blocks = self._blocks
        if index < len(blocks[0]):
            return 0, index
        place = index - self._count + len(blocks[-1])
        if place >= 0:
            return len(blocks) - 1, place
        ends = list(accumulate(map(len, blocks)))
        number = bisect_right(ends, index)
        return number, index - ends[number - 1]

    def _own(self, number: int) -> list[bytes]:
        if not self._owned[number]:
            self._blocks[number] = self._blocks[number].copy()
            self._owned[number] = 1
        return self._blocks[number]


def without(elements: list[bytes], element: bytes, count: int, from_end: bool) -> list[bytes]:
    """The elements without `count` of those that are equal to `element`: the first ones, or the last ones."""
    is_equal = list(map(element.__eq__, elements))
    places = list(compress(range(len(elements)), is_equal))
    for place in places[:-count] if from_end else places[count:]:
        is_equal[place] = False
    return list(compress(elements, map(not_, is_equal)))
