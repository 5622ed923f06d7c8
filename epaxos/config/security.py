"""The section `[security]`."""

from __future__ import annotations

from dataclasses import dataclass

from epaxos.config.declaring import secret, setting
from epaxos.config.kinds import FILE, PASSWORD, YES_OR_NO, OneOf

__all__ = ["Security"]


@dataclass(frozen=True)
class Security:
    """`[security]`: whom a replica serves and talks to, and how they prove who they are."""

    protected_mode: bool = setting(
        True,
        YES_OR_NO,
        "Whether a replica without requirepass refuses every client that is not on its own host.",
        "Clients of the host come by loopback or a Unix socket.  It holds for GET /status, too.",
        redis="protected-mode",
    )
    requirepass: str = secret(
        PASSWORD,
        "The password that clients have to give, by AUTH or HELLO, and GET /status by HTTP basic"
        " authentication.",
        "Let only the user of the replica read a file with a password.  Spaces at its ends do not count.",
    )
    peer_tls: bool = setting(
        False,
        YES_OR_NO,
        "Whether replicas prove to each other who they are, by TLS with certificates of both sides.",
        "Only with transport = tcp, the same on all replicas, and with pip install 'epaxos[tls]'.",
    )
    ca: str = setting(
        "ca.pem",
        FILE,
        "With peer_tls, the certificates of the issuers whose certificates are accepted, one or more in PEM.",
        "Relative to the folder of this file, as certificate and key are.",
    )
    certificate: str = setting(
        "{id}.pem",
        FILE,
        "With peer_tls, the certificate of the replica in PEM; behind it those between it and the issuer.",
        "In the path, {id} stands for the number of the replica.  The certificate has the URI"
        " epaxos://CLUSTER/NUMBER among its subjectAltNames.",
    )
    key: str = setting(
        "{id}.key",
        FILE,
        "With peer_tls, the private key of the certificate in PEM, not encrypted.",
        "In the path, {id} stands for the number of the replica.",
    )
    tls_certificate: str = setting(
        "{id}.pem",
        FILE,
        "Where `client_tls` or status_tls is set, the certificate that clients are shown, in PEM; behind it"
        " those between it and the issuer.",
        "Relative to the folder of this file, as tls_key and tls_ca are; {id} stands for the number of the"
        " replica.",
    )
    tls_key: str = setting(
        "{id}.key",
        FILE,
        "The private key of tls_certificate in PEM, not encrypted.",
        "In the path, {id} stands for the number of the replica.",
    )
    tls_ca: str = setting(
        "ca.pem",
        FILE,
        "The certificates of the issuers whose certificates are taken from clients, one or more in PEM.",
        "Not read where only `client_tls` is set, with tls_auth_clients = no.",
    )
    tls_auth_clients: str = setting(
        "yes",
        OneOf(("yes", "optional", "no")),
        "Whether a client that comes by TLS has to show a certificate, may show one, or is not asked.",
        "One that is shown has to be of an issuer in tls_ca.  At the status port a client may"
        " always show one.",
    )
    status_tls: bool = setting(
        False,
        YES_OR_NO,
        "Whether the status port speaks TLS, with the same files.",
        "A client certificate then lets see what the token does.",
    )
    status_token: str = secret(
        PASSWORD,
        "What those who are not on the replica's host have to show to see more of the status port than"
        " /healthz and /readyz.",
        "As Authorization: Bearer TOKEN, or as the password of HTTP basic authentication.  The same on all"
        " replicas.",
    )
