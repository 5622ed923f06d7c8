"""The TCP transport on real sockets."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail, gatherResults, inlineCallbacks
from twisted.internet.endpoints import (
    TCP4ClientEndpoint,
    TCP4ServerEndpoint,
    clientFromString,
    connectProtocol,
    serverFromString,
)
from twisted.internet.error import CannotListenError, ConnectionRefusedError
from twisted.internet.interfaces import IStreamClientEndpoint, IStreamServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import LoopingCall
from twisted.logger import LogEvent, capturedLogs, formatEvent
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from epaxos.net.shared_reader import SharedReader
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import AcceptOK, Batch, Message, PreAccept
from epaxos.transport.connection import Connection, Connections
from epaxos.transport.handshake import accept, greet
from epaxos.transport.tcp import PeerIdentity, TcpSettings, TcpTransport
from epaxos.wire.codec import encode
from epaxos.wire.frames import pack
from tests.defaults import default_tcp

HOST = "127.0.0.1"
FAST = default_tcp(backoff_min_s=0.01, backoff_max_s=0.02)
SLOW = default_tcp(backoff_min_s=0.01, reconnect_max_s=0.02, lost_after_s=5.0)
"""A machine with much to do may take long to connect."""
MIB = 2**20


def ok(ballot: int = 0) -> Message:
    return AcceptOK(InstanceId(0, 1), ballot)


def big(size_bytes: int) -> Message:
    return PreAccept(InstanceId(0, 1), Batch((b"k",), (), bytes(size_bytes), 1), (0, 0))


def until(condition: Callable[[], bool]) -> Deferred[Any]:
    """Fires when `condition` holds; trial's time limit ends a test in which it never does."""
    loop = LoopingCall(lambda: loop.stop() if condition() else None)
    return loop.start(0.002)


class Member:
    """One replica's transport and what it received."""

    def __init__(
        self,
        identity: PeerIdentity,
        listen: IStreamServerEndpoint,
        peers: Any,
        settings: TcpSettings,
        names_of: Callable[[object], Sequence[str]] | None = None,
    ) -> None:
        self.messages: list[tuple[int, Message]] = []
        self.connections: list[tuple[int, bool]] = []
        self.reader = SharedReader()
        self.shared: list[bool] = []
        self.transport = TcpTransport(
            identity,
            listen,
            lambda number, address, is_member: peers[number],
            clock=reactor,
            random=Random(identity.replica),
            settings=settings,
            reader=self.reader,
            names_of=names_of,
        )

    def start(self) -> Deferred[None]:
        return self.transport.start(
            self._receive, lambda peer, is_there: self.connections.append((peer, is_there))
        )

    def _receive(self, sender: int, epoch: int, messages: Sequence[Message]) -> None:
        self.messages += [(sender, message) for message in messages]
        self.shared.append(self.reader.is_handing_over)

    @property
    def port(self) -> int:
        return int(getattr(self.transport.address, "port", 0))


class Raw(Protocol):
    """The other end of a connection, byte by byte."""

    transport: Any

    def __init__(self) -> None:
        self.received = b""
        self.lost = False

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Any = None) -> None:
        self.lost = True


class Deaf(Raw):
    """Accepts a greeting, and from then on does not read; is added to `all_deaf`."""

    def __init__(self, all_deaf: list[Raw]) -> None:
        super().__init__()
        self._all_deaf = all_deaf

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        if self not in self._all_deaf:
            self._all_deaf.append(self)
            self.transport.write(pack([accept()], 1024))
            self.transport.pauseProducing()


