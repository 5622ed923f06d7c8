"""The addresses that endpoint strings name: whether two of them collide, and how to reach one.

All functions take strings that `endpoints.py` has checked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from epaxos.config.endpoints import CHECKED, NETWORK, WILDCARDS, split, udp_server

__all__ = [
    "Address",
    "client_for",
    "host_of",
    "is_local",
    "place_of",
    "quoted",
    "reached_at",
    "server_address",
]


@dataclass(frozen=True)
class Address:
    """What a server listens on: a port of an interface ("": every interface), or a Unix socket at `path`."""

    port: int | None
    interface: str
    path: str = ""
    is_udp: bool = False

    def overlaps(self, other: Address) -> bool:
        """Whether one host cannot listen on both."""
        if self.port is None or other.port is None:
            return self.port == other.port and self.path == other.path
        if self.is_udp != other.is_udp:
            return False
        interfaces = {self.interface, other.interface}
        return self.port == other.port and (len(interfaces) == 1 or "" in interfaces)

    def __str__(self) -> str:
        if self.port is None:
            return f"socket {self.path}"
        return f"port {self.port}" + (f" of {self.interface}" if self.interface else "")


def quoted(argument: str) -> str:
    """An argument as it stands in an endpoint string."""
    return re.sub(r"([\\:=])", r"\\\1", argument)


def server_address(text: str) -> Address | None:
    """What a server endpoint listens on; None if the string does not say it."""
    kind, positional, named = split(text)
    if kind == "udp":
        host, port = udp_server(text)
        return Address(port, "" if host in WILDCARDS else host, is_udp=True)
    if kind in NETWORK:
        port = int(named.get("port", positional[0] if positional else ""))
        interface = named.get("interface", "")
        return Address(port, "" if interface in WILDCARDS else interface)
    if kind == "unix":
        return Address(None, "", named.get("address") or positional[0])
    return None


def client_for(server: str) -> str | None:
    """A client endpoint that reaches the server endpoint; None if the string does not say how."""
    kind, _, _ = split(server)
    address = server_address(server)
    if address is None or kind not in {*CHECKED, "udp"}:
        return None
    if address.port is None:
        return f"unix:{quoted(address.path)}"
    if not address.interface:
        return None
    return f"{'udp' if address.is_udp else 'tcp'}:{quoted(address.interface)}:{address.port}"


def reached_at(server: str, peer_connect: str) -> str:
    """A client endpoint that reaches the server endpoint of a replica; "" if no string says how.

    A server on every interface is reached at the host to which `peer_connect` leads, unless that is
    loopback, because the host has another name then for everybody else.
    """
    own = client_for(server)
    if own is not None:
        return own
    kind, _, _ = split(server)
    address = server_address(server)
    host = host_of(peer_connect)
    if address is None or address.port is None or kind not in CHECKED or host == "localhost":
        return ""
    return f"tcp:{quoted(host)}:{address.port}"


def place_of(text: str) -> str:
    """A client endpoint for the place that an endpoint names, to connect to or to listen at, without its
    options, such as a certificate; "" where it names none."""
    kind, positional, _ = split(text) if text else ("", [], {})
    if kind == "unix" and positional:
        return f"unix:{quoted(positional[0])}"
    if kind not in ("tcp", "tcp6", "ssl", "tls") or len(positional) < 2 or not positional[1].isdigit():
        return ""
    return f"tcp:{quoted(positional[0])}:{positional[1]}"


def is_local(host: str) -> bool:
    """Whether this is a name of the host itself, or a loopback address."""
    return host.startswith("127.") or host in {"localhost", "::1"}


def host_of(client: str) -> str:
    """A name for the host that a client endpoint leads to.  Equal names mean the same host."""
    kind, positional, named = split(client)
    if kind == "unix":
        return "localhost"
    host = named.get("host", positional[0] if positional else client)
    return "localhost" if is_local(host) else host
