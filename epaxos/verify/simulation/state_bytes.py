"""The bytes of the files of a state: checked pieces, one after the other.

They are like those of the real store, but each entry and each batch is a piece, so that a short file has
many.  A piece is its length, a checksum and a payload; the checksum continues that of the piece before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from struct import Struct
from typing import NamedTuple
from zlib import crc32

from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import Batch
from epaxos.wire.codec import decode_batch, encode_batch

__all__ = ["Good", "decode_base", "decode_log", "encode_base", "encode_log", "good_part"]

Log = Sequence[tuple[InstanceId, Batch]]

_HEADER = Struct("<II")
_KEY = Struct("<I")
_ID = Struct("<HQ")
_TITLE = b"the whole state"
"""The first piece of a base, so that one without entries is not empty."""
_PIECE_BYTES_MAX = 1 << 20
"""More than any piece of a run has."""


class Good(NamedTuple):
    """The part of a file that consists of whole pieces that are as they were written.

    `crc`: the checksum of the last of them, 0 when there is none.  `is_all`: nothing behind them is known to
    be wrong; it may be the beginning of a piece.
    """

    length: int
    crc: int
    is_all: bool


def _framed(payloads: Iterable[bytes]) -> bytes:
    crc = 0
    parts: list[bytes] = []
    for payload in payloads:
        crc = crc32(payload, crc)
        parts += (_HEADER.pack(len(payload), crc), payload)
    return b"".join(parts)


def good_part(data: bytes) -> Good:
    """What of the bytes is good, from their beginning on."""
    position = crc = 0
    while position + _HEADER.size <= len(data):
        size, expected = _HEADER.unpack_from(data, position)
        if size > _PIECE_BYTES_MAX:
            return Good(position, crc, False)
        end = position + _HEADER.size + size
        if end > len(data):
            break
        found = crc32(data[position + _HEADER.size : end], crc)
        if found != expected:
            return Good(position, crc, False)
        position, crc = end, found
    return Good(position, crc, True)


def _payloads(data: bytes) -> list[bytes]:
    payloads = []
    position = 0
    while position < len(data):
        size, _ = _HEADER.unpack_from(data, position)
        begin = position + _HEADER.size
        position = begin + size
        payloads.append(data[begin:position])
    return payloads


def encode_base(entries: Mapping[bytes, bytes]) -> bytes:
    """The file of a whole state."""
    return _framed([_TITLE, *(_KEY.pack(len(key)) + key + value for key, value in sorted(entries.items()))])


def decode_base(data: bytes) -> dict[bytes, bytes]:
    """The state in a file that is good as a whole."""
    entries = {}
    for payload in _payloads(data)[1:]:
        begin = _KEY.size + _KEY.unpack_from(payload)[0]
        entries[payload[_KEY.size : begin]] = payload[begin:]
    return entries


def encode_log(log: Log) -> bytes:
    """The file of batches in the order in which they were executed."""
    return _framed(_ID.pack(*id) + encode_batch(batch) for id, batch in log)


def decode_log(data: bytes) -> list[tuple[InstanceId, Batch]]:
    """The batches in a file that is good as a whole."""
    return [
        (InstanceId(*_ID.unpack_from(payload)), decode_batch(payload[_ID.size :]))
        for payload in _payloads(data)
    ]
