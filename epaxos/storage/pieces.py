"""How the state lies in its files: pieces of many entries each, one after the other.

A piece is its length, a checksum and the entries as columns: their number, the lengths of the keys,
the lengths of the values (or that the key was removed), all keys, all values.  The checksum goes on from
that of the piece before, so that a piece that is lost, doubled or in another's place is found.
Nothing here is done key by key: a checkpoint has some ten thousand.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from io import BufferedIOBase
from itertools import accumulate, chain, islice, pairwise
from operator import add, itemgetter
from struct import Struct, pack, unpack_from
from zlib import crc32

__all__ = ["PIECE_BYTES", "encode_pieces", "frame", "read_pieces"]

PIECE_BYTES = 64 << 10
"""A piece holds about so much, but one entry at least."""
PIECE_ENTRIES = 2000
"""And no more entries than this, which take about half a millisecond."""

_HEADER = Struct("<II")
_COUNT = Struct("<I")
_REMOVED = 2**32 - 1

_key = itemgetter(0)
_value = itemgetter(1)


def encode_pieces(entries: Iterable[tuple[bytes, bytes | None]]) -> Iterator[bytes]:
    """The entries, a value of None for a removed key, as pieces, each to be framed."""
    rest = iter(entries)
    while chunk := list(islice(rest, PIECE_ENTRIES)):
        keys, values = list(map(_key, chunk)), list(map(_value, chunk))
        key_lengths = list(map(len, keys))
        try:
            lengths = value_lengths = list(map(len, values))
        except TypeError:  # some are None
            value_lengths = [_REMOVED if value is None else len(value) for value in values]
            values = [value or b"" for value in values]
            lengths = list(map(len, values))
        for part in _parts(list(accumulate(map(add, key_lengths, lengths)))):
            yield _encode(keys[part], values[part], key_lengths[part], value_lengths[part])


def _parts(ends: list[int]) -> Iterator[slice]:
    """Entries whose sizes add up to `ends`, cut where a piece is full."""
    start = size = 0
    while start < len(ends):
        end = max(start + 1, bisect_right(ends, size + PIECE_BYTES))
        yield slice(start, end)
        start, size = end, ends[end - 1]


def _encode(
    keys: Sequence[bytes], values: Sequence[bytes], key_lengths: list[int], value_lengths: list[int]
) -> bytes:
    count = len(keys)
    return b"".join(
        (pack(f"<{2 * count + 1}I", count, *key_lengths, *value_lengths), b"".join(keys), b"".join(values))
    )


def frame(payload: bytes, crc: int) -> tuple[bytes, int]:
    """What is written before the piece, and its checksum.

    `crc`: that of the piece before it, 0 for the first.
    """
    crc = crc32(payload, crc)
    return _HEADER.pack(len(payload), crc), crc


def read_pieces(file: BufferedIOBase, length: int, crc: int, state: dict[bytes, bytes]) -> None:
    """Put what the first `length` bytes of the file hold into `state`, and remove what they say is gone.

    `crc`: the checksum of the last piece.  Raises ValueError for anything that was not written so.
    """
    position = found = 0
    while position < length:
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size:
            raise ValueError(f"it ends after {position + len(header)} of {length} bytes")
        size, expected = _HEADER.unpack(header)
        end = position + len(header) + size
        payload = file.read(size) if end <= length else b""
        found = crc32(payload, found)
        if len(payload) != size or found != expected:
            raise ValueError(f"the piece at byte {position} is not what was written there")
        _decode(payload, state)
        position = end
    if found != crc:
        raise ValueError(f"its first {length} bytes are not what was written there")


def _decode(payload: bytes, state: dict[bytes, bytes]) -> None:
    count = _COUNT.unpack_from(payload)[0] if len(payload) >= _COUNT.size else 0
    start = (2 * count + 1) * _COUNT.size
    if not count or start > len(payload):
        raise ValueError(f"a piece of {len(payload)} bytes with {count} entries")
    key_lengths = unpack_from(f"<{count}I", payload, _COUNT.size)
    value_lengths = unpack_from(f"<{count}I", payload, (count + 1) * _COUNT.size)
    removed = _REMOVED in value_lengths
    lengths = [0 if length == _REMOVED else length for length in value_lengths] if removed else value_lengths
    ends = list(accumulate(chain(key_lengths, lengths), initial=start))
    if ends[-1] != len(payload):
        raise ValueError(f"a piece of {len(payload)} bytes with entries of {ends[-1]}")
    columns = [payload[begin:end] for begin, end in pairwise(ends)]
    if not removed:
        state.update(zip(columns[:count], columns[count:]))
        return
    for key, value, length in zip(columns[:count], columns[count:], value_lengths):
        if length == _REMOVED:
            state.pop(key, None)
        else:
            state[key] = value
