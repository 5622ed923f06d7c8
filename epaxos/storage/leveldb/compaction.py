"""The parts in which the keys of ended epochs are compacted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["key_ranges"]

PART_BYTES = 8 << 20
"""About the most bytes of tables that are compacted at a time, which takes some 10 ms."""
KEY_BYTES = 24
"""More than a key has."""


def key_ranges(db: Any, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The parts between two keys in which there are any tables, each of about PART_BYTES at most."""
    waiting = [(_number(start), _number(stop))]
    while waiting:
        low, high = waiting.pop()
        size = db.approximate_size(_key(low), _key(high))
        if size > PART_BYTES and high - low > 1:
            middle = (low + high) // 2
            waiting += [(middle, high), (low, middle)]
        elif size:
            yield _key(low), _key(high)


def _number(key: bytes) -> int:
    return int.from_bytes(key.ljust(KEY_BYTES, b"\0"), "big")


def _key(number: int) -> bytes:
    return number.to_bytes(KEY_BYTES, "big")
