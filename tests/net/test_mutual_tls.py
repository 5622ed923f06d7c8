"""Mutual TLS: what is read from the files, what is wrong with them, and when they are read again."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL
from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SkipTest, SynchronousTestCase, TestCase

from epaxos.net.certificates import (
    Credentials,
    RenewedCredentials,
    TlsError,
    TlsFiles,
    read_credentials,
)
from epaxos.net.mutual_tls import TlsDialling, TlsListening, peer_uris
from tests.transport.certificates import Authority
from tests.transport.test_tcp_sockets import Raw, until

URI = "name://here/0"


class _Files:
    """A folder with an issuer, a certificate and a key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder / "authority")
        self.certify()
        self.files = TlsFiles(folder / "ca.pem", folder / "0.pem", folder / "0.key")

    def certify(self, **options: Any) -> None:
        self.authority.certify(self.folder, 0, URI, **options)


class ReadingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.made = _Files(Path(self.mktemp()))
        self.files = self.made.files

    def wrong(self, file: str, text: str) -> None:
        error = self.assertRaises(TlsError, read_credentials, self.files)
        self.assertEqual((error.file, str(error)), (file, text))

    def test_good(self) -> None:
        credentials = read_credentials(self.files)
        self.assertEqual(credentials.uris, (URI,))
        self.assertRegex(credentials.valid_until, r"^20\d\d-\d\d-\d\d \d\d:\d\d UTC$")

    def test_several_issuers(self) -> None:
        """As while one takes the place of another."""
        other = Authority(self.made.folder / "x", "other")
        self.files.ca.write_bytes(other.root.read_bytes() + self.files.ca.read_bytes())
        read_credentials(self.files)

    def test_missing(self) -> None:
        for file in ("ca", "certificate", "key"):
            path: Path = getattr(self.files, file)
            text = path.read_bytes()
            path.unlink()
            self.wrong(file, "cannot be read: No such file or directory")
            path.mkdir()
            self.wrong(file, "cannot be read: Is a directory")
            path.rmdir()
            path.write_bytes(text)

    def test_not_allowed(self) -> None:
        if os.geteuid() == 0:
            raise SkipTest("root may read everything")
        self.files.key.chmod(stat.S_IWUSR)
        self.wrong("key", "cannot be read: Permission denied")

    def test_not_pem(self) -> None:
        broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        for file, text, why in (
            ("ca", b"", "holds no certificate in PEM"),
            ("ca", self.files.key.read_bytes(), "holds no certificate in PEM"),
            ("ca", broken, "holds a certificate that is damaged"),
            ("certificate", b"\xff\0", "holds no certificate in PEM"),
            (
                "certificate",
                self.files.certificate.read_bytes() + broken,
                "holds a certificate that is damaged",
            ),
            ("key", b"", "holds no private key in PEM"),
            ("key", self.files.certificate.read_bytes(), "holds no private key in PEM"),
        ):
            path: Path = getattr(self.files, file)
            before = path.read_bytes()
            path.write_bytes(text)
            self.wrong(file, why)
            path.write_bytes(before)
        read_credentials(self.files)

    def test_an_encrypted_key(self) -> None:
        """Nobody is asked for a passphrase on a terminal."""
        key = load_pem_private_key(self.files.key.read_bytes(), None)
        for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
            self.files.key.write_bytes(
                key.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"secret"))
            )
            self.wrong("key", "is encrypted, and nobody is there to be asked for the passphrase")

    def test_the_key_of_another(self) -> None:
        key = self.files.key.read_bytes()
        self.made.certify()
        self.files.key.write_bytes(key)
        self.wrong("key", f"is not the key of {self.files.certificate}")

    def test_times(self) -> None:
        self.made.certify(from_days=-9, to_days=-2)
        self.wrong("certificate", "has expired")
        self.made.certify(from_days=2)
        self.wrong("certificate", "is not valid yet")

    def test_another_issuer(self) -> None:
        other = Authority(self.made.folder / "x", "other")
        self.files.ca.write_bytes(other.root.read_bytes())
        self.wrong("certificate", f"is not issued by {self.files.ca}: unable to get local issuer certificate")

    def test_an_issuer_that_may_not_issue(self) -> None:
        member = Authority(self.made.folder / "x", "member", self.made.authority, is_ca=False)
        member.certify(self.made.folder, 0, URI, behind=[member.root])
        error = self.assertRaises(TlsError, read_credentials, self.files)
        self.assertEqual(error.file, "certificate")
        self.assertIn("CA certificate", str(error))

    def test_usages(self) -> None:
        server, client = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
        self.made.certify(usages=[server, client])
        read_credentials(self.files)
        for usage in (server, client):
            self.made.certify(usages=[usage])
            self.wrong(
                "certificate",
                "has an extendedKeyUsage without serverAuth and clientAuth; it needs both, or none",
            )


class RenewalTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.made = _Files(Path(self.mktemp()))
        self.complaints: list[str] = []
        self.renewed: list[Credentials] = []
        self.wrong = ""
        self.reads = 0

    def credentials(self) -> RenewedCredentials:
        return RenewedCredentials(self.made.files, self._check, self.complaints.append, self.renewed.append)

    def _check(self, uris: Any) -> None:
        self.assertEqual(uris, (URI,))
        self.reads += 1
        if self.wrong:
            raise ValueError(self.wrong)

    def test_read_again_when_a_file_changes(self) -> None:
        credentials = self.credentials()
        first = credentials.current
        self.assertIs(credentials.current, first)
        self.made.certify()
        second = credentials.current
        self.assertIsNot(second, first)
        self.assertIs(credentials.current, second)
        self.assertEqual((self.renewed, self.reads), ([second], 2))
        os.utime(self.made.files.ca, (1, 1))
        self.assertIsNot(credentials.current, second)
        self.assertEqual(self.complaints, [])

    def test_what_is_of_no_use_changes_nothing(self) -> None:
        """It is said once, not for each connection; files that are replaced one by one fit in the end."""
        credentials = self.credentials()
        first = credentials.current
        files = self.made.files
        old_key = files.key.read_bytes()
        self.made.certify()
        new_key = files.key.read_bytes()
        files.key.write_bytes(old_key)
        for _ in range(3):
            self.assertIs(credentials.current, first)
        stays = "; the certificate that was read before stays in use"
        self.assertEqual(self.complaints, [f"{files.key}: is not the key of {files.certificate}{stays}"])
        files.key.unlink()
        self.assertIs(credentials.current, first)
        self.assertEqual(
            self.complaints[1:], [f"{files.key}: cannot be read: No such file or directory{stays}"]
        )
        files.key.write_bytes(new_key)
        self.assertIsNot(credentials.current, first)
        self.assertEqual(len(self.complaints), 2)

    def test_a_certificate_that_is_not_the_right_one(self) -> None:
        credentials = self.credentials()
        first = credentials.current
        self.wrong = "it is of somebody else"
        self.made.certify()
        self.assertIs(credentials.current, first)
        self.assertEqual(len(self.complaints), 1)
        self.assertIn("0.pem: it is of somebody else; ", self.complaints[0])
        error = self.assertRaises(TlsError, self.credentials)
        self.assertEqual((error.file, str(error)), ("certificate", "it is of somebody else"))


class SocketTests(TestCase):
    timeout = 20

    @inlineCallbacks
    def test_new_connections_have_the_new_certificate(self) -> Any:
        """An open one stays as it is."""
        made = _Files(Path(self.mktemp()))
        credentials = RenewedCredentials(made.files, lambda uris: None, self.fail, lambda credentials: None)
        servers: list[Raw] = []

        def build() -> Raw:
            servers.append(Raw())
            return servers[-1]

        endpoint = TlsListening(TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1"), credentials)
        port = yield endpoint.listen(Factory.forProtocol(build))
        self.addCleanup(port.stopListening)
        clients: list[Raw] = []
        serials: list[int] = []
        for number in range(2):
            raw = Raw()
            clients.append(raw)
            yield connectProtocol(
                TlsDialling(TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port), credentials), raw
            )
            raw.transport.write(b"hello")
            yield until(lambda number=number: servers[number:] != [] and servers[number].received == b"hello")
            self.assertEqual(peer_uris(raw.transport), (URI,))
            self.assertEqual(peer_uris(servers[number].transport), (URI,))
            handle: SSL.Connection = raw.transport.getHandle()
            certificate = handle.get_peer_certificate()
            assert certificate is not None
            serials.append(certificate.get_serial_number())
            made.certify()
        self.assertNotEqual(serials[0], serials[1])
        clients[0].transport.write(b" again")
        yield until(lambda: servers[0].received == b"hello again")
        for raw in clients:
            raw.transport.loseConnection()
        yield until(lambda: all(raw.lost for raw in (*clients, *servers)))

    @inlineCallbacks
    def test_no_tls_no_names(self) -> Any:
        self.assertEqual(peer_uris(object()), ())
        raws: list[Raw] = []
        factory = Factory.forProtocol(lambda: raws.append(Raw()) or raws[-1])  # type: ignore[func-returns-value]
        port = yield TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
        self.addCleanup(port.stopListening)
        raw = Raw()
        yield connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port), raw)
        self.assertEqual(peer_uris(raw.transport), ())
        raw.transport.loseConnection()
        yield until(lambda: raw.lost and all(each.lost for each in raws))