class SocketsTests(TestCase):
    timeout = 20

    def setUp(self) -> None:
        self.ports: dict[int, int] = {}
        self.members: list[Member] = []

    def tearDown(self) -> Deferred[Any]:
        return gatherResults([member.transport.stop() for member in self.members])

    def member(
        self,
        replica: int,
        n: int = 2,
        cluster: str = "home",
        port: int = 0,
        settings: TcpSettings = FAST,
    ) -> Member:
        ports = self.ports

        @implementer(IStreamClientEndpoint)
        class WhereItListens:
            def __init__(self, peer: int) -> None:
                self._peer = peer

            def connect(self, factory: Any) -> Deferred[Any]:
                if self._peer not in ports:
                    return fail(ConnectionRefusedError())
                return TCP4ClientEndpoint(reactor, HOST, ports[self._peer]).connect(factory)

        member = Member(
            PeerIdentity(cluster, replica, Epoch.first(n)),
            TCP4ServerEndpoint(reactor, port, interface=HOST),
            {peer: WhereItListens(peer) for peer in range(n) if peer != replica},
            settings,
        )
        self.members.append(member)
        self.successResultOf(member.start())
        ports[replica] = member.port
        return member

    def connected(self, *members: Member) -> Deferred[Any]:
        """Fires when each of a whole cluster of members reaches all others."""
        return until(
            lambda: all(
                member.transport.is_connected(peer)
                for replica, member in enumerate(members)
                for peer in range(len(members))
                if peer != replica
            )
        )

    @inlineCallbacks
    def test_three_talk(self) -> Any:
        members = [self.member(replica, 3) for replica in range(3)]
        yield self.connected(*members)
        for replica, member in enumerate(members):
            others = [peer for peer in range(3) if peer != replica]
            member.transport.send(0, [(peer, ok(10 * replica + peer)) for peer in others])
        yield until(lambda: all(len(member.messages) == 2 for member in members))
        for replica, member in enumerate(members):
            others = [peer for peer in range(3) if peer != replica]
            self.assertEqual(sorted(member.messages), [(peer, ok(10 * peer + replica)) for peer in others])

    @inlineCallbacks
    def test_the_shared_reader_reads(self) -> Any:
        """All connections from others, while there are any."""
        members = [self.member(0), self.member(1)]
        yield self.connected(*members)
        for size_bytes in (0, 300_000):
            for replica, member in enumerate(members):
                member.transport.send(0, [(1 - replica, big(size_bytes))])
        yield until(lambda: all(len(member.messages) == 2 for member in members))
        for member in members:
            self.assertEqual(set(member.shared), {True})
            self.assertIn(member.reader, reactor.getReaders())
        yield gatherResults([member.transport.stop() for member in members])
        for member in members:
            self.assertEqual(member.reader.fileno(), -1)
            self.assertNotIn(member.reader, reactor.getReaders())

    @inlineCallbacks
    def test_large_and_small_messages_keep_their_order(self) -> Any:
        left, right = self.member(0), self.member(1)
        yield self.connected(left, right)
        sent = [big(4 * MIB), ok(1), big(300_000), ok(2), big(0)]
        for message in sent:
            left.transport.send(0, [(1, message)])
            right.transport.send(0, [(0, message)])
        yield until(lambda: len(left.messages) == len(right.messages) == len(sent))
        self.assertEqual(left.messages, [(1, message) for message in sent])
        self.assertEqual(right.messages, [(0, message) for message in sent])
        self.assertEqual(left.transport.counters()["messages_dropped"], 0)
        yield until(lambda: left.transport.counters()["send_queue_bytes"] == 0)

    @inlineCallbacks
    def test_reconnects_after_the_other_side_restarts(self) -> Any:
        left, right = self.member(0), self.member(1)
        yield self.connected(left, right)
        port = right.port
        yield right.transport.stop()
        yield until(lambda: not left.transport.is_connected(1))
        left.transport.send(0, [(1, ok(1))])
        again = self.member(1, port=port)
        yield self.connected(left, again)
        left.transport.send(0, [(1, ok(2))])
        again.transport.send(0, [(0, ok(3))])
        yield until(lambda: bool(left.messages and again.messages))
        self.assertEqual((again.messages, left.messages), ([(0, ok(2))], [(1, ok(3))]))
        self.assertEqual(left.transport.counters()["messages_dropped"], 1)

    @inlineCallbacks
    def test_the_end_of_a_replica_is_told_at_once(self) -> Any:
        left, right = self.member(0), self.member(1, settings=SLOW)
        yield self.connected(left, right)
        begin = reactor.seconds()
        yield right.transport.stop()
        yield until(lambda: left.connections == [(1, True), (1, False)])
        self.assertLess(reactor.seconds() - begin, 2.0)  # a silent one is closed after 30

    @inlineCallbacks
    def test_connections_that_break_and_come_back_lose_nobody(self) -> Any:
        """Both directions at once, again and again: neither side ever takes the other for lost."""
        left, right = self.member(0, settings=SLOW), self.member(1, settings=SLOW)
        yield self.connected(left, right)
        links = [left.transport._links[1], right.transport._links[0]]
        for _ in range(20):
            broken = [link._connection for link in links]
            for connection in broken:
                connection.abort()
            # One of them may be there again before the other one is lost.
            yield until(
                lambda broken=broken: not any(link._connection is old for link, old in zip(links, broken))
            )
            yield self.connected(left, right)
        self.assertEqual((left.connections, right.connections), ([(1, True)], [(0, True)]))

    def refusals(self, events: list[LogEvent]) -> list[str]:
        return sorted({line for line in map(formatEvent, events) if "refused: cluster" in line})

    @inlineCallbacks
    def test_another_cluster_is_refused(self) -> Any:
        with capturedLogs() as events:
            left, right = self.member(0), self.member(1, cluster="away")
            # Each side refuses, and is told that it was refused.
            yield until(lambda: len(self.refusals(events)) == 4)
        self.assertFalse(left.transport.is_connected(1) or right.transport.is_connected(0))
        self.assertEqual(
            self.refusals(events),
            [
                "from 127.0.0.1: refused: cluster 'away', here it is 'home'",
                "from 127.0.0.1: refused: cluster 'home', here it is 'away'",
                "to replica 0: connection closed: refused: cluster 'away', here it is 'home'",
                "to replica 1: connection closed: refused: cluster 'home', here it is 'away'",
            ],
        )

    @inlineCallbacks
    def test_garbage_and_oversized_frames(self) -> Any:
        member = self.member(0)
        hello = pack([greet(PeerIdentity("home", 1, Epoch.first(2)), 0)], 1024)
        for garbage in (b"PING\r\n", hello + b"\xff" * 4, hello + pack([b"\xff\xff"], 10)):
            raw = Raw()
            yield connectProtocol(TCP4ClientEndpoint(reactor, HOST, member.port), raw)
            raw.transport.write(garbage)
            yield until(lambda raw=raw: raw.lost)
        self.assertEqual(member.messages, [])

    @inlineCallbacks
    def test_byte_by_byte(self) -> Any:
        member = self.member(0)
        raw = Raw()
        yield connectProtocol(TCP4ClientEndpoint(reactor, HOST, member.port), raw)
        raw.transport.setTcpNoDelay(True)
        for byte in pack([greet(PeerIdentity("home", 1, Epoch.first(2)), 0)], 1024):
            raw.transport.write(bytes([byte]))
            yield until(lambda: True)
        yield until(lambda: raw.received == pack([accept()], 1024))
        for byte in pack([encode(ok(1)), encode(ok(2))], 1024):
            raw.transport.write(bytes([byte]))
            yield until(lambda: True)
        yield until(lambda: len(member.messages) == 2)
        raw.transport.loseConnection()
        yield until(lambda: raw.lost)

    @inlineCallbacks
    def test_a_peer_that_does_not_read(self) -> Any:
        """Its queue stays in bounds, others are served, and it does not hold up the end."""
        server = TCP4ServerEndpoint(reactor, 0, interface=HOST)
        port = yield server.listen(Factory.forProtocol(lambda: Deaf(deaf)))
        self.addCleanup(port.stopListening)
        deaf: list[Raw] = []
        self.ports[1] = port.getHost().port
        bound = 8 * MIB
        member = self.member(0, 3, settings=default_tcp(queue_bytes_max=bound))
        reader = self.member(2, 3)
        yield until(lambda: member.transport.is_connected(1) and member.transport.is_connected(2))
        message = PreAccept(InstanceId(0, 1), Batch((b"k",), (), bytes(MIB), 1), (0, 0, 0))
        for round in range(40):
            member.transport.send(0, [(1, message), (2, message)])
            self.assertLessEqual(member.transport.counters()["send_queue_bytes"], bound + 2 * MIB)
            yield until(lambda round=round: len(reader.messages) == round + 1)
        counters = member.transport.counters()
        self.assertGreater(counters["messages_dropped"], 10)
        self.assertGreater(counters["send_queue_bytes"], bound // 2)
        self.assertTrue(member.transport.is_connected(1))
        yield gatherResults([member.transport.stop(), reader.transport.stop()])
        for raw in deaf:
            raw.transport.resumeProducing()
        yield until(lambda: all(raw.lost for raw in deaf))

    @inlineCallbacks
    def test_the_port_is_taken(self) -> Any:
        taken = self.member(0)
        second = Member(
            PeerIdentity("home", 1, Epoch.first(2)),
            TCP4ServerEndpoint(reactor, taken.port, interface=HOST),
            {0: TCP4ClientEndpoint(reactor, HOST, taken.port)},
            FAST,
        )
        yield self.assertFailure(second.start(), CannotListenError)
        yield second.transport.stop()

    @inlineCallbacks
    def test_unix_sockets(self) -> Any:
        """Endpoints other than TCP, without its options."""
        paths = [self.mktemp() for _ in range(2)]
        for replica, path in enumerate(paths):
            member = Member(
                PeerIdentity("home", replica, Epoch.first(2)),
                serverFromString(reactor, f"unix:{path}"),
                {1 - replica: clientFromString(reactor, f"unix:{paths[1 - replica]}")},
                FAST,
            )
            self.members.append(member)
            yield member.start()
        yield self.connected(*self.members)
        self.members[0].transport.send(0, [(1, ok(5))])
        yield until(lambda: bool(self.members[1].messages))
        self.assertEqual(self.members[1].messages, [(0, ok(5))])

    @inlineCallbacks
    def test_socket_options(self) -> Any:
        member = self.member(0)
        connections = Connections()
        connection = Connection(connections, reactor, default_tcp(silence_s=7))
        yield connectProtocol(TCP4ClientEndpoint(reactor, HOST, member.port), connection)
        handle: socket.socket = getattr(connection.transport, "getHandle")()  # noqa: B009
        self.assertTrue(handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        self.assertTrue(handle.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            self.assertEqual(handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT), 7000)
        yield connections.close()
