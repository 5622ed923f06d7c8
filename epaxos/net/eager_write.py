"""Writing to a connection without waiting for the next turn of the event loop.

Twisted keeps what is written until its next look at the sockets: that is two system calls and a way
through the reactor more for each write, and a turn later.  We write once a turn and connection anyway,
so the socket almost always takes everything at once.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.tcp import Connection

__all__ = ["send_promptly", "write_promptly"]

PIECE_BYTES = 65_536
"""What a transport that is no plain socket is given at a time, at most."""
HANDED_BYTES = 1_024
"""What Twisted is given of data that a socket does not take, at most: it tells when the socket takes more."""


def write_promptly(transport: Any, data: bytes) -> None:
    """As `transport.write`, which gets what cannot be sent now; a lost connection is left for it to find."""
    if (
        isinstance(transport, Connection)
        and transport.connected
        and not (transport.TLS or transport.disconnecting)
        and not (transport.dataBuffer or transport._tempDataBuffer)
    ):
        try:
            sent = transport.socket.send(data)
        except OSError:  # full, or broken
            sent = 0
        if sent == len(data):
            return
        data = data[sent:]
    transport.write(data)


def send_promptly(transport: Any, data: bytes | memoryview) -> int:
    """Write the beginning of `data`, and return how many bytes that was.

    The rest stays with the caller, who must be the transport's streaming producer: when the socket takes
    no more, the producer is paused, and it is resumed as soon as the socket takes more.  So Twisted
    holds a copy of HANDED_BYTES at most, however much there is to write.  What is written to a lost
    connection counts as written.
    """
    if not isinstance(transport, Connection) or transport.TLS:
        piece = bytes(data[:PIECE_BYTES])
        transport.write(piece)
        return len(piece)
    if not transport.connected or transport.disconnecting:
        return len(data)
    sent = 0
    if not (transport.dataBuffer or transport._tempDataBuffer):
        try:
            sent = transport.socket.send(data)
        except OSError:  # full, or broken
            sent = 0
        if sent == len(data):
            return sent
    handed = bytes(data[sent : sent + HANDED_BYTES])
    wire: Any = transport
    wire.write(handed)
    wire.producerPaused = True
    if wire.producer is not None:
        wire.producer.pauseProducing()
    return sent + len(handed)
