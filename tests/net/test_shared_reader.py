"""One reader for all connections, on real sockets and the real reactor."""

from __future__ import annotations

import os
import select
import socket
import struct
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from twisted.internet import reactor as the_reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import LoopingCall, deferLater
from twisted.internet.testing import StringTransport
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from epaxos.net import shared_reader
from epaxos.net.shared_reader import Received, SharedReader, Source
from epaxos.service.timeouts import ReactorTimeouts
from tests.builds import plain_only

reactor: Any = the_reactor
HOST = "127.0.0.1"


def until(condition: Callable[[], bool]) -> Deferred[Any]:
    """Fires when `condition` holds; trial's time limit ends a test in which it never does."""
    loop = LoopingCall(lambda: loop.stop() if condition() else None)
    return loop.start(0.001)


@inlineCallbacks
def turns(count: int = 3) -> Any:
    """Fires when the reactor has looked at its sockets so often."""
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
    """Without the reactor, until the socket knows."""
    poller = select.poll()
    poller.register(receiver.transport.socket, event)
    assert poller.poll(5000)


def send(receiver: Receiver, *pieces: bytes) -> None:
    """From the other end; it has come when the reactor runs again."""
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
    """The other end is gone without a word."""
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


class DataTests(ReaderCase):
    def test_interface(self) -> None:
        verifyObject(IReadDescriptor, self.reader)
        self.assertEqual((self.reader.fileno(), self.reader.logPrefix()), (-1, "SharedReader"))

    @inlineCallbacks
    def test_all_that_has_come_in_one_call(self) -> Any:
        one, two, idle = yield self.connect_all(*[self.group] * 3)
        self.assertTrue(self.is_watched())
        self.assertNotIn(one.transport, reactor.getReaders())
        send(one, b"sent ", b"in ", b"pieces")
        send(two, b"too")
        yield until(lambda: bool(self.group.calls))
        yield turns()
        (call,) = self.group.calls
        self.assertCountEqual(call, [(one, b"sent in pieces"), (two, b"too")])
        send(idle, b"now")
        yield until(lambda: len(self.group.calls) == 2)
        self.assertEqual(self.group.calls[1], [(idle, b"now")])
        self.assertEqual(one.by_twisted + two.by_twisted + idle.by_twisted, [])

    @inlineCallbacks
    def test_several_receive_functions(self) -> Any:
        """A call for each, and what is to come afterwards comes behind all of them, in order."""
        other = self.listen()
        order: list[object] = []

        def on_receive() -> None:
            order.append(("receive", self.reader.is_handing_over))
            for part in "ab":
                self.reader.call_afterwards(
                    lambda part=part: order.append((part, self.reader.is_handing_over))
                )

        self.group.on_receive = other.on_receive = on_receive
        one, two, three = yield self.connect_all(self.group, other, self.group)
        for receiver in (one, two, three):
            send(receiver, b"x")
        yield until(lambda: len(order) == 6)
        yield turns()
        self.assertCountEqual(self.group.calls[0], [(one, b"x"), (three, b"x")])
        self.assertEqual((len(self.group.calls), other.calls), (1, [[(two, b"x")]]))
        self.assertEqual(order, [("receive", True)] * 2 + [("a", False), ("b", False)] * 2)
        self.group.on_receive = lambda: None
        send(one, b"y")
        yield until(lambda: len(self.group.calls) == 2)
        self.assertEqual(len(order), 6, "each is called once")

    @inlineCallbacks
    def test_calls_that_are_due_come_in_the_same_turn(self) -> Any:
        """Those of ReactorTimeouts, with what they ask for in their turn."""
        timeouts = ReactorTimeouts(reactor, self.reader)
        other = self.listen()
        order: list[str] = []

        def on_receive() -> None:
            order.append("receive")
            timeouts.call_later(0, lambda: order.append("soon"))
            reactor.callLater(0, order.append, "next turn")

        self.group.on_receive = other.on_receive = on_receive
        for receiver in (yield self.connect_all(self.group, other)):
            send(receiver, b"x")
        yield until(lambda: len(order) == 6)
        self.assertEqual(order, ["receive"] * 2 + ["soon"] * 2 + ["next turn"] * 2)

    @inlineCallbacks
    def test_what_receive_raises(self) -> Any:
        """Is logged, and costs those whose data it got; nobody else."""
        other = self.listen()

        def fail() -> None:
            raise ValueError("broken")

        self.group.on_receive = fail
        afterwards: list[str] = []
        other.on_receive = lambda: self.reader.call_afterwards(lambda: afterwards.append("called"))
        one, two, idle, fine = yield self.connect_all(self.group, self.group, self.group, other)
        for receiver in (one, two, fine):
            send(receiver, b"x")
        yield until(lambda: bool(one.lost and two.lost))
        self.assertEqual([error.value.args for error in self.flushLoggedErrors(ValueError)], [("broken",)])
        self.assertEqual(one.lost + two.lost, [ConnectionAborted] * 2)
        self.assertEqual((fine.shared, afterwards, self.reader.is_handing_over), ([b"x"], ["called"], False))
        self.group.on_receive = lambda: None
        for receiver in (idle, fine):
            send(receiver, b"y")
        yield until(lambda: bool(idle.shared and fine.shared[1:]))
        self.assertEqual(idle.lost + fine.lost, [])


