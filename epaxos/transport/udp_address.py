"""Where the transport over UDP listens, and where others are."""

from __future__ import annotations

from typing import Any, NamedTuple

from twisted.internet.protocol import DatagramProtocol

__all__ = ["UdpAddress", "UdpPassed"]


class UdpAddress(NamedTuple):
    """An IP address as text ("": all interfaces, to listen on) and a port."""

    host: str
    port: int

    def open(self, reactor: Any, protocol: DatagramProtocol, bytes_max: int) -> Any:
        """Listen here for datagrams of at most `bytes_max`.  Raises CannotListenError."""
        return reactor.listenUDP(self.port, protocol, self.host, bytes_max)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host or '*'}:{self.port}"


class UdpPassed(NamedTuple):
    """A socket that was opened for `address` before the process began; it is not closed."""

    address: UdpAddress
    descriptor: int
    family: int

    def open(self, reactor: Any, protocol: DatagramProtocol, bytes_max: int) -> Any:
        """Take what comes to the socket, as `UdpAddress.open` does."""
        return reactor.adoptDatagramPort(self.descriptor, self.family, protocol, bytes_max)

    def __str__(self) -> str:
        return str(self.address)
