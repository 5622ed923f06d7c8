"""Cuts many keys that are to be removed into commands, so short that each fits into a datagram."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

__all__ = ["portions"]

PORTION_BYTES = 500
"""Bytes of the keys of a command, each of which is in a batch twice: a datagram may be as small as 1 400
bytes."""
PORTION_KEYS = 250
"""Keys that one command removes: a step of it takes less than a millisecond."""

T = TypeVar("T")


def portions(items: Sequence[T], key_of: Callable[[T], bytes]) -> Iterator[Sequence[T]]:
    """The items whose keys one command removes: so few that it fits into a datagram, unless a key is
    longer."""
    start = size_bytes = 0
    for end, item in enumerate(items):
        size = len(key_of(item))
        size_bytes += size
        if end > start and (end - start >= PORTION_KEYS or size_bytes > PORTION_BYTES):
            yield items[start:end]
            start, size_bytes = end, size
    if start < len(items):
        yield items[start:]
