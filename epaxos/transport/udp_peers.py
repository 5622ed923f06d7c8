"""Over UDP: the replicas at the other ends of the datagrams, by number and by address."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from epaxos.transport.datagrams import DatagramReader, DatagramWriter, sender_of
from epaxos.transport.handshake import WHOEVER, PeerIdentity
from epaxos.transport.introductions import Introduction

__all__ = ["UdpPeer", "UdpPeers"]

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
        self.name = "the cluster" if id == WHOEVER else f"replica {id}"
        self.reader = DatagramReader(identity, uid)
        self.writer = DatagramWriter(identity, uid, session, bytes_max)
        self.heard_at_s = _NEVER
        self.greeted_by: Introduction | None = None
        self.accepted = False

    def takes(self, form: int) -> bool:
        """Whether its greeting was accepted and said that it takes this form of what is sent."""
        return self.greeted_by is not None and self.greeted_by.wire >= form


class UdpPeers:
    """The peers of `identity`, which has the folder `uid`.

    `session` is larger in each life of the process; no datagram is longer than `bytes_max`.

    At one address there is mostly one.  Where a member has taken the address of another one, of which it was
    not told here that it is none any more, both are there until it is told.
    """

    def __init__(self, identity: PeerIdentity, session: int, bytes_max: int) -> None:
        self.by_number: dict[int, UdpPeer] = {}
        self.uid = 0
        self._identity = identity
        self._session = session
        self._bytes_max = bytes_max
        self._at: dict[tuple[str, int], list[UdpPeer]] = {}

    def __iter__(self) -> Iterator[UdpPeer]:
        return iter(tuple(self.by_number.values()))

    def make(self, number: int, address: tuple[str, int]) -> UdpPeer:
        """A peer, which is none of these yet."""
        return UdpPeer(self._identity, self.uid, number, address, self._session, self._bytes_max)

    def update(self, wanted: Mapping[int, tuple[str, int]]) -> Iterable[UdpPeer]:
        """From now on there are these peers alone, at these addresses: the new ones among them."""
        by_number, new = self.by_number, []
        for number in list(by_number):
            if wanted.get(number) != by_number[number].address:
                del by_number[number]
        for number, address in sorted(wanted.items()):
            if number not in by_number:
                by_number[number] = self.make(number, address)
                new.append(by_number[number])
        self._at = {}
        for peer in by_number.values():
            self._at.setdefault(peer.address, []).append(peer)
        return new

    def takes(self, replica: int, form: int) -> bool:
        """Whether the two have accepted each other's greetings, and `replica` takes this form of what is
        sent."""
        peer = self.by_number.get(replica)
        return peer is not None and peer.accepted and peer.takes(form)

    def find(self, address: tuple[str, int], datagram: bytes) -> UdpPeer | None:
        """Who has sent the datagram: of those at its address the one that it names, or else the first."""
        peers = self._at.get(address)
        if peers is None:
            return None
        if len(peers) > 1:
            sender = sender_of(datagram)
            for peer in peers:
                if peer.reader.sender == sender:
                    return peer
        return peers[0]
