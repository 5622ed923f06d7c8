"""Certificates for tests: real ones, of authorities that exist as long as the test does."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID, ObjectIdentifier

__all__ = ["Authority"]

SIGNS = x509.KeyUsage(
    key_cert_sign=True,
    crl_sign=True,
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)
"""The key usage of who issues; Python 3.13 looks for it, as for the identifiers of keys."""


class Authority:
    """Issues certificates into `folder`, in which `roots` is a folder with its own certificate, `root`.

    `parent` has issued that, and otherwise it itself; with `is_ca` false it has no right to issue any.
    """

    def __init__(
        self, folder: Path, name: str = "authority", parent: Authority | None = None, is_ca: bool = True
    ) -> None:
        self._folder = folder
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        issuer = parent or self
        builder = issuer._builder(self._name, self._key, -1, 365)
        builder = builder.add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        if is_ca:
            builder = builder.add_extension(SIGNS, critical=True)
        own = builder.sign(issuer._key, hashes.SHA256())
        self.roots = folder / f"{name}-roots"
        self.roots.mkdir(parents=True)
        self.root = self.roots / "root.pem"
        self.root.write_bytes(own.public_bytes(Encoding.PEM))

    def _builder(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, from_days: float, to_days: float
    ) -> x509.CertificateBuilder:
        now = datetime.now(timezone.utc)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=from_days))
            .not_valid_after(now + timedelta(days=to_days))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
        )

    def save_key(self, path: Path) -> None:
        """Write its private key to a file, not encrypted, so that other programs can issue with it."""
        form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(self._key.private_bytes(*form))

    def issue(self, name: str = "127.0.0.1", from_days: int = -1, to_days: int = 30) -> Path:
        """A file with a key and its certificate for a host name or an IP address, valid between these days
        from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            host: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            host = x509.DNSName(name)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = (
            self._builder(subject, key, from_days, to_days)
            .add_extension(x509.SubjectAlternativeName([host]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        path = self._folder / f"{len(list(self._folder.iterdir()))}-{name}.pem"
        path.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            + certificate.public_bytes(Encoding.PEM)
        )
        return path

    def certify(
        self,
        folder: Path,
        number: int,
        *uris: str,
        from_days: float = -1,
        to_days: float = 30,
        usages: Sequence[ObjectIdentifier] = (),
        behind: Sequence[Path] = (),
    ) -> None:
        """Write `NUMBER.pem` and `NUMBER.key`, for these URIs, into the folder, and this issuer as `ca.pem`
        unless there is such a file.  `behind`: files of certificates that follow in `NUMBER.pem`."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"replica {number}")])
        builder = self._builder(subject, key, from_days, to_days)
        if uris:
            names = [x509.UniformResourceIdentifier(uri) for uri in uris]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        if usages:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)
        chain = b"".join(path.read_bytes() for path in behind)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.pem").write_bytes(certificate + chain)
        (folder / f"{number}.key").write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        ca = folder / "ca.pem"
        if not ca.exists():
            ca.write_bytes(self.root.read_bytes())
