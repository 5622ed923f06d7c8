"""Members come and go, over real sockets: TCP, TCP within mutual TLS, and UDP."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults, inlineCallbacks
from twisted.logger import LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.trial.unittest import TestCase

from epaxos.config.endpoints import udp_client
from epaxos.config.file import load
from epaxos.protocol.values.control import Candidate, Control, EpochIs
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.membership import Member, Membership
from epaxos.protocol.values.messages import AcceptOK, Message
from epaxos.service.endpoints import connecting, listening, udp_listening, udp_peers
from epaxos.service.peer_tls import secured
from epaxos.transport.handshake import PeerIdentity
from epaxos.transport.introductions import Myself
from epaxos.transport.tcp import TcpTransport
from epaxos.transport.udp import UdpTransport
from tests.defaults import default_tcp, default_udp
from tests.transport.certificates import Authority
from tests.transport.lab import Heard
from tests.transport.test_tcp_sockets import until

HOST = "127.0.0.1"
FAST = default_tcp(backoff_min_s=0.01, backoff_max_s=0.05)
OK = AcceptOK(InstanceId(0, 1), 7)


class Replica:
    """The transport of a replica, made as the service makes it, and what it has told."""

    def __init__(self, case: Changing, number: int, port: int, me: Myself, security: str) -> None:
        self.number = number
        self.messages: list[tuple[int, int, Sequence[Message]]] = []
        self.controls: list[tuple[int, Control]] = []
        self.connections: list[tuple[int, bool]] = []
        self.heard = Heard()
        kind = case.kind
        path = Path(case.mktemp())
        sections = [
            f"[replica {each}]\npeer = {kind}:{port if each == number else 1 + each}:interface={HOST}\n"
            f"client = tcp:{100 + each}\nstatus = tcp:{200 + each}\ndata = {each}\n"
            for each in range(10)
        ]
        path.write_text(f"[cluster]\nname = home\ntransport = {kind}\n{security}" + "".join(sections))
        config = load(path)
        identity = PeerIdentity("home", number, None)
        self.transport: TcpTransport | UdpTransport
        if kind == "udp":
            self.transport = UdpTransport(
                identity,
                udp_listening(config, number),
                udp_peers(config, number),
                session=next(case.sessions),
                reactor=reactor,
                settings=default_udp(heard_within_s=1.0),
            )
        else:
            listen = listening(config, number, "peer", reactor)
            peers = secured(config, number, listen, connecting(config, number, reactor), reactor)  # type: ignore[arg-type]
            self.transport = TcpTransport(
                identity,
                peers.listen,
                peers.dial,
                clock=reactor,  # type: ignore[arg-type]
                random=Random(number),
                settings=FAST,
                names_of=peers.names_of,
            )
        self.transport.introduce(me, self.heard, 1.0)

    def start(self) -> Deferred[None]:
        return self.transport.start(
            lambda sender, epoch, messages: self.messages.append((sender, epoch, list(messages))),
            lambda number, is_there: self.connections.append((number, is_there)),
            lambda sender, control: self.controls.append((sender, control)),
        )

    def tell(self, to: int, control: Control) -> bool:
        return self.transport.send_control(to, control)

    def is_told(self, sender: int, control: Control) -> bool:
        return (sender, control) in self.controls

    def says(self, to: int, epoch: int) -> None:
        self.transport.send(epoch, [(to, OK)])


class Changing(TestCase):
    """Replicas that are known by lists alone: at the addresses of the others in a configuration is nobody."""

    kind = "tcp"
    security = ""
    timeout = 10

    def setUp(self) -> None:
        self.sessions = iter(range(1, 100))
        self.running: list[Replica] = []
        self.warnings: list[str] = []
        globalLogPublisher.addObserver(self.observe)
        self.addCleanup(globalLogPublisher.removeObserver, self.observe)
        kind = socket.SOCK_DGRAM if self.kind == "udp" else socket.SOCK_STREAM
        probes = [socket.socket(socket.AF_INET, kind) for _ in range(12)]
        for probe in probes:
            probe.bind((HOST, 0))
        self.ports = [probe.getsockname()[1] for probe in probes]
        for probe in probes:
            probe.close()

    def tearDown(self) -> Deferred[Any]:
        return gatherResults([replica.transport.stop() for replica in self.running])

    def observe(self, event: LogEvent) -> None:
        if event.get("log_level") == LogLevel.warn:
            self.warnings.append(formatEvent(event))

    def at(self, place: int) -> str:
        return f"{self.kind}:{HOST}:{self.ports[place]}"

    def listed(self, epoch: int, *numbers: int, **places: int) -> Membership:
        """The list of an epoch; `places` says who is not at the port with the place of its number."""
        members = tuple(
            Member(number, 100 + number, self.at(places.get(f"p{number}", number))) for number in numbers
        )
        return Membership(7, epoch, 1, members, next_number=8)

    def replica(
        self, number: int, membership: Membership | None = None, place: int | None = None, **more: Any
    ) -> Replica:
        """A replica that runs, at the port with this place; that of its number when none is given."""
        place = number if place is None else place
        process = 1000 + next(self.sessions)
        me = Myself(100 + number, process, lambda: 1, membership, address=self.at(place), **more)
        made = Replica(self, number, self.ports[place], me, self.security)
        self.running.append(made)
        self.successResultOf(made.start())
        return made

    def end(self, replica: Replica) -> Deferred[None]:
        self.running.remove(replica)
        return replica.transport.stop()

    def connected(self, *replicas: Replica) -> Deferred[Any]:
        """Fires when each can send to all others."""
        pairs = [(a, b.number) for a in replicas for b in replicas if a is not b]
        return until(
            lambda: all(a.transport.speaks_members(b) and a.transport.is_connected(b) for a, b in pairs)
        )

    def heard(self, receiver: Replica, sender: Replica, epoch: int, messages: Sequence[Message]) -> Any:
        """Fires when `receiver` has heard that `sender` said something in this epoch."""

        def is_heard() -> bool:
            sender.says(receiver.number, epoch)
            return (sender.number, epoch, messages) in receiver.messages

        return until(is_heard)

    def told(self, receiver: Replica, sender: Replica, control: Control) -> Any:
        """Fires when `receiver` has been told this by `sender`, which says it until then."""

        def is_told() -> bool:
            sender.tell(receiver.number, control)
            return receiver.is_told(sender.number, control)

        return until(is_told)


class ChangingTests(Changing):
    @inlineCallbacks
    def test_a_replica_joins(self) -> Any:
        """It dials one address; is told the members; is one of them; and speaks in their epoch."""
        before = self.listed(4, 0, 1, 2)
        members = [self.replica(number, before) for number in range(3)]
        yield self.connected(*members)
        joins = self.replica(8, seed=self.at(1))
        yield until(lambda: (1, True) in joins.connections and (8, True) in members[1].connections)
        candidate = Candidate(Member(8, 108, self.at(8)), 5)
        yield self.told(members[1], joins, candidate)
        yield self.told(joins, members[1], EpochIs(before))
        self.assertEqual(members[1].transport.uid_of(8), 108)
        self.assertNotIn(8, [number for number, _ in members[1].heard.met])
        joins.transport.know(before)
        yield self.connected(joins, *members)
        yield until(lambda: {(number, True) for number in range(3)} <= set(joins.connections))
        yield self.told(members[2], joins, candidate)
        yield self.heard(members[2], joins, 4, [])
        after = self.listed(5, 0, 1, 2, 8)._replace(next_number=9)
        for member in members:
            member.transport.know(after, before)
        yield self.end(joins)
        third = self.replica(8, after)
        third.transport.know(after, before)
        yield self.connected(third, *members)
        yield self.heard(members[2], third, 5, [OK])
        yield self.heard(third, members[0], 5, [OK])
        yield self.heard(members[2], members[0], 4, [OK])
        self.assertFalse([each for each in third.messages if each[1] == 4])

    @inlineCallbacks
    def test_one_who_has_left(self) -> Any:
        """It speaks of the last epoch of which it was a member, until that is over; then it is a guest."""
        before, after = self.listed(4, 0, 1, 2), self.listed(5, 0, 1)
        members = [self.replica(number, before) for number in range(3)]
        yield self.connected(*members)
        for member in members[:2]:
            member.transport.know(after, before)
        members[0].messages.clear()
        yield self.heard(members[0], members[2], 4, [OK])
        yield self.heard(members[0], members[2], 5, [])
        for member in members[:2]:
            member.transport.know(after)
        members[0].messages.clear()
        yield self.heard(members[0], members[2], 4, [])
        yield self.told(members[2], members[0], EpochIs(after))
        self.assertNotIn([OK], [messages for sender, _, messages in members[0].messages if sender == 2])

    @inlineCallbacks
    def test_asleep_while_all_were_replaced(self) -> Any:
        """At the addresses that it knows there are others, whom it does not know: they tell it."""
        before, after = self.listed(4, 0, 1, 2), self.listed(6, 3, 4, p3=0, p4=1)
        others = [self.replica(3, after, place=0), self.replica(4, after, place=1)]
        yield self.connected(*others)
        sleeper = self.replica(2, before)
        yield until(lambda: any((2, True) in other.connections for other in others))
        for other in others:
            yield self.told(sleeper, other, EpochIs(after))
        self.assertEqual([sleeper.messages, sleeper.heard.wrong], [[], []])

    @inlineCallbacks
    def test_a_member_moves(self) -> Any:
        before = self.listed(4, 0, 1, 2)
        members = [self.replica(number, before) for number in range(3)]
        yield self.connected(*members)
        yield self.end(members[2])
        moved = self.replica(2, before, place=5)
        after = self.listed(5, 0, 1, 2, p2=5)
        for member in members[:2]:
            member.transport.know(after, before)
        yield self.connected(*members[:2], moved)
        sent = members[0].transport.counters()["bytes_sent"]
        members[0].transport.know(after)
        yield self.connected(members[0], moved)
        self.assertGreaterEqual(members[0].transport.counters()["bytes_sent"], sent)

    @inlineCallbacks
    def test_two_clusters_of_one_name(self) -> Any:
        """Who joins believes whom it was told to ask, and refuses those of the other cluster."""
        members = [self.replica(number, self.listed(4, 0, 1)) for number in range(2)]
        foreign = self.replica(5, self.listed(4, 5, 6)._replace(uuid=9))
        joins = self.replica(8, seed=self.at(0))
        yield until(lambda: (0, True) in joins.connections)
        foreign.transport.know(self.listed(5, 8, 5)._replace(uuid=9))
        yield until(lambda: any("has another uuid" in line for line in self.warnings))
        self.assertNotIn(5, [number for number, _ in joins.connections])
        self.assertEqual(members[0].transport.uid_of(8), 108)

    @inlineCallbacks
    def test_a_number_that_was_used(self) -> Any:
        self.replica(0, self.listed(4, 0))
        joins = self.replica(5, seed=self.at(0))
        yield until(lambda: bool(joins.heard.wrong))
        self.assertIn(
            "the number 5 is or was that of a member, says the member that was", joins.heard.wrong[0]
        )

    @inlineCallbacks
    def test_a_member_is_started_again(self) -> Any:
        """It has forgotten who wanted to join, and hears it again."""
        known = self.listed(4, 0)
        first = self.replica(0, known)
        joins = self.replica(8, seed=self.at(0))
        candidate = Candidate(Member(8, 108, self.at(8)), 5)
        yield self.told(first, joins, candidate)
        yield self.told(joins, first, EpochIs(known))
        joins.transport.know(known)
        yield self.told(first, joins, candidate)
        yield self.end(first)
        second = self.replica(0, known)
        yield self.told(second, joins, candidate)
        yield self.told(joins, second, EpochIs(known))

    @inlineCallbacks
    def test_the_seed_ends_before_it_has_told_who_is_there(self) -> Any:
        """Whoever is at its address later is asked."""
        first = self.replica(0, self.listed(4, 0, 1))
        joins = self.replica(9, seed=self.at(0))
        yield until(lambda: (0, True) in joins.connections)
        yield self.end(first)
        yield until(lambda: (0, False) in joins.connections)
        second = self.replica(1, self.listed(5, 1, p1=0), place=0)
        yield until(lambda: (1, True) in joins.connections and (9, True) in second.connections)


class WithinTlsTests(ChangingTests):
    def setUp(self) -> None:
        super().setUp()
        folder = Path(self.mktemp())
        folder.mkdir()
        authority = Authority(folder / "authority")
        for number in range(10):
            authority.certify(folder, number, f"epaxos://home/{number}")
        folder = folder.absolute()
        self.security = (
            f"[security]\npeer_tls = yes\nca = {folder}/ca.pem\ncertificate = {folder}/{{id}}.pem\n"
            f"key = {folder}/{{id}}.key\n"
        )

    @inlineCallbacks
    def test_the_certificate_of_another_number(self) -> Any:
        """Who joins has to prove its number, as a member has to."""
        member = self.replica(0, self.listed(4, 0))
        with patch("epaxos.service.peer_tls.check_member"):  # it does not look at its own certificate
            self.security = self.security.replace("{id}", "8")
            self.replica(9, seed=self.at(0))
        yield until(lambda: any("is of replica 8, not of replica 9" in line for line in self.warnings))
        self.assertEqual((member.connections, member.transport.uid_of(9)), ([], None))


class ByUdpTests(ChangingTests):
    kind = "udp"

    @inlineCallbacks
    def test_a_stranger(self) -> Any:
        """Of an address where no replica is, only a greeting of who may be a guest is taken."""
        member = self.replica(0, self.listed(4, 0))
        before = member.transport.counters()["datagrams_refused"]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind((HOST, 0))
            stranger.sendto(b"EPXD" + bytes(100), (HOST, self.ports[0]))
            yield until(lambda: member.transport.counters()["datagrams_refused"] > before)
            stranger.setblocking(False)
            self.assertRaises(BlockingIOError, stranger.recv, 100)
        self.assertEqual(udp_client(self.at(0)), (HOST, self.ports[0]))
