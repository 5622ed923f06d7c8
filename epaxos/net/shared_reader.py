"""One reader of the reactor for all connections, of clients and of replicas.

The reactor hands out events one by one, each through a dozen calls; with many small pieces of data that
costs more than the work on them.  Here the sockets are in a poller of their own, and the reactor only
learns that the poller has events.  Then the data of all sockets is received and handed over together.

Everything but plain data is left to Twisted: connections that are closed or have an error, and those within
TLS, unless their protocol gets its data by `hand_over`: the protocol of TLS then gets it.
Where there is no epoll, Twisted does everything.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.tcp import Server
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure
from zope.interface import implementer

__all__ = ["Received", "SharedReader", "Source", "hand_over"]

RECEIVE_BYTES_MAX = 65536
"""Bytes that are received from a connection at a time, at most; as Twisted does."""

_log = Logger()

Received = tuple[Any, bytes]
"""A protocol, and the data that has come for it."""


class Source(Protocol):
    """The source of the data of a connection: its transport, or the shared reader on its behalf."""

    def pauseProducing(self) -> None:
        """Receive no more for now."""

    def resumeProducing(self) -> None:
        """Receive again."""


@implementer(IReadDescriptor)
class SharedReader:
    """Receives for all connections that have joined."""

    def __init__(self) -> None:
        self.is_handing_over = False
        self._sources: dict[int, _SharedSource] = {}
        self._afterwards: list[Callable[[], None]] = []
        self._poller: Any = None
        self._reactor: Any = None

    def join(self, transport: Any, protocol: Any, receive: Callable[[Sequence[Received]], None]) -> Source:
        """Receive from `transport` for `protocol` from now on, or leave that to Twisted.  Returns the source.

        `receive` is called at most once a turn of the reactor, with the data for all protocols that joined
        with it, each of them at most once; `hand_over` serves as one.  An exception from it is a bug, which
        costs the connections whose data it got.
        """
        own: Source = transport
        wire: Any = transport
        if isinstance(transport, ProtocolWrapper) and receive is hand_over:
            wire, protocol = transport.transport, transport
        if not isinstance(wire, Server) or wire.TLS or not hasattr(select, "epoll"):
            return own
        own.pauseProducing()
        source = _SharedSource(self, wire, protocol, receive)
        source.resumeProducing()
        return source

    @staticmethod
    def leave(source: Source) -> None:
        """The connection is lost."""
        if isinstance(source, _SharedSource):
            source.end()

    def call_afterwards(self, call: Callable[[], None]) -> None:
        """Call `call` as soon as the data that is being handed over is handled."""
        self._afterwards.append(call)

    def add(self, source: _SharedSource) -> None:
        """Receive from the source from now on."""
        if self._poller is None:
            self._poller = select.epoll()
            self._reactor = source.transport.reactor
            self._reactor.addReader(self)
        self._poller.register(source.fd, select.EPOLLIN | select.EPOLLRDHUP)
        self._sources[source.fd] = source

    def _renew(self) -> None:
        """Make a new poller, because the old one reports sockets that are closed here but open in a fork."""
        sources = list(self._sources.values())
        if self._poller is not None:
            self._close()
        self._sources = {}
        for source in sources:
            self.add(source)

    def remove(self, source: _SharedSource) -> None:
        """Receive from the source no more; it may be closed already."""
        del self._sources[source.fd]
        with suppress(OSError):
            self._poller.unregister(source.fd)
        if not self._sources:
            self._close()

    def _close(self) -> None:
        self._reactor.removeReader(self)
        self._poller.close()
        self._poller = None

    # -- what the reactor calls

    def fileno(self) -> int:
        """See IReadDescriptor."""
        return -1 if self._poller is None else int(self._poller.fileno())

    def logPrefix(self) -> str:
        """See ILoggingContext."""
        return "SharedReader"

    def doRead(self) -> None:
        """See IReadDescriptor."""
        reads = self._receive()
        self.is_handing_over = True
        for receive, some in reads.items():
            try:
                receive(some)
            except Exception:
                _give_up(some)
        self.is_handing_over = False
        calls, self._afterwards = self._afterwards, []
        for call in calls:
            call()

    def _receive(self) -> dict[Callable[[Sequence[Received]], None], list[Received]]:
        """Receive the data that has come; returns it by the function that gets it."""
        reads: dict[Callable[[Sequence[Received]], None], list[Received]] = {}
        only_data = select.EPOLLIN
        for fd, event in self._poller.poll(0, len(self._sources)):
            source = self._sources.get(fd)
            if source is None:
                self._renew()
                break
            try:
                data = source.recv(RECEIVE_BYTES_MAX) if event == only_data else b""
            except OSError:
                data = b""
            if not data:
                source.leave()
            elif source.receive in reads:
                reads[source.receive].append((source.protocol, data))
            else:
                reads[source.receive] = [(source.protocol, data)]
        return reads

    def connectionLost(self, reason: Failure) -> None:
        """See IReadDescriptor: the reactor stops."""
        for source in list(self._sources.values()):
            try:
                source.transport.connectionLost(reason)
            except Exception:
                _log.failure("a connection could not be ended")


def hand_over(reads: Sequence[Received]) -> None:
    """Give each protocol its data.  A bug costs the connection that brought it out."""
    for protocol, data in reads:
        try:
            protocol.dataReceived(data)
        except Exception:
            _give_up([(protocol, data)])


def _give_up(reads: Sequence[Received]) -> None:
    _log.failure("received data could not be handled")
    for protocol, _ in reads:
        protocol.transport.abortConnection()


class _SharedSource:
    """A connection that the shared reader serves, until something other than data comes."""

    __slots__ = ("_is_read", "_reader", "fd", "protocol", "receive", "recv", "transport")

    def __init__(
        self,
        reader: SharedReader,
        transport: Any,
        protocol: Any,
        receive: Callable[[Sequence[Received]], None],
    ) -> None:
        self._reader: SharedReader | None = reader
        self._is_read = False
        self.transport = transport
        self.protocol = protocol
        self.receive = receive
        self.fd = transport.socket.fileno()
        self.recv = transport.socket.recv

    def pauseProducing(self) -> None:
        """See Source."""
        if self._reader is None:
            self.transport.pauseProducing()
        elif self._is_read:
            self._is_read = False
            self._reader.remove(self)

    def resumeProducing(self) -> None:
        """See Source."""
        if self._reader is None:
            self.transport.resumeProducing()
        elif not self._is_read:
            self._is_read = True
            self._reader.add(self)

    def leave(self) -> None:
        """Let Twisted receive from now on."""
        self.end()
        self.transport.resumeProducing()

    def end(self) -> None:
        """Never receive here again."""
        self.pauseProducing()
        self._reader = None
