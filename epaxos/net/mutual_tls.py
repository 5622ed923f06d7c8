"""Mutual TLS on any stream endpoint: each side shows a certificate of a trusted issuer, or there is no
connection.

Whose certificate may be shown is for the caller to decide, by its URIs (`peer_uris`); names of hosts do not
count.  Importing this module raises ImportError where pyOpenSSL is not installed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import (
    IAddress,
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
    IProtocol,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer

from epaxos.net.eager_write import push
from epaxos.net.tls import UNKNOWN_ISSUER, explain_result

__all__ = [
    "Credentials",
    "RenewedCredentials",
    "TlsDialling",
    "TlsError",
    "TlsFiles",
    "TlsListening",
    "peer_uris",
    "read_credentials",
]

_CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20"
"""Those of TLS 1.2, all with forward secrecy and authenticated encryption.  All of TLS 1.3 are like that."""
_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_SESSION_BYTES = 16


@dataclass(frozen=True)
class TlsFiles:
    """The files, in PEM: issuers that are trusted, the own certificate (behind it those between it and its
    issuer), and its private key."""

    ca: Path
    certificate: Path
    key: Path


class TlsError(Exception):
    """A file is of no use.  `file` is the name of its field in TlsFiles; the text says why."""

    def __init__(self, file: str, why: str) -> None:
        super().__init__(why)
        self.file = file


@dataclass(frozen=True)
class Credentials:
    """What was read: OpenSSL's context, the URIs of the own certificate, and until when it is valid (UTC)."""

    context: SSL.Context
    uris: tuple[str, ...]
    valid_until: str


def read_credentials(files: TlsFiles) -> Credentials:
    """Read the files.  Raises TlsError, also when they do not fit together or the certificate has expired."""
    issuers = _certificates(files, "ca")
    own, *between = _certificates(files, "certificate")
    key = _key(files)
    _check_issued(files, own, between, issuers)
    _check_usage(own)
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    # What was verified must stay so: the certificates are those of the one handshake, and a session is never
    # taken up again, which could outlive its certificate.
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_session_id(os.urandom(_SESSION_BYTES))
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT)
    store = context.get_cert_store()
    assert store is not None
    for issuer in issuers:
        store.add_cert(issuer)
    context.use_certificate(own)
    for certificate in between:
        context.add_extra_chain_cert(certificate)
    try:
        context.use_privatekey(key)
        context.check_privatekey()
    except SSL.Error:
        raise TlsError("key", f"is not the key of {files.certificate}") from None
    context.set_cipher_list(_CIPHERS)
    return Credentials(context, _uris(own), _time(own.get_notAfter()))


def _read(files: TlsFiles, file: str) -> bytes:
    try:
        return bytes(getattr(files, file).read_bytes())
    except OSError as error:
        raise TlsError(file, f"cannot be read: {error.strerror}") from None


def _certificates(files: TlsFiles, file: str) -> list[crypto.X509]:
    """The certificates in the file, at least one."""
    blocks = _BLOCK.findall(_read(files, file))
    if not blocks:
        raise TlsError(file, "holds no certificate in PEM")
    try:
        return [crypto.load_certificate(crypto.FILETYPE_PEM, block) for block in blocks]
    except crypto.Error:
        raise TlsError(file, "holds a certificate that is damaged") from None


def _key(files: TlsFiles) -> crypto.PKey:
    text = _read(files, "key")
    if b"ENCRYPTED" in text:
        raise TlsError("key", "is encrypted, and nobody is there to be asked for the passphrase")
    try:
        return crypto.load_privatekey(crypto.FILETYPE_PEM, text, b"")
    except (crypto.Error, ValueError):
        raise TlsError("key", "holds no private key in PEM") from None


def _check_issued(
    files: TlsFiles, own: crypto.X509, between: Sequence[crypto.X509], issuers: Sequence[crypto.X509]
) -> None:
    """Raise TlsError unless the others would accept the own certificate, given the same issuers."""
    store = crypto.X509Store()
    for issuer in issuers:
        store.add_cert(issuer)
    try:
        crypto.X509StoreContext(store, own, list(between)).verify_certificate()
    except crypto.X509StoreContextError as error:
        result, depth, text = error.errors
        if result in UNKNOWN_ISSUER:
            raise TlsError("certificate", f"is not issued by {files.ca}: {text}") from None
        why = explain_result(int(result), str(text))
        raise TlsError("certificate", f"its issuer {why}" if depth else why) from None


def _check_usage(own: crypto.X509) -> None:
    """Raise TlsError when the certificate may serve one side of a connection only."""
    usage = _extension(own, x509.ExtendedKeyUsage)
    both = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    if usage is not None and not both <= set(usage):
        raise TlsError(
            "certificate", "has an extendedKeyUsage without serverAuth and clientAuth; it needs both, or none"
        )


def _extension(certificate: crypto.X509, kind: type[Any]) -> Any:
    """The extension of this kind; None where there is none that can be read."""
    try:
        return certificate.to_cryptography().extensions.get_extension_for_class(kind).value
    except (
        ValueError,
        x509.DuplicateExtension,
        x509.ExtensionNotFound,
        x509.UnsupportedGeneralNameType,
    ):
        return None


