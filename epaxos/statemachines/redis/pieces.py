"""The elements of a large collection as pieces of an encoding: their number, lengths, and themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, islice
from struct import Struct, error, pack, unpack_from

__all__ = ["PIECE_BYTES", "decode_piece", "pieces_of"]

PIECE_BYTES = 256 << 10
"""About the most bytes of a piece; a single element may have more."""

_COUNT = Struct("<I")


def pieces_of(elements: Sequence[bytes], width: int = 1) -> Iterator[bytes]:
    """The elements in order, `width` of which are never parted."""
    lengths = list(map(len, elements))
    if sum(lengths) <= PIECE_BYTES:
        yield _encode(elements, lengths)
        return
    start = size = 0
    for end in range(width, len(elements) + 1, width):
        size += sum(lengths[end - width : end])
        if size >= PIECE_BYTES or end == len(elements):
            yield _encode(elements[start:end], lengths[start:end])
            start, size = end, 0


def _encode(elements: Sequence[bytes], lengths: Sequence[int]) -> bytes:
    return b"".join((pack(f"<{len(elements) + 1}I", len(elements), *lengths), *elements))


def decode_piece(piece: bytes) -> list[bytes]:
    """The elements, one or more, of a piece.  Raises ValueError."""
    try:
        (count,) = _COUNT.unpack_from(piece)
        lengths = unpack_from(f"<{count}I", piece, _COUNT.size)
    except error:
        raise ValueError(f"a piece of a collection of {len(piece)} bytes") from None
    ends = list(accumulate(lengths, initial=(count + 1) * _COUNT.size))
    if not count or ends[-1] != len(piece):
        raise ValueError(f"a piece of a collection of {len(piece)} bytes with elements up to byte {ends[-1]}")
    return [piece[begin:end] for begin, end in zip(ends, islice(ends, 1, None))]
