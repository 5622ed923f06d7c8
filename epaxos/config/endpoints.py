"""Endpoint strings as the configuration holds them: what is wrong with one, and which address it names.

Twisted makes endpoints of these strings; here they are only looked at, without a reactor.  It knows
none of UDP: `udp:PORT:interface=ADDRESS`, and `udp:ADDRESS:PORT` to reach that, are ours.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.endpoints import clientFromString, serverFromString

from epaxos.transport.udp import UdpAddress

__all__ = [
    "Address",
    "check_client",
    "check_peer_client",
    "check_peer_server",
    "check_server",
    "client_for",
    "explain",
    "is_udp",
    "machine_of",
    "server_address",
    "udp_client",
    "udp_server",
]

SERVER_EXAMPLE = "tcp:7000:interface=127.0.0.1"
CLIENT_EXAMPLE = "tcp:127.0.0.1:7000"
UDP_SERVER_EXAMPLE = "udp:7000:interface=127.0.0.1"
UDP_CLIENT_EXAMPLE = "udp:127.0.0.1:7000"

_WILDCARDS = {"", "0.0.0.0", "::"}
_NETWORK = {"tcp", "tcp6", "ssl"}
_CHECKED = {"tcp", "tcp6", "unix"}  # others need files, descriptors or plugins of the machine that uses them


@dataclass(frozen=True)
class Address:
    """Where something listens: a port of an interface ("" is every one), or the path of a Unix socket."""

    port: int | None
    interface: str
    path: str = ""
    is_udp: bool = False

    def overlaps(self, other: Address) -> bool:
        """Whether both cannot be listened on by one machine."""
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


def _split(text: str) -> tuple[str, list[str], dict[str, str]]:
    """Type, positional and named arguments; a backslash quotes, as in Twisted."""
    kind, *arguments = re.split(r"(?<!\\):", text)
    positional, named = [], {}
    for argument in arguments:
        name, *value = re.split(r"(?<!\\)=", argument, maxsplit=1)
        unquoted = re.sub(r"\\(.)", r"\1", value[0] if value else name)
        if value:
            named[name] = unquoted
        else:
            positional.append(unquoted)
    return kind.lower(), positional, named


def _quote(argument: str) -> str:
    return re.sub(r"([\\:=])", r"\\\1", argument)


def explain(error: BaseException, example: str) -> str:
    """What Twisted says of a bad endpoint string, in words for people."""
    text = str(error)
    if match := re.search(r"missing .* required positional argument: '(\w+)'", text):
        text = f"its {match[1]} is missing"
    elif match := re.search(r"unexpected keyword argument '(\w+)'", text):
        text = f"it has no argument {match[1]!r}"
    elif isinstance(error, TypeError):
        text = "wrong number of arguments"
    elif match := re.search(r"invalid literal for int\(\) with base \d+: (.*)", text):
        text = f"{match[1]} is not a number"
    elif match := re.search(r"Unknown endpoint type: (.*)", text):
        text = f"there is no endpoint type {match[1]}"
    elif isinstance(error, (ImportError, NameError)):
        return "TLS needs the extra of Twisted: pip install 'twisted[tls]'"
    text = text or type(error).__name__
    return f"{text}; a valid one is {example}"


def _check(parse: Callable[[Any, str], object], text: str, example: str) -> None:
    kind, positional, named = _split(text)
    try:
        parse(None, text)
    except Exception as error:
        if kind in _CHECKED or "Unknown endpoint type" in str(error):
            raise ValueError(explain(error, example)) from None
    if kind in _NETWORK:
        index = 0 if parse is serverFromString else 1
        _port(named.get("port", positional[index] if len(positional) > index else ""), example)
    if kind == "unix" and not any((*positional[:1], named.get("address"), named.get("path"))):
        raise ValueError(f"the path of the socket is missing; a valid one is {example}")


def check_server(text: str) -> None:
    """Raise ValueError for what can be seen to be wrong with a server's endpoint string."""
    _check(serverFromString, text, SERVER_EXAMPLE)


