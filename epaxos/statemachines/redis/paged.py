"""A long value parts of which are replaced, at a cost that depends on these parts: what bitmaps are."""

from __future__ import annotations

from typing import Union

from epaxos.statemachines.redis.growing import Growing, Value

__all__ = ["PAGE_BYTES", "Paged", "overwritten"]

PAGE_BYTES = 64 * 1024
"""A shorter value is copied as a whole.  A value of 512 MB has 8,000 pages, whose list is copied in 30 us."""

_Page = Union[bytes, memoryview]


class Paged(Growing):
    """A value in pages, all but the last one of PAGE_BYTES.

    The value never changes: `overwritten` makes a new value, which shares all pages but those that differ.
    """

    __slots__ = ("_length", "_pages", "_whole")

    def __init__(self, pages: list[_Page], length: int, whole: bytes | None = None) -> None:
        self._pages = pages
        self._length = length
        self._whole = whole

    def __len__(self) -> int:
        return self._length

    def __bytes__(self) -> bytes:
        return b"".join(self._pages)

    def slice(self, start: int, end: int) -> bytes:
        """See Growing."""
        end = min(end, self._length)
        if start >= end:
            return b""
        first, last = start // PAGE_BYTES, (end - 1) // PAGE_BYTES
        pages = [memoryview(page) for page in self._pages[first : last + 1]]
        pages[-1] = pages[-1][: end - last * PAGE_BYTES]
        pages[0] = pages[0][start - first * PAGE_BYTES :]
        return b"".join(pages)

    def append(self, more: bytes) -> Growing:
        """See Growing."""
        return self.overwritten(self._length, more) if more else self

    def joined(self) -> bytes:
        """See Growing.  The pages become views of the copy, so that it takes no more memory than they."""
        if self._whole is None:
            self._whole = b"".join(self._pages)
            self._pages = _pages_of(self._whole)
        return self._whole

    def overwritten(self, start: int, more: bytes) -> Paged:
        """This value with one or more bytes over those from `start` on, and zeros where it ends before."""
        if start > self._length:
            more = bytes(start - self._length) + more
            start = self._length
        end = start + len(more)
        first, last = start // PAGE_BYTES, (end - 1) // PAGE_BYTES
        begin = first * PAGE_BYTES
        pages = self._pages.copy()
        old = memoryview(b"".join(pages[first : last + 1]))
        new = b"".join((old[: start - begin], more, old[end - begin :]))
        pages[first : last + 1] = [new[at : at + PAGE_BYTES] for at in range(0, len(new), PAGE_BYTES)]
        return Paged(pages, max(self._length, end))


def _pages_of(whole: bytes) -> list[_Page]:
    view = memoryview(whole)
    return [view[start : start + PAGE_BYTES] for start in range(0, len(whole), PAGE_BYTES)]


def overwritten(value: Value, start: int, more: bytes) -> Value:
    """`value` with one or more bytes over those from `start` on, and zeros where it ends before."""
    if isinstance(value, Paged):
        return value.overwritten(start, more)
    held = value.joined() if isinstance(value, Growing) else value
    if max(len(held), start + len(more)) > PAGE_BYTES:
        return Paged(_pages_of(held), len(held), held).overwritten(start, more)
    return b"".join((held[:start].ljust(start, b"\0"), more, held[start + len(more) :]))
