"""TLS at the ports for clients: what is refused at the start, and whose certificates are taken."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

from twisted.internet import reactor as the_reactor
from twisted.internet.defer import inlineCallbacks
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from epaxos.config.example import example
from epaxos.config.file import load
from epaxos.config.model import Config, ConfigError
from epaxos.net.tls import certificate_name, shown_certificate
from epaxos.service.client_tls import ClientTls, check_client_tls
from tests.transport.certificates import Authority

reactor: Any = the_reactor
PORT = "client_tls = tcp:7443:interface=127.0.0.1\nstatus = "


class _Folder:
    """A configuration with the files that it names."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.authority = Authority(path / "authority")
        self.renew()
        (path / "ca.pem").write_bytes(self.authority.root.read_bytes())

    def renew(self, **options: Any) -> None:
        text = self.authority.issue(**options).read_bytes()
        (self.path / "0.pem").write_bytes(text)
        (self.path / "0.key").write_bytes(text)

    def config(self, security: str = "", port: str = PORT) -> Config:
        path = self.path / "cluster.ini"
        path.write_text(example(1).replace("status = ", port) + f"[security]\n{security}\n")
        return load(path)


class CheckTests(SynchronousTestCase):
    def setUp(self) -> None:
        path = Path(self.mktemp()).resolve()
        path.mkdir(parents=True)
        self.folder = _Folder(path)

    def test_what_is_wrong_is_said(self) -> None:
        path = self.folder.path
        for security, expected in (
            ("", ""),
            ("tls_auth_clients = no\ntls_ca = none", ""),
            ("tls_ca = none", f"tls_ca = {path}/none: cannot be read: No such file or directory"),
            (
                "tls_auth_clients = optional\ntls_ca = none",
                f"tls_ca = {path}/none: cannot be read: No such file or directory",
            ),
            ("tls_certificate = cluster.ini", f"tls_certificate = {path}/cluster.ini: holds no certificate"),
            ("tls_key = ca.pem", f"tls_key = {path}/ca.pem: holds no private key in PEM"),
            ("tls_certificate = ca.pem", f"tls_key = {path}/0.key: is not the key of {path}/ca.pem"),
            (
                "status_tls = yes\ntls_auth_clients = no\ntls_ca = none",
                f"tls_ca = {path}/none: cannot be read: No such file or directory",
            ),
        ):
            config = self.folder.config(security)
            if expected:
                error = self.assertRaises(ConfigError, check_client_tls, config, 0)
                self.assertIn(f"{config.path}: [security] {expected}", str(error))
            else:
                check_client_tls(config, 0)
        self.folder.renew(from_days=-9, to_days=-2)
        error = self.assertRaises(ConfigError, check_client_tls, self.folder.config(), 0)
        self.assertIn("0.pem: has expired", str(error))

    def test_without_such_a_port_nothing_is_read(self) -> None:
        check_client_tls(self.folder.config("tls_certificate = none", "status = "), 0)


class _Told(Protocol):
    """Answers each line with the name in the certificate of the client."""

    def dataReceived(self, data: bytes) -> None:
        transport: Any = self.transport
        shown = shown_certificate(transport) is not None
        transport.write(f"{shown} {certificate_name(transport)}\n".encode())


