"""Small collections in one piece: listpacks, and the ziplists that Redis had before version 7.

Both are a head, the elements one after the other, and a byte that is no element.  Each element says how
long it is itself; in a listpack it also ends with its length, so that it can be read backwards.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from struct import Struct

from epaxos.statemachines.redis.dump.errors import BadData
from epaxos.statemachines.redis.dump.numbers import number_of

__all__ = ["elements_of_listpack", "elements_of_ziplist", "listpack_of"]

STEP_ELEMENTS = 512
"""The elements of a step, which takes about a millisecond."""
ELEMENTS_MAX = 100_000
"""The most elements of a list that is read, because each of them takes 20 times the memory that it has in
the list.  Redis makes no hash of more than 512 fields a listpack by default."""
_END = 0xFF
_UNCOUNTED = 0xFFFF
"""A head with this number of elements says nothing: somebody has to count them."""
_LISTPACK_HEAD = Struct("<IH")
_ZIPLIST_HEAD = Struct("<IIH")


def _elements(
    data: bytes, head: Struct, read: Callable[[bytes, int], tuple[bytes, int]]
) -> Generator[None, None, list[bytes]]:
    """The elements; `read(data, place)`: the one at this place, and the place behind it."""
    if len(data) < head.size + 1 or data[-1] != _END:
        raise BadData("a list has no end")
    size, *_, count = head.unpack_from(data)
    if size != len(data):
        raise BadData("a list is longer or shorter than it says")
    found: list[bytes] = []
    place = head.size
    end = len(data) - 1
    while place < end:
        element, place = read(data, place)
        found.append(element)
        if len(found) % STEP_ELEMENTS == 0:
            if len(found) > ELEMENTS_MAX:
                raise BadData(f"a list with more than {ELEMENTS_MAX} elements")
            yield
    if place != end or count not in (len(found), _UNCOUNTED):
        raise BadData("a list has more or fewer elements than it says")
    return found


def _piece(data: bytes, place: int, length: int) -> tuple[bytes, int]:
    """`length` bytes from `place` on, which lie before the last byte, and the place behind them."""
    end = place + length
    if end >= len(data):
        raise BadData("an element ends behind its list")
    return data[place:end], end


def _integer(data: bytes, place: int, length: int) -> tuple[bytes, int]:
    """The integer in `length` bytes, as text, and the place behind them."""
    piece, end = _piece(data, place, length)
    return b"%d" % int.from_bytes(piece, "little", signed=True), end


# -- listpacks

_STRING12_BYTES = 4095
_LISTPACK_INTEGERS = {0xF1: 2, 0xF2: 3, 0xF3: 4, 0xF4: 8}
"""The length of an integer by the byte before it."""


def elements_of_listpack(data: bytes) -> Generator[None, None, list[bytes]]:
    """The elements of a listpack, in order; None after each step.  Raises BadData."""
    return _elements(data, _LISTPACK_HEAD, _read_listpack)


def _read_listpack(data: bytes, place: int) -> tuple[bytes, int]:
    element, end = _read_listpack_element(data, place)
    back = _back_length(end - place)
    found, next_place = _piece(data, end, len(back))
    if found != back:
        raise BadData("an element ends with a wrong length")
    return element, next_place


def _read_listpack_element(data: bytes, place: int) -> tuple[bytes, int]:
    first = data[place]
    if first < 0x80:
        return b"%d" % first, place + 1
    if first < 0xC0:
        return _piece(data, place + 1, first & 0x3F)
    if first < 0xF0:
        low, behind = _piece(data, place + 1, 1)
        number = (first << 8 | low[0]) & (0x1FFF if first < 0xE0 else 0xFFF)
        if first >= 0xE0:
            return _piece(data, behind, number)
        return b"%d" % (number - 0x2000 if number >= 0x1000 else number), behind
    if first == 0xF0:
        length, behind = _piece(data, place + 1, 4)
        return _piece(data, behind, int.from_bytes(length, "little"))
    if first in _LISTPACK_INTEGERS:
        return _integer(data, place + 1, _LISTPACK_INTEGERS[first])
    raise BadData("an element of an unknown form")


def _back_length(length: int) -> bytes:
    """The length at the end of an element: seven bits in each byte, the highest first, which alone has no
    mark."""
    pieces = [length & 127]
    while length := length >> 7:
        pieces.append(length & 127)
    pieces.reverse()
    return bytes([pieces[0], *[piece | 128 for piece in pieces[1:]]])


def listpack_of(elements: Sequence[bytes]) -> bytes:
    """The elements as a listpack, as Redis makes it: numbers are written as numbers."""
    out = bytearray()
    for element in elements:
        encoded = _listpack_element(element)
        out += encoded
        out += _back_length(len(encoded))
    size = _LISTPACK_HEAD.size + len(out) + 1
    return _LISTPACK_HEAD.pack(size, min(len(elements), _UNCOUNTED)) + out + bytes([_END])


def _listpack_element(element: bytes) -> bytes:
    number = number_of(element)
    if number is None:
        return _listpack_string(element)
    if 0 <= number <= 127:
        return bytes([number])
    if -4096 <= number <= 4095:
        return (0xC000 | number & 0x1FFF).to_bytes(2, "big")
    for first, length in _LISTPACK_INTEGERS.items():
        if -(1 << 8 * length - 1) <= number < 1 << 8 * length - 1:
            return bytes([first]) + number.to_bytes(length, "little", signed=True)
    raise AssertionError("a number has at most 64 bits")


def _listpack_string(element: bytes) -> bytes:
    length = len(element)
    if length < 64:
        return bytes([0x80 | length]) + element
    if length <= _STRING12_BYTES:
        return (0xE000 | length).to_bytes(2, "big") + element
    return b"\xf0" + length.to_bytes(4, "little") + element


# -- ziplists

_ZIPLIST_INTEGERS = {0xC0: 2, 0xD0: 4, 0xE0: 8, 0xF0: 3, 0xFE: 1}
_LONG_BEFORE = 254
"""This byte is followed by the length of the element before, in four bytes."""


def elements_of_ziplist(data: bytes) -> Generator[None, None, list[bytes]]:
    """The elements of a ziplist, in order; None after each step.  Raises BadData."""
    return _elements(data, _ZIPLIST_HEAD, _read_ziplist)


def _read_ziplist(data: bytes, place: int) -> tuple[bytes, int]:
    first, place = _piece(data, place, 5 if data[place] == _LONG_BEFORE else 1)
    if first[0] > _LONG_BEFORE:
        raise BadData("an element of an unknown form")
    (kind,), place = _piece(data, place, 1)
    if kind < 0x40:
        return _piece(data, place, kind)
    if kind < 0x80:
        low, place = _piece(data, place, 1)
        return _piece(data, place, (kind & 0x3F) << 8 | low[0])
    if kind == 0x80:
        length, place = _piece(data, place, 4)
        return _piece(data, place, int.from_bytes(length, "big"))
    if kind in _ZIPLIST_INTEGERS:
        return _integer(data, place, _ZIPLIST_INTEGERS[kind])
    if 0xF1 <= kind <= 0xFD:
        return b"%d" % ((kind & 0xF) - 1), place
    raise BadData("an element of an unknown form")
