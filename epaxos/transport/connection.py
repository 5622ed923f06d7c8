"""What the connections of both directions share: settings, socket options, and how they end."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any, cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure

from epaxos.net.tls import explain_tls, tls_handle

__all__ = ["Connection", "Connections", "TcpSettings"]

_FLUSH_S = 1.0  # how long a connection that is to end may take to deliver what was written


@dataclass(frozen=True)
class TcpSettings:
    """The bounds of the TCP transport; seconds and bytes."""

    queue_bytes_max: int
    """Bytes that wait for one replica; messages beyond that are dropped."""
    frame_bytes_max: int = 64 * 1024 * 1024
    """A longer frame is neither sent nor accepted; a longer message is dropped."""
    backoff_min_s: float = 0.1
    """The wait after the first failure to connect; it doubles with each further one."""
    backoff_max_s: float = 3.0
    """The longest wait between two attempts to connect."""
    reconnect_max_s: float = 0.5
    """The longest wait after the loss of a connection that the other side had accepted."""
    lost_after_s: float = 0.1
    """A replica is reported as lost after this time without a connection in either direction, or after twice
    the time that the last connection took to make, when that is longer."""
    handshake_timeout_s: float = 5.0
    """An attempt to connect has failed when connecting and the handshake take longer together."""
    silence_s: float = 30.0
    """A connection is closed when nothing arrives, or nothing is acknowledged, for this time."""
    strangers_max: int = 32
    """Incoming connections that may be before or in their handshake at a time; a further one is closed."""


class Connections:
    """The connections that are open, so that somebody can wait for the end of all."""

    def __init__(self) -> None:
        self._open: set[Connection] = set()
        self._waiting: list[Deferred[None]] = []

    def add(self, connection: Connection) -> None:
        self._open.add(connection)

    def remove(self, connection: Connection) -> None:
        self._open.discard(connection)
        if not self._open:
            waiting, self._waiting = self._waiting, []
            for waits in waiting:
                waits.callback(None)

    def close(self) -> Deferred[None]:
        """Hang up all connections.  Fires when the last one is lost."""
        if not self._open:
            return succeed(None)
        gone: Deferred[None] = Deferred()
        self._waiting.append(gone)
        for connection in tuple(self._open):
            connection.hang_up()
        return gone


class Connection(Protocol):
    """A connection with another replica, in either direction; in `connections` while it is open."""

    def __init__(self, connections: Connections, clock: IReactorTime, settings: TcpSettings) -> None:
        self._connections = connections
        self._clock = clock
        self._settings = settings
        self._flushing: IDelayedCall | None = None
        self._handle: Any = None  # of TLS, to be asked why it failed

    @property
    def _tcp(self) -> ITCPTransport:
        """The transport, which has the methods used here whatever the endpoint is."""
        return cast(ITCPTransport, self.transport)

    def connectionMade(self) -> None:
        self._connections.add(self)
        self._handle = tls_handle(self.transport)
        _set_options(self.transport, self._settings.silence_s)

    def hang_up(self) -> None:
        """Close when what was written is delivered, or after a short time."""
        if self._flushing is None:
            self._flushing = self._clock.callLater(_FLUSH_S, self._tcp.abortConnection)
            self._tcp.loseConnection()

    def abort(self) -> None:
        """Close now."""
        self._tcp.abortConnection()

    def explain(self, reason: Failure) -> str | None:
        """Why TLS ended this connection; None when it did not."""
        return explain_tls(reason.value, self._handle)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._handle = None  # the handle leads back to the transport, and so to here
        if self._flushing is not None and self._flushing.active():
            self._flushing.cancel()
        self._connections.remove(self)


def _set_options(transport: object, silence_s: float) -> None:
    """Send without delay, and notice when the other host is gone.  Only TCP has these options."""
    while isinstance(transport, ProtocolWrapper):  # TLS
        transport = transport.transport
    if not ITCPTransport.providedBy(transport):
        return
    if not isinstance(transport.getHost(), (IPv4Address, IPv6Address)):
        return
    transport.setTcpNoDelay(True)
    transport.setTcpKeepAlive(True)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux: without it, sending into the void lasts 15 minutes
        handle = cast(socket.socket, transport.getHandle())  # type: ignore[attr-defined]
        handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(silence_s * 1000))
