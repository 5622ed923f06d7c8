"""Connections of a shared reader, over real sockets."""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet import reactor as the_reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import LoopingCall, deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from epaxos.net.shared_reader import Received, SharedReader, Source

reactor: Any = the_reactor
HOST = "127.0.0.1"


def until(condition: Callable[[], bool]) -> Deferred[Any]:
    """Fires when `condition` holds; trial's time limit ends a test in which it never does."""
    loop = LoopingCall(lambda: loop.stop() if condition() else None)
    return loop.start(0.001)


@inlineCallbacks
def turns(count: int = 3) -> Any:
    """Fires when the reactor has looked at its sockets `count` times."""
    for _ in range(count):
        yield deferLater(reactor, 0, lambda: None)


class Receiver(Protocol):
    """One connection here; `client` is the socket at the other end."""

    transport: Any
    source: Source
    client: socket.socket

    def __init__(self, group: Group) -> None:
        self.group = group
        self.by_twisted: list[bytes] = []
        self.lost: list[type[BaseException]] = []

    def connectionMade(self) -> None:
        self.fd = self.transport.fileno()
        self.group.connections.append(self)
        self.source = self.group.reader.join(self.transport, self, self.group.receive)

    def dataReceived(self, data: bytes) -> None:
        assert not self.lost
        self.by_twisted.append(data)
        self.group.on_data()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.group.reader.leave(self.source)
        assert reason.type is not None
        self.lost.append(reason.type)

    @property
    def shared(self) -> list[bytes]:
        """What the shared reader has handed over."""
        return [data for call in self.group.calls for receiver, data in call if receiver is self]


class Group(Factory):
    """Connections with the same receive function."""

    noisy = False

    def __init__(self, reader: SharedReader) -> None:
        self.port = reactor.listenTCP(0, self, interface=HOST)
        self.reader = reader
        self.calls: list[list[Received]] = []
        self.connections: list[Receiver] = []
        self.on_receive: Callable[[], object] = lambda: None
        self.on_data: Callable[[], object] = lambda: None

    def buildProtocol(self, addr: object) -> Receiver:
        return Receiver(self)

    def receive(self, reads: Sequence[Received]) -> None:
        for receiver, _ in reads:
            assert not receiver.lost
        self.calls.append(list(reads))
        self.on_receive()


def wait_for(receiver: Receiver, event: int) -> None:
    """Wait, without the reactor, until the socket of the receiver has the event of poll(2)."""
    poller = select.poll()
    poller.register(receiver.transport.socket, event)
    assert poller.poll(5000)


def send(receiver: Receiver, *pieces: bytes) -> None:
    """Send from the other end, and wait until the data has come, before the reactor runs again."""
    for piece in pieces:
        receiver.client.sendall(piece)
    data = b"".join(pieces)
    wait_for(receiver, select.POLLIN)
    while receiver.transport.socket.recv(len(data), socket.MSG_PEEK) != data:
        wait_for(receiver, select.POLLIN)


def half_close(receiver: Receiver) -> None:
    """The other end sends no more."""
    receiver.client.shutdown(socket.SHUT_WR)


def close(receiver: Receiver) -> None:
    """The other end hangs up."""
    receiver.client.close()


def reset(receiver: Receiver) -> None:
    """The other end resets the connection."""
    receiver.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    receiver.client.close()
    wait_for(receiver, select.POLLHUP)


class ReaderCase(TestCase):
    timeout = 20

    def setUp(self) -> None:
        self.reader = SharedReader()
        self.groups: list[Group] = []
        self.group = self.listen()

    def listen(self) -> Group:
        group = Group(self.reader)
        self.groups.append(group)
        return group

    @inlineCallbacks
    def tearDown(self) -> Any:
        receivers = [receiver for group in self.groups for receiver in group.connections]
        for receiver in receivers:
            receiver.client.close()
            if not receiver.lost:
                receiver.transport.abortConnection()
        yield until(lambda: all(receiver.lost for receiver in receivers))
        for group in self.groups:
            yield group.port.stopListening()
        self.assertFalse(self.is_watched())

    @inlineCallbacks
    def connect_all(self, *groups: Group) -> Any:
        receivers = []
        for group in groups:
            receivers.append((yield self.connect(group)))
        return receivers

    @inlineCallbacks
    def connect(self, group: Group | None = None) -> Any:
        group = group or self.group
        before = len(group.connections)
        client = socket.create_connection((HOST, group.port.getHost().port))
        yield until(lambda: len(group.connections) > before)
        receiver = group.connections[-1]
        receiver.client = client
        return receiver

    def is_watched(self) -> bool:
        return self.reader in reactor.getReaders()
