"""A replica without a cluster, clients without sockets, and clients with sockets."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet import reactor as the_reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, inlineCallbacks, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import LogEvent, Logger, globalLogPublisher
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from epaxos.interfaces import Command, CommandInfo, IClients, Outcome, Ready, Unavailable
from epaxos.interfaces.instruments import Took
from epaxos.interfaces.memory import MemoryUse
from epaxos.net.quiet_log import Complaints
from epaxos.node.observers import Observers
from epaxos.protocol.values.ids import InstanceId
from epaxos.resp.connection import RespConnection
from epaxos.resp.limits import RespLimits
from epaxos.resp.server import RespFactory
from epaxos.statemachines.redis.machine import KeyValueStore
from tests.defaults import default_limits
from tests.net.lab import until


@implementer(IClients)
class OneReplica:
    """Runs submitted commands when `run` is called, or at once; `held` are those not run yet.

    `run` goes on with what comes while it runs, unless it is given an `order`.
    """

    def __init__(self, at_once: Callable[..., Any] | None = None) -> None:
        self.store = KeyValueStore()
        self.held: list[tuple[Sequence[Command], Callable[[Outcome], None]]] = []
        self.submitted: list[int] = []
        self.call_later = at_once
        self.took_now: Took | None = None
        self.users = self.store.users
        self.executed = Observers(self.store, lambda: True, lambda: True)

    def check(self, command: Command) -> None:
        self.store.check(command)

    def is_valid_shape(self, name: bytes, length: int) -> bool:
        return self.store.is_valid_shape(name, length)

    def commands(self) -> Sequence[CommandInfo]:
        return self.store.commands()

    def version(self) -> int:
        return 2

    def databases(self) -> int:
        return self.store.databases

    def is_read(self, name: bytes) -> bool:
        return self.store.is_read(name)

    def submit(
        self, commands: Sequence[Command], done: Callable[[Outcome], None], size_bytes: int = 0
    ) -> None:
        self.submitted.append(len(commands))
        self.held.append((commands, done))
        if self.call_later is not None:
            self.call_later(0, self.run)

    def run(self, order: Sequence[int] | None = None) -> None:
        while self.held:
            held, self.held = self.held, []
            for index in order if order is not None else range(len(held)):
                commands, done = held[index]
                batch = self.store.batch(commands)
                self.executed.applied += 1
                done(self.store.apply([Ready(InstanceId(0, 1), batch, True)])[0])
                self.executed.on_applied(batch, True)
            if order is not None:
                return

    def fail(self, unavailable: Unavailable) -> None:
        for _, done in self.held:
            done(unavailable)
        self.held.clear()

    def memory(self) -> MemoryUse:
        return self.store.bound.use()

    def took(self) -> Took | None:
        return self.took_now

    def keyspace(self) -> Mapping[int, tuple[int, int]]:
        return self.store.keyspace()

    def keys_of(self, command: Command) -> Sequence[bytes]:
        return self.store.keys_of(command)

    def members_up(self) -> Sequence[int]:
        return []

    def status(self, digest: bool = False) -> Deferred[dict[str, Any]]:
        return succeed({})


class Wire(StringTransport):
    """Remembers how often it was written to."""

    writes = 0

    def write(self, data: bytes) -> None:
        self.writes += 1
        super().write(data)


class Server:
    """`replica`: a new one, unless one is given.  `given`: more of what a RespFactory takes."""

    def __init__(
        self,
        limits: RespLimits | None = None,
        settings: dict[str, str] | None = None,
        replica: OneReplica | None = None,
        **given: Any,
    ) -> None:
        self.clock = Clock()
        self.replica = replica or OneReplica()
        self.factory = RespFactory(
            self.replica,
            Complaints(Logger(), self.clock),
            limits or default_limits(),
            settings=settings,
            seconds=self.clock.seconds,
            **given,
        )
        self.replica.store.use_audience(self.factory.audience)

    def go_on(self) -> None:
        """Do all that is due now: run what is submitted, and take the turns that were asked for."""
        while True:
            self.replica.run()
            now = self.clock.seconds()
            if not any(call.getTime() <= now for call in self.clock.getDelayedCalls()):
                break
            self.clock.advance(0)

    def connect(self) -> tuple[RespConnection, Wire]:
        connection = self.factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1234))
        wire = Wire()
        connection.makeConnection(wire)
        return connection, wire


def encode(*commands: str) -> bytes:
    out = []
    for command in commands:
        arguments = command.encode().split()
        out.append(b"*%d\r\n" % len(arguments))
        out += [b"$%d\r\n%s\r\n" % (len(argument), argument) for argument in arguments]
    return b"".join(out)


def encode_raw(*command: bytes) -> bytes:
    """One command, as every client writes it."""
    return b"*%d\r\n%b" % (len(command), b"".join([b"$%d\r\n%b\r\n" % (len(a), a) for a in command]))


class Clients:
    """Several clients of one server."""

    def __init__(self, count: int, limits: RespLimits | None = None) -> None:
        self.server = Server(limits)
        self.replica = self.server.replica
        self.connections: list[RespConnection] = []
        self.wires: list[Wire] = []
        for _ in range(count):
            connection, wire = self.server.connect()
            self.connections.append(connection)
            self.wires.append(wire)

    def send(self, *reads: bytes) -> None:
        """Let the clients send `reads`, one for each, in one turn; a client with no bytes sends nothing."""
        self.server.factory.shared.receive(
            [(connection, read) for connection, read in zip(self.connections, reads) if read]
        )

    @property
    def answers(self) -> list[bytes]:
        """The bytes that each client has received since the last call."""
        answers = [wire.value() for wire in self.wires]
        for wire in self.wires:
            wire.clear()
        return answers


reactor: Any = the_reactor
MEGABYTES = bytes(range(256)) * 20_000
LONG = b"$%d\r\n%b\r\n" % (len(MEGABYTES), MEGABYTES)


class Replica(OneReplica):
    """Answers at once, or when `run` is called; `big` is 5 MB."""

    def __init__(self, at_once: bool = True) -> None:
        super().__init__(reactor.callLater if at_once else None)
        self.store.restore({b"big": MEGABYTES, b"small": b"s"}, [])


class SocketCase(TestCase):
    timeout = 30

    def setUp(self) -> None:
        self.factory: Any = None

    def serve(self, limits: RespLimits | None = None, at_once: bool = True) -> None:
        self.replica = Replica(at_once)
        self.clock = Clock()  # of patience alone
        self.factory = RespFactory(
            self.replica, Complaints(Logger(), self.clock), limits or default_limits(), clock=reactor
        )
        shared = self.factory.shared
        shared.patience = type(shared.patience)(self.clock, shared.limits.timeout_s)
        self.holdings, self.traffic = shared.register.holdings, shared.traffic
        self.port = self.listen()
        self.sockets: list[socket.socket] = []
        self.lines: list[LogEvent] = []
        globalLogPublisher.addObserver(self.lines.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.lines.append)

    def listen(self) -> Any:
        return reactor.listenTCP(0, self.factory, interface="127.0.0.1")

    def dial(self, receive_bytes: int | None) -> socket.socket:
        client = socket.socket()
        if receive_bytes is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        client.settimeout(20)
        client.connect(("127.0.0.1", self.port.getHost().port))
        return client

    @inlineCallbacks
    def tearDown(self) -> Any:
        if self.factory is None:
            return
        for client in self.sockets:
            client.close()
        for connection in self.factory.connections:
            connection.transport.abortConnection()
        yield until(lambda: not self.factory.connections)
        self.assertEqual(self.holdings.total_bytes, 0)
        self.assertEqual(self.holdings._holders, {})
        self.assertEqual(self.clock.getDelayedCalls(), [])
        yield self.port.stopListening()

    @inlineCallbacks
    def connect(self, receive_bytes: int | None = None) -> Any:
        """A connection, and its client, whose kernel takes no more than about `receive_bytes` unread."""
        before = set(self.factory.connections)
        client = self.dial(receive_bytes)
        self.sockets.append(client)
        yield until(lambda: len(self.factory.connections) > len(before))
        (connection,) = set(self.factory.connections) - before
        if receive_bytes is not None:
            connection.transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, receive_bytes)
        return connection, client

    def said(self, text: str) -> int:
        """The number of log lines whose reason contains `text`."""
        return sum(text in str(line.get("reason")) for line in self.lines)


def held_bytes(connection: RespConnection) -> int:
    """The bytes that the connection makes the server hold."""
    return connection.pipeline.account.held_bytes


def take(client: socket.socket, *expected: bytes) -> bool:
    """Whether the client reads exactly these replies, one after the other.  Called in a thread."""
    for reply in expected:
        view = memoryview(reply)
        while view:
            data = client.recv(min(len(view), 1 << 20))
            if not data or data != view[: len(data)]:
                return False
            view = view[len(data) :]
    return True


def take_rest(client: socket.socket) -> bytes:
    """All bytes until the end of the connection.  Called in a thread."""
    data = bytearray()
    while piece := client.recv(1 << 20):
        data += piece
    return bytes(data)
