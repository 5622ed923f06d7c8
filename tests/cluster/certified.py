"""Certificates for a cluster whose replicas prove who they are."""

from __future__ import annotations

from tests.cluster.harness import Cluster
from tests.transport.certificates import Authority

__all__ = ["PEER_TLS", "certify"]

PEER_TLS = "\n[security]\npeer_tls = yes\n"
"""The settings; the files lie where they do by default."""


def certify(cluster: Cluster) -> Authority:
    """Give each replica of a cluster that is not yet started a certificate.  The issuer of all of them."""
    authority = Authority(cluster.folder / "authority")
    for id in range(cluster.n):
        authority.certify(cluster.folder, id, f"epaxos://example/{id}")
    return authority
