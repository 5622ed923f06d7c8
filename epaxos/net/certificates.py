"""The files of TLS: what is read from them, what is wrong with it, and what is read again when they change.

Importing this module raises ImportError where pyOpenSSL is not installed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier
from OpenSSL import SSL, crypto

from epaxos.net.tls import UNKNOWN_ISSUER, explain_result

__all__ = [
    "Credentials",
    "HasCredentials",
    "RenewedCredentials",
    "TlsError",
    "TlsFiles",
    "TrustedIssuers",
    "accept_any",
    "certificates_end",
    "read_credentials",
    "read_server_credentials",
    "uris_in",
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
    """What both sides of mutual TLS need.  Raises TlsError, also when the files do not fit together or the
    certificate has expired."""
    issuers = _certificates(files, "ca")
    own, *between = _certificates(files, "certificate")
    key = _key(files)
    _check_issued(files, own, between, issuers)
    _check_usage(own, ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
    context = _context(files, own, between, key)
    _trust(context, issuers, SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT)
    return Credentials(context, uris_in(own), _time(own.get_notAfter()))


def read_server_credentials(files: TlsFiles, auth_clients: str) -> Credentials:
    """What a server needs whose clients show certificates (`auth_clients` = yes), may do so (optional), or
    are not asked for any (no): `ca` is not read then.

    A certificate that is shown has to be good in any case.  Raises TlsError.  The own certificate need not
    be of an issuer in `ca`, because clients trust whom they like.
    """
    own, *between = _certificates(files, "certificate")
    key = _key(files)
    if own.has_expired():
        raise TlsError("certificate", "has expired")
    _check_usage(own, ExtendedKeyUsageOID.SERVER_AUTH)
    context = _context(files, own, between, key)
    if auth_clients != "no":
        needs = SSL.VERIFY_FAIL_IF_NO_PEER_CERT if auth_clients == "yes" else 0
        issuers = _certificates(files, "ca")
        _trust(context, issuers, SSL.VERIFY_PEER | needs)
        for issuer in issuers:
            context.add_client_ca(issuer)
    return Credentials(context, uris_in(own), _time(own.get_notAfter()))


def _context(
    files: TlsFiles, own: crypto.X509, between: Sequence[crypto.X509], key: crypto.PKey
) -> SSL.Context:
    context = _new_context()
    context.use_certificate(own)
    for certificate in between:
        context.add_extra_chain_cert(certificate)
    try:
        context.use_privatekey(key)
        context.check_privatekey()
    except SSL.Error:
        raise TlsError("key", f"is not the key of {files.certificate}") from None
    return context


def _new_context() -> SSL.Context:
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    # What was verified must stay so: the certificates are those of the one handshake, and a session is never
    # taken up again, which could outlive its certificate.
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_session_id(os.urandom(_SESSION_BYTES))
    context.set_cipher_list(_CIPHERS)
    return context


def _trust(context: SSL.Context, issuers: Sequence[crypto.X509], verify: int) -> None:
    """Take certificates of these issuers from the other side."""
    context.set_verify(verify)
    store = context.get_cert_store()
    assert store is not None
    for issuer in issuers:
        store.add_cert(issuer)


def certificates_end(path: Path) -> int | None:
    """When the first of the certificates in the file ceases to be valid, in seconds since 1970.

    None where there is none that can be read.
    """
    try:
        found = [x509.load_pem_x509_certificate(block) for block in _BLOCK.findall(path.read_bytes())]
    except (OSError, ValueError):
        return None
    ends = [_end(each) for each in found]
    return int(min(ends)) if ends else None


def _end(certificate: x509.Certificate) -> float:
    """Until when it is valid, in seconds since 1970; before cryptography 42 the time has no zone."""
    end: datetime | None = getattr(certificate, "not_valid_after_utc", None)
    return (end or certificate.not_valid_after.replace(tzinfo=timezone.utc)).timestamp()


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


def _check_usage(own: crypto.X509, *needed: ObjectIdentifier) -> None:
    """Raise TlsError when the certificate may not serve each of the sides that are needed."""
    usage = _extension(own, x509.ExtendedKeyUsage)
    if usage is not None and not set(needed) <= set(usage):
        if len(needed) == 1:
            raise TlsError("certificate", "has an extendedKeyUsage without serverAuth")
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


def uris_in(certificate: crypto.X509) -> tuple[str, ...]:
    """The URIs among the subjectAltNames."""
    names = _extension(certificate, x509.SubjectAlternativeName)
    return () if names is None else tuple(names.get_values_for_type(x509.UniformResourceIdentifier))


def _time(stamp: bytes | None) -> str:
    """A time of a certificate, YYYYMMDDhhmmssZ, in words."""
    text = (stamp or b"").decode("ascii", "replace")
    return f"{text[:4]}-{text[4:6]}-{text[6:8]} {text[8:10]}:{text[10:12]} UTC"


def accept_any(uris: Sequence[str]) -> None:
    """Any certificate is the right one."""


class HasCredentials(Protocol):
    """What makes new connections with the credentials of the moment."""

    @property
    def current(self) -> Credentials:
        """Those of a new connection."""


class RenewedCredentials:
    """The credentials, read again whenever one of the files has changed.

    The first time, whatever is wrong raises TlsError.  Later it is told to `complain(text)`, once for each
    change, and what was read before stays.  `check(uris)` raises ValueError when the own certificate is not
    the right one.  `renewed(credentials)` is called when others were read.  `read(files)` reads them.
    """

    def __init__(
        self,
        files: TlsFiles,
        check: Callable[[Sequence[str]], None],
        complain: Callable[[str], None],
        renewed: Callable[[Credentials], None],
        read: Callable[[TlsFiles], Credentials] = read_credentials,
    ) -> None:
        self._files = files
        self._check = check
        self._complain = complain
        self._renewed = renewed
        self._read_files = read
        self._stamp = _look(files)
        self._credentials = self._read(files)

    @property
    def current(self) -> Credentials:
        """The credentials of a new connection: those in the files, as far as they are of use."""
        stamp = _look(self._files)
        if stamp != self._stamp:
            self._stamp = stamp  # before reading: a change that comes meanwhile is then seen the next time
            try:
                self._credentials = self._read(self._files)
            except TlsError as error:
                path = getattr(self._files, error.file)
                self._complain(f"{path}: {error}; the certificate that was read before stays in use")
            else:
                self._renewed(self._credentials)
        return self._credentials

    def prepare(
        self, files: TlsFiles, read: Callable[[TlsFiles], Credentials] | None = None
    ) -> Callable[[], None]:
        """Read these files now.  Raises TlsError.  What is returned puts them in the place of the others."""
        stamp = _look(files)
        read = read or self._read_files
        credentials = self._read(files, read)

        def use() -> None:
            self._files, self._stamp, self._read_files = files, stamp, read
            self._credentials = credentials
            self._renewed(credentials)

        return use

    def _read(self, files: TlsFiles, read: Callable[[TlsFiles], Credentials] | None = None) -> Credentials:
        credentials = (read or self._read_files)(files)
        try:
            self._check(credentials.uris)
        except ValueError as error:
            raise TlsError("certificate", str(error)) from None
        return credentials


class TrustedIssuers:
    """For one that shows no certificate, and takes those of the issuers in the file `ca`.

    Raises TlsError.
    """

    def __init__(self, ca: Path) -> None:
        context = _new_context()
        _trust(context, _certificates(TlsFiles(ca, ca, ca), "ca"), SSL.VERIFY_PEER)
        self._credentials = Credentials(context, (), "")

    @property
    def current(self) -> Credentials:
        """See HasCredentials."""
        return self._credentials


def _look(files: TlsFiles) -> list[tuple[int, int, int] | None]:
    """What tells one state of the files from another."""
    seen: list[tuple[int, int, int] | None] = []
    for path in (files.ca, files.certificate, files.key):
        try:
            status = path.stat()
        except OSError:
            seen.append(None)
        else:
            seen.append((status.st_mtime_ns, status.st_size, status.st_ino))
    return seen
