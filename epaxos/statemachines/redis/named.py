"""Values by names, in one of three forms: what hashes are, and sets, in which every value is empty.

- *Packed*: one `bytes` (`packed.py`), for at most 128 names, which have, as their values, at most 64 bytes;
- *listed*: a dict, for at most LISTED_MAX names;
- *parted*: many dicts (`parted.py`), for more: then no step of growth, a copy, or an encoding takes long.

A collection only ever changes to a later form, when an element does not fit any more, and never changes back.
The form is part of the encoding.  So the history of a collection alone decides its form and the order of its
elements: a replica that has taken the state of another one goes on with the same form and order as one that
has lived through it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain, compress, islice, repeat
from struct import Struct
from typing import Any, TypeVar, Union
from zlib import crc32

from epaxos.statemachines.redis import packed
from epaxos.statemachines.redis.discards import discard
from epaxos.statemachines.redis.packed import ITEM_BYTES_MAX, put
from epaxos.statemachines.redis.parted import PARTS, Parted
from epaxos.statemachines.redis.pieces import decode_piece, pieces_of
from epaxos.statemachines.redis.values import NOWHERE, Collection

__all__ = ["LISTED_MAX", "PIECE_NAMES", "SCANNED_MAX", "Named", "scan"]

_FREED_AT_ONCE = 256
LISTED_MAX = 4096
"""The most names of a listed collection, which is copied in 0.05 ms and changes its form in 2 ms."""
PIECE_NAMES = 1024
"""The most names that a step, or a piece of an encoding, has; 0.2 ms."""
SCANNED_MAX = 1000
"""About the most names that one HSCAN or SSCAN answers, whatever its COUNT is."""

_PACKED, _LISTED, _PARTED = b"pld"
_HEAD = Struct("<BQ")

_Large = Union["dict[bytes, bytes]", "Parted[bytes]"]
N = TypeVar("N", bound="Named")


class Named(Collection):
    """Values by names.  `copy` takes less than 0.1 ms, whatever the size is: a copy shares with the original
    what neither of the two has changed since."""

    __slots__ = ("_held",)

    width = 2
    """The strings that an encoding has for each name: 1 where there are no values."""

    def __init__(self, held: bytes | _Large = b"") -> None:
        self.generation = NOWHERE
        self._held = held

    def __del__(self) -> None:
        held = self._held
        if type(held) is dict and len(held) > _FREED_AT_ONCE:
            discard([held])

    # -- reading

    @property
    def encoding(self) -> str:
        """The form in the words of OBJECT ENCODING."""
        return "listpack" if type(self._held) is bytes else "hashtable"

    def __len__(self) -> int:
        held = self._held
        return packed.count(held) if isinstance(held, bytes) else len(held)

    def get(self, name: bytes) -> bytes | None:
        """The value of a name, None where there is no such name."""
        held = self._held
        return packed.get(held, name) if isinstance(held, bytes) else held.get(name)

    def get_all(self, names: Sequence[bytes]) -> list[bytes | None]:
        """The values of some names."""
        held = self._held
        if isinstance(held, bytes):
            if len(names) > 2:
                held = _dict_of(held)
            else:
                return [packed.get(held, name) for name in names]
        return list(map(held.get, names))

    def flat(self) -> Iterator[list[bytes]]:
        """The names in their order, each followed by its value where `width` is 2: lists of at most
        PIECE_NAMES names.

        Nobody may change the collection meanwhile.
        """
        held = self._held
        if isinstance(held, bytes):
            yield packed.flat(held) if self.width == 2 else packed.flat(held)[::2]
            return
        for part in held.parts() if isinstance(held, Parted) else (held,):
            items = chain.from_iterable(part.items()) if self.width == 2 else iter(part)
            while piece := list(islice(items, PIECE_NAMES * self.width)):
                yield piece

    def ends(self) -> list[int]:
        """For each part of the order, how many names are in it and before it."""
        held = self._held
        return list(accumulate(map(len, held.parts()))) if isinstance(held, Parted) else [len(self)]

    def names_of(self, part: int) -> list[bytes]:
        """The names in one part of the order."""
        held = self._held
        if isinstance(held, bytes):
            return packed.flat(held)[::2]
        return list(held.part(part) if isinstance(held, Parted) else held)

    def name_at(self, place: int) -> bytes:
        """The name at this place of the order, which begins at 0."""
        held = self._held
        if isinstance(held, bytes):
            return packed.flat(held)[2 * place]
        part = held
        if isinstance(held, Parted):
            number = bisect_right(ends := self.ends(), place)
            part = held.part(number)
            place += len(part) - ends[number]
        assert isinstance(part, dict)
        if 2 * place < len(part):
            return next(islice(part, place, None))
        return next(islice(reversed(part), len(part) - 1 - place, None))  # nearer to the end

    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        """About `count` names from `cursor` on, and the next cursor, 0 when that was all.

        The cursor is a place in the order of a hash function that is the same in every process, so it is
        valid at every replica, and stays so while the collection changes its form.  A name that is there from
        the first call to the last one is found.
        """
        held = self._held
        return (0, packed.flat(held)[::2]) if isinstance(held, bytes) else scan(held, cursor, count)

    # -- changing

    def set(self, name: bytes, value: bytes) -> bool:
        """Set a value.  Returns whether its name is a new one."""
        held = self._held
        if type(held) is Parted:
            return held.put(name, value)
        if type(held) is bytes:
            if len(name) <= ITEM_BYTES_MAX and len(value) <= ITEM_BYTES_MAX:
                done = put(held, name, value)
                if done is not None:
                    self._held, is_new = done
                    return is_new
            held = self._held = _dict_of(held)
        assert isinstance(held, dict)
        size = len(held)
        held[name] = value
        if size == len(held):
            return False
        if size == LISTED_MAX:
            self._held = Parted(held.items())
        return True

    def set_all(self, names: Sequence[bytes], values: Sequence[bytes]) -> int:
        """Set some values, as `set` does one after the other.  Returns how many of the names are new."""
        held = self._held
        if len(names) <= 2:
            return sum(map(self.set, names, values))
        if isinstance(held, bytes):
            held = _dict_of(held)
            size = len(held)
            held.update(zip(names, values))
            if len(held) <= packed.FIELDS_MAX and packed.fits(names) and packed.fits(values):
                self._held = packed.pack(held)
                return len(held) - size
            self._held = held
        else:
            size = len(held)
            held.update(zip(names, values))
        if len(held) > LISTED_MAX and not isinstance(held, Parted):
            self._held = Parted(held.items())
        return len(held) - size

    def remove(self, name: bytes) -> bool:
        """Remove a name and its value.  Returns whether there was one."""
        held = self._held
        if isinstance(held, bytes):
            rest = packed.remove(held, name)
            if rest is not None:
                self._held = rest
            return rest is not None
        return held.pop(name, None) is not None

    def copy(self: N) -> N:
        """See Collection."""
        held = self._held
        return type(self)(held if isinstance(held, bytes) else held.copy())

    # -- encoding

    def encode(self) -> Iterator[bytes]:
        """See Collection: the form, the number of names, and what `flat` tells, or the packed form."""
        held = self._held
        if isinstance(held, bytes):
            yield bytes([_PACKED]) + held
            return
        head = _HEAD.pack(_PARTED if isinstance(held, Parted) else _LISTED, len(held))
        for items in self.flat():
            for piece in pieces_of(items, self.width):
                yield head + piece
                head = b""

    @classmethod
    def decode(cls: type[N], pieces: Iterable[bytes]) -> N:
        """See Collection."""
        rest = iter(pieces)
        first = next(rest, b"")
        if first[:1] == bytes([_PACKED]):
            held: bytes | _Large = first[1:]
            packed.check(first[1:])
            if cls.width == 1 and any(packed.flat(first[1:])[1::2]):
                raise ValueError(f"a {cls.type_name} with values")
        else:
            held = _decode_large(first, rest, cls.width)
        if next(rest, None) is not None:
            raise ValueError(f"a {cls.type_name} with more pieces than it has")
        return cls(held)


def _dict_of(held: bytes) -> dict[bytes, bytes]:
    items = packed.flat(held)
    return dict(zip(items[::2], items[1::2]))


def scan(held: dict[bytes, Any] | Parted[Any], cursor: int, count: int) -> tuple[int, list[bytes]]:
    """See Named.scan."""
    count = min(count, SCANNED_MAX)
    if not isinstance(held, Parted):
        return _scan(held, cursor, count)
    found: list[bytes] = []
    for number in range(cursor >> 24, PARTS):
        cursor, some = _scan(held.part(number), max(cursor, number << 24), count - len(found))
        found += some
        if cursor or len(found) >= count:
            return (cursor or (number + 1) << 24) % (PARTS << 24), found
    return 0, found


def _scan(part: dict[bytes, Any], cursor: int, count: int) -> tuple[int, list[bytes]]:
    """Names of the same hash are found together."""
    hashes = list(map(crc32, part))
    behind = sorted(filter(cursor.__le__, hashes))
    if not behind:
        return 0, []
    last = behind[min(count, len(behind)) - 1]
    is_found = [cursor <= number <= last for number in hashes]
    return (last + 1 if last < behind[-1] else 0), list(compress(part, is_found))


def _decode_large(first: bytes, rest: Iterator[bytes], width: int) -> _Large:
    if len(first) < _HEAD.size:
        raise ValueError(f"a collection of {len(first)} bytes")
    form, count = _HEAD.unpack_from(first)
    held: _Large = Parted[bytes]() if form == _PARTED else {}
    if form not in (_LISTED, _PARTED):
        raise ValueError(f"a collection of the unknown form {form}: it was written by a later version")
    found = 0
    piece: bytes | None = first[_HEAD.size :]
    while found < count and piece is not None:
        items = decode_piece(piece)
        if len(items) % width:
            raise ValueError("a piece of a collection with half an element")
        found += len(items) // width
        held.update(zip(items[::width], items[1::2] if width == 2 else repeat(b"")))
        piece = next(rest, None) if found < count else None
    if not 0 < len(held) == found == count:
        raise ValueError(f"a collection of {count} elements with {len(held)}")
    return held
