"""Where the replicas are, as a program, a configuration file or a replica says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from typing import Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    UNIXClientEndpoint,
    clientFromString,
)
from twisted.internet.interfaces import IStreamClientEndpoint

from epaxos.config.addresses import is_local
from epaxos.config.client_address import LOOPBACK, ClientAddress, client_address, parse_address
from epaxos.config.endpoints import CLIENT_EXAMPLE, explain
from epaxos.config.file import load

__all__ = ["Place", "place_of", "places_in", "places_of_members"]

_PLAIN = re.compile(r"\[[^\]]*\]:\d+|[^:/\[\]]+:\d+|[./][^:]*")
"""`HOST:PORT`, `[IPV6]:PORT`, or a path.  Whatever else is said is an endpoint string of Twisted."""


@dataclass(frozen=True)
class Place:
    """How to reach a replica.  Equal names mean the same replica.

    `address`: None when `endpoint` is a string of Twisted, which may lead anywhere.
    """

    name: str
    endpoint: IStreamClientEndpoint
    address: ClientAddress | None = None


def place_of(reactor: Any, text: str) -> Place:
    """The place that a program names.  Raises ValueError."""
    if _PLAIN.fullmatch(text):
        return _at(reactor, parse_address(text))
    try:
        return Place(text, clientFromString(reactor, text))
    except Exception as error:  # whatever a plugin or a TLS library raises
        raise ValueError(f"{text!r}: {explain(error, CLIENT_EXAMPLE)}, or HOST:PORT") from None


def places_in(path: str | PathLike[str]) -> tuple[list[str], str]:
    """The addresses of the replicas of a configuration file, and the password, or "".

    Raises ConfigError for a file with mistakes, and ValueError where a client port speaks TLS, because the
    file does not say which certificates a client is to trust.
    """
    config = load(path, has_founders=False)
    here = ClientAddress(LOOPBACK)
    found = [
        client_address(replica.client_connect or replica.client, replica.peer_connect, here)
        for replica in config.replicas
    ]
    return list(map(str, found)), config.security.requirepass


def places_of_members(reactor: Any, reply: Any, at: ClientAddress) -> Iterator[Place]:
    """The places of the members that the replica at `at` named (`EPAXOS MEMBERS`), where they can be told."""
    for entry in reply if isinstance(reply, list) else ():
        try:
            _, peer, client, *_ = entry
            yield _at(reactor, client_address(client.decode(), peer.decode(), at))
        except (TypeError, ValueError, AttributeError):
            continue  # a port of another kind, such as one with TLS, or of a later version


def _at(reactor: Any, address: ClientAddress) -> Place:
    host, port, path = address
    if path:
        return Place(path, UNIXClientEndpoint(reactor, path), address)
    name = "localhost" if is_local(host) else host
    return Place(f"{name}:{port}", _tcp(reactor, host, port), address)


def _tcp(reactor: Any, host: str, port: int) -> Any:
    if isIPAddress(host):
        return TCP4ClientEndpoint(reactor, host, port)
    if isIPv6Address(host):
        return TCP6ClientEndpoint(reactor, host, port)
    return HostnameEndpoint(reactor, host, port)