def _uris(certificate: crypto.X509) -> tuple[str, ...]:
    """The URIs among the subjectAltNames."""
    names = _extension(certificate, x509.SubjectAlternativeName)
    return () if names is None else tuple(names.get_values_for_type(x509.UniformResourceIdentifier))


def _time(stamp: bytes | None) -> str:
    """A time of a certificate, YYYYMMDDhhmmssZ, in words."""
    text = (stamp or b"").decode("ascii", "replace")
    return f"{text[:4]}-{text[4:6]}-{text[6:8]} {text[8:10]}:{text[10:12]} UTC"


class RenewedCredentials:
    """The credentials, read again whenever one of the files has changed.

    The first time, whatever is wrong raises TlsError.  Later it is told to `complain(text)`, once for each
    change, and what was read before stays.  `check(uris)` raises ValueError when the own certificate is not
    the right one.  `renewed(credentials)` is called when others were read.
    """

    def __init__(
        self,
        files: TlsFiles,
        check: Callable[[Sequence[str]], None],
        complain: Callable[[str], None],
        renewed: Callable[[Credentials], None],
    ) -> None:
        self._files = files
        self._check = check
        self._complain = complain
        self._renewed = renewed
        self._stamp = self._look()
        self._credentials = self._read()

    @property
    def current(self) -> Credentials:
        """The credentials of a new connection: those in the files, as far as they are of use."""
        stamp = self._look()
        if stamp != self._stamp:
            self._stamp = stamp  # before reading: a change that comes meanwhile is then seen the next time
            try:
                self._credentials = self._read()
            except TlsError as error:
                path = getattr(self._files, error.file)
                self._complain(f"{path}: {error}; the certificate that was read before stays in use")
            else:
                self._renewed(self._credentials)
        return self._credentials

    def _read(self) -> Credentials:
        credentials = read_credentials(self._files)
        try:
            self._check(credentials.uris)
        except ValueError as error:
            raise TlsError("certificate", str(error)) from None
        return credentials

    def _look(self) -> list[tuple[int, int, int] | None]:
        """What tells one state of the files from another."""
        seen: list[tuple[int, int, int] | None] = []
        for path in (self._files.ca, self._files.certificate, self._files.key):
            try:
                status = path.stat()
            except OSError:
                seen.append(None)
            else:
                seen.append((status.st_mtime_ns, status.st_size, status.st_ino))
        return seen


@implementer(IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator)
class _Creator:
    """Makes each connection with the credentials of its moment."""

    def __init__(self, credentials: RenewedCredentials) -> None:
        self._credentials = credentials

    def clientConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:
        """See IOpenSSLClientConnectionCreator."""
        return SSL.Connection(self._credentials.current.context)

    def serverConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:
        """See IOpenSSLServerConnectionCreator."""
        return SSL.Connection(self._credentials.current.context)


class _PromptTls(TLSMemoryBIOProtocol):
    """Sends what is written at once, as `write_promptly` does without TLS.

    What Twisted uses by default keeps it for a turn of the reactor, to gather small writes.
    """

    def write(self, data: bytes) -> None:
        """See ITransport."""
        super().write(data)  # type: ignore[no-untyped-call]
        push(self.transport)


class _TlsFactory(TLSMemoryBIOFactory):
    """Closes a connection for which the wrapped factory makes no protocol; Twisted's own would fail there."""

    protocol = _PromptTls

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """See Factory."""
        protocol: IProtocol | None = self.wrappedFactory.buildProtocol(addr)
        return None if protocol is None else _PromptTls(self, protocol)  # type: ignore[no-untyped-call]


@implementer(IStreamServerEndpoint)
class TlsListening:
    """Listens on `endpoint`, and speaks TLS there."""

    def __init__(self, endpoint: IStreamServerEndpoint, credentials: RenewedCredentials) -> None:
        self._endpoint = endpoint
        self._creator = _Creator(credentials)

    def listen(self, protocolFactory: Any) -> Any:
        """See IStreamServerEndpoint."""
        return self._endpoint.listen(_TlsFactory(self._creator, False, protocolFactory))


@implementer(IStreamClientEndpoint)
class TlsDialling:
    """Connects to `endpoint`, and speaks TLS there."""

    def __init__(self, endpoint: IStreamClientEndpoint, credentials: RenewedCredentials) -> None:
        self._endpoint = endpoint
        self._creator = _Creator(credentials)

    def connect(self, protocolFactory: Any) -> Any:
        """See IStreamClientEndpoint."""
        connected = self._endpoint.connect(_TlsFactory(self._creator, True, protocolFactory))
        return connected.addCallback(_within)


def _within(protocol: Any) -> Any:
    """The protocol that speaks within TLS."""
    return protocol.wrappedProtocol


def peer_uris(transport: Any) -> tuple[str, ...]:
    """The URIs in the certificate that the other side has shown, once the handshake of TLS is over.

    None where there is no certificate, or no TLS.
    """
    handle = transport.getHandle() if hasattr(transport, "getHandle") else None
    if not isinstance(handle, SSL.Connection):
        return ()
    certificate = handle.get_peer_certificate()
    return () if certificate is None else _uris(certificate)
