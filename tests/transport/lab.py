"""A TCP transport whose endpoints, clock and connections are in the hands of the test."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionRefusedError
from twisted.internet.interfaces import IListeningPort, IStreamClientEndpoint, IStreamServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from epaxos.protocol.values.control import Control
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.membership import Member, Membership
from epaxos.protocol.values.messages import AcceptOK, Batch, Message, PreAccept
from epaxos.transport.handshake import PeerIdentity, accept, examine, greet
from epaxos.transport.introductions import Introduction, Myself
from epaxos.transport.tcp import TcpSettings, TcpTransport
from epaxos.wire.codec import decode_frame
from epaxos.wire.frames import FrameReader, pack
from tests.defaults import default_tcp

__all__ = [
    "Heard",
    "ManualEndpoint",
    "ManualListener",
    "TransportLab",
    "Wire",
    "connect",
    "introduction",
    "membership",
    "myself",
]

SETTINGS = default_tcp(queue_bytes_max=1000, frame_bytes_max=500, strangers_max=3)


class Wire(StringTransport):
    """The near end of a connection; the test is the far end."""

    def __init__(self, protocol: Protocol) -> None:
        super().__init__()
        self.protocol = protocol
        self.writes: list[bytes] = []
        self.closed: str | None = None

    def write(self, data: bytes) -> None:
        assert self.closed is None, "written after the end"
        self.writes.append(data)

    def loseConnection(self) -> None:
        assert self.producer is None, "a connection with a producer would never close"
        self._end("flushed", ConnectionDone())

    def abortConnection(self) -> None:
        self._end("aborted", ConnectionAborted())

    def lose(self) -> None:
        """The far end hangs up."""
        self._end("lost", ConnectionDone())

    def _end(self, how: str, reason: Exception) -> None:
        if self.closed is None:
            self.closed = how
            self.protocol.connectionLost(Failure(reason))

    def receive(self, data: bytes) -> None:
        """The far end has sent `data`."""
        assert self.closed is None
        self.protocol.dataReceived(data)


def connect(factory: Factory) -> Wire | None:
    """A connection of `factory`; None when the factory refuses one."""
    protocol = factory.buildProtocol(None)
    if protocol is None:
        return None
    wire = Wire(protocol)
    protocol.makeConnection(wire)
    return wire


@implementer(IStreamClientEndpoint)
class ManualEndpoint:
    """Attempts wait until the test lets them succeed or fail."""

    def __init__(self) -> None:
        self.attempts = 0
        self._waiting: tuple[Factory, Deferred[Any]] | None = None

    def connect(self, factory: Any) -> Deferred[Any]:
        assert self._waiting is None, "two attempts at a time"
        self.attempts += 1
        attempt: Deferred[Any] = Deferred(self._cancelled)
        self._waiting = (factory, attempt)
        return attempt

    def _cancelled(self, attempt: Deferred[Any]) -> None:
        self._waiting = None

    @property
    def factory(self) -> Factory:
        """What the waiting attempt would build its connection with."""
        assert self._waiting is not None
        return self._waiting[0]

    @property
    def waiting(self) -> bool:
        """Whether an attempt to connect waits."""
        return self._waiting is not None

    def succeed(self) -> Wire:
        """Let the attempt succeed: the connection."""
        assert self._waiting is not None
        (factory, attempt), self._waiting = self._waiting, None
        wire = connect(factory)
        assert wire is not None
        attempt.callback(wire.protocol)
        return wire

    def fail(self, why: Exception | None = None) -> None:
        """Let the attempt fail."""
        assert self._waiting is not None
        (_, attempt), self._waiting = self._waiting, None
        attempt.errback(why or ConnectionRefusedError())


@implementer(IListeningPort)
class _Port:
    def __init__(self, listener: ManualListener) -> None:
        self._listener = listener

    def getHost(self) -> Any:
        return "here"

    def startListening(self) -> None:
        raise AssertionError("endpoints do that")

    def stopListening(self) -> Deferred[None]:
        self._listener.factory = None
        return succeed(None)


@implementer(IStreamServerEndpoint)
class ManualListener:
    """Connections come when the test says so."""

    factory: Any = None

    def listen(self, factory: Any) -> Deferred[Any]:
        self.factory = factory
        return succeed(_Port(self))

    def dialled(self) -> Wire | None:
        """Somebody connects."""
        return connect(self.factory)


class Heard:
    """Notes what is told to `Hears`."""

    def __init__(self) -> None:
        self.met: list[tuple[int, Introduction | None]] = []
        self.lost: list[int] = []
        self.controls: list[tuple[int, Control]] = []
        self.wrong: list[str] = []
        self.outdated: list[str] = []

    def on_met(self, number: int, who: Introduction | None) -> None:
        self.met.append((number, who))

    def on_lost(self, number: int) -> None:
        self.lost.append(number)

    def on_control(self, sender: int, control: Control) -> None:
        self.controls.append((sender, control))

    def on_wrong(self, text: str) -> None:
        self.wrong.append(text)

    def on_outdated(self, text: str) -> None:
        self.outdated.append(text)


def introduction(number: int, **changes: Any) -> Introduction:
    """What the replica `number` says of itself: the uid 100 + number, the process 200 + number."""
    return Introduction(100 + number, 200 + number)._replace(**changes)


def myself(number: int, written: int = 0, **changes: Any) -> Myself:
    """The same, of the process under test."""
    return Myself(100 + number, 200 + number, lambda: written, **changes)


def membership(n: int = 3, uuid: int = 7) -> Membership:
    """The first members of the cluster `uuid`."""
    return Membership(uuid, 0, 1, tuple(Member(number, 100 + number) for number in range(n)))


class TransportLab:
    """Replica `replica` of `n`, started; `received` and `connections` are what was handed up.

    With `me` it introduces itself, and `heard` is what was told of the others.
    """

    def __init__(
        self,
        replica: int = 1,
        n: int = 3,
        settings: TcpSettings = SETTINGS,
        me: Myself | None = None,
        opens_only: bool = False,
    ) -> None:
        self.clock = Clock()
        self.listener = ManualListener()
        self.endpoints = {peer: ManualEndpoint() for peer in range(n) if peer != replica}
        self.identity = PeerIdentity("home", replica, Epoch.first(n))
        self.transport = TcpTransport(
            self.identity,
            self.listener,
            lambda peer, address, is_member: self.endpoints[peer],
            clock=self.clock,
            random=Random(1),
            settings=settings,
        )
        self.heard = Heard()
        if me is not None:
            self.transport.introduce(me, self.heard, 1.0)
        self.received: list[tuple[int, Sequence[Message]]] = []
        self.epochs: list[int] = []
        self.connections: list[tuple[int, bool]] = []
        if opens_only:
            self.transport.open()
        else:
            self.start()

    def _receive(self, sender: int, epoch: int, messages: Sequence[Message]) -> None:
        self.received.append((sender, messages))
        self.epochs.append(epoch)

    def start(self) -> None:
        """As the node does."""
        self.transport.start(
            self._receive,
            lambda peer, is_there: self.connections.append((peer, is_there)),
        )

    def link(self, peer: int) -> Wire:
        """The connection to `peer`, accepted by it."""
        wire = self.endpoints[peer].succeed()
        (greeting,) = FrameReader(1024).feed(wire.writes.pop())
        there = PeerIdentity("home", peer, self.identity.epoch)
        assert examine(there, greeting)[0] == self.identity.replica
        wire.receive(pack([accept()], 1024))
        return wire

    def stranger(self) -> Wire:
        """A new incoming connection."""
        wire = self.listener.dialled()
        assert wire is not None
        return wire

    def peer(self, sender: int) -> Wire:
        """A connection from `sender`, accepted here."""
        wire = self.stranger()
        wire.receive(
            pack(
                [greet(PeerIdentity("home", sender, self.identity.epoch), self.identity.replica)],
                1024,
            )
        )
        assert wire.writes.pop() == pack([accept()], 1024)
        return wire

    def messages(self, write: bytes) -> list[list[Message]]:
        """The messages of each frame in the bytes of one write."""
        return [decode_frame(frame, self.identity.epoch) for frame in FrameReader(2**20).feed(write)]


ID = InstanceId(0, 1)


def ok(ballot: int = 0) -> Message:
    return AcceptOK(ID, ballot)


def big(size_bytes: int) -> Message:
    return PreAccept(ID, Batch((), (), bytes(size_bytes), 1), (0, 0, 0))


class LogCase(SynchronousTestCase):
    """Gathers the warnings; anything worse fails the test by itself."""

    def setUp(self) -> None:
        self.warnings: list[str] = []
        globalLogPublisher.addObserver(self._observe)
        self.addCleanup(globalLogPublisher.removeObserver, self._observe)

    def _observe(self, event: LogEvent) -> None:
        if event.get("log_level") == LogLevel.warn:
            self.warnings.append(formatEvent(event))