class SocketTests(TestCase):
    timeout = 60

    def setUp(self) -> None:
        path = Path(self.mktemp()).resolve()
        path.mkdir(parents=True)
        self.folder = _Folder(path)
        self.renewed: list[str] = []

    def tls(self, config: Config) -> ClientTls:
        return ClientTls(config, 0, self.fail, lambda key, credentials: self.renewed.append(key))

    @inlineCallbacks
    def listen(self, tls: ClientTls, key: str = "client_tls") -> Any:
        endpoint = tls.listening(key, TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1"))
        port = yield endpoint.listen(Factory.forProtocol(_Told))
        self.addCleanup(port.stopListening)
        return port.getHost().port

    def open(self, port: int, shows: Path | None = None) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(self.folder.path / "ca.pem"))
        context.verify_flags |= ssl.VERIFY_X509_STRICT  # as Python 3.13 does
        if shows is not None:
            context.load_cert_chain(shows)
        plain = socket.create_connection(("127.0.0.1", port), 20)
        try:
            return context.wrap_socket(plain, server_hostname="127.0.0.1")
        except BaseException:
            plain.close()
            raise

    def ask(self, port: int, shows: Path | None = None) -> str:
        """What the server says of the certificate; why there is no answer."""
        try:
            with self.open(port, shows) as connected:
                connected.sendall(b"who\n")
                return connected.recv(100).decode().strip() or "closed"
        except (ssl.SSLError, ConnectionError):
            return "closed"

    @inlineCallbacks
    def test_whose_certificates_are_taken(self) -> Any:
        good = self.folder.authority.issue("alice")
        foreign = Authority(self.folder.path / "elsewhere", "elsewhere").issue("alice")
        late = self.folder.authority.issue("late", from_days=-9, to_days=-2)
        for auth_clients, key, shown in (
            ("yes", "client_tls", ["closed", "True alice", "closed", "closed"]),
            ("optional", "client_tls", ["False", "True alice", "closed", "closed"]),
            ("no", "client_tls", ["False", "False", "False", "False"]),
            ("yes", "status", ["False", "True alice", "closed", "closed"]),
        ):
            tls = self.tls(self.folder.config(f"status_tls = yes\ntls_auth_clients = {auth_clients}"))
            port = yield self.listen(tls, key)
            said = []
            for shows in (None, good, foreign, late):
                said.append((yield deferToThread(self.ask, port, shows)))
            self.assertEqual(said, shown, (auth_clients, key))

    @inlineCallbacks
    def test_what_is_read_again(self) -> Any:
        """A connection that is open stays; a file that is of no use changes nothing."""
        config = self.folder.config("tls_auth_clients = optional")
        tls = self.tls(config)
        port = yield self.listen(tls)
        before = yield deferToThread(self.open, port)
        self.addCleanup(before.close)
        self.folder.renew()
        tls.prepare(config)()
        self.assertEqual(self.renewed, ["client_tls"])
        after = yield deferToThread(self.open, port)
        self.addCleanup(after.close)
        self.assertNotEqual(before.getpeercert(True), after.getpeercert(True))
        before.sendall(b"who\n")
        said = yield deferToThread(before.recv, 100)
        self.assertEqual(said, b"False \n")
        wrong = self.folder.config("tls_auth_clients = yes\ntls_key = ca.pem")
        self.assertRaises(ConfigError, tls.prepare, wrong)
        self.assertEqual((yield deferToThread(self.ask, port)), "False")
        tls.prepare(self.folder.config("tls_auth_clients = yes"))()
        self.assertEqual((yield deferToThread(self.ask, port)), "closed")

    @inlineCallbacks
    def test_the_status_port_of_another_member(self) -> Any:
        """It has to show a certificate of an issuer in tls_ca."""
        from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol

        tls = self.tls(self.folder.config("status_tls = yes"))
        port = yield self.listen(tls, "status")
        other = _Other()
        yield connectProtocol(tls.dialling(TCP4ClientEndpoint(reactor, "127.0.0.1", port)), other)
        self.assertEqual((yield other.ended), b"False \n")
        (self.folder.path / "ca.pem").write_bytes(Authority(self.folder.path / "x").root.read_bytes())
        other = _Other()
        yield connectProtocol(tls.dialling(TCP4ClientEndpoint(reactor, "127.0.0.1", port)), other)
        self.assertEqual((yield other.ended), b"")
        (self.folder.path / "ca.pem").unlink()
        self.assertRaises(ValueError, tls.dialling, TCP4ClientEndpoint(reactor, "127.0.0.1", port))


class _Other(Protocol):
    """Asks, and closes when it has an answer."""

    def __init__(self) -> None:
        from twisted.internet.defer import Deferred

        self.said = b""
        self.ended: Deferred[bytes] = Deferred()

    def connectionMade(self) -> None:
        transport: Any = self.transport
        transport.write(b"who\n")

    def dataReceived(self, data: bytes) -> None:
        self.said += data
        transport: Any = self.transport
        transport.loseConnection()

    def connectionLost(self, *_: Any) -> None:
        self.ended.callback(self.said)
