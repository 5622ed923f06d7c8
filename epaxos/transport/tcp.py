"""The transport over streams: TCP, or TLS or a Unix socket, as the endpoints say.

Each replica dials every other one.  It sends on the connection that it made itself, and receives on those
that the others made.  So a pair has two connections, one for each direction, and need not agree on which of
two to keep.  Messages are dropped while there is no connection or the bounded queue is full, because the
timers of the protocol send again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IListeningPort,
    IReactorTime,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.logger import Logger
from zope.interface import implementer

from epaxos.interfaces import ITransport
from epaxos.net.quiet_log import Complaints
from epaxos.net.shared_reader import SharedReader
from epaxos.protocol.values.control import TRANSFERS, Control, Founded, Written
from epaxos.protocol.values.membership import Membership
from epaxos.protocol.values.messages import Message
from epaxos.protocol.values.transfer import PIECE_BYTES_MAX
from epaxos.transport.acquaintances import Acquaintances
from epaxos.transport.connection import TcpSettings
from epaxos.transport.encode_turn import TurnEncoder
from epaxos.transport.handshake import PeerIdentity
from epaxos.transport.incoming import IncomingFactory
from epaxos.transport.introductions import WIRE, Accepted, Hears, Myself
from epaxos.transport.link import Link, LinkState
from epaxos.transport.presence import Presence
from epaxos.transport.proof import Proofs
from epaxos.wire.control import encode_control

__all__ = ["PeerIdentity", "TcpSettings", "TcpTransport"]


@implementer(ITransport)
class TcpTransport:
    """Connects the replica `identity` with its `peers`: how to dial each other replica.

    `names_of(transport)` gives the URIs in the certificate that the other side has proved to own, without
    which no connection is taken; None: nobody has to prove who it is.  Raises ValueError when `peers` are not
    exactly the other replicas.
    """

    batch_bytes_max = None
    piece_bytes_max = PIECE_BYTES_MAX
    _log = Logger()

    def __init__(
        self,
        identity: PeerIdentity,
        listen: IStreamServerEndpoint,
        peers: Mapping[int, IStreamClientEndpoint],
        *,
        clock: IReactorTime,
        random: Random,
        settings: TcpSettings,
        reader: SharedReader | None = None,
        names_of: Callable[[object], Sequence[str]] | None = None,
    ) -> None:
        others = set(identity.epoch.members) - {identity.replica}
        if set(peers) != others:
            raise ValueError(f"endpoints are needed for the replicas {sorted(others)}, not {sorted(peers)}")
        self._identity = identity
        self._listen = listen
        self._clock = clock
        self._reader = reader or SharedReader()
        self._settings = settings
        self._complaints = complaints = Complaints(self._log, clock)
        self._proofs = Proofs(identity.cluster, names_of)
        self._encoder = TurnEncoder(settings.frame_bytes_max, complaints)
        self._connection: Callable[[int, bool], None] | None = None
        self._presences = {
            peer: Presence(clock, settings.lost_after_s, partial(self._tell, peer)) for peer in peers
        }
        self._links = {
            peer: Link(
                identity,
                peer,
                endpoint,
                self._presences[peer],
                complaints=complaints,
                clock=clock,
                random=random,
                settings=settings,
                proofs=self._proofs,
            )
            for peer, endpoint in peers.items()
        }
        self._receive: Callable[[int, int, Sequence[Message]], None] | None = None
        self._control: Callable[[int, Control], None] | None = None
        self._there: set[int] = set()
        self._acquaintances: Acquaintances | None = None
        self._hears: Hears | None = None
        self._writes_due: IDelayedCall | None = None
        self._incoming: IncomingFactory | None = None
        self._listening: Deferred[IListeningPort] | None = None
        self._port: IListeningPort | None = None

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
        if self._incoming is None:
            return self.open()
        self._incoming.receive = receive
        for peer in sorted(self._there):
            self._tell(peer, True)
        return succeed(None)

    def introduce(self, myself: Myself, hears: Hears, patience_s: float) -> None:
        """Say from now on who this process is, and examine the others.  To be called before `open`.

        `patience_s`: a process that is silent for this time may be gone.
        """
        identity = self._identity
        self._hears = hears
        self._acquaintances = Acquaintances(
            identity.replica,
            identity.epoch.n,
            identity.cluster,
            myself,
            patience_s,
            self._clock.seconds,
            hears.on_wrong,
        )
        for link in self._links.values():
            link.acquaintances = self._acquaintances
            link.met = self._on_link_accepted

    def open(self) -> Deferred[None]:
        """Listen and connect.  Messages are dropped until `start`; control messages are not."""
        self._incoming = incoming = IncomingFactory(
            self._identity,
            self._receive or _too_early,
            self._on_incoming,
            self._complaints,
            self._clock,
            self._settings,
            self._reader,
            self._proofs,
        )
        if self._acquaintances is not None and self._hears is not None:
            incoming.acquaintances = self._acquaintances
            incoming.control = self._on_control
            incoming.met = self._hears.on_met
        self._listening = self._listen.listen(incoming)
        return self._listening.addCallback(self._on_listening)

    def send_control(self, replica: int, control: Control) -> bool:
        """Send a control message.  False when it is dropped, as on a link of form 1."""
        link = self._links.get(replica)
        form = WIRE if isinstance(control, TRANSFERS) else 2
        return link is not None and link.send_control(encode_control(control), form)

    def stop(self) -> Deferred[None]:
        """As `ITransport.stop`.  May be called at any time, and again."""
        ends: list[Deferred[None]] = []
        if self._writes_due is not None and self._writes_due.active():
            self._writes_due.cancel()
        for presence in self._presences.values():
            presence.stop()
        if self._listening is not None:
            self._listening.cancel()  # does nothing once it listens
        if self._port is not None:
            closed = self._port.stopListening()
            if closed is not None:
                ends.append(closed)
            self._port = None
        ends += [link.stop() for link in self._links.values()]
        if self._incoming is not None:
            ends.append(self._incoming.close())
        return gatherResults(ends).addCallback(lambda _: None)

    def send(self, epoch: int, outgoing: Sequence[tuple[int, Message]]) -> None:
        """As `ITransport.send`."""
        accepted = LinkState.ACCEPTED
        connected = [peer for peer, link in self._links.items() if link.state is accepted]
        for replica, chunks in self._encoder.encode(outgoing, connected).items():
            if not self._links[replica].send(chunks, epoch):
                self._encoder.messages_dropped += len(chunks)

    def speaks_epochs(self, replica: int) -> bool:
        """As `ITransport.speaks_epochs`: it takes this form of frames."""
        link = self._links.get(replica)
        return link is not None and link.is_connected and link.wire >= WIRE

    def uid_of(self, replica: int) -> int | None:
        """As `ITransport.uid_of`."""
        return None if self._acquaintances is None else self._acquaintances.uid_of(replica)

    def know(self, membership: Membership) -> None:
        """As `ITransport.know`."""
        if self._acquaintances is not None:
            self._acquaintances.know(membership)

    def is_connected(self, replica: int) -> bool:
        """As `ITransport.is_connected`: whether a message to it would find a connection now.

        False before `start`.
        """
        link = self._links.get(replica)
        return self._receive is not None and link is not None and link.is_connected

    def backlog_bytes(self, replica: int) -> int:
        """As `ITransport.backlog_bytes`."""
        link = self._links.get(replica)
        return 0 if link is None else link.backlog_bytes

    def counters(self) -> dict[str, int]:
        """As `ITransport.counters`."""
        links = self._links.values()
        return {
            "bytes_sent": sum(link.bytes_sent for link in links),
            "bytes_received": 0 if self._incoming is None else self._incoming.bytes_received,
            "messages_dropped": self._encoder.messages_dropped,
            "send_queue_bytes": sum(link.backlog_bytes for link in links),
        }

    def _on_listening(self, port: IListeningPort) -> None:
        self._port = port
        address = port.getHost()
        where = (
            f"{address.host}:{address.port}" if isinstance(address, (IPv4Address, IPv6Address)) else address
        )
        self._log.info("listening for replicas on {where}", where=where)
        for link in self._links.values():
            link.dial()
        if self._acquaintances is not None:
            self._tell_writes(self._acquaintances)

    def _tell_writes(self, acquaintances: Acquaintances) -> None:
        """Tell the others how far the folder is, so that they know it when it comes back older."""
        written = Written(acquaintances.myself.written())
        for peer in self._links:
            self.send_control(peer, written)
        self._writes_due = self._clock.callLater(
            acquaintances.patience_s / 2, self._tell_writes, acquaintances
        )

    def _on_control(self, sender: int, control: Control) -> None:
        if isinstance(control, (Written, Founded)):
            if self._hears is not None:
                self._hears.on_control(sender, control)
        elif self._control is not None:
            self._control(sender, control)

    def _on_link_accepted(self, peer: int, answer: Accepted) -> None:
        if self._hears is not None:
            self._hears.on_met(peer, answer.by)

    def _on_incoming(self, sender: int, is_open: bool) -> None:
        self._presences[sender].incoming(is_open)
        if is_open:  # it runs, so an attempt to connect is worthwhile now
            self._links[sender].dial()

    def _tell(self, peer: int, is_there: bool) -> None:
        if is_there:
            self._there.add(peer)
        else:
            self._there.discard(peer)
            if self._hears is not None:
                self._hears.on_lost(peer)
        if self._connection is not None:
            self._connection(peer, is_there)


def _too_early(sender: int, epoch: int, messages: Sequence[Message]) -> None:
    """Drop messages that come before the node has started."""
