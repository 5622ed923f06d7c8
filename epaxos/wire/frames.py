"""Length-prefixed frames on a byte stream: 4 bytes of length, big-endian, then the frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from epaxos.wire.strangers import guess_protocol

__all__ = ["FrameError", "FrameReader", "pack"]

_HEADER_BYTES = 4


class FrameError(ValueError):
    """The other side announced a frame that is longer than allowed, so the stream cannot be read any more."""


def pack(chunks: Sequence[bytes], bytes_max: int) -> bytes:
    """The concatenated chunks as one frame; as several where one would be longer than `bytes_max`.

    Each chunk is a frame in itself, no longer than `bytes_max`.
    """
    size = sum(map(len, chunks))
    if size <= bytes_max:
        return b"".join([size.to_bytes(_HEADER_BYTES, "big"), *chunks])
    return b"".join(piece for group in _groups(chunks, bytes_max) for piece in group)


def _groups(chunks: Iterable[bytes], bytes_max: int) -> Iterable[list[bytes]]:
    """For each frame its length, and the chunks that go into it."""
    group: list[bytes] = []
    size = 0
    for chunk in chunks:
        if size + len(chunk) > bytes_max:
            yield [size.to_bytes(_HEADER_BYTES, "big"), *group]
            group, size = [], 0
        group.append(chunk)
        size += len(chunk)
    yield [size.to_bytes(_HEADER_BYTES, "big"), *group]


class FrameReader:
    """Cuts a stream into frames.

    It holds what has arrived of an incomplete frame, so never more than `bytes_max`, a header and the data
    of one `feed`; `bytes_max` may change between two calls.
    """

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self._buffer = bytearray()
        self._needed = _HEADER_BYTES  # nothing can be done with a shorter buffer

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that `data` completes, without their lengths.  Raises FrameError."""
        buffer = self._buffer
        if not buffer and len(data) == _HEADER_BYTES + int.from_bytes(data[:_HEADER_BYTES], "big"):
            self._check(len(data) - _HEADER_BYTES)
            return [data[_HEADER_BYTES:]]
        buffer += data
        frames: list[bytes] = []
        start = 0
        with memoryview(buffer) as view:
            while len(view) - start >= self._needed:
                length = int.from_bytes(view[start : start + _HEADER_BYTES], "big")
                self._check(length)
                end = start + _HEADER_BYTES + length
                if end > len(view):
                    self._needed = end - start
                    break
                frames.append(bytes(view[start + _HEADER_BYTES : end]))
                start = end
                self._needed = _HEADER_BYTES
        del buffer[:start]
        return frames

    def _check(self, length: int) -> None:
        if length > self.bytes_max:
            protocol = guess_protocol(length.to_bytes(_HEADER_BYTES, "big"))
            if protocol is not None:
                raise FrameError(f"this is no message of a replica; it looks like {protocol}")
            raise FrameError(f"a frame of {length} bytes, {self.bytes_max} are allowed")
