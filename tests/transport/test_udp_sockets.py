"""The UDP transport over real sockets."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, gatherResults, inlineCallbacks
from twisted.internet.error import CannotListenError
from twisted.internet.task import LoopingCall
from twisted.trial.unittest import TestCase

from epaxos.protocol.values.messages import Message
from epaxos.transport.handshake import PeerIdentity
from epaxos.transport.udp import UdpTransport
from epaxos.transport.udp_address import UdpAddress
from tests.defaults import default_udp
from tests.transport.lab import Heard, myself
from tests.transport.test_udp import THREE, big, ok


def until(condition: Callable[[], bool]) -> Deferred[Any]:
    """Fires when `condition` holds; trial's time limit ends a test in which it never does."""
    loop = LoopingCall(lambda: loop.stop() if condition() else None)
    return loop.start(0.002)


class SocketTests(TestCase):
    """Three replicas on the test's reactor."""

    timeout = 20

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor

    def free_ports(self, host: str, family: socket.AddressFamily) -> list[int]:
        probes = [socket.socket(family, socket.SOCK_DGRAM) for _ in range(3)]
        for probe in probes:
            probe.bind((host, 0))
        ports = [probe.getsockname()[1] for probe in probes]
        for probe in probes:
            probe.close()
        return ports

    @inlineCallbacks
    def start(self, host: str = "127.0.0.1", family: socket.AddressFamily = socket.AF_INET) -> Any:
        self.addresses = [UdpAddress(host, port) for port in self.free_ports(host, family)]
        self.received: list[list[tuple[int, Message]]] = [[], [], []]
        self.transports = [self.make(id) for id in range(3)]
        for id, transport in enumerate(self.transports):
            self.addCleanup(transport.stop)
            yield transport.start(self.receiver(id))
        yield self.greeted()

    def greeted(self) -> Deferred[Any]:
        """Fires when all have accepted the greetings of all others."""
        pairs = [(a, b) for a in range(3) for b in range(3) if a != b]
        return until(lambda: all(self.transports[a]._peers[b].accepted for a, b in pairs))

    def make(self, id: int, process: int = 1) -> UdpTransport:
        transport = UdpTransport(
            PeerIdentity("home", id, THREE),
            self.addresses[id],
            lambda number, address: self.addresses[number],
            session=1,
            reactor=self.reactor,
            settings=default_udp(),
        )
        me = replace(myself(id), process=process)
        transport.introduce(me, Heard(), 1.0)
        return transport

    def receiver(self, id: int) -> Callable[[int, Sequence[Message]], None]:
        def receive(sender: int, epoch: int, messages: Sequence[Message]) -> None:
            self.received[id] += [(sender, message) for message in messages]

        return receive

    @inlineCallbacks
    def check(self) -> Any:
        """All reach all, with what is small and what is as large as can be."""
        largest = big((self.transports[0].batch_bytes_max or 0) - big(0).batch.size_bytes)
        for id, transport in enumerate(self.transports):
            others = [peer for peer in range(3) if peer != id]
            transport.send(0, [(peer, message) for peer in others for message in (ok(id), largest)])
        yield until(lambda: all(len(received) == 4 for received in self.received))
        for id, received in enumerate(self.received):
            others = [peer for peer in range(3) if peer != id]
            expected = [(peer, message) for peer in others for message in (ok(peer), largest)]
            self.assertCountEqual(received, expected)
            self.assertTrue(all(self.transports[id].is_connected(peer) for peer in others))
            self.assertEqual(self.transports[id].counters()["datagrams_lost"], 0)

    @inlineCallbacks
    def test_three_replicas(self) -> Any:
        yield self.start()
        yield self.check()

    @inlineCallbacks
    def test_over_ipv6(self) -> Any:
        try:
            yield self.start("::1", socket.AF_INET6)
        except OSError:
            return  # a machine without IPv6
        yield self.check()

    @inlineCallbacks
    def test_stopped_and_started_again(self) -> Any:
        """Nobody listens for a while; that harms nobody, and its port is free again."""
        yield self.start()
        yield self.transports[2].stop()
        for _ in range(5):
            self.transports[0].send(0, [(2, ok(1)), (1, ok(2))])
            yield until(lambda: bool(self.received[1]))
            self.received[1].clear()
        self.transports[2] = self.make(2, process=2)
        self.addCleanup(self.transports[2].stop)
        yield self.transports[2].start(self.receiver(2))
        yield until(lambda: self.transports[0]._peers[2].greeted_by.process == 2)
        yield self.greeted()
        self.transports[0].send(0, [(2, ok(3))])
        yield until(lambda: bool(self.received[2]))
        self.assertEqual(self.received[2], [(0, ok(3))])

    @inlineCallbacks
    def test_a_port_that_is_taken(self) -> Any:
        yield self.start()
        error = yield self.assertFailure(self.make(0).start(self.receiver(0)), CannotListenError)
        self.assertIn("in use", str(error))

    @inlineCallbacks
    def test_a_stranger_floods(self) -> Any:
        """Datagrams of every kind; replicas hear each other all the same, and nobody is answered."""
        yield self.start()
        with socket.socket(type=socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.1", 0))
            stranger.setblocking(False)
            for number in range(2000):
                stranger.sendto(bytes(number % 100), self.addresses[0])

            def heard() -> bool:
                self.transports[1].send(0, [(0, ok(1))])  # again: the flood may have filled the buffer
                return bool(self.received[0])

            yield until(heard)
            self.assertEqual(set(self.received[0]), {(1, ok(1))})
            self.assertGreater(self.transports[0].counters()["datagrams_refused"], 100)
            self.assertRaises(BlockingIOError, stranger.recv, 1)
        yield gatherResults([transport.stop() for transport in self.transports])
