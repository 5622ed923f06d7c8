"""The format of the files of the state: pieces, one after the other.

A piece is its length, a checksum and a payload.  The checksum continues that of the piece before, so
that a lost, doubled or misplaced piece is found.

A base is made of entries, as columns: their number, the lengths of the keys, those of the values, all
keys, all values.  A log is made of executed batches, one after the other: the instance, the length
and the batch as it is sent between replicas.  No Python code here runs per command or per key.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from io import BufferedIOBase, BytesIO
from itertools import accumulate, islice
from operator import add, itemgetter
from struct import Struct, pack, unpack_from
from zlib import crc32

from epaxos.protocol.values.ids import NUMBER_LIMIT, InstanceId
from epaxos.protocol.values.messages import Batch
from epaxos.wire.codec import decode_batch, encode_batch

__all__ = [
    "PIECE_BATCHES",
    "PIECE_BYTES",
    "PieceCheck",
    "decode_batches",
    "decode_entries",
    "encode_batches",
    "encode_entries",
    "frame",
    "read_pieces",
]

PIECE_BYTES = 64 << 10
"""About the most bytes of a piece.  A single entry or batch may have more."""
PIECE_ENTRIES = 2000
"""The most entries of a piece; they take about half a millisecond."""
PIECE_BATCHES = 200
"""The most batches of a piece."""

_HEADER = Struct("<II")
_COUNT = Struct("<I")
_BATCH = Struct("<HQI")

_key = itemgetter(0)
_value = itemgetter(1)


# -- pieces


def frame(payload: bytes, crc: int) -> tuple[bytes, int]:
    """The header of a piece, and its checksum.

    `crc`: the checksum of the piece before it, 0 for the first.
    """
    crc = crc32(payload, crc)
    return _HEADER.pack(len(payload), crc), crc


def read_pieces(file: BufferedIOBase, length: int, crc: int) -> Iterator[bytes]:
    """The payloads of the pieces in the first `length` bytes of the file.

    `crc`: the checksum of the last piece.  Raises ValueError unless the bytes are what was written there.
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
        yield payload
        position = end
    if found != crc:
        raise ValueError(f"its first {length} bytes are not what was written there")


class PieceCheck:
    """Checks the pieces of a file whose bytes come in order, in parts of any size.

    The first `length` bytes are whole pieces, the last of which has the checksum `crc`.  `end` bytes have
    come.
    """

    def __init__(self, length: int = 0, crc: int = 0) -> None:
        self.length = self.end = length
        self.crc = self._found = crc
        self._header = b""
        self._missing = self._expected = 0  # of the payload that is not whole

    def add(self, data: bytes) -> bool:
        """Whether all pieces that are whole with `data` are what was written there.

        When they are not, nothing more may be added.  A piece without a payload is never written.
        """
        rest = memoryview(data)
        while rest:
            if not self._missing:
                part = rest[: _HEADER.size - len(self._header)]
                self._header += part
                if len(self._header) == _HEADER.size:
                    self._missing, self._expected = _HEADER.unpack(self._header)
                    self._header, self._found = b"", self.crc
                    if not self._missing:
                        return False
            else:
                part = rest[: self._missing]
                self._found = crc32(part, self._found)
                self._missing -= len(part)
                if not self._missing and self._found != self._expected:
                    return False
            self.end += len(part)
            rest = rest[len(part) :]
            if not (self._missing or self._header):
                self.length, self.crc = self.end, self._found
        return True


# -- entries


def encode_entries(entries: Iterable[tuple[bytes, bytes]]) -> Iterator[bytes]:
    """The payloads that hold the entries."""
    rest = iter(entries)
    while chunk := list(islice(rest, PIECE_ENTRIES)):
        keys, values = list(map(_key, chunk)), list(map(_value, chunk))
        key_lengths, value_lengths = list(map(len, keys)), list(map(len, values))
        for cut in _slices(list(accumulate(map(add, key_lengths, value_lengths)))):
            yield _encode(keys[cut], values[cut], key_lengths[cut], value_lengths[cut])


def _slices(ends: list[int]) -> Iterator[slice]:
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


def decode_entries(payload: bytes) -> Iterable[tuple[bytes, bytes]]:
    """The entries of one payload.  Raises ValueError."""
    count = _COUNT.unpack_from(payload)[0] if len(payload) >= _COUNT.size else 0
    start = (2 * count + 1) * _COUNT.size
    if not count or start > len(payload):
        raise ValueError(f"a piece of {len(payload)} bytes with {count} entries")
    lengths = unpack_from(f"<{2 * count}I", payload, _COUNT.size)
    end = start + sum(lengths)
    if end != len(payload):
        raise ValueError(f"a piece of {len(payload)} bytes with entries of {end}")
    take = BytesIO(memoryview(payload)[start:]).read
    keys = list(map(take, lengths[:count]))
    return zip(keys, map(take, lengths[count:]))


# -- batches


def encode_batches(batches: Iterable[tuple[InstanceId, Batch]]) -> Iterator[bytes]:
    """The payloads that hold the batches."""
    payload: list[bytes] = []
    size = 0
    for (replica, slot), batch in batches:
        data = encode_batch(batch)
        payload += (_BATCH.pack(replica, slot, len(data)), data)
        size += _BATCH.size + len(data)
        if size >= PIECE_BYTES or len(payload) >= 2 * PIECE_BATCHES:
            yield b"".join(payload)
            payload, size = [], 0
    if payload:
        yield b"".join(payload)


def decode_batches(payload: bytes) -> Iterator[tuple[InstanceId, Batch]]:
    """The batches of one payload.  Raises ValueError."""
    if not payload:
        raise ValueError("a piece without a batch")
    position = 0
    while position < len(payload):
        begin = position + _BATCH.size
        if begin > len(payload):
            raise ValueError(f"a piece of {len(payload)} bytes with a batch at byte {position}")
        replica, slot, length = _BATCH.unpack_from(payload, position)
        position = begin + length
        if position > len(payload):
            raise ValueError(f"a piece of {len(payload)} bytes with a batch of {length} at byte {begin}")
        if not 0 < slot < NUMBER_LIMIT:
            raise ValueError(f"a batch of the impossible slot {slot}")
        yield InstanceId(replica, slot), decode_batch(payload[begin:position])
