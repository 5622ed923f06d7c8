"""However clients leave, nothing of them stays: with Python's collector of cycles off, on real sockets."""

from __future__ import annotations

import gc
import socket
import struct
import weakref
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor as the_reactor
from twisted.internet.defer import inlineCallbacks
from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.trial.unittest import TestCase

from epaxos.interfaces import Unavailable
from epaxos.net.quiet_log import Complaints
from epaxos.resp.connection import RespConnection
from epaxos.resp.limits import RespLimits
from epaxos.resp.server import RespFactory
from tests.defaults import default_limits
from tests.net.lab import turns, until
from tests.resp.lab import OneReplica, encode, held_bytes

reactor: Any = the_reactor
CLIENTS = 1000
AT_A_TIME = 50
VALUE = bytes(3_000_000)


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def half_close(client: socket.socket) -> None:
    client.shutdown(socket.SHUT_WR)


class LeavingTests(TestCase):
    timeout = 120

    def setUp(self) -> None:
        self.replica = OneReplica()
        self.replica.store.restore({b"big": VALUE}, [])
        self.made: list[weakref.ref[Any]] = []
        self.clock = Clock()
        self.serve(default_limits())
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)

    def serve(self, limits: RespLimits) -> None:
        self.factory = factory = RespFactory(
            self.replica, Complaints(Logger(), self.clock), limits, clock=reactor
        )
        build = factory.buildProtocol

        def build_protocol(addr: Any) -> RespConnection:
            connection = build(addr)
            self.made.append(weakref.ref(connection))
            return connection

        factory.buildProtocol = build_protocol  # type: ignore[method-assign]
        self.port = reactor.listenTCP(0, factory, interface="127.0.0.1", backlog=200)
        self.addCleanup(self.port.stopListening)

    @inlineCallbacks
    def visits(
        self,
        leave: Callable[[socket.socket], object] = socket.socket.close,
        say: bytes = b"",
        wait: Callable[[], bool] | None = None,
        end: Callable[[], object] = lambda: None,
    ) -> Any:
        """CLIENTS clients connect and `say` something, all `wait`, the clients `leave` and that is the `end`.

        Afterwards there is none of the connections, nor of their transports.
        """
        left = CLIENTS
        while left:
            before = len(self.made)
            count = min(AT_A_TIME, left)
            left -= count
            clients = []
            for _ in range(count):
                client = socket.socket()
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.connect(("127.0.0.1", self.port.getHost().port))
                clients.append(client)
            yield until(lambda before=before, count=count: len(self.made) == before + count)
            for client in clients:
                if say:
                    client.sendall(say)
            if wait is not None:
                yield until(wait)
            self.made += [
                weakref.ref(connection.transport)
                for made in self.made[before:]
                if (connection := made()) is not None
            ]
            connection = None
            for client in clients:
                leave(client)
            end()
            self.replica.run()
            yield until(lambda: not self.factory.connections)
            yield turns()
            for client in clients:
                client.close()
            alive = [made() for made in self.made if made() is not None]
            self.assertEqual(alive, [])
            self.made.clear()
        self.assertEqual(self.factory.shared.register.holdings.total_bytes, 0)
        self.assertEqual(
            (len(self.factory.shared.patience._watched), len(self.factory.shared.writers._queue)), (0, 0)
        )

    def submitted(self) -> bool:
        return len(self.replica.held) > 0 and sum(len(c) for c, _ in self.replica.held) == AT_A_TIME

    def answered(self) -> bool:
        """Every client has asked for much, and takes none of it."""
        self.replica.run()
        connections = self.factory.connections
        return len(connections) == AT_A_TIME and all(held_bytes(connection) for connection in connections)

    @inlineCallbacks
    def test_close(self) -> Any:
        yield self.visits()

    @inlineCallbacks
    def test_close_while_an_answer_is_awaited(self) -> Any:
        yield self.visits(say=encode("GET a"), wait=self.submitted)

    @inlineCallbacks
    def test_reset(self) -> Any:
        yield self.visits(reset)

    @inlineCallbacks
    def test_reset_while_an_answer_is_awaited(self) -> Any:
        yield self.visits(reset, encode("GET a"), self.submitted)

    @inlineCallbacks
    def test_half_close(self) -> Any:
        yield self.visits(half_close, encode("GET a"), self.submitted)

    @inlineCallbacks
    def test_in_the_middle_of_a_command(self) -> Any:
        yield self.visits(say=b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1000\r\n" + bytes(500))

    @inlineCallbacks
    def test_quit(self) -> Any:
        yield self.visits(lambda client: None, encode("PING", "QUIT"))

    @inlineCallbacks
    def test_commands_that_are_wrong(self) -> Any:
        """Exceptions lead to what was called, and that to the exceptions."""
        yield self.visits(say=encode("NOPE", "GET", "SET a 1 XX NX", "INCR big", "QUIT"), wait=self.failed)
        for wrong in ("NOPE", "GET"):
            yield self.visits(say=encode(wrong))

    def failed(self) -> bool:
        self.replica.run()
        return all(connection.is_leaving for connection in self.factory.connections)

    @inlineCallbacks
    def test_protocol_error(self) -> Any:
        yield self.visits(lambda client: None, b"*1\r\n*1\r\n")

    @inlineCallbacks
    def test_unread_replies(self) -> Any:
        """The way that kept 950 MB for good."""
        for leave in (socket.socket.close, reset):
            yield self.visits(leave, encode("GET big", "MGET big big"), self.answered)

    @inlineCallbacks
    def test_unread_replies_and_the_replica_stops(self) -> Any:
        """It closes all connections; those who take nothing are cut off when they have had their time."""

        def end() -> None:
            self.factory.hang_up()
            for connection in self.factory.connections:
                connection.on_impatience()

        yield self.visits(lambda client: None, encode("GET big"), self.answered, end)

    @inlineCallbacks
    def test_the_replica_stops(self) -> Any:
        def end() -> None:
            self.replica.fail(Unavailable("CLUSTERDOWN the replica is stopping", True))
            self.factory.hang_up()

        yield self.visits(lambda client: None, encode("GET a"), self.submitted, end)

    @inlineCallbacks
    def test_cut_off(self) -> Any:
        """For its idleness, and because all hold too much."""

        def impatience() -> None:
            for connection in self.factory.connections:
                connection.on_impatience()

        yield self.visits(lambda client: None, end=impatience)
        yield self.port.stopListening()
        self.serve(default_limits(clients_bytes_max=1_000_000))
        yield self.visits(lambda client: None, encode("GET big"), self.all_cut_off)

    def all_cut_off(self) -> bool:
        self.replica.run()
        return not self.factory.connections

    @inlineCallbacks
    def test_refused_at_the_door(self) -> Any:
        yield self.port.stopListening()
        self.serve(default_limits(descriptor_max=0))
        yield self.visits(say=encode("PING"))
