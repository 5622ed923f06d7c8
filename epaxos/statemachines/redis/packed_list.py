"""The packed form of a small list: all elements in one `bytes`, in their order.

An element is the byte FE and itself, escaped (`escapes.py`).  So a push or a pop at either end is a few calls
of C code.

Nothing here looks at the limits of the form; see `items.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from epaxos.statemachines.redis.escapes import BEGIN, ESCAPE, MIDDLE, escaped, plain

__all__ = [
    "ELEMENTS_MAX", "ELEMENT_BYTES_MAX", "check", "count", "fits", "flat", "pack", "pop_left",
    "pop_right",
]  # fmt: skip

ELEMENTS_MAX = 128
"""The most elements of a packed list, because a copy of so many takes as long as all else that is done for a
command."""
ELEMENT_BYTES_MAX = 64
"""The most bytes of an element of a packed list."""


def fits(elements: Sequence[bytes]) -> bool:
    """Whether the elements are few and short enough."""
    return len(elements) <= ELEMENTS_MAX and max(map(len, elements), default=0) <= ELEMENT_BYTES_MAX


def count(data: bytes) -> int:
    """The number of elements."""
    return data.count(BEGIN)


def pack(elements: Iterable[bytes]) -> bytes:
    """The packed form of these elements."""
    return b"".join([b"\xfe%b" % (each if each.isascii() else escaped(each)) for each in elements])


def flat(data: bytes) -> list[bytes]:
    """The elements."""
    items = data.split(BEGIN)
    del items[0]
    return list(map(plain, items)) if ESCAPE in data else items


def pop_left(data: bytes) -> tuple[bytes, bytes]:
    """The first element of one or more, and the list without it."""
    end = data.find(BEGIN, 1)
    element, rest = (data[1:], b"") if end < 0 else (data[1:end], data[end:])
    return (plain(element) if ESCAPE in element else element), rest


def pop_right(data: bytes) -> tuple[bytes, bytes]:
    """The last element of one or more, and the list without it."""
    start = data.rfind(BEGIN)
    element = data[start + 1 :]
    return (plain(element) if ESCAPE in element else element), data[:start]


def check(data: bytes) -> None:
    """Raises ValueError for what no function here has made."""
    elements = flat(data)
    if not elements or MIDDLE in data or not fits(elements) or pack(elements) != data:
        raise ValueError(f"a packed list of {len(data)} bytes that is none")
