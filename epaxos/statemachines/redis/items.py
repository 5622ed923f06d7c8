"""The value of a list: its elements, in one of two forms.

- *Packed*: one `bytes` (`packed_list.py`), for at most 128 elements of at most 64 bytes;
- *blocks*: many lists (`blocks.py`), for any others: then no push or pop, no copy, and no piece of an
  encoding takes long.

A list only ever changes to the later form, when an element does not fit any more.  It never changes back,
unless it has lost all its elements: then it is as a new one, which it is to all who push behind a pop.
The form is part of the encoding.  How elements lie in blocks is not: neither a reply nor the encoding shows
it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import chain, compress, islice
from struct import Struct

from epaxos.statemachines.redis import packed_list
from epaxos.statemachines.redis.blocks import Blocks, without
from epaxos.statemachines.redis.escapes import BEGIN, escaped
from epaxos.statemachines.redis.packed_list import ELEMENT_BYTES_MAX, ELEMENTS_MAX
from epaxos.statemachines.redis.pieces import decode_piece, pieces_of
from epaxos.statemachines.redis.values import NOWHERE, Collection

__all__ = ["PIECE_ELEMENTS", "Items"]

PIECE_ELEMENTS = 1024
"""The most elements that a step, or a piece of an encoding, has; 0.1 ms."""

_PACKED, _BLOCKS = b"pb"
_HEAD = Struct("<BQ")


class Items(Collection):
    """A list.  `copy` takes less than 0.1 ms, whatever the size is: a copy shares with the original what
    neither of the two has changed since."""

    __slots__ = ("_held",)

    type_name = "list"
    letter = b"l"

    def __init__(self, held: bytes | Blocks = b"") -> None:
        self.generation = NOWHERE
        self._held = held

    # -- reading

    @property
    def encoding(self) -> str:
        """The form in the words of OBJECT ENCODING."""
        return "listpack" if type(self._held) is bytes else "quicklist"

    def __len__(self) -> int:
        held = self._held
        return packed_list.count(held) if isinstance(held, bytes) else len(held)

    def __bool__(self) -> bool:
        return bool(self._held)

    def get(self, index: int) -> bytes | None:
        """The element at this place, from the end where it is negative; None where there is none."""
        held = self._held
        if isinstance(held, bytes):
            elements = packed_list.flat(held)
            return elements[index] if -len(elements) <= index < len(elements) else None
        if index < 0:
            index += len(held)
        return held.get(index) if 0 <= index < len(held) else None

    def slices(self, start: int, end: int) -> Iterator[list[bytes]]:
        """The elements from `start` up to, not including, `end`: lists of at most PIECE_ELEMENTS.

        Both lie within the list.  Nobody may change it meanwhile.
        """
        held = self._held
        if not isinstance(held, bytes):
            yield from held.slices(start, end)
        elif start < end:
            yield packed_list.flat(held)[start:end]

    def flat(self) -> Iterator[list[bytes]]:
        """All elements: lists of PIECE_ELEMENTS, and the rest.  Nobody may change the list meanwhile."""
        elements = chain.from_iterable(self.slices(0, len(self)))
        while piece := list(islice(elements, PIECE_ELEMENTS)):
            yield piece

    def matches(self, element: bytes, from_end: bool = False, within: int = 0) -> Iterator[list[int]]:
        """The places of the elements that are equal to this one: a list, perhaps without any, for each step.

        `from_end`: the last ones first.  `within`: only so many elements from there are looked at; 0 for all.
        """
        held, size = self._held, len(self)
        left = min(within, size) if within else size
        if isinstance(held, bytes):
            held = Blocks(packed_list.flat(held))
        start = size if from_end else 0
        for block in held.backwards() if from_end else held.slices(0, left):
            start -= len(block) if from_end else 0
            found = list(compress(range(start, start + len(block)), map(element.__eq__, block)))
            if from_end:
                found.reverse()
                yield [place for place in found if place >= size - left]
                if size - start >= left:
                    return
            else:
                start += len(block)
                yield found

    # -- changing

    def push_left(self, element: bytes) -> int:
        """Add a first element.  Returns the length."""
        held = self._held
        if type(held) is bytes:
            size = held.count(BEGIN) + 1
            if size <= ELEMENTS_MAX and len(element) <= ELEMENT_BYTES_MAX:
                self._held = b"\xfe%b%b" % (element if element.isascii() else escaped(element), held)
                return size
            held = self._become_large(held)
        assert not isinstance(held, bytes)
        held.push_left(element)
        return len(held)

    def push_right(self, element: bytes) -> int:
        """Add a last element.  Returns the length."""
        held = self._held
        if type(held) is bytes:
            size = held.count(BEGIN) + 1
            if size <= ELEMENTS_MAX and len(element) <= ELEMENT_BYTES_MAX:
                self._held = b"%b\xfe%b" % (held, element if element.isascii() else escaped(element))
                return size
            held = self._become_large(held)
        assert not isinstance(held, bytes)
        held.push_right(element)
        return len(held)

    def pop_left(self) -> bytes | None:
        """Remove the first element; None where there is none."""
        held = self._held
        if not held:
            return None
        if isinstance(held, bytes):
            element, self._held = packed_list.pop_left(held)
            return element
        element = held.pop_left()
        if not held:
            self._held = b""
        return element

    def pop_right(self) -> bytes | None:
        """Remove the last element; None where there is none."""
        held = self._held
        if not held:
            return None
        if isinstance(held, bytes):
            element, self._held = packed_list.pop_right(held)
            return element
        element = held.pop_right()
        if not held:
            self._held = b""
        return element

    def set(self, index: int, element: bytes) -> None:
        """Replace the element at this place, which lies within the list and begins at 0."""
        held = self._held
        if isinstance(held, bytes):
            elements = packed_list.flat(held)
            elements[index] = element
            self._hold(elements)
        else:
            held.set(index, element)

    def insert(self, index: int, element: bytes) -> None:
        """Add an element before that at this place, at the end where `index` is the length."""
        held = self._held
        if isinstance(held, bytes):
            elements = packed_list.flat(held)
            elements.insert(index, element)
            self._hold(elements)
        else:
            held.insert(index, element)

    def keep_slice(self, start: int, end: int) -> None:
        """Remove all but the elements from `start` up to, not including, `end`, which lie within the list."""
        held = self._held
        if isinstance(held, bytes):
            self._held = packed_list.pack(packed_list.flat(held)[start:end])
        elif start < end:
            held.keep(start, end)
        else:
            self._held = b""

    def remove(self, element: bytes, most: int, from_end: bool) -> Generator[None, None, int]:
        """Remove at most this number of elements that are equal to this one, the first or the last ones.

        None after each step.  Returns their number.
        """
        held = self._held
        if not isinstance(held, bytes):
            removed = yield from held.remove(element, most, from_end)
            if not held:
                self._held = b""
            return removed
        elements = packed_list.flat(held)
        removed = min(elements.count(element), most)
        if removed:
            self._held = packed_list.pack(without(elements, element, removed, from_end))
        return removed

    def copy(self) -> Items:
        """See Collection."""
        held = self._held
        return Items(held if isinstance(held, bytes) else held.copy())

    def _hold(self, elements: Sequence[bytes]) -> None:
        """Hold these elements, which were packed, with one more or another one."""
        self._held = packed_list.pack(elements) if packed_list.fits(elements) else Blocks(elements)

    def _become_large(self, held: bytes) -> Blocks:
        blocks = self._held = Blocks(packed_list.flat(held))
        return blocks

    # -- encoding

    def encode(self) -> Iterator[bytes]:
        """See Collection: the form, the number of elements, and the elements, or the packed form."""
        held = self._held
        if isinstance(held, bytes):
            yield bytes([_PACKED]) + held
            return
        head = _HEAD.pack(_BLOCKS, len(held))
        for elements in self.flat():
            for piece in pieces_of(elements):
                yield head + piece
                head = b""

    @classmethod
    def decode(cls, pieces: Iterable[bytes]) -> Items:
        """See Collection."""
        rest = iter(pieces)
        first = next(rest, b"")
        if first[:1] == bytes([_PACKED]):
            packed_list.check(first[1:])
            held: bytes | Blocks = first[1:]
        else:
            held = _decode_blocks(first, rest)
        if next(rest, None) is not None:
            raise ValueError("a list with more pieces than it has")
        return cls(held)


def _decode_blocks(first: bytes, rest: Iterator[bytes]) -> Blocks:
    if len(first) < _HEAD.size:
        raise ValueError(f"a list of {len(first)} bytes")
    form, count = _HEAD.unpack_from(first)
    if form != _BLOCKS:
        raise ValueError(f"a list of the unknown form {form}: it was written by a later version")
    found = 0

    def elements() -> Iterator[bytes]:
        nonlocal found
        piece: bytes | None = first[_HEAD.size :]
        while found < count and piece is not None:
            some = decode_piece(piece)
            found += len(some)
            yield from some
            piece = next(rest, None) if found < count else None

    held = Blocks(elements())
    if not 0 < found == count:
        raise ValueError(f"a list of {count} elements with {found}")
    return held
