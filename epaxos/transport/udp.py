"""The transport over UDP: the same messages in datagrams, without connections.

Messages travel once the two sides have accepted each other's greetings (`greetings.py`).

This transport repeats nothing and orders nothing, because the timers of the protocol send again, and its
rules allow duplicates and any order.  Datagrams are accepted only from the addresses of the other replicas,
and only when their header fits.  From any other address only a greeting that names this cluster is read: that
of a replica which joins or was a member once is accepted, any other one is refused with an answer.  All other
datagrams are counted and dropped, never answered, and cost no memory.
That keeps out mistakes and strangers, but nobody who can forge addresses on this network: `datagrams.py`
says how a proof of the sender will be carried.

A batch has to fit into one datagram, so that only a lost datagram loses it: `batch_bytes_max`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError, MessageLengthError
from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.logger import Logger
from zope.interface import implementer

from epaxos.interfaces import ITransport
from epaxos.net.quiet_log import Complaints
from epaxos.protocol.values.control import Control, Founded, Written
from epaxos.protocol.values.membership import VERSION, Membership
from epaxos.protocol.values.messages import Message
from epaxos.transport.acquaintances import Acquaintances
from epaxos.transport.datagrams import (
    ANSWER,
    CONTROL,
    HELLO,
    LONG_MESSAGE_BYTES_MAX,
    MESSAGES,
    Datagram,
    DatagramError,
    DatagramReader,
    NotGreetedError,
    batch_bytes_max,
    piece_bytes_max,
)
from epaxos.transport.encode_turn import TurnEncoder
from epaxos.transport.greetings import Greetings
from epaxos.transport.handshake import WHOEVER, PeerIdentity
from epaxos.transport.introductions import WIRE_OF_CHANGES, WIRE_OF_STATES, Hears, Myself, form_of
from epaxos.transport.roster import Roster
from epaxos.transport.udp_address import UdpAddress, UdpPassed
from epaxos.transport.udp_peers import UdpPeer, UdpPeers
from epaxos.transport.udp_socket import UdpSocket
from epaxos.wire.codec import WireError
from epaxos.wire.control import decode_control, encode_control

__all__ = ["UdpSettings", "UdpTransport"]

ROWS_OF_JOINER = 7
"""Rows for which a replica that joins leaves room beside a batch, as it does not know how many there are."""

_RECEIVE_BYTES_MAX = 65_536  # a datagram is received whole, whatever limit the sender has


@dataclass(frozen=True)
class UdpSettings:
    """The bounds of the UDP transport; seconds and bytes."""

    datagram_bytes_max: int
    """No longer datagram is sent.  One that no packet of the network holds travels as IP fragments."""
    buffer_bytes: int = 4 * 1024 * 1024
    """Bytes that each buffer of the socket should hold; the system may grant less."""
    heard_within_s: float = 1.0
    """A replica counts as connected for this time after its last datagram."""


@implementer(ITransport)
class UdpTransport:
    """Connects the replica `identity` with the others.

    `where(number, address)` says where a replica is, by its address, "" for where the configuration says; it
    raises ValueError where it cannot.  `introduce` has to be called before `start`.  `session` is larger in
    each life of the replica.
    """

    _log = Logger()

    def __init__(
        self,
        identity: PeerIdentity,
        listen: UdpAddress | UdpPassed,
        where: Callable[[int, str], UdpAddress],
        *,
        session: int,
        reactor: Any,
        settings: UdpSettings,
    ) -> None:
        self._identity = identity
        self._listen = listen
        self._reactor = reactor
        self._settings = settings
        self._complaints = Complaints(self._log, reactor)
        self._encoder = TurnEncoder(LONG_MESSAGE_BYTES_MAX, self._complaints)
        self._where = where
        self._roster = Roster(identity.replica, identity.epoch)
        self._all_peers = UdpPeers(identity, session, settings.datagram_bytes_max)
        self._peers = self._all_peers.by_number
        self._greetings: Greetings | None = None
        self._asked: int | None = None  # who is at the address of the seed, where this replica joins
        self._connection: Callable[[int, bool], None] | None = None
        self._receive: Callable[[int, int, Sequence[Message]], None] | None = None
        self._control: Callable[[int, Control], None] | None = None
        self._acquaintances: Acquaintances | None = None
        self._port: Any = None
        self._socket: UdpSocket | None = None
        self.batch_bytes_max: int | None = batch_bytes_max(
            settings.datagram_bytes_max, identity.n or ROWS_OF_JOINER
        )
        self.piece_bytes_max = piece_bytes_max(settings.datagram_bytes_max)
        self._bytes_sent = 0
        self._bytes_received = 0
        self._sent = 0
        self._unsent = 0
        self._received = 0
        self._refused = 0

    @property
    def address(self) -> IAddress | None:
        """The address on which it listens; None before it listens."""
        return None if self._port is None else self._port.getHost()

    def start(
        self,
        receive: Callable[[int, int, Sequence[Message]], None],
        connection: Callable[[int, bool], None] | None = None,
        control: Callable[[int, Control], None] | None = None,
    ) -> Deferred[None]:
        """As `ITransport.start`.  Raises RuntimeError when it is called again."""
        if self._receive is not None:
            raise RuntimeError("the transport is started already")
        self._receive = receive
        self._connection = connection
        self._control = control
        return self.open() if self._socket is None else succeed(None)

    def introduce(self, myself: Myself, hears: Hears, patience_s: float) -> None:
        """Say from now on who this process is, and examine the others.  To be called before `open`.

        `patience_s`: a process that is silent for this time may be gone.
        """
        identity, settings = self._identity, self._settings
        if myself.membership is not None:
            self._roster.know(myself.membership)
        self._all_peers.uid = myself.uid
        acquaintances = self._acquaintances = Acquaintances(
            identity.replica,
            self._roster,
            identity.cluster,
            myself,
            patience_s,
            self._reactor.seconds,
            hears.on_wrong,
            hears.on_outdated,
        )
        self._greetings = Greetings(
            identity, acquaintances, hears, self._all_peers, self, settings.heard_within_s, self._reactor
        )

    def open(self) -> Deferred[None]:
        """Listen and greet.  Messages are dropped until `start`; control messages are not.

        Raises RuntimeError when the transport was not introduced.
        """
        if self._greetings is None:
            raise RuntimeError("the transport was not introduced")
        self._socket = UdpSocket(self._on_datagram, self._reactor)
        try:
            self._port = self._listen.open(self._reactor, self._socket, _RECEIVE_BYTES_MAX)
        except CannotListenError:
            return fail()
        self._log.info("listening for replicas on {where}, by UDP", where=self._listen)
        self._socket.enlarge_buffers(self._settings.buffer_bytes)
        self._greetings.begin()
        self.follow()
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """As `ITransport.stop`.  May be called at any time, and again."""
        port: IListeningPort | None
        port, self._port = self._port, None
        if self._greetings is not None:
            self._greetings.stop()
        if self._socket is not None:
            self._socket.stop()
        closed = None if port is None else port.stopListening()
        return succeed(None) if closed is None else closed

    def send(self, epoch: int, outgoing: Sequence[tuple[int, Message]]) -> None:
        """As `ITransport.send`, but one replica may need several datagrams."""
        reachable = () if self._port is None else [id for id, peer in self._peers.items() if peer.accepted]
        for replica, chunks in self._encoder.encode(outgoing, reachable).items():
            peer = self._peers[replica]
            for datagram in peer.writer.write(chunks, epoch):
                self.write(peer, datagram)

    def send_control(self, replica: int, control: Control) -> bool:
        """Send a control message, a long one in fragments.  False when it is dropped, because the replica has
        not accepted us, or cannot read it, or it is too long."""
        peer = self._peers.get(replica)
        if peer is None or not peer.accepted or self._port is None or self._greetings is None:
            return False
        if not peer.takes(form_of(control)):
            return False
        body = encode_control(control)
        if len(body) > LONG_MESSAGE_BYTES_MAX:
            self._complaints.warn(f"to {peer.name}", f"a control message of {len(body)} bytes is dropped")
            return False
        self._greetings.send(peer, body, CONTROL)
        return True

    def speaks_epochs(self, replica: int) -> bool:
        """As `ITransport.speaks_epochs`: its greeting says so."""
        return self.is_connected(replica) and self._all_peers.takes(replica, WIRE_OF_STATES)

    def speaks_members(self, replica: int) -> bool:
        """As `ITransport.speaks_members`."""
        return self.is_connected(replica) and self._all_peers.takes(replica, WIRE_OF_CHANGES)

    def uid_of(self, replica: int) -> int | None:
        """As `ITransport.uid_of`."""
        return None if self._acquaintances is None else self._acquaintances.uid_of(replica)

    def version_of(self, replica: int) -> int:
        """As `ITransport.version_of`."""
        known, is_own = self._acquaintances, replica == self._identity.replica
        if known is None:
            return VERSION if is_own else 0
        return known.version_of(replica) if is_own or self.is_connected(replica) else 0

    def know(self, membership: Membership, previous: Membership | None = None) -> None:
        """As `ITransport.know`."""
        if self._acquaintances is not None:
            self._acquaintances.know(membership, previous)
            self.follow()

    def is_connected(self, replica: int) -> bool:
        """As `ITransport.is_connected`: whether a datagram of it came just now."""
        peer = self._peers.get(replica)
        if peer is None or self._receive is None or self._greetings is None:
            return False
        silent_s: float = self._reactor.seconds() - peer.heard_at_s
        return silent_s <= self._greetings.silence_s(replica)

    def backlog_bytes(self, replica: int) -> int:
        """As `ITransport.backlog_bytes`: what the socket does not take is lost."""
        return 0

    def counters(self) -> dict[str, int]:
        """As `ITransport.counters`, and datagrams.

        The numbers of datagrams show which were lost on their way here or came twice; `unsent` are those
        that this host did not send.
        """
        sequences = [peer.reader.sequence for peer in self._peers.values()]
        return {
            "bytes_sent": self._bytes_sent,
            "bytes_received": self._bytes_received,
            "messages_dropped": self._encoder.messages_dropped,
            "send_queue_bytes": 0,
            "datagrams_sent": self._sent,
            "datagrams_unsent": self._unsent,
            "datagrams_received": self._received,
            "datagrams_refused": self._refused,
            "datagrams_lost": sum(sequence.lost for sequence in sequences),
            "datagrams_doubled": sum(sequence.doubled for sequence in sequences),
        }

    # -- Way

    def follow(self) -> None:
        """See Way: the peers are the members and the guests, and nobody else."""
        acquaintances, greetings = self._acquaintances, self._greetings
        if acquaintances is None or greetings is None or self._port is None:
            return
        members = {number: self._roster.address_of(number) for number in self._roster.others}
        others = {number: guest.address for number, guest in acquaintances.guests.items()}
        if acquaintances.myself.seed and self._roster.membership is None:
            others[WHOEVER if self._asked is None else self._asked] = acquaintances.myself.seed
        wanted: dict[int, tuple[str, int]] = {}
        for number, address in {**others, **members}.items():
            try:
                wanted[number] = self._where(number, address)
            except ValueError as error:
                self._complaints.warn(f"to replica {number}", f"it is not reached at {address!a}: {error}")
        new = self._all_peers.update(wanted)
        greetings.keep()
        for peer in new:
            greetings.greet(peer)

    def on_guest(self, number: int, is_there: bool) -> None:
        """See Way."""
        if self._connection is not None:
            self._connection(number, is_there)
        if number == self._asked and not is_there:
            self._asked = None
            self.follow()

    def on_seed(self, number: int) -> None:
        """See Way."""
        self._asked = number
        self.follow()

    def write(self, peer: UdpPeer, datagram: bytes) -> None:
        """See Way."""
        try:
            self._port.write(datagram, peer.address)
        except (OSError, MessageLengthError) as error:
            # A full buffer, no route or a firewall: the same as a loss on the way.
            self._unsent += 1
            reason = getattr(error, "strerror", None) or str(error)
            self._complaints.warn(f"to {peer.name}", f"a datagram is lost: {reason}")
        else:
            self._sent += 1
            self._bytes_sent += len(datagram)

    def _on_datagram(self, datagram: bytes, address: tuple[str, int]) -> None:
        self._bytes_received += len(datagram)
        peer = self._all_peers.find(address, datagram)
        if peer is None:
            self._on_stranger(datagram, address)
            return
        try:
            kind, epoch, session, body = peer.reader.read(datagram)
            self._received += 1
            if kind == MESSAGES:
                self._on_frame(peer, epoch, body)
            elif body and self._greetings is not None:
                self._on_other(self._greetings, peer, Datagram(kind, epoch, session, body))
        except NotGreetedError:
            self._refused += 1  # nothing to warn of: the two greet each other again
        except (DatagramError, WireError) as error:
            self.refuse(f"from {peer.name}", f"a datagram is refused: {error}")

    def _on_stranger(self, datagram: bytes, address: tuple[str, int]) -> None:
        """A datagram from an address where no replica is: of use only when it is a greeting, in one piece."""
        acquaintances, greetings = self._acquaintances, self._greetings
        if acquaintances is None or greetings is None:
            return
        try:
            kind, _, session, body = DatagramReader(self._identity, acquaintances.myself.uid).read(datagram)
            if kind == HELLO and body:
                greetings.on_greeting(address, session, body)
                return
        except (DatagramError, WireError):
            pass
        self.refuse(f"from {address[0]}", "a datagram from an address where no replica is")

    def _on_frame(self, peer: UdpPeer, epoch: int, frame: bytes) -> None:
        """Hand up the messages of a frame; where they cannot be read, the epoch alone."""
        if not frame:
            return
        messages = self._roster.decode(peer.id, epoch, frame)
        peer.heard_at_s = self._reactor.seconds()
        if self._receive is not None and messages != []:
            self._receive(peer.id, epoch, messages or ())

    def _on_other(self, greetings: Greetings, peer: UdpPeer, datagram: Datagram) -> None:
        """A greeting, an answer to one, or a control message."""
        if datagram.kind == HELLO:
            greetings.on_greeting(peer.address, datagram.session, datagram.body)
        elif datagram.kind == ANSWER:
            greetings.on_answer(peer, datagram.body)
        else:
            peer.heard_at_s = self._reactor.seconds()
            control = decode_control(datagram.body)
            if isinstance(control, (Written, Founded)):
                greetings.on_control(peer, control)
            elif self._control is not None:
                self._control(peer.id, control)

    def refuse(self, subject: str, reason: str) -> None:
        """See Way."""
        self._refused += 1
        self._complaints.warn(subject, reason)
