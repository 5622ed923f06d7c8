"""Length-prefixed frames on a byte stream: 4 bytes of length, big-endian, then the frame.

In form 2 a tag of 4 bytes, big-endian, stands between the length, which counts it, and the frame: the number
of the epoch that the messages belong to, or CONTROL before a control message, which belongs to no epoch.
The handshake is always in form 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import Struct

from epaxos.wire.strangers import guess_protocol

__all__ = ["CONTROL", "EPOCH_LIMIT", "TAG_BYTES", "FrameError", "FrameReader", "pack", "pack_tagged"]

_HEADER_BYTES = 4
TAG_BYTES = 4
_TAGGED = Struct("!II")  # of a length and a tag
_TAGGED_BYTES = _TAGGED.size
CONTROL = 0xFFFFFFFF
"""The tag of a control message."""
EPOCH_LIMIT = 2**31
"""The numbers of epochs are below this.  With a turn every ten seconds it takes 680 years."""


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


def pack_tagged(chunks: Sequence[bytes], tag: int, bytes_max: int) -> bytes:
    """The concatenated chunks as one frame with this tag; as several where one would be longer than
    `bytes_max`, without the tag."""
    size = sum(map(len, chunks))
    if size <= bytes_max:
        return b"".join([_TAGGED.pack(size + TAG_BYTES, tag), *chunks])
    pieces: list[bytes] = []
    for header, *group in _groups(chunks, bytes_max):
        pieces += [_TAGGED.pack(int.from_bytes(header, "big") + TAG_BYTES, tag), *group]
    return b"".join(pieces)


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

    @property
    def is_empty(self) -> bool:
        """Whether nothing has arrived of an incomplete frame."""
        return not self._buffer

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that `data` completes, without their lengths.  Raises FrameError."""
        buffer = self._buffer
        if not buffer and len(data) == _HEADER_BYTES + int.from_bytes(data[:_HEADER_BYTES], "big"):
            self._check(len(data) - _HEADER_BYTES)
            return [data[_HEADER_BYTES:]]
        buffer += data
        with memoryview(buffer) as view:
            spans = self._spans(view)
            frames = [bytes(view[start:end]) for start, end in spans]
        if spans:
            del buffer[: spans[-1][1]]
        return frames

    def feed_tagged(self, data: bytes) -> list[tuple[int, bytes]]:
        """The tags and the frames that `data` completes.  `bytes_max` counts the tag.  Raises FrameError."""
        buffer = self._buffer
        if not buffer and len(data) >= _TAGGED_BYTES:
            length, tag = _TAGGED.unpack_from(data)
            if len(data) == _HEADER_BYTES + length:
                self._check(length)
                return [(tag, data[_TAGGED_BYTES:])]
        buffer += data
        frames: list[tuple[int, bytes]] = []
        with memoryview(buffer) as view:
            spans = self._spans(view)
            for start, end in spans:
                body = start + TAG_BYTES
                if body > end:
                    raise FrameError(f"a frame of {end - start} bytes, which has no tag")
                frames.append((int.from_bytes(view[start:body], "big"), bytes(view[body:end])))
        if spans:
            del buffer[: spans[-1][1]]
        return frames

    def _spans(self, view: memoryview) -> list[tuple[int, int]]:
        """Where each whole frame begins and ends, behind its length.  Raises FrameError."""
        spans: list[tuple[int, int]] = []
        start = 0
        while len(view) - start >= self._needed:
            length = int.from_bytes(view[start : start + _HEADER_BYTES], "big")
            self._check(length)
            end = start + _HEADER_BYTES + length
            if end > len(view):
                self._needed = end - start
                break
            spans.append((start + _HEADER_BYTES, end))
            start = end
            self._needed = _HEADER_BYTES
        return spans

    def _check(self, length: int) -> None:
        if length > self.bytes_max:
            protocol = guess_protocol(length.to_bytes(_HEADER_BYTES, "big"))
            if protocol is not None:
                raise FrameError(f"this is no message of a replica; it looks like {protocol}")
            raise FrameError(f"a frame of {length} bytes, {self.bytes_max} are allowed")
