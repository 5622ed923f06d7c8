"""The TCP transport within mutual TLS: real certificates and handshakes, and what is said of refusals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from OpenSSL import SSL
from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail, gatherResults, inlineCallbacks
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.logger import LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from epaxos.net.certificates import RenewedCredentials, TlsFiles
from epaxos.net.mutual_tls import TlsDialling, TlsListening, peer_uris
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import Batch, Message, PreAccept
from epaxos.transport.handshake import PeerIdentity, greet
from epaxos.wire import wire_pb2 as wire
from epaxos.wire.frames import FrameReader, pack
from tests.defaults import default_tcp
from tests.transport.certificates import Authority
from tests.transport.test_tcp_sockets import MIB, Member, Raw, ok, until

HOST = "127.0.0.1"
FAST = default_tcp(backoff_min_s=0.01, backoff_max_s=0.02)
LISTENER, DIALLER = f"from {HOST}: ", "to replica 0: "


def big(size_bytes: int) -> Message:
    return PreAccept(InstanceId(0, 1), Batch((b"k",), (), bytes(size_bytes), 1), (0, 0, 0))


def files_of(folder: Path, number: int) -> TlsFiles:
    return TlsFiles(folder / "ca.pem", folder / f"{number}.pem", folder / f"{number}.key")


def checked(files: TlsFiles) -> RenewedCredentials:
    return RenewedCredentials(files, lambda uris: None, lambda text: None, lambda credentials: None)


def unchecked(files: TlsFiles | None) -> Any:
    """Credentials of somebody who does not look whether they are of use; None: no certificate."""
    context = SSL.Context(SSL.TLS_METHOD)
    if files is not None:
        context.use_certificate_chain_file(str(files.certificate))
        context.use_privatekey_file(str(files.key))
    return SimpleNamespace(current=SimpleNamespace(context=context))


class MutualTlsTests(TestCase):
    timeout = 30

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.home = self.folder / "home"
        self.authority = Authority(self.folder)
        for number in range(3):
            self.authority.certify(self.home, number, f"epaxos://home/{number}")
        self.ports: dict[int, int] = {}
        self.members: list[Member] = []
        self.warnings: list[str] = []
        globalLogPublisher.addObserver(self._observe)
        self.addCleanup(globalLogPublisher.removeObserver, self._observe)

    def _observe(self, event: LogEvent) -> None:
        if event.get("log_level") == LogLevel.warn:
            self.warnings.append(formatEvent(event))

    def tearDown(self) -> Deferred[Any]:
        return gatherResults([member.transport.stop() for member in self.members])

    def said(self, *begins: str) -> bool:
        return all(any(line.startswith(begin) for line in self.warnings) for begin in begins)

    def member(
        self,
        replica: int,
        credentials: Any = None,
        dials: Sequence[int] = (0, 1, 2),
        names_of: Callable[[object], Sequence[str]] | None = peer_uris,
    ) -> Member:
        """Replica `replica` of three, with its own certificate, which dials those of `dials`."""
        credentials = credentials or checked(files_of(self.home, replica))
        ports = self.ports

        @implementer(IStreamClientEndpoint)
        class WhereItListens:
            def __init__(self, peer: int) -> None:
                self._peer = peer

            def connect(self, factory: Any) -> Deferred[Any]:
                if self._peer not in ports or self._peer not in dials:
                    return fail(ConnectionRefusedError())
                return TCP4ClientEndpoint(reactor, HOST, ports[self._peer]).connect(factory)

        member = Member(
            PeerIdentity("home", replica, Epoch.first(3)),
            TlsListening(TCP4ServerEndpoint(reactor, 0, interface=HOST), credentials),
            {peer: TlsDialling(WhereItListens(peer), credentials) for peer in range(3) if peer != replica},
            FAST,
            names_of,
        )
        self.members.append(member)
        self.successResultOf(member.start())
        ports[replica] = member.port
        return member

    def all_connected(self) -> bool:
        return all(
            member.transport.is_connected(peer)
            for replica, member in enumerate(self.members)
            for peer in range(3)
            if peer != replica
        )

    @inlineCallbacks
    def test_three_talk(self) -> Any:
        members = [self.member(replica) for replica in range(3)]
        yield until(self.all_connected)
        sent = [big(4 * MIB), ok(1), big(300_000), ok(2), big(0)]
        for message in sent:
            for replica, member in enumerate(members):
                member.transport.send(0, [(peer, message) for peer in range(3) if peer != replica])
        yield until(lambda: all(len(member.messages) == 2 * len(sent) for member in members))
        for replica, member in enumerate(members):
            for peer in range(3):
                own = [message for sender, message in member.messages if sender == peer]
                self.assertEqual(own, [] if peer == replica else sent)
        connection = members[0].transport._links[1]._connection
        assert connection is not None
        handle: SSL.Connection = connection.transport.getHandle()  # type: ignore[union-attr]
        self.assertIn(handle.get_protocol_version_name(), ("TLSv1.2", "TLSv1.3"))
        self.assertEqual([line for line in self.warnings if HOST in line], [])
        for member in members:
            self.assertEqual(member.transport.counters()["messages_dropped"], 0)
            self.assertEqual(set(member.shared), {True})  # the shared reader reads below TLS

    @inlineCallbacks
    def refused(self, credentials: Any, of_listener: str, of_dialler: str) -> Any:
        """Member 1 is there.  An impostor with these credentials is refused, and both sides say why."""
        listener, real = self.member(0, dials=()), self.member(1)
        yield until(lambda: (1, True) in listener.connections and real.transport.is_connected(0))
        accepted = listener.transport._incoming._accepted  # type: ignore[union-attr]
        before = accepted[1]
        impostor = self.member(1, credentials, dials=(0,))
        yield until(lambda: self.said(LISTENER + of_listener, DIALLER + of_dialler))
        yield until(lambda: impostor.transport._links[0]._failures >= 5)
        self.assertFalse(impostor.transport.is_connected(0))
        self.assertIs(accepted[1], before)
        self.assertEqual(listener.connections, [(1, True)])
        for begin in (LISTENER + of_listener, DIALLER + of_dialler):
            self.assertEqual(len([line for line in self.warnings if line.startswith(begin)]), 1)
        real.transport.send(0, [(0, ok(7))])
        yield until(lambda: bool(listener.messages))
        self.assertEqual(listener.messages, [(1, ok(7))])

    def certified(self, *uris: str, authority: Authority | None = None, **options: Any) -> Any:
        """What a dialler holds that does not check it."""
        folder = self.folder / "impostor"
        (authority or self.authority).certify(folder, 9, *uris, **options)
        return unchecked(files_of(folder, 9))

    def refused_by_name(self, uris: Sequence[str], text: str) -> Any:
        why = f"refused: the dialler's certificate {text}"
        return self.refused(self.certified(*uris), why, f"connection closed: {why}")

    def test_another_member(self) -> Any:
        return self.refused_by_name(["epaxos://home/2"], "is of replica 2, not of replica 1")

    def test_another_cluster(self) -> Any:
        return self.refused_by_name(["epaxos://away/1"], "is of cluster 'away', here it is 'home'")

    def test_no_member(self) -> Any:
        return self.refused_by_name(["https://home/1"], "names no member: it has no URI epaxos://home/NUMBER")

    def test_no_names_at_all(self) -> Any:
        return self.refused_by_name([], "names no member: it has no URI epaxos://home/NUMBER")

    def test_two_members(self) -> Any:
        names = ["epaxos://home/1", "epaxos://home/2"]
        return self.refused_by_name(names, "names 2 members, and has to name one")

    def test_expired(self) -> Any:
        return self.refused(
            self.certified("epaxos://home/1", from_days=-9, to_days=-2),
            "connection closed: its certificate has expired",
            "cannot connect: it refuses our certificate: it has expired",
        )

    def test_not_valid_yet(self) -> Any:
        return self.refused(
            self.certified("epaxos://home/1", from_days=2),
            "connection closed: its certificate is not valid yet",
            "cannot connect: it refuses our certificate",
        )

    def test_another_issuer(self) -> Any:
        return self.refused(
            self.certified("epaxos://home/1", authority=Authority(self.folder / "x", "elsewhere")),
            "connection closed: its certificate has an unknown issuer: ",
            "cannot connect: it refuses our certificate: unknown issuer",
        )

    def test_a_member_that_issues_certificates(self) -> Any:
        """The certificate of a member may sign nothing, whatever it is put in front of."""
        member = Authority(self.folder / "x", "member 2", self.authority, is_ca=False)
        return self.refused(
            self.certified("epaxos://home/1", authority=member, behind=[member.root]),
            "connection closed: its certificate ",
            "cannot connect: it refuses our certificate",
        )

    def test_an_issuer_between(self) -> Any:
        """It is taken, when the member shows the certificate of that issuer as well."""
        between = Authority(self.folder / "x", "between", self.authority)
        between.certify(self.folder / "chain", 1, "epaxos://home/1", behind=[between.root])
        (self.folder / "chain" / "ca.pem").write_bytes(self.authority.root.read_bytes())
        listener = self.member(0, dials=())
        self.member(1, checked(files_of(self.folder / "chain", 1)))
        return until(lambda: (1, True) in listener.connections)

    def test_no_certificate(self) -> Any:
        return self.refused(
            unchecked(None),
            "connection closed: it has shown no certificate",
            "cannot connect: it wants a certificate, and we have shown none",
        )

    @inlineCallbacks
    def test_no_tls(self) -> Any:
        listener = self.member(0, dials=())
        raw = Raw()
        yield connectProtocol(TCP4ClientEndpoint(reactor, HOST, listener.port), raw)
        raw.transport.write(pack([greet(PeerIdentity("home", 1, Epoch.first(3)), 0)], 1024))
        yield until(lambda: raw.lost)
        self.assertTrue(self.said(LISTENER + "connection closed: it does not speak TLS"), self.warnings)
        self.assertEqual(listener.connections, [])

    @inlineCallbacks
    def test_what_a_stranger_is_answered(self) -> Any:
        """A real certificate of member 1, and a greeting of member 2."""
        listener = self.member(0, dials=())
        raw = Raw()
        endpoint = TCP4ClientEndpoint(reactor, HOST, listener.port)
        yield connectProtocol(TlsDialling(endpoint, checked(files_of(self.home, 1))), raw)
        raw.transport.write(pack([greet(PeerIdentity("home", 2, Epoch.first(3)), 0)], 1024))
        yield until(lambda: raw.lost)
        (answer,) = map(wire.Answer.FromString, FrameReader(1024).feed(raw.received))
        self.assertEqual(
            (answer.accepted, answer.refusal),
            (False, "the dialler's certificate is of replica 1, not of replica 2"),
        )
        self.assertEqual(listener.connections, [])

    @inlineCallbacks
    def refused_listener(self, credentials: Any, of_dialler: str) -> Any:
        """Whoever listens at the address of replica 1 is sent no message, whatever it answers."""
        self.member(1, credentials, dials=(), names_of=None)
        dialler = self.member(0)
        yield until(lambda: self.said("to replica 1: " + of_dialler))
        yield until(lambda: dialler.transport._links[1]._failures >= 5)
        self.assertFalse(dialler.transport.is_connected(1))
        self.assertEqual(len([line for line in self.warnings if of_dialler in line]), 1)

    def test_a_listener_with_the_certificate_of_another_member(self) -> Any:
        return self.refused_listener(
            checked(files_of(self.home, 2)),
            "connection closed: refused: its certificate is of replica 2, not of replica 1",
        )

    def test_a_listener_of_another_cluster(self) -> Any:
        return self.refused_listener(
            self.certified("epaxos://away/1"),
            "connection closed: refused: its certificate is of cluster 'away', here it is 'home'",
        )

    def test_a_listener_that_has_expired(self) -> Any:
        return self.refused_listener(
            self.certified("epaxos://home/1", from_days=-9, to_days=-2),
            "cannot connect: its certificate has expired",
        )

    def test_a_listener_of_another_issuer(self) -> Any:
        return self.refused_listener(
            self.certified("epaxos://home/1", authority=Authority(self.folder / "x", "elsewhere")),
            "cannot connect: its certificate has an unknown issuer: ",
        )

    @inlineCallbacks
    def test_more_strangers_than_allowed(self) -> Any:
        """Those beyond the bound are closed, and a member connects when there is room."""
        listener = self.member(0, dials=())
        raws = [Raw() for _ in range(FAST.strangers_max + 3)]
        for raw in raws:
            yield connectProtocol(TCP4ClientEndpoint(reactor, HOST, listener.port), raw)
        yield until(lambda: sum(raw.lost for raw in raws) == 3)
        self.assertTrue(self.said(LISTENER + "closed: "))
        for raw in raws:
            raw.transport.loseConnection()
        self.member(1)
        yield until(lambda: (1, True) in listener.connections)
