"""Over UDP: who was greeted, whose greeting was accepted, and when to greet again.

Each replica greets each other one, once a second until it is answered.  A process that is not the one whose
greeting was accepted before is greeted at once.
"""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet.interfaces import IDelayedCall

from epaxos.protocol.values.control import Control, Written
from epaxos.transport.acquaintances import Acquaintances
from epaxos.transport.datagrams import ANSWER, CONTROL, HELLO
from epaxos.transport.handshake import (
    WHOEVER,
    PeerIdentity,
    accept,
    check_answer,
    check_receiver,
    examine,
    greet,
    refuse,
)
from epaxos.transport.introductions import Accepted, Hears, Introduction, Refused
from epaxos.transport.udp_peers import UdpPeer, UdpPeers
from epaxos.wire.codec import WireError
from epaxos.wire.control import encode_control

__all__ = ["GREETING_S", "Greetings", "Way"]

GREETING_S = 1.0
"""Seconds after which a greeting that was not answered is sent again."""
HEARD_WITHIN = 3
"""Who is no member counts as connected for this many times GREETING_S after its last datagram."""


class Way(Protocol):
    """What greetings need of the transport."""

    def write(self, peer: UdpPeer, datagram: bytes) -> None:
        """Send a datagram."""

    def refuse(self, subject: str, reason: str) -> None:
        """Log that a datagram was not taken, and count it."""

    def follow(self) -> None:
        """The guests are others now."""

    def on_guest(self, number: int, is_there: bool) -> None:
        """A guest can be told something from now on, or is gone."""

    def on_seed(self, number: int) -> None:
        """The replica `number` is at the address of the seed."""


