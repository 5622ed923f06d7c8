"""The TCP transport over TLS: real certificates, real handshakes, and what the log says when one fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults, inlineCallbacks
from twisted.internet.endpoints import SSL4ServerEndpoint, clientFromString, serverFromString
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.ssl import Certificate, PrivateCertificate
from twisted.logger import LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase, TestCase

from epaxos.net.tls import explain_tls, tls_handle
from epaxos.protocol.values.epoch import Epoch
from epaxos.transport.handshake import PeerIdentity
from tests.defaults import default_tcp
from tests.transport.certificates import Authority
from tests.transport.test_tcp_sockets import Member, ok, until

FAST = default_tcp(backoff_min_s=0.01, backoff_max_s=0.02)


class TlsTests(TestCase):
    """Replica 0 dials; replica 1 listens and dials nobody who could answer."""

    timeout = 30

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.authority = Authority(self.folder)
        self.members: list[Member] = []
        self.warnings: list[str] = []
        globalLogPublisher.addObserver(self._observe)
        self.addCleanup(globalLogPublisher.removeObserver, self._observe)

    def _observe(self, event: LogEvent) -> None:
        if event.get("log_level") == LogLevel.warn:
            self.warnings.append(formatEvent(event))

    def tearDown(self) -> Deferred[Any]:
        return gatherResults([member.transport.stop() for member in self.members])

    def server(self, pem: Path) -> IStreamServerEndpoint:
        endpoint: IStreamServerEndpoint = serverFromString(
            reactor, f"ssl:0:interface=127.0.0.1:privateKey={pem}:certKey={pem}"
        )
        return endpoint

    def listen(self, replica: int, endpoint: IStreamServerEndpoint, dials: str = "tcp:127.0.0.1:1") -> Member:
        member = Member(
            PeerIdentity("home", replica, Epoch.first(2)),
            endpoint,
            {1 - replica: clientFromString(reactor, dials)},
            FAST,
        )
        self.members.append(member)
        self.successResultOf(member.start())
        return member

    def own(self) -> IStreamServerEndpoint:
        endpoint: IStreamServerEndpoint = serverFromString(reactor, "tcp:0:interface=127.0.0.1")
        return endpoint

    def dialling(self, port: int, roots: Path | None = None) -> str:
        return f"tls:127.0.0.1:{port}:trustRoots={roots or self.authority.roots}"

    def said(self, begin: str, *words: str) -> bool:
        """Whether a warning begins so and contains one of the words."""
        return any(line.startswith(begin) and any(w in line for w in words) for line in self.warnings)

    @inlineCallbacks
    def fails(self, server: IStreamServerEndpoint, dials: Callable[[int], str], *of_dialler: str) -> Any:
        """Dial, and wait until the dialler says why it failed; it goes on trying, and says no more."""
        listener = self.listen(1, server)
        dialler = self.listen(0, self.own(), dials(listener.port))
        yield until(lambda: self.said("to replica 1: ", *of_dialler))
        attempts = listener.transport._incoming
        assert attempts is not None
        before = len(self.warnings)
        yield until(lambda: len(self.warnings) > before or self._tried(dialler, 5))
        told = [line for line in self.warnings if line.startswith("to replica 1: ")]
        self.assertEqual(len(told), 1, told)
        self.assertFalse(dialler.transport.is_connected(1))
        return told[0]

    def _tried(self, dialler: Member, times: int) -> bool:
        return bool(dialler.transport._links[1]._failures >= times)

    @inlineCallbacks
    def test_all_is_well(self) -> Any:
        pem = self.authority.issue()
        listener = self.listen(1, self.server(pem))
        dialler = self.listen(0, self.own(), self.dialling(listener.port))
        yield until(lambda: dialler.transport.is_connected(1))
        dialler.transport.send(0, [(1, ok(7))])
        yield until(lambda: bool(listener.messages))
        self.assertEqual(listener.messages, [(0, ok(7))])
        self.assertEqual([line for line in self.warnings if "127.0.0.1" in line], [])

    @inlineCallbacks
    def test_expired(self) -> Any:
        pem = self.authority.issue(from_days=-30, to_days=-1)
        told = yield self.fails(self.server(pem), self.dialling, "certificate")
        self.assertEqual(told, "to replica 1: cannot connect: its certificate has expired")
        yield until(lambda: self.said("from 127.0.0.1: ", "refuses our certificate: it has expired"))

    @inlineCallbacks
    def test_not_valid_yet(self) -> Any:
        pem = self.authority.issue(from_days=3)
        told = yield self.fails(self.server(pem), self.dialling, "certificate")
        self.assertEqual(told, "to replica 1: cannot connect: its certificate is not valid yet")

    @inlineCallbacks
    def test_another_name(self) -> Any:
        """Whoever listens cannot always know it: OpenSSL has accepted the certificate."""
        told = yield self.fails(
            self.server(self.authority.issue("two.example")), self.dialling, "certificate"
        )
        self.assertEqual(told, "to replica 1: cannot connect: its certificate is not for '127.0.0.1'")

    @inlineCallbacks
    def test_another_host_name(self) -> Any:
        told = yield self.fails(
            self.server(self.authority.issue("two.example")),
            lambda port: f"ssl:127.0.0.1:{port}:caCertsDir={self.authority.roots}:hostname=one.example",
            "certificate",
        )
        self.assertEqual(told, "to replica 1: cannot connect: its certificate is not for 'one.example'")

    @inlineCallbacks
    def test_unknown_issuer(self) -> Any:
        pem = Authority(self.folder / "elsewhere", "stranger").issue()
        told = yield self.fails(self.server(pem), self.dialling, "certificate")
        self.assertIn("to replica 1: cannot connect: its certificate has an unknown issuer: ", told)
        yield until(lambda: self.said("from 127.0.0.1: ", "refuses our certificate: unknown issuer"))

    @inlineCallbacks
    def test_no_certificate(self) -> Any:
        """An endpoint that asks for one, and a dialler that has none."""
        own = PrivateCertificate.loadPEM(self.authority.issue().read_bytes())
        root = Certificate.loadPEM((self.authority.roots / "root.pem").read_bytes())
        server = SSL4ServerEndpoint(reactor, 0, own.options(root), interface="127.0.0.1")
        told = yield self.fails(server, self.dialling, "certificate", "closed", "lost")
        self.assertEqual(told, "to replica 1: cannot connect: it wants a certificate, and we have shown none")
        yield until(lambda: self.said("from 127.0.0.1: ", "it has shown no certificate"))

    @inlineCallbacks
    def test_nobody_there_speaks_tls(self) -> Any:
        told = yield self.fails(self.own(), self.dialling, "TLS", "closed", "answered")
        self.assertIn(
            told,
            (
                "to replica 1: cannot connect: it does not speak TLS",
                "to replica 1: connection closed before the greeting was answered",
            ),
        )
        yield until(lambda: self.said("from 127.0.0.1: connection closed: ", ""))

    @inlineCallbacks
    def test_a_dialler_that_does_not_speak_tls(self) -> Any:
        yield self.fails(
            self.server(self.authority.issue()), lambda port: f"tcp:127.0.0.1:{port}", "closed", "TLS"
        )
        yield until(lambda: self.said("from 127.0.0.1: ", "it does not speak TLS"))


class WordsTests(SynchronousTestCase):
    """What OpenSSL's errors mean, whatever its version calls them."""

    def test_words(self) -> None:
        for text, words in (
            ("sslv3 alert certificate expired", "it refuses our certificate: it has expired"),
            ("ssl/tls alert certificate expired", "it refuses our certificate: it has expired"),
            ("tlsv1 alert unknown ca", "it refuses our certificate: unknown issuer"),
            ("tlsv13 alert certificate required", "it wants a certificate, and we have shown none"),
            ("peer did not return a certificate", "it has shown no certificate"),
            ("ssl/tls alert bad certificate", "it refuses our certificate"),
            ("wrong version number", "it does not speak TLS"),
            ("no shared cipher", "TLS failed: no shared cipher"),
            ("certificate verify failed", "its certificate is not accepted"),
        ):
            error = SSL.Error([("SSL routines", "", text)])
            self.assertEqual(explain_tls(error, None), words)

    def test_what_is_not_of_tls(self) -> None:
        for error in (
            None,
            ConnectionError("gone"),
            SSL.SysCallError(-1, "Unexpected EOF"),
            SSL.ZeroReturnError(),
            SSL.Error(),
            SSL.Error([()]),
        ):
            self.assertIsNone(explain_tls(error, None))
        self.assertIsNone(tls_handle(object()))
