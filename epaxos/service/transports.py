"""How a replica of a configuration talks to the others: by TCP, with or without TLS, or by UDP."""

from __future__ import annotations

import time
from random import Random
from typing import Any

from epaxos.config.model import Config
from epaxos.net.shared_reader import SharedReader
from epaxos.service.bounds import tcp_settings, udp_settings
from epaxos.service.endpoints import connecting, listening, udp_listening, udp_peers
from epaxos.service.followed import Follows
from epaxos.service.passed_sockets import Passed
from epaxos.service.peer_tls import no_certificates, secured
from epaxos.transport.tcp import PeerIdentity, TcpTransport
from epaxos.transport.udp import UdpTransport

__all__ = ["transport_of"]


def transport_of(
    config: Config,
    id: int,
    seed: str,
    reactor: Any,
    random: Random,
    reader: SharedReader,
    passed: Passed | None,
) -> tuple[TcpTransport | UdpTransport, Follows]:
    """Messages to and from the others, and what has it follow a configuration that is read again."""
    founders = config.epoch if config.has_founders and not seed else None
    identity = PeerIdentity(config.cluster.name, id, founders)
    if config.cluster.transport == "udp":
        datagrams = UdpTransport(
            identity,
            udp_listening(config, id, passed),
            udp_peers(config, id),
            session=time.time_ns(),
            reactor=reactor,
            settings=udp_settings(config),
        )
        return datagrams, no_certificates
    peers = secured(
        config, id, listening(config, id, "peer", reactor, passed), connecting(config, id, reactor), reactor
    )
    connections = TcpTransport(
        identity,
        peers.listen,
        peers.dial,
        clock=reactor,
        random=random,
        reader=reader,
        settings=tcp_settings(config),
        names_of=peers.names_of,
    )
    return connections, peers.reload
