"""A long value that is appended to, at the cost of what is appended."""

from __future__ import annotations

from typing import Union

__all__ = ["GROWS_FROM_BYTES", "Growing", "Value", "append"]

GROWS_FROM_BYTES = 4096
"""A shorter value is copied at every append, because that is cheaper than an object beside it."""


class Growing:
    """A value in two parts: `head`, and the first `used` bytes of `tail`.

    The value never changes: `append` makes a new one, which shares both parts.  So a copy of a dict, a
    reply, or another key that holds the same value keeps what it was given.  This works because a tail
    only ever gets longer, and only the value that uses all of it may extend it in place.

    A tail that has outgrown its memory takes an eighth more than it needs.
    """

    __slots__ = ("_parts",)

    def __init__(self, head: bytes, tail: bytearray, used: int) -> None:
        self._parts = (head, tail, used)  # in one step: another thread may be in `__bytes__`

    def __len__(self) -> int:
        head, _, used = self._parts
        return len(head) + used

    def __bytes__(self) -> bytes:
        """A copy, also for other threads: a slice is taken in one step, and no view is left behind,
        because a viewed tail cannot be extended."""
        head, tail, used = self._parts
        return head + tail[:used]

    def append(self, more: bytes) -> Growing:
        """This value and `more` behind it."""
        head, tail, used = self._parts
        if len(tail) != used:  # another value has gone on from this one
            tail = tail[:used]
        tail += more
        return Growing(head, tail, used + len(more))

    def joined(self) -> bytes:
        """The value as bytes.  It is copied once: later calls, and values that grow from this one,
        share it."""
        head, tail, used = self._parts
        if used:
            head += memoryview(tail)[:used]
            self._parts = (head, bytearray(), 0)
        return head


Value = Union[bytes, Growing]
"""What is stored under a key."""


def append(value: Value, more: bytes) -> Value:
    """`value` and `more` behind it."""
    if isinstance(value, Growing):
        return value.append(more)
    if len(value) + len(more) < GROWS_FROM_BYTES:
        return value + more
    return Growing(value, bytearray(more), len(more))
