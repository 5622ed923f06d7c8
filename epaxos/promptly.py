"""Writing to a connection without waiting for the next turn of the event loop.

Twisted keeps what is written until its next look at the sockets: that is two system calls and a way
through the reactor more for each write, and a turn later.  We write once a turn and connection anyway,
so the socket almost always takes everything at once.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.tcp import Connection

__all__ = ["write_promptly"]


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
