"""An issuer of its own for a new cluster, and a certificate for each member.

See docs: operating/tls, for what a member's certificate has to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from importlib.util import find_spec
from ipaddress import ip_address
from typing import TYPE_CHECKING

from epaxos.ctl.errors import CtlError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import CertificateBuilder, GeneralName, KeyUsage

__all__ = ["ISSUER_DAYS", "MEMBER_DAYS", "certificates", "need_libraries"]

ISSUER_DAYS = 3650
MEMBER_DAYS = 365
EARLY_DAYS = 1
"""A certificate is valid from a day ago, because the clocks of hosts may differ."""


def need_libraries() -> None:
    """Raise CtlError where the libraries of TLS are not installed; the replicas need them, too."""
    if not (find_spec("cryptography") and find_spec("OpenSSL")):
        raise CtlError("certificates need the libraries of TLS: pip install 'epaxos[tls]', or give --no-tls")


def certificates(cluster: str, hosts: Sequence[str]) -> Mapping[str, bytes]:
    """The files, by their names: `ca.pem` and `issuer.key`, and `N.pem` and `N.key` of each member.

    `hosts`: that of each member, in the order of their numbers.  The keys are of P-256, and not encrypted.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import NameOID

    now = datetime.now(timezone.utc)

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def builder(text: str, key: ec.EllipticCurvePrivateKey, days: int) -> CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(named(text))
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=EARLY_DAYS))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )

    issuer = named(f"issuer of {cluster}"[:64])
    issuer_key = ec.generate_private_key(ec.SECP256R1())
    root = (
        builder(f"issuer of {cluster}"[:64], issuer_key, ISSUER_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(issuer_key, hashes.SHA256())
    )
    files = {"ca.pem": root.public_bytes(Encoding.PEM), "issuer.key": _pem(issuer_key)}
    above = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    for number, host in enumerate(hosts):
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[GeneralName] = [x509.UniformResourceIdentifier(f"epaxos://{cluster}/{number}")]
        names.append(_host_name(host))
        own = (
            builder(f"replica {number} of {cluster}"[:64], key, MEMBER_DAYS)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(above, critical=False)
            .sign(issuer_key, hashes.SHA256())
        )
        files[f"{number}.pem"] = own.public_bytes(Encoding.PEM)
        files[f"{number}.key"] = _pem(key)
    return files


def _host_name(host: str) -> GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host.rstrip("."))


def _key_usage(signs_certificates: bool) -> KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
