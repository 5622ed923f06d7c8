"""Entries in blocks: open ones, to which entries are added, and packed ones, which are one `bytes`.

Both forms hold the same, and a packed block follows from its entries alone; so which of the two a block has
is no part of the state.  Where a block ends is, because `XTRIM ~` goes by blocks.

A packed block shares the names of fields between entries that have the names of its first entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, chain, islice, repeat
from operator import lt
from struct import Struct, calcsize, error, pack, unpack_from

from epaxos.statemachines.redis.streams.ids import HIGHEST_ID, text_of_id

__all__ = [
    "BLOCK_BYTES",
    "BLOCK_ENTRIES",
    "PACKED_BYTES_MAX",
    "Block",
    "Entry",
    "Packed",
    "checked",
    "count_of",
    "packed",
    "reading",
    "rise",
    "size_of",
    "unpacked",
]

BLOCK_ENTRIES = 100
"""A block gets no further entry when it has this number of them, with those that were removed from it."""
BLOCK_BYTES = 4096
"""Nor when its entries have about this number of bytes."""
PACKED_BYTES_MAX = 65536
"""A block of more bytes stays open, because to pack it would copy long values."""
_ENTRY_BYTES, _ITEM_BYTES = 8, 2
"""About the bytes that an entry takes beside those of its fields, and each of these beside its own."""

Entry = tuple[bytes, tuple[bytes, ...]]
"""The text of an id; then names and values of the fields in turn."""

_HEAD = Struct("<HHQ16sBBBB")
"""The number of entries and of removed ones, the bytes, the first id, and the codes of what follows: the
milliseconds of each entry since the first one, its sequence, the number of its elements (0: the names are
those of the first entry), and the lengths of all elements.  The elements begin with the shared names."""
_CODES = "BHIQ"


class Block:
    """An open block.  `owner`: whose it is to change; `dead`: the entries that were removed from it;
    `size_bytes`: about the bytes of all entries that it ever got."""

    __slots__ = ("dead", "entries", "ids", "owner", "size_bytes")

    def __init__(
        self, owner: object, ids: list[int], entries: list[Entry], dead: int = 0, size_bytes: int = 0
    ) -> None:
        self.owner = owner
        self.ids = ids
        self.entries = entries
        self.dead = dead
        self.size_bytes = size_bytes

    def __len__(self) -> int:
        return len(self.ids)

    def copy(self, owner: object) -> Block:
        """Independent of this one."""
        return Block(owner, self.ids.copy(), self.entries.copy(), self.dead, self.size_bytes)

    def part(self, start: int, end: int) -> list[Entry]:
        """The entries at these places."""
        return self.entries[start:end]

    def append(self, number: int, fields: tuple[bytes, ...], size_bytes: int) -> None:
        """Add an entry, whose id is the highest."""
        self.ids.append(number)
        self.entries.append((text_of_id(number), fields))
        self.size_bytes += size_bytes

    def bytes_for(self, fields: tuple[bytes, ...]) -> int:
        """About the bytes that an entry would take."""
        items = fields[1::2] if self.entries and self.entries[0][1][::2] == fields[::2] else fields
        return _ENTRY_BYTES + _ITEM_BYTES * len(items) + sum(map(len, items))

    def has_room(self, size_bytes: int) -> bool:
        """Whether it gets an entry of this number of bytes."""
        return len(self.ids) + self.dead < BLOCK_ENTRIES and self.size_bytes + size_bytes < BLOCK_BYTES

    def remove(self, start: int, end: int) -> None:
        """Remove the entries at these places."""
        del self.ids[start:end]
        del self.entries[start:end]
        self.dead += end - start


# -- packed


def count_of(block: bytes | Block) -> int:
    """The number of entries."""
    return block[0] | block[1] << 8 if isinstance(block, bytes) else len(block.ids)


def size_of(block: bytes | Block) -> int:
    """About the bytes of all entries that it ever got, the same in both forms."""
    return int.from_bytes(block[4:12], "little") if isinstance(block, bytes) else block.size_bytes


def _array(numbers: Sequence[int]) -> tuple[int, bytes]:
    """The numbers with the least bytes each, and the place of their code."""
    bits = max(numbers, default=0).bit_length()
    code = (bits > 8) + (bits > 16) + (bits > 32)
    return code, pack(f"<{len(numbers)}{_CODES[code]}", *numbers)


def packed(block: Block) -> bytes:
    """The packed form of a block, which has an entry."""
    ids, entries = block.ids, block.entries
    first = ids[0]
    names = entries[0][1][::2]
    counts: list[int] = []
    elements = [*names]
    for _, fields in entries:
        if fields[::2] == names:
            counts.append(0)
            elements += fields[1::2]
        else:
            counts.append(len(fields))
            elements += fields
    arrays = (
        _array([(number >> 64) - (first >> 64) for number in ids]),
        _array([number & 0xFFFFFFFFFFFFFFFF for number in ids]),
        _array([len(names), *counts]),
        _array(list(map(len, elements))),
    )
    codes = [code for code, _ in arrays]
    head = _HEAD.pack(len(ids), block.dead, block.size_bytes, first.to_bytes(16, "big"), *codes)
    return b"".join((head, *[data for _, data in arrays], *elements))


def _read_array(data: bytes, place: int, count: int, code: int) -> tuple[tuple[int, ...], int]:
    layout = f"<{count}{_CODES[code]}"
    return unpack_from(layout, data, place), place + calcsize(layout)


class Packed:
    """A packed block, to be read: the ids, and where the elements lie.  Nobody changes it."""

    __slots__ = ("_counts", "_data", "_ends", "_is_mixed", "_names", "dead", "ids", "size_bytes")

    def __init__(self, data: bytes) -> None:
        count, self.dead, self.size_bytes, first, *codes = _HEAD.unpack_from(data)
        place = _HEAD.size
        times, place = _read_array(data, place, count, codes[0])
        sequences, place = _read_array(data, place, count, codes[1])
        (shared, *counts), place = _read_array(data, place, count + 1, codes[2])
        total = shared + sum(counts) + counts.count(0) * shared
        lengths, place = _read_array(data, place, total, codes[3])
        base = int.from_bytes(first, "big") >> 64
        self.ids = [base + ms << 64 | sequence for ms, sequence in zip(times, sequences)]
        self._data = data
        self._ends = list(accumulate(lengths, initial=place))
        self._counts = counts
        self._is_mixed = any(counts)
        self._names = self._elements(0, shared)

    def _elements(self, start: int, end: int) -> list[bytes]:
        ends = self._ends[start : end + 1]
        return list(map(self._data.__getitem__, map(slice, ends, islice(ends, 1, None))))

    def part(self, start: int, end: int) -> list[Entry]:
        """The entries at these places."""
        names = self._names
        shared = len(names)
        if self._is_mixed:
            counts = [count or shared for count in self._counts]
            begin = shared + sum(counts[:start])
            fields = self._mixed(
                self._elements(begin, begin + sum(counts[start:end])), self._counts[start:end]
            )
        else:
            elements = self._elements(shared + start * shared, shared + end * shared)
            columns = [elements[place::shared] for place in range(shared)]
            fields = list(zip(*chain.from_iterable(zip(map(repeat, names), columns))))
        return list(zip(map(text_of_id, self.ids[start:end]), fields))

    def _mixed(self, elements: list[bytes], counts: Sequence[int]) -> list[tuple[bytes, ...]]:
        """The fields of entries not all of which have the names of the first one."""
        found: list[tuple[bytes, ...]] = []
        place = 0
        for count in counts:
            end = place + (count or len(self._names))
            fields = elements[place:end]
            found.append(tuple(fields if count else chain.from_iterable(zip(self._names, fields))))
            place = end
        return found


reading = lru_cache(maxsize=64)(Packed)
"""A packed block, to be read, which may be given again."""


def unpacked(packed: Packed, owner: object) -> Block:
    """The same block, open."""
    ids = packed.ids.copy()
    return Block(owner, ids, packed.part(0, len(ids)), packed.dead, packed.size_bytes)


def checked(data: bytes) -> Block:
    """The packed block, open.  Raises ValueError for what `packed` has not made."""
    try:
        block = unpacked(Packed(data), None)
        if len(block.entries) != len(block.ids):
            raise IndexError
    except (error, IndexError, MemoryError, OverflowError):
        raise ValueError(f"a block of a stream of {len(data)} bytes that is none") from None
    if (
        not block.ids
        or not rise(block.ids)
        or block.ids[-1] > HIGHEST_ID
        or any(not fields or len(fields) % 2 for _, fields in block.entries)
        or packed(block) != data
    ):
        raise ValueError(f"a block of a stream of {len(data)} bytes that is none")
    return block


def rise(ids: Sequence[int]) -> bool:
    """Whether each id is above the one before."""
    return all(map(lt, ids, islice(ids, 1, None)))
