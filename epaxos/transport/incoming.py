"""The receiving side: connections that other replicas made, one from each.

A connection is a stranger until its greeting is accepted.  The number of strangers, their time and the
length of their greeting are bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import Factory, connectionDone
from twisted.python.failure import Failure

from epaxos.net.quiet_log import Complaints
from epaxos.net.shared_reader import SharedReader, hand_over
from epaxos.protocol.values.control import Control, Written
from epaxos.protocol.values.messages import Message
from epaxos.transport.acquaintances import Acquaintances
from epaxos.transport.connection import Connection, Connections, TcpSettings
from epaxos.transport.handshake import (
    HANDSHAKE_BYTES_MAX,
    WHOEVER,
    Greeting,
    PeerIdentity,
    accept,
    check_receiver,
    examine,
    refuse,
)
from epaxos.transport.introductions import Accepted, Introduction, Refused
from epaxos.transport.proof import NO_PROOFS, Proofs
from epaxos.transport.roster import Roster
from epaxos.wire.codec import WireError
from epaxos.wire.control import UnknownKindError, decode_control
from epaxos.wire.frames import CONTROL, EPOCH_LIMIT, TAG_BYTES, FrameError, FrameReader, pack

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
        self._wire = 1
        self.frames = 0
        self.sender: int | None = None
        self.uid = 0
        """That of the folder of the sender; 0 for a version that does not say."""

    def connectionMade(self) -> None:
        super().connectionMade()
        self._source = self._owner.reader.join(self.transport, self, hand_over)
        self._timer = self._clock.callLater(self._settings.handshake_timeout_s, self._on_timeout)

    def dataReceived(self, data: bytes) -> None:
        if self._closing:
            return
        self._owner.bytes_received += len(data)
        try:
            if self.sender is None:
                self._be_greeted(self._reader.feed(data))
                return
            self._quiet_for(self._settings.silence_s)
            if self._wire == 1:
                frames = [(0, frame) for frame in self._reader.feed(data)]
            else:
                frames = self._reader.feed_tagged(data)
            self.frames += len(frames)
            self._receive(self.sender, frames)
        except (FrameError, WireError) as error:
            self.reject(str(error))

    def _be_greeted(self, frames: list[bytes]) -> None:
        if not frames:
            return
        if len(frames) > 1 or not self._reader.is_empty:
            raise WireError("it spoke before its greeting was answered")
        owner = self._owner
        try:
            greeting = examine(owner.identity, frames[0])
            sender, receiver, who = greeting
            owner.proofs.of_dialler(self.transport, sender)
            self._name = f"from replica {sender}"
            heard = owner.examine(greeting)
        except Refused as refusal:
            answer = refuse(str(refusal), refusal.kind, refusal.told or owner.answer())
            self._tcp.write(pack([answer], HANDSHAKE_BYTES_MAX))
            owner.complaints.warn(self._name, f"refused: {refusal}")
            self._closing = True
            self.hang_up()
            return
        self.sender = sender
        self.uid = 0 if who is None else who.uid
        self._reader.bytes_max = self._settings.frame_bytes_max
        if owner.acquaintances is not None and who is not None and who.wire > 1:
            self._wire = who.wire
            self._reader.bytes_max += TAG_BYTES
        self._quiet_for(self._settings.silence_s)
        number = owner.identity.replica if receiver == WHOEVER else None
        self._tcp.write(pack([accept(owner.answer(*heard, number))], HANDSHAKE_BYTES_MAX))
        owner.on_accepted(self, sender, who)

    def _receive(self, sender: int, frames: list[tuple[int, bytes]]) -> None:
        """Hand up the messages, those of one epoch that come one after the other together.

        Where they cannot be read, the epoch alone is told: the sender is ahead or behind.
        """
        owner = self._owner
        messages: list[Message] = []
        last = 0
        for tag, frame in frames:
            if tag != last and messages:
                owner.receive(sender, last, messages)
                messages = []
            last = tag
            if tag == CONTROL:
                self._receive_control(sender, frame)
            elif tag < EPOCH_LIMIT:
                decoded = owner.roster.decode(sender, tag, frame)
                if decoded is None:
                    owner.receive(sender, tag, ())
                else:
                    messages += decoded
            else:
                raise WireError(f"a frame of epoch {tag}")
        if messages:
            owner.receive(sender, last, messages)

    def _receive_control(self, sender: int, frame: bytes) -> None:
        """Hand up a control message.  One of a kind that only later versions know is dropped."""
        try:
            control = decode_control(frame)
        except UnknownKindError:
            return
        self._owner.on_control(sender, control)

    def _quiet_for(self, seconds: float) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.reset(seconds)

    def _on_timeout(self) -> None:
        if self.sender is None:
            self.reject(f"no greeting within {self._settings.handshake_timeout_s:g} s")
        else:
            self.reject(f"silent for {self._settings.silence_s:g} s")

    def replaced(self) -> None:
        """The same replica has made a new connection, which takes the place of this one."""
        self.reject("the replica has made a newer one")

    def reject(self, reason: str) -> None:
        """End the connection, and log the reason."""
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
    """Accepts connections.  `roster` says who the members are.

    `receive(sender, epoch, messages)` gets the messages that arrive; `connected(sender, True)` is called when
    a replica has connected, `connected(sender, False)` when it has no connection any more.  `proofs` decides
    who may speak as which replica, before anything else is believed.  Without `acquaintances` replicas are
    known by their numbers alone.  `control(sender, control)` gets control messages, and `met(sender, who)` is
    called when a member that introduces itself has connected, and `admitted()` when a guest was let in.
    """

    noisy = False

    def __init__(
        self,
        identity: PeerIdentity,
        roster: Roster,
        receive: Callable[[int, int, Sequence[Message]], None],
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
        self.roster = roster
        self.receive = receive
        self.complaints = complaints
        self.clock = clock
        self.settings = settings
        self.connections = Connections()
        self.bytes_received = 0
        self.acquaintances: Acquaintances | None = None
        self.control: Callable[[int, Control], None] = _nothing
        self.met: Callable[[int, Introduction | None], None] = _nothing
        self.admitted: Callable[[], None] = _no_guests
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

    def examine(self, greeting: Greeting) -> tuple[int, int]:
        """What was heard before of the replica that greets.  Raises Refused when it may not speak.

        One that was a member once may look for another replica, which had the address of this one.  It is
        refused, but as a guest it is dialled, and told.
        """
        acquaintances = self.acquaintances
        if acquaintances is None:
            return (0, 0)
        sender, _, who = greeting
        heard = acquaintances.heard_of(sender)
        connection = self._accepted.get(sender)
        try:
            acquaintances.examine(sender, who, None if connection is None else connection.frames)
            if sender in acquaintances.guests:
                self.admitted()
            check_receiver(self.identity, greeting)
        except Refused as refusal:
            refusal.told = self.answer(*heard)
            if connection is not None and acquaintances.is_banned(sender):
                connection.reject("two processes have its uid")
            raise
        return heard

    def answer(
        self, heard_written: int = 0, heard_process: int = 0, number: int | None = None
    ) -> Accepted | None:
        """What an answer says beside yes or no; None when this process does not introduce itself."""
        if self.acquaintances is None:
            return None
        return Accepted(self.acquaintances.myself.introduction(), heard_written, heard_process, number)

    def on_control(self, sender: int, control: Control) -> None:
        """A control message has come."""
        if isinstance(control, Written):
            if self.acquaintances is not None:
                self.acquaintances.on_written(sender, control.number)
        else:
            self.control(sender, control)

    def on_accepted(self, connection: Incoming, sender: int, who: Introduction | None) -> None:
        """The stranger `connection` is the replica `sender`, whose only connection this is from now on."""
        self._strangers.discard(connection)
        before = self._accepted.get(sender)
        self._accepted[sender] = connection
        if before is not None:
            before.replaced()
        self._connected(sender, True)
        if self.acquaintances is not None and sender not in self.acquaintances.guests:
            self.met(sender, who)

    def on_lost(self, connection: Incoming) -> None:
        """`connection` is lost."""
        self._strangers.discard(connection)
        if connection.sender is not None and self._accepted.get(connection.sender) is connection:
            del self._accepted[connection.sender]
            self._connected(connection.sender, False)

    @property
    def senders(self) -> list[int]:
        """The replicas that have a connection."""
        return list(self._accepted)

    def keep(self, uids: Mapping[int, int | None]) -> None:
        """End the connections of all replicas but these, and of those with another folder than the one beside
        the number; None: its folder is not known."""
        for sender, connection in list(self._accepted.items()):
            uid = uids.get(sender)
            if sender not in uids or (uid is not None and connection.uid not in (0, uid)):
                connection.reject("it is no member any more")

    def close(self) -> Deferred[None]:
        """End all connections.  Fires when the last one is lost."""
        return self.connections.close()


def _nothing(sender: int, said: object) -> None:
    """Do nothing, because nobody waits for it."""


def _no_guests() -> None:
    """Do nothing, because nobody is let in as a guest."""
