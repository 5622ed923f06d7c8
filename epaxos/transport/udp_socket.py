"""The socket of the transport over UDP: how much it takes in a turn, and its buffers."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import Logger

__all__ = ["DATAGRAMS_PER_TURN", "UdpSocket"]

DATAGRAMS_PER_TURN = 256
"""The most datagrams that are received in one turn, before other work runs."""


class UdpSocket(DatagramProtocol):
    """Hands on at most DATAGRAMS_PER_TURN datagrams a turn, so that a flood of them does not delay timers.

    Twisted bounds only the bytes that it receives in a turn, and empty datagrams have none.
    """

    noisy = False
    _log = Logger()

    def __init__(self, receive: Callable[[bytes, tuple[str, int]], None], reactor: Any) -> None:
        self._receive_datagram = receive
        self._reactor = reactor
        self._count = 0
        self._throughput = 0
        self._end_of_turn: IDelayedCall | None = None

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        """See DatagramProtocol."""
        if self._end_of_turn is None:
            self._end_of_turn = self._reactor.callLater(0, self._on_end_of_turn)
        self._count += 1
        if self._count == DATAGRAMS_PER_TURN:
            port: Any = self.transport
            self._throughput, port.maxThroughput = port.maxThroughput, 0
        self._receive_datagram(datagram, addr)

    def _on_end_of_turn(self) -> None:
        self._end_of_turn = None
        if self._count >= DATAGRAMS_PER_TURN:
            port: Any = self.transport
            port.maxThroughput = self._throughput
        self._count = 0

    def stop(self) -> None:
        """Nothing more will come."""
        if self._end_of_turn is not None:
            self._end_of_turn.cancel()
            self._end_of_turn = None

    def enlarge_buffers(self, wanted: int) -> None:
        """Ask for buffers of these bytes, which hold a burst, because datagrams that do not fit are lost."""
        port: Any = self.transport
        handle: socket.socket = port.getHandle()
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            handle.setsockopt(socket.SOL_SOCKET, option, wanted)
        granted = handle.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        if granted < wanted:
            self._log.warn(
                "the receive buffer is {granted} bytes, not {wanted}: under load datagrams are lost;"
                " raise net.core.rmem_max",
                granted=granted,
                wanted=wanted,
            )
