"""The transport over UDP: the same messages in datagrams, without connections.

Messages travel once the two sides have accepted each other's greetings (`greetings.py`).

This transport repeats nothing and orders nothing, because the timers of the protocol send again, and its
rules allow duplicates and any order.  Datagrams are accepted only from the addresses of the other replicas,
and only when their header fits; all others are counted and dropped, never answered, and cost no memory.
That keeps out mistakes and strangers, but nobody who can forge addresses on this network: `datagrams.py`
says how a proof of the sender will be carried.

A batch has to fit into one datagram, so that only a lost datagram loses it: `batch_bytes_max`.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError, MessageLengthError
from twisted.internet.interfaces import IAddress, IDelayedCall, IListeningPort
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import Logger
from zope.interface import implementer

from epaxos.interfaces import ITransport
from epaxos.net.quiet_log import Complaints
from epaxos.protocol.values.control import TRANSFERS, Control, Founded, Written
from epaxos.protocol.values.membership import Membership
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
    NotGreetedError,
    batch_bytes_max,
    piece_bytes_max,
)
from epaxos.transport.encode_turn import TurnEncoder
from epaxos.transport.greetings import Greetings, UdpPeer
from epaxos.transport.handshake import PeerIdentity
from epaxos.transport.introductions import WIRE, Hears, Myself
from epaxos.wire.codec import WireError, decode_frame
from epaxos.wire.control import decode_control, encode_control

__all__ = ["UdpAddress", "UdpSettings", "UdpTransport"]

DATAGRAMS_PER_TURN = 256
"""The most datagrams that are received in one turn, before other work runs."""

_RECEIVE_BYTES_MAX = 65_536  # a datagram is received whole, whatever limit the sender has


class UdpAddress(NamedTuple):
    """An IP address as text ("": all interfaces, to listen on) and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host or '*'}:{self.port}"


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
    """Connects the replica `identity` with its `peers`: where each other replica is.

    `introduce` has to be called before `start`.  `session` is larger in each life of the replica.  Raises
    ValueError when `peers` are not exactly the other replicas.
    """

    _log = Logger()

    def __init__(
        self,
        identity: PeerIdentity,
        listen: UdpAddress,
        peers: Mapping[int, UdpAddress],
        *,
        session: int,
        reactor: Any,
        settings: UdpSettings,
    ) -> None:
        others = set(identity.epoch.members) - {identity.replica}
        if set(peers) != others:
            raise ValueError(f"addresses are needed for the replicas {sorted(others)}, not {sorted(peers)}")
        self._identity = identity
        self._listen = listen
        self._reactor = reactor
        self._settings = settings
        self._complaints = Complaints(self._log, reactor)
        self._encoder = TurnEncoder(LONG_MESSAGE_BYTES_MAX, self._complaints)
        self._session = session
        self._addresses = dict(peers)
        self._peers: dict[int, UdpPeer] = {}
        self._greetings: Greetings | None = None
        self._senders: dict[tuple[str, int], int] = {address: id for id, address in peers.items()}
        self._receive: Callable[[int, int, Sequence[Message]], None] | None = None
        self._control: Callable[[int, Control], None] | None = None
        self._acquaintances: Acquaintances | None = None
        self._port: Any = None
        self._socket: _Socket | None = None
        self.batch_bytes_max: int | None = batch_bytes_max(settings.datagram_bytes_max, identity.epoch.n)
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
        """As `ITransport.start`.  Raises RuntimeError when it is called again; never calls `connection`."""
        if self._receive is not None:
            raise RuntimeError("the transport is started already")
        self._receive = receive
        self._control = control
        return self.open() if self._socket is None else succeed(None)

    def introduce(self, myself: Myself, hears: Hears, patience_s: float) -> None:
        """Say from now on who this process is, and examine the others.  To be called before `open`.

        `patience_s`: a process that is silent for this time may be gone.
        """
        identity, settings = self._identity, self._settings
        acquaintances = self._acquaintances = Acquaintances(
            identity.replica,
            identity.epoch.n,
            identity.cluster,
            myself,
            patience_s,
            self._reactor.seconds,
            hears.on_wrong,
        )
        self._peers = {
            id: UdpPeer(identity, myself.uid, id, address, self._session, settings.datagram_bytes_max)
            for id, address in self._addresses.items()
        }
        self._greetings = Greetings(
            identity,
            acquaintances,
            hears,
            self._peers,
            self._write,
            self._refuse,
            settings.heard_within_s,
            self._reactor,
        )

    def open(self) -> Deferred[None]:
        """Listen and greet.  Messages are dropped until `start`; control messages are not.

        Raises RuntimeError when the transport was not introduced.
        """
        if self._greetings is None:
            raise RuntimeError("the transport was not introduced")
        self._socket = _Socket(self._on_datagram, self._reactor)
        try:
            self._port = self._reactor.listenUDP(
                self._listen.port, self._socket, self._listen.host, _RECEIVE_BYTES_MAX
            )
        except CannotListenError:
            return fail()
        self._log.info("listening for replicas on {where}, by UDP", where=self._listen)
        self._enlarge_buffers()
        self._greetings.begin()
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
                self._write(peer, datagram)

    def send_control(self, replica: int, control: Control) -> bool:
        """Send a control message, a long one in fragments.  False when it is dropped, because the replica has
        not accepted us, or cannot read it, or it is too long."""
        peer = self._peers.get(replica)
        if peer is None or not peer.accepted or self._port is None or self._greetings is None:
            return False
        if isinstance(control, TRANSFERS) and not peer.takes(WIRE):
            return False
        body = encode_control(control)
        if len(body) > LONG_MESSAGE_BYTES_MAX:
            self._complaints.warn(f"to {peer.name}", f"a control message of {len(body)} bytes is dropped")
            return False
        self._greetings.send(peer, body, CONTROL)
        return True

    def speaks_epochs(self, replica: int) -> bool:
        """As `ITransport.speaks_epochs`: its greeting says so."""
        peer = self._peers.get(replica)
        return peer is not None and peer.accepted and peer.takes(WIRE) and self.is_connected(replica)

    def uid_of(self, replica: int) -> int | None:
        """As `ITransport.uid_of`."""
        return None if self._acquaintances is None else self._acquaintances.uid_of(replica)

    def know(self, membership: Membership) -> None:
        """As `ITransport.know`."""
        if self._acquaintances is not None:
            self._acquaintances.know(membership)

    def is_connected(self, replica: int) -> bool:
        """As `ITransport.is_connected`: whether a datagram of it came just now."""
        peer = self._peers.get(replica)
        if peer is None or self._receive is None:
            return False
        silent_s: float = self._reactor.seconds() - peer.heard_at_s
        return silent_s <= self._settings.heard_within_s

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

    def _write(self, peer: UdpPeer, datagram: bytes) -> None:
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
        sender = self._senders.get(address)
        if sender is None:
            self._refuse(f"from {address[0]}", "a datagram from an address where no replica is")
            return
        peer = self._peers[sender]
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
            self._refuse(f"from {peer.name}", f"a datagram is refused: {error}")

    def _on_frame(self, peer: UdpPeer, epoch: int, frame: bytes) -> None:
        """Hand up the messages of a frame."""
        messages = decode_frame(frame, self._identity.epoch)  # all epochs have as many members
        peer.heard_at_s = self._reactor.seconds()
        if messages and self._receive is not None:
            self._receive(peer.id, epoch, messages)

    def _on_other(self, greetings: Greetings, peer: UdpPeer, datagram: Datagram) -> None:
        """A greeting, an answer to one, or a control message."""
        if datagram.kind == HELLO:
            greetings.on_greeting(peer, datagram.session, datagram.body)
        elif datagram.kind == ANSWER:
            greetings.on_answer(peer, datagram.body)
        else:
            peer.heard_at_s = self._reactor.seconds()
            control = decode_control(datagram.body)
            if isinstance(control, (Written, Founded)):
                greetings.on_control(peer, control)
            elif self._control is not None:
                self._control(peer.id, control)

    def _refuse(self, subject: str, reason: str) -> None:
        self._refused += 1
        self._complaints.warn(subject, reason)

    def _enlarge_buffers(self) -> None:
        """Ask for buffers that hold a burst, because datagrams that do not fit are lost."""
        wanted = self._settings.buffer_bytes
        handle: socket.socket = self._port.getHandle()
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            handle.setsockopt(socket.SOL_SOCKET, option, wanted)
        granted = handle.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        if granted < wanted:
            self._log.warn(
                "the receive buffer is {granted} bytes, not {wanted}: under load datagrams are lost;"
                " raise net.core.rmem_max",
                granted=granted,
                wanted=wanted,
            )


