"""A long value to which bytes are appended, at a cost that depends on these bytes only."""

from __future__ import annotations

from typing import Union

__all__ = ["GROWS_FROM_BYTES", "Growing", "Value", "append"]

GROWS_FROM_BYTES = 4096
"""Each append copies a shorter value, because that costs less than an object of its own."""


class Growing:
    """A value of two pieces: `head`, and the first `used` bytes of `tail`.

    The value never changes: `append` makes a new value, which shares both pieces.  So a copy of a dict, a
    reply, or another key with the same value keeps what it was given.  This works because a tail only gets
    longer, and because only the value that uses all of it may extend it in place.

    A tail that outgrows its memory allocates an eighth more than it needs.
    """

    __slots__ = ("_pieces",)

    def __init__(self, head: bytes, tail: bytearray, used: int) -> None:
        self._pieces = (head, tail, used)  # in one step: another thread may be in `__bytes__`

    def __len__(self) -> int:
        head, _, used = self._pieces
        return len(head) + used

    def __bytes__(self) -> bytes:
        """A copy; safe in other threads, because a slice takes one step.

        No view of the tail may stay, because a bytearray with a view cannot be extended.
        """
        head, tail, used = self._pieces
        return head + tail[:used]

    def slice(self, start: int, end: int) -> bytes:
        """The bytes from `start` up to, not including, `end`; at the cost of these alone."""
        head, tail, used = self._pieces
        end = min(end, len(self))
        split = len(head)
        return head[start:end] + tail[max(0, start - split) : max(0, min(end - split, used))]

    def append(self, more: bytes) -> Growing:
        """This value, followed by `more`."""
        head, tail, used = self._pieces
        if len(tail) != used:  # another value has extended the tail
            tail = tail[:used]
        tail += more
        return Growing(head, tail, used + len(more))

    def joined(self) -> bytes:
        """The value as bytes.  The first call copies it; later calls, and values that grow from this one,
        share the copy."""
        head, tail, used = self._pieces
        if used:
            head += memoryview(tail)[:used]
            self._pieces = (head, bytearray(), 0)
        return head


Value = Union[bytes, Growing]
"""The value of a key."""


def append(value: Value, more: bytes) -> Value:
    """`value`, followed by `more`."""
    if isinstance(value, Growing):
        return value.append(more)
    if len(value) + len(more) < GROWS_FROM_BYTES:
        return value + more
    return Growing(value, bytearray(more), len(more))
