"""Connections read together, over real sockets: data, and what is left to Twisted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import inlineCallbacks
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.protocol import Protocol
from twisted.internet.testing import StringTransport
from zope.interface.verify import verifyObject

from epaxos.net import shared_reader
from epaxos.service.timeouts import ReactorTimeouts
from tests.builds import plain_only
from tests.net.lab import (
    ReaderCase,
    Receiver,
    reactor,
    send,
    turns,
    until,
)


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