class _Socket(DatagramProtocol):
    """Hands on at most DATAGRAMS_PER_TURN datagrams a turn, so that a flood of them does not delay timers.

    Twisted bounds only the bytes that it receives in a turn, and empty datagrams have none.
    """

    noisy = False

    def __init__(self, receive: Callable[[bytes, tuple[str, int]], None], reactor: Any) -> None:
        self._receive_datagram = receive
        self._reactor = reactor
        self._count = 0
        self._throughput = 0
        self._end_of_turn: IDelayedCall | None = None

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        """See DatagramProtocol."""
        if self._end_of_turn is None:
            self._end_of_turn = self._reactor.callLater(0, self._on_end_of_turn)
        self._count += 1
        if self._count == DATAGRAMS_PER_TURN:
            port: Any = self.transport
            self._throughput, port.maxThroughput = port.maxThroughput, 0
        self._receive_datagram(datagram, addr)

    def _on_end_of_turn(self) -> None:
        self._end_of_turn = None
        if self._count >= DATAGRAMS_PER_TURN:
            port: Any = self.transport
            port.maxThroughput = self._throughput
        self._count = 0

    def stop(self) -> None:
        """Nothing more will come."""
        if self._end_of_turn is not None:
            self._end_of_turn.cancel()
            self._end_of_turn = None
