"""Where a replica takes clients: `HOST:PORT`, `[IPV6]:PORT`, or the path of a Unix socket."""

from __future__ import annotations

from typing import NamedTuple

from epaxos.config.addresses import is_local, server_address
from epaxos.config.endpoints import WILDCARDS, split

__all__ = ["LOOPBACK", "ClientAddress", "client_address", "parse_address"]

LOOPBACK = "127.0.0.1"
SPOKEN = {"tcp", "tcp6", "unix"}
"""The types of endpoints that can be asked.  Nothing here tells which certificates to trust."""


class ClientAddress(NamedTuple):
    """A port of a host, or a Unix socket at `path` (then `host` is empty)."""

    host: str
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> ClientAddress:
    """The address that somebody wrote.  Raises ValueError.  Whatever has a `/` in it is a path."""
    if "/" in text:
        return ClientAddress("", path=text)
    host, _, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"{text!r}: an IPv6 address stands in brackets, as in [::1]:7100")
    if not host:
        raise ValueError(f"{text!r} is neither HOST:PORT nor the path of a Unix socket, as in ./replica.sock")
    if not (port.isascii() and port.isdecimal() and 1 <= int(port) <= 65535):
        raise ValueError(f"{text!r}: the port must be 1 to 65535, not {port!r}")
    return ClientAddress(host, int(port))


def _host_in(endpoint: str) -> str:
    """The host that a peer endpoint names, to listen on or to connect to; "" if it names none."""
    kind, positional, named = split(endpoint)
    if kind == "unix":
        return ""
    host = named.get("host") or named.get("interface") or (positional[0] if len(positional) > 1 else "")
    return "" if host in WILDCARDS or host.isdecimal() else host


def client_address(client: str, peer: str, at: ClientAddress) -> ClientAddress:
    """Where to ask the member that clients reach at `client`.  Raises ValueError.

    `client` is a client endpoint, or else the server endpoint on which the member listens.  A member that
    listens on every interface is asked at the host of its `peer` endpoint.  When that is no other host than
    its own, it is asked at the host of `at`, the replica that told of it.
    """
    kind, positional, named = split(client)
    if kind == "tcp" and ("host" in named or (positional and not positional[0].isdecimal())):
        return _dialled(client, dict(zip(("host", "port"), positional), **named))
    address = server_address(client) if kind in SPOKEN else None
    if address is None:
        raise ValueError(f"a client port of the kind {client} cannot be asked from here")
    if address.port is None:
        return ClientAddress("", path=address.path)
    host = address.interface or _host_in(peer)
    if not address.interface and (not host or is_local(host)):
        host = at.host or LOOPBACK
    return ClientAddress(host, address.port)


def _dialled(client: str, arguments: dict[str, str]) -> ClientAddress:
    """The address that the client endpoint `tcp:HOST:PORT` leads to.  Raises ValueError."""
    host, port = arguments.get("host", ""), arguments.get("port", "")
    if not host or not (port.isascii() and port.isdecimal() and 1 <= int(port) <= 65535):
        raise ValueError(f"{client} names no port of a host")
    return ClientAddress(host, int(port))
