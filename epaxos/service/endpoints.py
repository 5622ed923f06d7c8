"""The endpoints of a replica, made of the strings of its configuration.

All functions raise ConfigError for what only the host that uses an endpoint can tell, such as a
certificate that cannot be read.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import AdoptedStreamServerEndpoint, clientFromString, serverFromString
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from zope.interface import implementer

from epaxos.config.endpoints import CLIENT_EXAMPLE, SERVER_EXAMPLE, explain, udp_client, udp_server
from epaxos.config.model import Config
from epaxos.transport.datagrams import batch_bytes_max
from epaxos.transport.udp import UdpAddress

__all__ = ["check_datagrams", "connecting", "listening", "udp_listening", "udp_peers"]

_BATCH_BYTES_MIN = 500  # a datagram that holds no batch of this size is of no use


@implementer(IStreamServerEndpoint)
class _Inherited:
    """A socket that systemd has opened, of which every `listen` gets a copy.

    Twisted closes the descriptor that it is given, and a replica that begins again listens once more.
    """

    def __init__(self, endpoint: Any) -> None:
        self._endpoint = endpoint

    def listen(self, factory: IProtocolFactory) -> Deferred[IListeningPort]:
        """See IStreamServerEndpoint."""
        adopted = self._endpoint
        copy = type(adopted)(adopted.reactor, os.dup(adopted.fileno), adopted.addressFamily)
        listening: Deferred[IListeningPort] = copy.listen(factory)
        return listening


def listening(config: Config, id: int, key: str, reactor: Any) -> IStreamServerEndpoint:
    """The endpoint on which replica `id` listens for `key`: peer, client or status."""
    endpoint: IStreamServerEndpoint = _made(serverFromString, config, id, key, reactor, SERVER_EXAMPLE)
    return _Inherited(endpoint) if isinstance(endpoint, AdoptedStreamServerEndpoint) else endpoint


def connecting(config: Config, id: int, reactor: Any) -> dict[int, IStreamClientEndpoint]:
    """The endpoints by which replica `id` reaches each of the others."""
    return {
        replica.id: _made(clientFromString, config, replica.id, "peer_connect", reactor, CLIENT_EXAMPLE)
        for replica in config.replicas
        if replica.id != id
    }


def udp_listening(config: Config, id: int) -> UdpAddress:
    """The address on which replica `id` listens for the others, with transport = udp."""
    return UdpAddress(*udp_server(config.replica(id).peer))


def udp_peers(config: Config, id: int) -> dict[int, UdpAddress]:
    """The addresses at which replica `id` reaches each of the others, with transport = udp."""
    return {
        replica.id: UdpAddress(*udp_client(replica.peer_connect))
        for replica in config.replicas
        if replica.id != id
    }


def check_datagrams(config: Config) -> None:
    """Raise ConfigError if, with transport = udp, a datagram is too short for any batch."""
    if config.cluster.transport != "udp":
        return
    given = config.limits.datagram_bytes_max
    room = batch_bytes_max(given, config.n)
    if room < _BATCH_BYTES_MIN:
        raise config.error(
            f"[limits] datagram_bytes_max = {given}: must be at least {given + _BATCH_BYTES_MIN - room}"
            f" with {config.n} replicas"
        )


def _made(
    make: Callable[[Any, str], Any], config: Config, id: int, key: str, reactor: Any, valid: str
) -> Any:
    text = getattr(config.replica(id), key)
    try:
        return make(reactor, text)
    except Exception as error:  # whatever a plugin or a TLS library raises
        why = explain(error, valid)
        raise config.error(f"[replica {id}] {key} = {text}: {why}") from None
