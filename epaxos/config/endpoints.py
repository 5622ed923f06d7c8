"""Endpoint strings as text: what is wrong with one, found without a reactor and without a socket.

`service/endpoints.py` makes endpoints of these strings.  Here Twisted's own parsers only say whether a
string is one of theirs.  Twisted has no endpoints for UDP: `udp:PORT:interface=ADDRESS`, and
`udp:ADDRESS:PORT` to reach that, are ours.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from twisted.internet.endpoints import clientFromString, serverFromString

__all__ = [
    "CHECKED",
    "CLIENT_EXAMPLE",
    "NETWORK",
    "SERVER_EXAMPLE",
    "UDP_CLIENT_EXAMPLE",
    "UDP_SERVER_EXAMPLE",
    "WILDCARDS",
    "UdpEndpoint",
    "check_client",
    "check_peer_client",
    "check_peer_server",
    "check_server",
    "explain",
    "is_tls",
    "is_udp",
    "split",
    "udp_client",
    "udp_server",
]

SERVER_EXAMPLE = "tcp:7000:interface=127.0.0.1"
CLIENT_EXAMPLE = "tcp:127.0.0.1:7000"
UDP_SERVER_EXAMPLE = "udp:7000:interface=127.0.0.1"
UDP_CLIENT_EXAMPLE = "udp:127.0.0.1:7000"

WILDCARDS = {"", "0.0.0.0", "::"}
"""The addresses that mean every interface."""
NETWORK = {"tcp", "tcp6", "ssl"}
"""The types of endpoints that have a port."""
CHECKED = {"tcp", "tcp6", "unix"}
"""The types that are checked completely.  Others need files, descriptors or plugins, which only
the host that uses them has."""


class UdpEndpoint(NamedTuple):
    """An IP address as text ("": every interface, to listen on) and a port."""

    host: str
    port: int


def split(text: str) -> tuple[str, list[str], dict[str, str]]:
    """The type of an endpoint string, its positional and its named arguments.

    A backslash quotes the next character, as in Twisted.
    """
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


def explain(error: BaseException, example: str) -> str:
    """The error that Twisted raised for a bad endpoint string, in words for people.

    `example` is a valid string of that kind.
    """
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
    cause = getattr(error, "originalException", error)  # FilePath wraps the error of a folder
    if isinstance(cause, OSError) and cause.filename:
        return f"{cause.filename} cannot be read: {cause.strerror}"
    text = text or type(error).__name__
    return f"{text}; a valid one is {example}"


def _check(parse: Callable[[Any, str], object], text: str, example: str) -> None:
    kind, positional, named = split(text)
    try:
        parse(None, text)
    except Exception as error:
        if kind in CHECKED or "Unknown endpoint type" in str(error):
            raise ValueError(explain(error, example)) from None
    if kind in NETWORK:
        index = 0 if parse is serverFromString else 1
        if index:
            _host(named.get("host", *positional[:1]) or "", example)
        _port(named.get("port", positional[index] if len(positional) > index else ""), example)
    if kind == "unix" and not any((*positional[:1], named.get("address"), named.get("path"))):
        raise ValueError(f"the path of the socket is missing; a valid one is {example}")


def check_server(text: str) -> None:
    """Raise ValueError if `text` cannot be a server's endpoint string."""
    _check(serverFromString, text, SERVER_EXAMPLE)


def check_client(text: str) -> None:
    """Raise ValueError if `text` cannot be a client's endpoint string."""
    _check(clientFromString, text, CLIENT_EXAMPLE)


def is_udp(text: str) -> bool:
    """Whether the endpoint string, a server's or a client's, is one of UDP."""
    return split(text)[0] == "udp"


def is_tls(text: str) -> bool:
    """Whether the endpoint string, a server's or a client's, is one of Twisted's own that speak TLS."""
    kind, positional, _ = split(text)
    if kind == "haproxy":
        kind = (positional[0] if positional else "").lower()
    return kind in {"ssl", "tls"}


def udp_server(text: str) -> UdpEndpoint:
    """The address that `udp:PORT` or `udp:PORT:interface=ADDRESS` listens on.  Raises ValueError."""
    _, positional, named = split(text)
    _check_names(named, {"interface"}, UDP_SERVER_EXAMPLE)
    interface = named.get("interface", "")
    if len(positional) != 1:
        raise ValueError(f"it is made of a port and its interface; a valid one is {UDP_SERVER_EXAMPLE}")
    host = "" if interface == "" else _ip_address(interface, UDP_SERVER_EXAMPLE)
    return UdpEndpoint(host, _port(positional[0], UDP_SERVER_EXAMPLE))


def udp_client(text: str) -> UdpEndpoint:
    """The address of `udp:ADDRESS:PORT`.  Raises ValueError.

    ADDRESS is no host name, because datagrams are accepted from this address alone.
    """
    _, positional, named = split(text)
    _check_names(named, set(), UDP_CLIENT_EXAMPLE)
    if len(positional) != 2:
        raise ValueError(f"it is made of an address and a port; a valid one is {UDP_CLIENT_EXAMPLE}")
    host = _ip_address(positional[0], UDP_CLIENT_EXAMPLE)
    if host in WILDCARDS:
        raise ValueError(f"{host} is not the address of one host; a valid one is {UDP_CLIENT_EXAMPLE}")
    return UdpEndpoint(host, _port(positional[1], UDP_CLIENT_EXAMPLE))


def _check_names(named: dict[str, str], names: set[str], example: str) -> None:
    for name in named.keys() - names:
        raise ValueError(f"it has no argument {name!r}; a valid one is {example}")


def _port(text: str, example: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise ValueError(f"the port must be 1 to 65535, not {text!r}; a valid one is {example}")
    return int(text)


def _host(text: str, example: str) -> None:
    """Raise ValueError where a look-up of the name would raise UnicodeError: Twisted does not expect it."""
    try:
        text.encode("idna")
    except UnicodeError:
        raise ValueError(f"{text!a} is not the name of a host; a valid one is {example}") from None


def _ip_address(text: str, example: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError(f"{text!r} is not an IP address; a valid one is {example}") from None


def check_peer_server(text: str) -> None:
    """As `check_server`; an endpoint of UDP is valid, too."""
    if is_udp(text):
        udp_server(text)
    else:
        check_server(text)


def check_peer_client(text: str) -> None:
    """As `check_client`; an endpoint of UDP is valid, too."""
    if is_udp(text):
        udp_client(text)
    else:
        check_client(text)