class Greetings:
    """The greetings of the replica `identity` with its `peers`, over `way`.

    A member from which nothing came for `silence_s` is lost.
    """

    def __init__(
        self,
        identity: PeerIdentity,
        acquaintances: Acquaintances,
        hears: Hears,
        peers: UdpPeers,
        way: Way,
        silence_s: float,
        reactor: Any,
    ) -> None:
        self._identity = identity
        self._acquaintances = acquaintances
        self._hears = hears
        self._peers = peers
        self._way = way
        self._silence_s = silence_s
        self._reactor = reactor
        self._there: set[int] = set()
        self._due: IDelayedCall | None = None

    def silence_s(self, number: int) -> float:
        """For how long after its last datagram the replica counts as connected, in seconds.

        Members speak often; guests, and members with a replica that joins, once in GREETING_S.
        """
        patient_s = max(self._silence_s, HEARD_WITHIN * GREETING_S)
        return self._silence_s if self._are_members(number) else patient_s

    def _are_members(self, number: int) -> bool:
        roster = self._acquaintances.roster
        return roster.has(self._identity.replica) and roster.has(number)

    def begin(self) -> None:
        """Greet those that have not accepted us, tell the others how far the folder is, and come again."""
        self._due = self._reactor.callLater(GREETING_S, self.begin)
        acquaintances, now = self._acquaintances, self._reactor.seconds()
        written = encode_control(Written(acquaintances.myself.written()))
        for peer in self._peers:
            if not peer.accepted:
                self.greet(peer)
            else:
                self.send(peer, written, CONTROL)
            if peer.greeted_by is not None:
                self._address(peer, peer.greeted_by.uid)  # the uuid may have become known
            if peer.id in self._there and now - peer.heard_at_s > self.silence_s(peer.id):
                self._on_lost(peer)
        heard = [peer.id for peer in self._peers if now - peer.heard_at_s <= self.silence_s(peer.id)]
        if acquaintances.forget_guests(heard):
            self._way.follow()

    def keep(self) -> None:
        """There are other peers now: forget of those that are none any more that they were there."""
        self._there.intersection_update(self._peers.by_number)

    def stop(self) -> None:
        """Greet nobody any more."""
        if self._due is not None and self._due.active():
            self._due.cancel()

    def send(self, peer: UdpPeer, body: bytes, kind: int, receiver: int | None = None) -> None:
        """Send a body of this kind to `peer`, or to the folder `receiver` at its address."""
        for datagram in peer.writer.write_one(body, kind, receiver):
            self._way.write(peer, datagram)

    def greet(self, peer: UdpPeer) -> None:
        """Greet `peer`."""
        self.send(peer, greet(self._identity, peer.id, self._acquaintances.myself.introduction()), HELLO)

    def on_control(self, peer: UdpPeer, control: Control) -> None:
        """A control message has come."""
        if isinstance(control, Written):
            self._acquaintances.on_written(peer.id, control.number)
        else:
            self._hears.on_control(peer.id, control)

    def on_greeting(self, address: tuple[str, int], session: int, greeting: bytes) -> None:
        """Accept or refuse the greeting; greet a process that is new here at once.  Raises WireError.

        Another process of the same folder at the same address has taken the place of the one before.
        """
        acquaintances = self._acquaintances
        sender, who = None, None
        try:
            sender, receiver, who = found = examine(self._identity, greeting)
            if who is None:
                raise WireError("a greeting without an introduction")
            if acquaintances.roster.has(sender):
                self._check_address(sender, address)
            told = Accepted(acquaintances.myself.introduction(), *acquaintances.heard_of(sender))
            acquaintances.examine(sender, who._replace(address=_endpoint(address)), None)
            if sender in acquaintances.guests:
                self._way.follow()
            check_receiver(self._identity, found)
        except Refused as refusal:
            self._refuse(address, sender, who, refusal)
            return
        peer = self._peers.by_number[sender]
        before = peer.greeted_by
        peer.greeted_by = who
        peer.heard_at_s = self._reactor.seconds()
        peer.reader.expect(who.uid, session)
        self._address(peer, who.uid)
        self.send(peer, accept(told._replace(number=self._number(receiver))), ANSWER)
        if before is None or before.process != who.process:
            peer.accepted = False
            self.greet(peer)
        if self._are_members(sender):
            self._there.add(sender)
            self._hears.on_met(sender, who)

    def _number(self, receiver: int) -> int | None:
        return self._identity.replica if receiver == WHOEVER else None

    def _check_address(self, sender: int, address: tuple[str, int]) -> None:
        """Raise Refused unless the member `sender` is at this address."""
        peer = self._peers.by_number.get(sender)
        if peer is not None and peer.address == address:
            return
        at = [peer.name for peer in self._peers if peer.address == address]
        raise Refused(f"from replica {sender}, but at this address is {at[0] if at else 'nobody'}")

    def _refuse(
        self, address: tuple[str, int], sender: int | None, who: Introduction | None, refusal: Refused
    ) -> None:
        """Answer a greeting that is refused."""
        at = [peer for peer in self._peers if peer.address == address]
        peer = at[0] if at else self._peers.make(WHOEVER if sender is None else sender, address)
        subject = f"from {peer.name}" if at else f"from {address[0]}"
        self._way.refuse(subject, f"a datagram is refused: {refusal}")
        acquaintances = self._acquaintances
        heard = (0, 0) if sender is None else acquaintances.heard_of(sender)
        told = Accepted(acquaintances.myself.introduction(), *heard)
        receiver = 0 if who is None else who.uid
        self.send(peer, refuse(str(refusal), refusal.kind, told), ANSWER, receiver)

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
            self._way.refuse(f"to {peer.name}", f"refused: {refusal}")
            if refusal.told is not None:
                told = refusal.told
                acquaintances.on_refused(peer.id, refusal.kind, told.by, told.heard_written)
            return
        if peer.id == WHOEVER:
            if accepted.number is not None:
                self._way.on_seed(accepted.number)
            return
        self._address(peer, by.uid)
        peer.heard_at_s = self._reactor.seconds()
        peer.accepted = True
        is_new = peer.id not in self._there
        self._there.add(peer.id)
        if self._are_members(peer.id):
            self._hears.on_met(peer.id, by)
        elif is_new:
            self._way.on_guest(peer.id, True)

    def _on_lost(self, peer: UdpPeer) -> None:
        self._there.discard(peer.id)
        if self._are_members(peer.id):
            self._hears.on_lost(peer.id)
        else:
            peer.accepted = False  # who was started again does not know that there is anybody to greet
            self._way.on_guest(peer.id, False)

    def _address(self, peer: UdpPeer, uid: int) -> None:
        uuid = self._acquaintances.myself.uuid
        peer.reader.know(uuid)
        peer.writer.address(uuid, uid)


def _endpoint(address: tuple[str, int]) -> str:
    """The address as an endpoint string."""
    host = address[0].replace(":", "\\:")
    return f"udp:{host}:{address[1]}"
