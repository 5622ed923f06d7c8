"""Writing to a connection without waiting for the next turn of the event loop.

Twisted keeps what is written until it polls the sockets again: each write then costs two more system calls
and one more pass of the reactor, and the data leaves a turn later.  We write once per turn and connection
anyway, so the socket almost always takes everything at once.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.tcp import Connection

__all__ = ["push", "send_promptly", "write_promptly"]

PIECE_BYTES = 65_536
"""Bytes that a transport which is no plain socket is given at a time, at most."""
HANDED_BYTES = 1_024
"""Bytes that Twisted is given when a socket takes no more; it then tells when the socket takes more."""


def write_promptly(transport: Any, data: bytes) -> None:
    """Send `data` now as far as possible; `transport.write` gets the rest, and finds a lost connection."""
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


def push(transport: Any) -> None:
    """Send now, as far as possible, what `transport.write` has kept.  Finds no lost connection."""
    if (
        isinstance(transport, Connection)
        and transport.connected
        and not (transport.TLS or transport.disconnecting)
        and (transport.dataBuffer or transport._tempDataBuffer)
    ):
        wire: Any = transport
        wire.doWrite()  # an error stays with the socket, and the reactor meets it in the next turn


def send_promptly(transport: Any, data: bytes | memoryview) -> int:
    """Write the beginning of `data`, and return how many bytes that was.

    The rest stays with the caller, which must be the streaming producer of the transport: the producer is
    paused when the socket takes no more, and resumed as soon as the socket takes more.  So Twisted holds a
    copy of at most HANDED_BYTES.  What is written to a lost connection counts as written.
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
