"""Puts for etcd over gRPC, in HTTP/2 frames made by hand: `python -m tests.bench.etcd_wire`.

A gRPC library in Python would cost more than etcd itself.  Every request has the same header block,
without compression state, so a request is two frames of which only the stream number changes, and
nothing of a reply is looked at but its frames' headers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from itertools import cycle
from random import Random
from struct import pack
from typing import Any

from tests.bench.load import KEYS, VALUE_BYTES, drive, spread, told_when
from tests.bench.processes import python

__all__ = ["EtcdConversation", "generate", "put"]

DATA, HEADERS, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
WINDOW = (1 << 31) - 1
BODIES = 1024


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + pack(">BBI", kind, flags, stream) + payload


def _header(name: bytes, value: bytes) -> bytes:
    """A literal that is not indexed, with a new name."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


def _text(value: bytes) -> bytes:
    return bytes([len(value)]) + value


PATH = b"/etcdserverpb.KV/Put"
HEADER_BLOCK = (
    b"\x83\x86"  # :method POST, :scheme http
    + (b"\x04" + _text(PATH))
    + (b"\x01" + _text(b"localhost"))
    + _header(b"content-type", b"application/grpc")
    + _header(b"te", b"trailers")
)
PREFACE = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    + _frame(SETTINGS, 0, 0, pack(">HI", 4, WINDOW))  # SETTINGS_INITIAL_WINDOW_SIZE
    + _frame(WINDOW_UPDATE, 0, 0, pack(">I", WINDOW - 65535))
)


def put(key: bytes, value: bytes) -> bytes:
    """A PutRequest as a gRPC message."""
    message = b"\x0a" + _text(key) + b"\x12" + _text(value)
    return b"\x00" + pack(">I", len(message)) + message


class EtcdConversation:
    """One connection with `streams` puts outstanding."""

    def __init__(self, streams: int, bodies: Sequence[bytes]) -> None:
        self._streams = streams
        self._bodies = cycle(bodies)
        self._next_stream = 1
        self._answered: set[int] = set()
        self._buffer = b""

    def _request(self) -> bytes:
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        headers = _frame(HEADERS, END_HEADERS, stream, HEADER_BLOCK)
        return headers + _frame(DATA, END_STREAM, stream, next(self._bodies))

    def begin(self) -> bytes:
        """See Conversation."""
        return PREFACE + b"".join(self._request() for _ in range(self._streams))

    def answer(self, data: bytes) -> tuple[int, bytes]:
        """See Conversation."""
        buffer = self._buffer + data if self._buffer else data
        start = done = 0
        out = []
        while len(buffer) >= start + 9:
            end = start + 9 + int.from_bytes(buffer[start : start + 3], "big")
            if len(buffer) < end:
                break
            kind, flags = buffer[start + 3], buffer[start + 4]
            stream = int.from_bytes(buffer[start + 5 : start + 9], "big")
            if kind == DATA:
                self._answered.add(stream)
            elif kind == HEADERS and flags & END_STREAM:
                done += stream in self._answered  # one without an answer was refused: too many at once
                self._answered.discard(stream)
                out.append(self._request())
            elif kind in (SETTINGS, PING) and not flags & ACK:
                payload = buffer[start + 9 : end] if kind == PING else b""
                out.append(_frame(kind, ACK, 0, payload))
            elif kind == GOAWAY:
                raise RuntimeError(f"etcd ends the connection: {buffer[start:end]!r}")
            start = end
        self._buffer = buffer[start:]
        return done, b"".join(out)


def generate(ports: Sequence[int], connections: int, streams: int, seconds: float) -> Callable[[], float]:
    """A run of puts at all ports: puts a second."""
    commands = [python("etcd_wire", port, connections, streams) for port in ports]
    return lambda: spread(commands, seconds)


def main(arguments: Sequence[Any]) -> None:
    """The generator."""
    port, connections, streams = map(int, arguments[:3])
    random = Random(port)
    bodies = [put(b"key:%012d" % random.randrange(KEYS), b"v" * VALUE_BYTES) for _ in range(BODIES)]
    conversations = [EtcdConversation(streams, bodies) for _ in range(connections)]
    print(drive(port, conversations, *told_when()))


if __name__ == "__main__":
    main(sys.argv[1:])
