"""Over UDP: who was greeted, whose greeting was accepted, and when to greet again.

Each replica greets each other one, once a second until it is answered.  A process that is not the one whose
greeting was accepted before is greeted at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.interfaces import IDelayedCall

from epaxos.protocol.values.control import Control, Written
from epaxos.transport.acquaintances import Acquaintances
from epaxos.transport.datagrams import ANSWER, CONTROL, HELLO, DatagramReader, DatagramWriter
from epaxos.transport.handshake import PeerIdentity, accept, check_answer, examine, greet, refuse
from epaxos.transport.introductions import Accepted, Hears, Introduction, Refused
from epaxos.wire.codec import WireError
from epaxos.wire.control import encode_control

__all__ = ["Greetings", "UdpPeer"]

GREETING_S = 1.0
"""Seconds after which a greeting that was not answered is sent again."""

_NEVER = float("-inf")


class UdpPeer:
    """The replica `id` at the other end of the datagrams of one `address`.

    `greeted_by` is the process whose greeting was accepted here, `accepted` whether it has accepted ours, and
    `heard_at_s` when the last datagram of it came that was taken.
    """

    __slots__ = ("accepted", "address", "greeted_by", "heard_at_s", "id", "name", "reader", "writer")

    def __init__(
        self,
        identity: PeerIdentity,
        uid: int,
        id: int,
        address: tuple[str, int],
        session: int,
        bytes_max: int,
    ) -> None:
        self.id = id
        self.address = address
        self.name = f"replica {id}"
        self.reader = DatagramReader(identity, uid)
        self.writer = DatagramWriter(identity, uid, session, bytes_max)
        self.heard_at_s = _NEVER
        self.greeted_by: Introduction | None = None
        self.accepted = False

    def takes(self, form: int) -> bool:
        """Whether its greeting was accepted and said that it takes this form of what is sent."""
        return self.greeted_by is not None and self.greeted_by.wire >= form


class Greetings:
    """The greetings of the replica `identity` with its `peers`.

    `write(peer, datagram)` sends; `refused(subject, reason)` logs, and counts a datagram that was not taken.
    A replica from which nothing came for `silence_s` is lost.
    """

    def __init__(
        self,
        identity: PeerIdentity,
        acquaintances: Acquaintances,
        hears: Hears,
        peers: Mapping[int, UdpPeer],
        write: Callable[[UdpPeer, bytes], None],
        refused: Callable[[str, str], None],
        silence_s: float,
        reactor: Any,
    ) -> None:
        self._identity = identity
        self._acquaintances = acquaintances
        self._hears = hears
        self._peers = peers
        self._write = write
        self._refused = refused
        self._silence_s = silence_s
        self._reactor = reactor
        self._there: set[int] = set()
        self._due: IDelayedCall | None = None

    def begin(self) -> None:
        """Greet those that have not accepted us, tell the others how far the folder is, and come again."""
        self._due = self._reactor.callLater(GREETING_S, self.begin)
        acquaintances, now = self._acquaintances, self._reactor.seconds()
        written = encode_control(Written(acquaintances.myself.written()))
        for peer in self._peers.values():
            if not peer.accepted:
                self._greet(peer)
            else:
                self.send(peer, written, CONTROL)
            if peer.greeted_by is not None:
                self._address(peer, peer.greeted_by.uid)  # the uuid may have become known
            if peer.id in self._there and now - peer.heard_at_s > self._silence_s:
                self._there.discard(peer.id)
                self._hears.on_lost(peer.id)

    def stop(self) -> None:
        """Greet nobody any more."""
        if self._due is not None and self._due.active():
            self._due.cancel()

    def send(self, peer: UdpPeer, body: bytes, kind: int, receiver: int | None = None) -> None:
        """Send a body of this kind to `peer`, or to the folder `receiver` at its address."""
        for datagram in peer.writer.write_one(body, kind, receiver):
            self._write(peer, datagram)

    def _greet(self, peer: UdpPeer) -> None:
        self.send(peer, greet(self._identity, peer.id, self._acquaintances.myself.introduction()), HELLO)

    def on_control(self, peer: UdpPeer, control: Control) -> None:
        """A control message has come."""
        if isinstance(control, Written):
            self._acquaintances.on_written(peer.id, control.number)
        else:
            self._hears.on_control(peer.id, control)

    def on_greeting(self, peer: UdpPeer, session: int, greeting: bytes) -> None:
        """Accept or refuse the greeting; greet a process that is new here at once.  Raises WireError.

        Another process of the same folder at the same address has taken the place of the one before.
        """
        acquaintances = self._acquaintances
        told = Accepted(acquaintances.myself.introduction(), *acquaintances.heard_of(peer.id))
        who: Introduction | None = None
        try:
            sender, who = examine(self._identity, greeting)
            if sender != peer.id:
                raise Refused(f"from replica {sender}, but at this address is {peer.name}")
            if who is None:
                raise WireError("a greeting without an introduction")
            acquaintances.examine(sender, who, None)
        except Refused as refusal:
            self._refused(f"from {peer.name}", f"a datagram is refused: {refusal}")
            receiver = 0 if who is None else who.uid
            self.send(peer, refuse(str(refusal), refusal.kind, told), ANSWER, receiver)
            return
        before = peer.greeted_by
        peer.greeted_by = who
        peer.heard_at_s = self._reactor.seconds()
        peer.reader.expect(who.uid, session)
        self._address(peer, who.uid)
        self.send(peer, accept(told), ANSWER)
        if before is None or before.process != who.process:
            peer.accepted = False
            self._greet(peer)
        self._there.add(peer.id)
        self._hears.on_met(peer.id, who)

    def on_answer(self, peer: UdpPeer, answer: bytes) -> None:
        """Our greeting was accepted or refused.  Raises WireError.

        An answer of another process than the one that has greeted counts for nothing.
        """
        acquaintances = self._acquaintances
        try:
            accepted = check_answer(answer)
            by = accepted.by
            if by is None:
                raise WireError("an answer without an introduction")
            if peer.greeted_by is not None and peer.greeted_by.process != by.process:
                return
            acquaintances.on_accepted(peer.id, by, accepted.heard_written)
        except Refused as refusal:
            self._refused(f"to {peer.name}", f"refused: {refusal}")
            if refusal.told is not None:
                told = refusal.told
                acquaintances.on_refused(peer.id, refusal.kind, told.by, told.heard_written)
            return
        self._address(peer, by.uid)
        peer.heard_at_s = self._reactor.seconds()
        peer.accepted = True
        self._there.add(peer.id)
        self._hears.on_met(peer.id, by)

    def _address(self, peer: UdpPeer, uid: int) -> None:
        uuid = self._acquaintances.myself.uuid
        peer.reader.know(uuid)
        peer.writer.address(uuid, uid)