def check_client(text: str) -> None:
    """As `check_server`, for a client's."""
    _check(clientFromString, text, CLIENT_EXAMPLE)


def is_udp(text: str) -> bool:
    """Whether the endpoint, a server's or a client's, is one of UDP."""
    return _split(text)[0] == "udp"


def udp_server(text: str) -> UdpAddress:
    """Where `udp:PORT` or `udp:PORT:interface=ADDRESS` listens.  Raises ValueError."""
    _, positional, named = _split(text)
    _known(named, {"interface"}, UDP_SERVER_EXAMPLE)
    interface = named.get("interface", "")
    if len(positional) != 1:
        raise ValueError(f"it is made of a port and its interface; a valid one is {UDP_SERVER_EXAMPLE}")
    host = "" if interface == "" else _ip_address(interface, UDP_SERVER_EXAMPLE)
    return UdpAddress(host, _port(positional[0], UDP_SERVER_EXAMPLE))


def udp_client(text: str) -> UdpAddress:
    """Where `udp:ADDRESS:PORT` is.  Raises ValueError.

    No names: datagrams are taken from this address alone, so it has to be known, not looked up.
    """
    _, positional, named = _split(text)
    _known(named, set(), UDP_CLIENT_EXAMPLE)
    if len(positional) != 2:
        raise ValueError(f"it is made of an address and a port; a valid one is {UDP_CLIENT_EXAMPLE}")
    host = _ip_address(positional[0], UDP_CLIENT_EXAMPLE)
    if host in _WILDCARDS:
        raise ValueError(f"{host} is not the address of one machine; a valid one is {UDP_CLIENT_EXAMPLE}")
    return UdpAddress(host, _port(positional[1], UDP_CLIENT_EXAMPLE))


def _known(named: dict[str, str], names: set[str], example: str) -> None:
    for name in named.keys() - names:
        raise ValueError(f"it has no argument {name!r}; a valid one is {example}")


def _port(text: str, example: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise ValueError(f"the port must be 1 to 65535, not {text!r}; a valid one is {example}")
    return int(text)


def _ip_address(text: str, example: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError(f"{text!r} is not an IP address; a valid one is {example}") from None


def check_peer_server(text: str) -> None:
    """As `check_server`, and UDP is possible too."""
    if is_udp(text):
        udp_server(text)
    else:
        check_server(text)


def check_peer_client(text: str) -> None:
    """As `check_client`, and UDP is possible too."""
    if is_udp(text):
        udp_client(text)
    else:
        check_client(text)


def server_address(text: str) -> Address | None:
    """What a (checked) server endpoint listens on; None where that cannot be told."""
    kind, positional, named = _split(text)
    if kind == "udp":
        host, port = udp_server(text)
        return Address(port, "" if host in _WILDCARDS else host, is_udp=True)
    if kind in _NETWORK:
        port = int(named.get("port", positional[0] if positional else ""))
        interface = named.get("interface", "")
        return Address(port, "" if interface in _WILDCARDS else interface)
    if kind == "unix":
        return Address(None, "", named.get("address") or positional[0])
    return None


def client_for(server: str) -> str | None:
    """How to reach a (checked) server endpoint, where it says so itself; else None."""
    kind, _, _ = _split(server)
    address = server_address(server)
    if address is None or kind not in {*_CHECKED, "udp"}:
        return None
    if address.port is None:
        return f"unix:{_quote(address.path)}"
    if not address.interface:
        return None
    return f"{'udp' if address.is_udp else 'tcp'}:{_quote(address.interface)}:{address.port}"


def machine_of(client: str) -> str:
    """A name for the machine that a client endpoint leads to; equal for what is surely one machine."""
    kind, positional, named = _split(client)
    if kind == "unix":
        return "localhost"
    host = named.get("host", positional[0] if positional else client)
    return "localhost" if host.startswith("127.") or host in {"localhost", "::1"} else host
