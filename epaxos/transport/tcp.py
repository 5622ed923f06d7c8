"""The transport over streams: TCP, or TLS or a Unix socket, as the endpoints say.

Each replica dials every other one.  It sends on the connection that it made itself, and receives on those
that the others made.  So a pair has two connections, one for each direction, and need not agree on which of
two to keep.  Messages are dropped while there is no connection or the bounded queue is full, because the
timers of the protocol send again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from epaxos.protocol.values.control import Control, Founded, Written
from epaxos.protocol.values.membership import VERSION, Membership
from epaxos.protocol.values.messages import Message
from epaxos.protocol.values.transfer import PIECE_BYTES_MAX
from epaxos.transport.acquaintances import Acquaintances
from epaxos.transport.connection import TcpSettings
from epaxos.transport.encode_turn import TurnEncoder
from epaxos.transport.handshake import WHOEVER, PeerIdentity
from epaxos.transport.incoming import IncomingFactory
from epaxos.transport.introductions import WIRE_OF_CHANGES, WIRE_OF_STATES, Accepted, Hears, Myself, form_of
from epaxos.transport.link import Link, LinkState
from epaxos.transport.links import Links
from epaxos.transport.presence import Presence
from epaxos.transport.proof import Proofs
from epaxos.transport.roster import Roster
from epaxos.wire.control import encode_control

__all__ = ["PeerIdentity", "TcpSettings", "TcpTransport"]


@implementer(ITransport)
class TcpTransport:
    """Connects the replica `identity` with the others.

    `dial(number, address, is_member)` makes an endpoint that reaches a replica at an address, "" for where
    the configuration says; it raises ValueError where it cannot.  `names_of(transport)` gives the URIs in the
    certificate that the other side has proved to own, without which no connection is taken; None: nobody has
    to prove who it is.
    """

    batch_bytes_max = None
    piece_bytes_max = PIECE_BYTES_MAX
    _log = Logger()

    def __init__(
        self,
        identity: PeerIdentity,
        listen: IStreamServerEndpoint,
        dial: Callable[[int, str, bool], IStreamClientEndpoint],
        *,
        clock: IReactorTime,
        random: Random,
        settings: TcpSettings,
        reader: SharedReader | None = None,
        names_of: Callable[[object], Sequence[str]] | None = None,
    ) -> None:
        self._identity = identity
        self._listen = listen
        self._dial = dial
        self._clock = clock
        self._random = random
        self._reader = reader or SharedReader()
        self._settings = settings
        self._complaints = complaints = Complaints(self._log, clock)
        self._proofs = Proofs(identity.cluster, names_of)
        self._encoder = TurnEncoder(settings.frame_bytes_max, complaints)
        self._connection: Callable[[int, bool], None] | None = None
        self._roster = Roster(identity.replica, identity.epoch)
        self._all_links = Links(self._make_link, partial(Presence, clock, settings.lost_after_s), self._tell)
        self._links = self._all_links.by_number
        self._asked: int | None = None  # who is at the address of the seed, where this replica joins
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
        if myself.membership is not None:
            self._roster.know(myself.membership)
        self._acquaintances = Acquaintances(
            identity.replica,
            self._roster,
            identity.cluster,
            myself,
            patience_s,
            self._clock.seconds,
            hears.on_wrong,
            hears.on_outdated,
        )

    def open(self) -> Deferred[None]:
        """Listen and connect.  Messages are dropped until `start`; control messages are not."""
        self._incoming = incoming = IncomingFactory(
            self._identity,
            self._roster,
            self._receive or _too_early,
            self._all_links.on_incoming,
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
            incoming.admitted = self._follow
        self._listening = self._listen.listen(incoming)
        return self._listening.addCallback(self._on_listening)

    def send_control(self, replica: int, control: Control) -> bool:
        """Send a control message.  False when it is dropped, as on a link of form 1."""
        link = self._links.get(replica)
        return link is not None and link.send_control(encode_control(control), form_of(control))

    def stop(self) -> Deferred[None]:
        """As `ITransport.stop`.  May be called at any time, and again."""
        ends: list[Deferred[None]] = []
        if self._writes_due is not None and self._writes_due.active():
            self._writes_due.cancel()
        if self._listening is not None:
            self._listening.cancel()  # does nothing once it listens
        if self._port is not None:
            closed = self._port.stopListening()
            if closed is not None:
                ends.append(closed)
            self._port = None
        ends += self._all_links.stop()
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
        return link is not None and link.is_connected and link.wire >= WIRE_OF_STATES

    def speaks_members(self, replica: int) -> bool:
        """As `ITransport.speaks_members`."""
        link = self._links.get(replica)
        return link is not None and link.is_connected and link.wire >= WIRE_OF_CHANGES

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
            if self._port is not None:
                self._follow()

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
        return {
            "bytes_sent": self._all_links.bytes_sent,
            "bytes_received": 0 if self._incoming is None else self._incoming.bytes_received,
            "messages_dropped": self._encoder.messages_dropped,
            "send_queue_bytes": self._all_links.backlog_bytes,
        }

    def _on_listening(self, port: IListeningPort) -> None:
        self._port = port
        address = port.getHost()
        where = (
            f"{address.host}:{address.port}" if isinstance(address, (IPv4Address, IPv6Address)) else address
        )
        self._log.info("listening for replicas on {where}", where=where)
        self._follow()
        if self._acquaintances is not None:
            self._tell_writes(self._acquaintances)

    def _tell_writes(self, acquaintances: Acquaintances) -> None:
        """Tell the others how far the folder is, so that they know it when it comes back older; and forget
        the guests that are gone."""
        written = Written(acquaintances.myself.written())
        for peer in self._links:
            self.send_control(peer, written)
        if self._incoming is not None and acquaintances.forget_guests(self._incoming.senders):
            self._follow()
        self._writes_due = self._clock.callLater(
            acquaintances.patience_s / 2, self._tell_writes, acquaintances
        )

    def _on_control(self, sender: int, control: Control) -> None:
        if isinstance(control, (Written, Founded)):
            if self._hears is not None:
                self._hears.on_control(sender, control)
        elif self._control is not None:
            self._control(sender, control)

    def _make_link(self, peer: int, address: str, presence: Presence) -> Link | None:
        """A link to `peer`; None, and a line in the log, where nothing can be dialled at the address."""
        if not address and not self._roster.has(peer):
            return None
        try:
            endpoint = self._dial(peer, address, self._roster.has(peer))
        except ValueError as error:
            self._complaints.warn(f"to replica {peer}", f"it cannot be dialled at {address!a}: {error}")
            return None
        link = Link(
            self._identity,
            peer,
            endpoint,
            presence,
            complaints=self._complaints,
            clock=self._clock,
            random=self._random,
            settings=self._settings,
            proofs=self._proofs,
        )
        if self._acquaintances is not None:
            link.acquaintances = self._acquaintances
            link.met = self._on_link_accepted
        return link

    def _on_link_accepted(self, peer: int, answer: Accepted) -> None:
        if peer == WHOEVER:
            self._asked = answer.number
            self._follow()
        elif self._hears is not None and self._roster.has(peer):
            self._hears.on_met(peer, answer.by)

    def _follow(self) -> None:
        """Have links and connections to the members and the guests, and to nobody else."""
        members = {number: self._roster.address_of(number) for number in self._roster.others}
        uids = {number: self._roster.uid_of(number) for number in members}
        others: dict[int, str] = {}
        if self._acquaintances is not None:
            for number, guest in self._acquaintances.guests.items():
                others[number], uids[number] = guest.address, guest.uid
            seed = self._acquaintances.myself.seed
            if seed and self._roster.membership is None:
                others[WHOEVER if self._asked is None else self._asked] = seed
        wanted = {**others, **members}
        self._there.intersection_update(wanted)
        self._all_links.update(wanted)
        if self._incoming is not None:
            self._incoming.keep(uids)

    def _tell(self, peer: int, is_there: bool) -> None:
        if peer == WHOEVER:
            return
        if is_there:
            self._there.add(peer)
        else:
            self._there.discard(peer)
            if self._hears is not None:
                self._hears.on_lost(peer)
        if self._connection is not None:
            self._connection(peer, is_there)
        if peer == self._asked and not is_there:
            self._asked = None
            self._follow()


def _too_early(sender: int, epoch: int, messages: Sequence[Message]) -> None:
    """Drop messages that come before the node has started."""
