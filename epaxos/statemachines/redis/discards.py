"""What nobody needs any more and takes long to free, until somebody frees it in steps.

The whole of a large collection would be freed in one step, wherever its last reference goes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from epaxos.statemachines.redis.values import Collection

__all__ = ["discard", "free", "free_large", "free_part"]

STEP_KEYS = 1024
STEP_BYTES = 4_000_000
"""A step that frees a flushed state frees about this number of bytes, or STEP_KEYS keys."""
ELEMENT_BYTES = 100
"""About the bytes of an element of a collection."""

_discarded: deque[list[Any]] = deque()


def discard(parts: list[Any]) -> None:
    """Let `free_part` free these parts; nobody changes the list any more."""
    if parts:
        _discarded.append(parts)


def free_part() -> bool:
    """Free one part of a large collection that nobody needs any more; whether there was one."""
    if not _discarded:
        return False
    parts = _discarded[-1]
    parts.pop()
    if not parts:
        _discarded.pop()
    return True


def free_large() -> Iterator[None]:
    """Free large collections that nobody uses any more, in steps."""
    while free_part():
        yield None


def free(flushed: list[dict[bytes, Any]]) -> Iterator[None]:
    """Free the values of dictionaries that nobody uses any more, and large collections, in steps."""
    while flushed:
        keys = freed = 0
        while flushed and keys < STEP_KEYS and freed <= STEP_BYTES:
            if flushed[-1]:
                freed += _size(flushed[-1].popitem()[1])
                keys += 1
            else:
                flushed.pop()
        yield None
    yield from free_large()


def _size(stored: Any) -> int:
    value = stored[0] if type(stored) is tuple else stored
    return ELEMENT_BYTES * len(value) if isinstance(value, Collection) else len(value)
