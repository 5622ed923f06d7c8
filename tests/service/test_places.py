"""Where clients are told that the members are."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.values.membership import Membership
from epaxos.resp.interfaces import Member, Place
from epaxos.service.places import Places


class Clients:
    """A replica that sees these members up."""

    def __init__(self, *up: int, membership: Membership | None = None) -> None:
        self._up = up
        self._membership = membership

    def members_up(self) -> tuple[int, ...]:
        return self._up

    def membership(self) -> Membership | None:
        return self._membership


def member(number: int, client: str, state: str = "connected", peer: str = "tcp:10.0.0.9:7000") -> Member:
    return Member(number, peer, client, "", state)


def places(members: list[Member], *up: int, host: str = "192.168.0.1") -> Any:
    clients: Any = Clients(*up)
    return Places("orders", lambda: members, clients).view(host)


class PlaceTests(SynchronousTestCase):
    def test_addresses(self) -> None:
        for client, expected in (
            ("tcp:10.0.0.1:7100", ("10.0.0.1", 7100)),
            ("tcp:host=db.example:port=7100", ("db.example", 7100)),
            ("tcp:7100:interface=10.0.0.2", ("10.0.0.2", 7100)),
            (r"tcp6:7100:interface=\:\:1", ("::1", 7100)),
            ("tcp:7100", ("10.0.0.9", 7100)),  # the host at which the other replicas reach it
            ("ssl:6379:interface=10.0.0.1:privateKey=a:certKey=b", ("10.0.0.1", 6379)),
            ("ssl:6379:privateKey=a", ("10.0.0.9", 6379)),
            ("tls:db.example:6379", ("db.example", 6379)),
            ("unix:/run/epaxos.sock", None),
            ("systemd:domain=INET:index=0", None),
            ("", None),
        ):
            found = places([member(1, client)]).places
            self.assertEqual(
                [(place.host, place.port) for place in found], [expected] if expected else [], client
            )

    def test_a_member_on_this_host(self) -> None:
        """It is told where the client has reached this replica."""
        (place,) = places([member(1, "tcp:7100", peer="tcp:127.0.0.1:7000")]).places
        self.assertEqual((place.host, place.port), ("192.168.0.1", 7100))

    def test_who_is_up(self) -> None:
        members = [member(0, "tcp:a:1"), member(2, "tcp:b:2", "here"), member(3, "tcp:c:3", "not connected")]
        self.assertEqual(
            places(members, 0, 2).places,
            [Place(0, "a", 1, False, True), Place(2, "b", 2, True, True), Place(3, "c", 3, False, False)],
        )

    def test_a_majority(self) -> None:
        for here, up, has_majority in (
            (0, (0, 1), True),
            (0, (0,), False),
            (0, (), False),
            (9, (0, 1, 2), False),  # it is no member
        ):
            members = [member(number, "", "here" if number == here else "") for number in range(3)]
            self.assertEqual(places(members, *up).has_majority, has_majority, (here, up))
        members = [member(number, "", "" if number else "here") for number in range(4)]
        self.assertEqual(
            [places(members, *range(up)).has_majority for up in range(5)], [False] * 3 + [True] * 2
        )

    def test_the_epoch(self) -> None:
        for membership, number in ((None, 0), (Membership(1, 5, 1, ()), 5)):
            clients: Any = Clients(membership=membership)
            self.assertEqual(Places("orders", list, clients).view("").epoch, number)