class EndTests(ReaderCase):
    @inlineCallbacks
    def test_data_then_the_end(self) -> Any:
        """Whatever there is comes first, and the others are not disturbed."""
        other = yield self.connect()
        for size in (0, 1, 65536, 65537, 1_000_000):
            for end in (close, half_close):
                receiver = yield self.connect()
                data = bytes(range(256)) * (size // 256) + bytes(size % 256)
                yield deferToThread(receiver.client.sendall, data)
                end(receiver)
                if size <= 1:
                    wait_for(receiver, select.POLLRDHUP)
                yield until(lambda receiver=receiver: bool(receiver.lost))
                self.assertEqual(b"".join(receiver.shared + receiver.by_twisted), data)
                self.assertEqual(receiver.lost, [ConnectionDone], f"{size} bytes, {end.__name__}")
                self.assertLessEqual(max(map(len, receiver.shared), default=0), 65536)
                send(other, b"x")
                yield until(lambda: bool(other.shared))
                self.group.calls.clear()

    @inlineCallbacks
    def test_reset(self) -> Any:
        receiver, other = yield self.connect_all(self.group, self.group)
        reset(receiver)
        send(other, b"x")
        yield until(lambda: bool(receiver.lost))
        self.assertEqual((receiver.lost, other.shared, other.lost), ([ConnectionLost], [b"x"], []))

    @inlineCallbacks
    def test_closed_here(self) -> Any:
        """While the other end still sends."""
        for how, reason in (("loseConnection", ConnectionDone), ("abortConnection", ConnectionAborted)):
            receiver = yield self.connect()
            send(receiver, b"x")
            getattr(receiver.transport, how)()
            yield until(lambda receiver=receiver: bool(receiver.lost))
            self.assertEqual(receiver.lost, [reason])
            self.assertFalse(self.is_watched())

    @inlineCallbacks
    def test_the_last_one_leaves(self) -> Any:
        """The reactor is not told of a reader that has nothing to read; it may begin anew."""
        for _ in range(2):
            one, two = yield self.connect_all(self.group, self.group)
            self.assertGreaterEqual(self.reader.fileno(), 0)
            close(one)
            yield until(lambda one=one: bool(one.lost))
            self.assertTrue(self.is_watched())
            close(two)
            yield until(lambda two=two: bool(two.lost))
            self.assertFalse(self.is_watched())
            self.assertEqual(self.reader.fileno(), -1)

    @inlineCallbacks
    def test_a_number_that_is_used_again(self) -> Any:
        """Of the socket of a connection that is gone, whether it was read or not."""
        other = yield self.connect()
        for pause in (False, True):
            before = yield self.connect()
            if pause:
                before.source.pauseProducing()
                before.transport.abortConnection()
            close(before)
            yield until(lambda before=before: bool(before.lost))
            again = yield self.connect()
            while again.fd != before.fd:
                again = yield self.connect()
            send(again, b"x")
            send(other, b"y")
            yield until(lambda: bool(self.group.calls))
            (call,) = self.group.calls
            self.assertCountEqual(call, [(again, b"x"), (other, b"y")])
            self.group.calls.clear()

    @inlineCallbacks
    def test_a_socket_that_another_process_still_has(self) -> Any:
        """As between fork and exec: the poller goes on telling of it, though it is closed here."""
        one, other = yield self.connect_all(self.group, self.group)
        copy = os.dup(one.fd)
        self.addCleanup(os.close, copy)
        one.transport.abortConnection()
        yield until(lambda: bool(one.lost))
        one.client.send(b"x")
        yield turns()
        send(other, b"y")
        yield until(lambda: bool(other.shared))
        self.assertEqual((one.shared, other.lost), ([], []))
        self.assertEqual(self.reader._poller.poll(0), [])

    @inlineCallbacks
    def test_the_reactor_stops(self) -> Any:
        receivers = yield self.connect_all(*[self.group] * 3)

        def fail(reason: Failure) -> None:
            raise ValueError("broken")

        self.patch(receivers[0].transport, "connectionLost", fail)
        self.reader.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual([receiver.lost for receiver in receivers], [[], [ConnectionLost], [ConnectionLost]])
        self.reader.leave(receivers[0].source)
        self.assertFalse(self.is_watched())
        self.assertEqual(self.reader.fileno(), -1)


class PauseTests(ReaderCase):
    @inlineCallbacks
    def test_pause(self) -> Any:
        """Once or twice is the same; what has come meanwhile is there afterwards."""
        for times in (1, 2):
            paused, other = yield self.connect_all(self.group, self.group)
            for _ in range(times):
                paused.source.pauseProducing()
            send(paused, b"later")
            send(other, b"now")
            yield until(lambda other=other: bool(other.shared))
            yield turns()
            self.assertEqual(paused.shared + paused.by_twisted, [])
            for _ in range(times):
                paused.source.resumeProducing()
            yield until(lambda paused=paused: bool(paused.shared))
            self.assertEqual((paused.shared, paused.by_twisted), ([b"later"], []))
            paused.source.pauseProducing()
            send(paused, b"x")
            yield turns()
            self.assertEqual(paused.shared, [b"later"])

    @inlineCallbacks
    def test_while_it_hands_over(self) -> Any:
        """All may pause, and what was read already still comes; then there is nothing to read."""
        one, two = yield self.connect_all(self.group, self.group)
        self.group.on_receive = lambda: [receiver.source.pauseProducing() for receiver in (one, two)]
        send(one, b"1")
        send(two, b"2")
        yield until(lambda: bool(self.group.calls))
        self.assertCountEqual(self.group.calls[0], [(one, b"1"), (two, b"2")])
        self.assertFalse(self.is_watched())
        send(one, b"3")
        yield turns()
        self.assertEqual(len(self.group.calls), 1)
        one.source.resumeProducing()
        yield until(lambda: len(self.group.calls) == 2)
        self.assertEqual(self.group.calls[1], [(one, b"3")])

    @inlineCallbacks
    def test_paused_and_resumed_while_it_hands_over(self) -> Any:
        receiver = yield self.connect()

        def on_receive() -> None:
            receiver.source.pauseProducing()
            receiver.source.resumeProducing()

        self.group.on_receive = on_receive
        for piece in (b"1", b"2", b"3"):
            send(receiver, piece)
            yield until(lambda piece=piece: receiver.shared[-1:] == [piece])
        self.assertEqual(receiver.shared, [b"1", b"2", b"3"])

    @inlineCallbacks
    def test_the_end_comes_after_the_pause(self) -> Any:
        receiver = yield self.connect()
        receiver.source.pauseProducing()
        send(receiver, b"x")
        close(receiver)
        wait_for(receiver, select.POLLRDHUP)
        yield turns()
        self.assertEqual(receiver.shared + receiver.by_twisted + receiver.lost, [])
        receiver.source.resumeProducing()
        yield until(lambda: bool(receiver.lost))
        self.assertEqual(receiver.shared + receiver.by_twisted, [b"x"])

    @inlineCallbacks
    def test_what_is_left_to_twisted(self) -> Any:
        """Twisted reads, and is told when to pause."""
        receiver = yield self.connect()
        receiver.transport.bufferSize = 5
        self.group.on_data = lambda: receiver.source.pauseProducing()
        send(receiver, b"half closed")
        half_close(receiver)
        wait_for(receiver, select.POLLRDHUP)
        for pieces in ([b"half "], [b"half ", b"close"], [b"half ", b"close", b"d"]):
            yield until(lambda pieces=pieces: receiver.by_twisted == pieces)
            yield turns()
            self.assertEqual((receiver.by_twisted, receiver.shared, receiver.lost), (pieces, [], []))
            receiver.source.pauseProducing()
            receiver.source.resumeProducing()
            receiver.source.resumeProducing()
        yield until(lambda: bool(receiver.lost))

    @inlineCallbacks
    def test_nothing_to_read_after_all(self) -> Any:
        """An event without data is left to Twisted too, and the connection goes on."""
        receiver = yield self.connect()

        def recv(size: int) -> bytes:
            raise BlockingIOError

        receiver.source.recv = recv
        send(receiver, b"x")
        yield until(lambda: bool(receiver.by_twisted))
        self.assertFalse(self.is_watched())
        send(receiver, b"y")
        yield until(lambda: len(receiver.by_twisted) == 2)
        self.assertEqual((receiver.by_twisted, receiver.shared, receiver.lost), ([b"x", b"y"], [], []))


class OtherTests(ReaderCase):
    def test_other_transports(self) -> None:
        transport = StringTransport()
        source = self.reader.join(transport, Protocol(), self.group.receive)
        self.assertIs(source, transport)
        self.assertEqual(transport.producerState, "producing")
        self.reader.leave(source)
        self.assertEqual((transport.producerState, self.reader.fileno()), ("producing", -1))

    @plain_only
    @inlineCallbacks
    def test_without_epoll(self) -> Any:
        self.patch(shared_reader, "select", SimpleNamespace())
        yield self.is_left_alone()

    @inlineCallbacks
    def test_encrypted(self) -> Any:
        build = self.group.buildProtocol

        def build_encrypted(addr: object) -> Receiver:
            receiver = build(addr)
            make = receiver.connectionMade

            def connection_made() -> None:
                receiver.transport.TLS = True
                make()
                receiver.transport.TLS = False

            receiver.connectionMade = connection_made  # type: ignore[method-assign]
            return receiver

        self.group.buildProtocol = build_encrypted  # type: ignore[method-assign]
        yield self.is_left_alone()

    @inlineCallbacks
    def is_left_alone(self) -> Any:
        receiver = yield self.connect()
        self.assertIs(receiver.source, receiver.transport)
        self.assertFalse(self.is_watched())
        send(receiver, b"x")
        yield until(lambda: bool(receiver.by_twisted))
        self.assertEqual((receiver.by_twisted, receiver.shared), ([b"x"], []))
