"""One reader of the reactor for all connections, of clients and of replicas.

The reactor hands out events one by one, each by way of a dozen calls; with many small reads that costs more
than what is done about them.  Here the sockets are in a poller of their own, of which the reactor is told
only that something has come.  Then all of it is read, and handed over together.

Whatever is not data is left to Twisted: a connection that is closed, or has an error, or is encrypted.  And
where there is no epoll, everything is.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.tcp import Server
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

__all__ = ["Read", "SharedReader", "Source", "hand_over"]

READ_BYTES_MAX = 65536
"""So much is read from a connection at a time, as Twisted does."""

_log = Logger()

Read = tuple[Any, bytes]
"""A protocol, and what has come for it."""


class Source(Protocol):
    """Where the data of a connection comes from; a transport is one, too."""

    def pauseProducing(self) -> None:
        """Read no more for now."""

    def resumeProducing(self) -> None:
        """Read again."""


@implementer(IReadDescriptor)
class SharedReader:
    """Reads for all that have joined."""

    def __init__(self) -> None:
        self.is_handing_over = False
        self._sources: dict[int, _SharedSource] = {}
        self._afterwards: list[Callable[[], None]] = []
        self._poller: Any = None
        self._reactor: Any = None

    def join(self, transport: Any, protocol: Any, receive: Callable[[Sequence[Read]], None]) -> Source:
        """Read from `transport` for `protocol` from now on, if that is possible here.

        `receive` is called once a turn of the reactor, with what has come for all that joined with it, each
        of them once at most; `hand_over` gives it to one after the other.  What it raises is a bug, which
        costs those whose data it got.
        """
        own: Source = transport
        if not isinstance(transport, Server) or transport.TLS or not hasattr(select, "epoll"):
            return own
        own.pauseProducing()
        source = _SharedSource(self, transport, protocol, receive)
        source.resumeProducing()
        return source

    @staticmethod
    def leave(source: Source) -> None:
        """The connection is lost."""
        if isinstance(source, _SharedSource):
            source.end()

    def call_afterwards(self, call: Callable[[], None]) -> None:
        """While it is handing over: call `call` once that is done."""
        self._afterwards.append(call)

    def add(self, source: _SharedSource) -> None:
        """Look at the source from now on."""
        if self._poller is None:
            self._poller = select.epoll()
            self._reactor = source.transport.reactor
            self._reactor.addReader(self)
        self._poller.register(source.fd, select.EPOLLIN | select.EPOLLRDHUP)
        self._sources[source.fd] = source

    def _renew(self) -> None:
        """Begin with another poller: this one goes on telling of a socket that is closed here, but still open
        in a process that was forked."""
        sources = list(self._sources.values())
        if self._poller is not None:
            self._close()
        self._sources = {}
        for source in sources:
            self.add(source)

    def remove(self, source: _SharedSource) -> None:
        """Look at the source no more; it may be closed already."""
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
        reads = self._read()
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

    def _read(self) -> dict[Callable[[Sequence[Read]], None], list[Read]]:
        """What has come, by whom it is for."""
        reads: dict[Callable[[Sequence[Read]], None], list[Read]] = {}
        only_data = select.EPOLLIN
        for fd, event in self._poller.poll(0, len(self._sources)):
            source = self._sources.get(fd)
            if source is None:
                self._renew()
                break
            try:
                data = source.recv(READ_BYTES_MAX) if event == only_data else b""
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


def hand_over(reads: Sequence[Read]) -> None:
    """Give each protocol its data.  A bug costs the connection that brought it out."""
    for protocol, data in reads:
        try:
            protocol.dataReceived(data)
        except Exception:
            _give_up([(protocol, data)])


def _give_up(reads: Sequence[Read]) -> None:
    _log.failure("what has come could not be handled")
    for protocol, _ in reads:
        protocol.transport.abortConnection()


class _SharedSource:
    """A connection that is read by the shared reader, until it is anything but data that comes."""

    __slots__ = ("_is_read", "_reader", "fd", "protocol", "receive", "recv", "transport")

    def __init__(
        self,
        reader: SharedReader,
        transport: Any,
        protocol: Any,
        receive: Callable[[Sequence[Read]], None],
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
        """Let Twisted read from now on."""
        self.end()
        self.transport.resumeProducing()

    def end(self) -> None:
        """Never read again here."""
        self.pauseProducing()
        self._reader = None
