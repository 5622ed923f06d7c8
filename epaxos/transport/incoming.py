"""The receiving side: connections that other replicas made, one from each.

A connection is a stranger until its greeting is accepted.  The number of strangers, their time and the
length of their greeting are bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import Factory, connectionDone
from twisted.python.failure import Failure

from epaxos.net.quiet_log import Complaints
from epaxos.net.shared_reader import SharedReader, hand_over
from epaxos.protocol.values.messages import Message
from epaxos.transport.connection import Connection, Connections, TcpSettings
from epaxos.transport.handshake import (
    HANDSHAKE_BYTES_MAX,
    PeerIdentity,
    Refused,
    accept,
    examine,
    refuse,
)
from epaxos.transport.proof import NO_PROOFS, Proofs
from epaxos.wire.codec import WireError, decode_frame
from epaxos.wire.frames import FrameError, FrameReader, pack

__all__ = ["Incoming", "IncomingFactory"]


class Incoming(Connection):
    """One connection: first a stranger, then the replica `sender`."""

    def __init__(self, owner: IncomingFactory, name: str) -> None:
        super().__init__(owner.connections, owner.clock, owner.settings)
        self._owner = owner
        self._name = name
        self._reader = FrameReader(HANDSHAKE_BYTES_MAX)
        self._timer: IDelayedCall | None = None
        self._closing = False
        self.sender: int | None = None

    def connectionMade(self) -> None:
        super().connectionMade()
        self._source = self._owner.reader.join(self.transport, self, hand_over)
        self._timer = self._clock.callLater(self._settings.handshake_timeout_s, self._on_timeout)

    def dataReceived(self, data: bytes) -> None:
        if self._closing:
            return
        self._owner.bytes_received += len(data)
        try:
            frames = self._reader.feed(data)
            if self.sender is None:
                self._be_greeted(frames)
            else:
                self._quiet_for(self._settings.silence_s)
                self._receive(self.sender, frames)
        except (FrameError, WireError) as error:
            self._reject(str(error))
        except Refused as refusal:
            self._tcp.write(pack([refuse(str(refusal))], HANDSHAKE_BYTES_MAX))
            self._owner.complaints.warn(self._name, f"refused: {refusal}")
            self._closing = True
            self.hang_up()

    def _be_greeted(self, frames: list[bytes]) -> None:
        if not frames:
            return
        if len(frames) > 1:
            raise WireError("it spoke before its greeting was answered")
        sender = examine(self._owner.identity, frames[0])
        self._owner.proofs.of_dialler(self.transport, sender)
        self.sender = sender
        self._name = f"from replica {self.sender}"
        self._reader.bytes_max = self._settings.frame_bytes_max
        self._quiet_for(self._settings.silence_s)
        self._tcp.write(pack([accept()], HANDSHAKE_BYTES_MAX))
        self._owner.on_accepted(self, self.sender)

    def _receive(self, sender: int, frames: list[bytes]) -> None:
        messages: list[Message] = []
        for frame in frames:
            messages += decode_frame(frame, self._owner.identity.epoch)
        if messages:
            self._owner.receive(sender, messages)

    def _quiet_for(self, seconds: float) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.reset(seconds)

    def _on_timeout(self) -> None:
        if self.sender is None:
            self._reject(f"no greeting within {self._settings.handshake_timeout_s:g} s")
        else:
            self._reject(f"silent for {self._settings.silence_s:g} s")

    def replaced(self) -> None:
        """The same replica has made a new connection, which takes the place of this one."""
        self._reject("the replica has made a newer one")

    def _reject(self, reason: str) -> None:
        if not self._closing:
            self._closing = True
            self._owner.complaints.warn(self._name, f"connection closed: {reason}")
            self.abort()

    def hang_up(self) -> None:
        self._closing = True
        super().hang_up()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        why = None if self._closing else self.explain(reason)
        if why is not None:
            self._owner.complaints.warn(self._name, f"connection closed: {why}")
        self._closing = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._owner.reader.leave(self._source)
        self._owner.on_lost(self)
        super().connectionLost(reason)


class IncomingFactory(Factory):
    """Accepts connections.

    `receive(sender, messages)` gets the messages that arrive; `connected(sender, True)` is called when a
    replica has connected, `connected(sender, False)` when it has no connection any more.  `proofs` decides
    who may speak as which replica, before a connection may take the place of another one.
    """

    noisy = False

    def __init__(
        self,
        identity: PeerIdentity,
        receive: Callable[[int, Sequence[Message]], None],
        connected: Callable[[int, bool], None],
        complaints: Complaints,
        clock: IReactorTime,
        settings: TcpSettings,
        reader: SharedReader,
        proofs: Proofs = NO_PROOFS,
    ) -> None:
        self.reader = reader
        self.proofs = proofs
        self.identity = identity
        self.receive = receive
        self.complaints = complaints
        self.clock = clock
        self.settings = settings
        self.connections = Connections()
        self.bytes_received = 0
        self._connected = connected
        self._strangers: set[Incoming] = set()
        self._accepted: dict[int, Incoming] = {}

    def logPrefix(self) -> str:
        """The name that the log has for the port."""
        return "peer port"

    def buildProtocol(self, address: IAddress | None) -> Incoming | None:
        """None, which closes the connection, when there are too many strangers."""
        host = getattr(address, "host", None)
        name = "from a stranger" if host is None else f"from {host}"
        if len(self._strangers) >= self.settings.strangers_max:
            self.complaints.warn(name, f"closed: {self.settings.strangers_max} others are in their handshake")
            return None
        connection = Incoming(self, name)
        self._strangers.add(connection)
        return connection

    def on_accepted(self, connection: Incoming, sender: int) -> None:
        """The stranger `connection` is the replica `sender`, whose only connection this is from now on."""
        self._strangers.discard(connection)
        before = self._accepted.get(sender)
        self._accepted[sender] = connection
        if before is not None:
            before.replaced()
        self._connected(sender, True)

    def on_lost(self, connection: Incoming) -> None:
        """`connection` is lost."""
        self._strangers.discard(connection)
        if connection.sender is not None and self._accepted.get(connection.sender) is connection:
            del self._accepted[connection.sender]
            self._connected(connection.sender, False)

    def close(self) -> Deferred[None]:
        """End all connections.  Fires when the last one is lost."""
        return self.connections.close()
