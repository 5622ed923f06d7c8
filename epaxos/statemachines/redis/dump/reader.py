"""Reads what payloads are made of: lengths, and strings."""

from __future__ import annotations

from collections.abc import Generator

from epaxos.statemachines.redis.dump.errors import BadData
from epaxos.statemachines.redis.dump.lzf import expanded

__all__ = ["RESTORED_BYTES_MAX", "Reader", "string"]

RESTORED_BYTES_MAX = 64 * 1024 * 1024
"""The bytes of the longest value that RESTORE makes of a payload, which may be compressed."""


class Reader:
    """Reads a value from front to back.  `left`: the bytes that it may still make of compressed ones."""

    def __init__(self, data: bytes, place: int, end: int) -> None:
        self.data = data
        self.place = place
        self.end = end
        self.left = RESTORED_BYTES_MAX

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        start, self.place = self.place, self.place + count
        if self.place > self.end:
            raise BadData("the value has no end")
        return self.data[start : self.place]

    def length(self) -> int:
        """A length, which is not the mark of another form."""
        length, is_form = self.length_or_form()
        if is_form:
            raise BadData("a length of an unknown form")
        return length

    def length_or_form(self) -> tuple[int, bool]:
        """The length, or the form of what follows, and whether it is the form."""
        (first,) = self.take(1)
        kind, low = first >> 6, first & 63
        if kind == 0 or kind == 3:
            return low, kind == 3
        if kind == 1:
            return low << 8 | self.take(1)[0], False
        if first in (0x80, 0x81):
            return int.from_bytes(self.take(4 if first == 0x80 else 8), "big"), False
        raise BadData("a length of an unknown form")

    def expect(self, size: int) -> None:
        """A string of this size is about to be made.  Raises BadData where there are too many."""
        self.left -= size
        if self.left < 0:
            raise BadData(f"the value has more than {RESTORED_BYTES_MAX} bytes")


def string(reader: Reader) -> Generator[None, None, bytes]:
    """The next string, which may be written as a number, or be compressed."""
    length, is_form = reader.length_or_form()
    if not is_form:
        return reader.take(length)
    if length <= 2:
        return b"%d" % int.from_bytes(reader.take(1 << length), "little", signed=True)
    if length == 3:
        compressed, size = reader.length(), reader.length()
        reader.expect(size)
        return (yield from expanded(reader.take(compressed), size))
    raise BadData("a string of an unknown form")
