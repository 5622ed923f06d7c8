"""The endpoints of a replica, made of the strings of its configuration.

All functions raise ConfigError for what only the host that uses an endpoint can tell, such as a
certificate that cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from twisted.internet.endpoints import AdoptedStreamServerEndpoint, clientFromString, serverFromString
from twisted.internet.interfaces import IStreamClientEndpoint, IStreamServerEndpoint

from epaxos.config.endpoints import (
    CHECKED,
    CLIENT_EXAMPLE,
    SERVER_EXAMPLE,
    UDP_CLIENT_EXAMPLE,
    check_client,
    explain,
    is_udp,
    split,
    udp_client,
    udp_server,
)
from epaxos.config.model import Config
from epaxos.service.passed_sockets import Adopted, Passed, adopted, check_datagram_socket
from epaxos.transport.datagrams import batch_bytes_max
from epaxos.transport.udp_address import UdpAddress, UdpPassed

__all__ = [
    "Dial",
    "check_datagrams",
    "check_guest",
    "connecting",
    "listening",
    "udp_listening",
    "udp_peers",
]

_BATCH_BYTES_MIN = 500  # a datagram that holds no batch of this size is of no use


def listening(
    config: Config, id: int, key: str, reactor: Any, passed: Passed | None = None
) -> IStreamServerEndpoint:
    """The endpoint on which replica `id` listens for `key`: peer, client, client_tls or status.

    `passed`: the socket that the service manager opened for it, if there is one.
    """
    if passed is not None and split(getattr(config.replica(id), key))[0] != "systemd":
        return adopted(config, id, key, reactor, passed)
    endpoint: IStreamServerEndpoint = _made(serverFromString, config, id, key, reactor, SERVER_EXAMPLE)
    if isinstance(endpoint, AdoptedStreamServerEndpoint):
        given: Any = endpoint
        return Adopted(given.reactor, given.fileno, given.addressFamily)
    return endpoint


Dial = Callable[[int, str, bool], IStreamClientEndpoint]
"""Makes the endpoint by which a replica is reached, of its number, its address ("": the configuration says
it), and whether it is a member.  Raises ValueError where it cannot."""


def connecting(config: Config, id: int, reactor: Any) -> Dial:
    """How replica `id` reaches the others.  Raises ConfigError for what is wrong in the configuration."""
    configured = {
        replica.id: _made(clientFromString, config, replica.id, "peer_connect", reactor, CLIENT_EXAMPLE)
        for replica in config.replicas
        if replica.id != id
    }
    is_unix = split(config.replica(id).peer)[0] == "unix"
    return partial(_reach, configured, reactor, is_unix)


def _reach(
    configured: Mapping[int, IStreamClientEndpoint],
    reactor: Any,
    is_unix: bool,
    number: int,
    address: str,
    is_member: bool,
) -> IStreamClientEndpoint:
    if not address:
        if number not in configured:
            raise ValueError(f"there is no section [replica {number}] that says where it is")
        return configured[number]
    if is_member:
        check_client(address)
    else:
        check_guest(address, is_unix)
    try:
        endpoint: IStreamClientEndpoint = clientFromString(reactor, address)  # type: ignore[no-untyped-call]
    except Exception as error:  # whatever a plugin or a TLS library raises
        raise ValueError(explain(error, CLIENT_EXAMPLE)) from None
    return endpoint


def check_guest(address: str, is_unix: bool) -> None:
    """Raise ValueError unless a replica that is no member may be dialled at `address`.

    Anybody may say that it wants to join.  So its address names a host, and no file or program of this one;
    where replicas use Unix sockets (`is_unix`), it may name one.
    """
    kind = split(address)[0]
    if kind not in (CHECKED if is_unix else CHECKED - {"unix"}):
        raise ValueError("a replica that is no member is dialled by tcp alone")
    check_client(address)


def udp_listening(config: Config, id: int, passed: Passed | None = None) -> UdpAddress | UdpPassed:
    """Where replica `id` listens for the others, with transport = udp.  `passed`: see `listening`."""
    address = UdpAddress(*udp_server(config.replica(id).peer))
    if passed is None:
        return address
    return UdpPassed(address, passed.descriptor, check_datagram_socket(config, id, passed))


def udp_peers(config: Config, id: int) -> Callable[[int, str], UdpAddress]:
    """Where replica `id` reaches the others, with transport = udp, by their numbers and addresses ("": the
    configuration says it).  What is returned raises ValueError where it cannot tell."""
    configured = {
        replica.id: UdpAddress(*udp_client(replica.peer_connect))
        for replica in config.replicas
        if replica.id != id
    }
    return partial(_reach_by_udp, configured)


def _reach_by_udp(configured: Mapping[int, UdpAddress], number: int, address: str) -> UdpAddress:
    if address:
        if not is_udp(address):
            raise ValueError(f"replicas are reached by UDP; a valid one is {UDP_CLIENT_EXAMPLE}")
        return UdpAddress(*udp_client(address))
    if number not in configured:
        raise ValueError(f"there is no section [replica {number}] that says where it is")
    return configured[number]


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
