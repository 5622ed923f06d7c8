"""Sockets that the service manager opened before the replica: a client that connects while the replica is
started again waits, and is not refused.

systemd names them (FileDescriptorName=).  One whose name is that of a port, `peer`, `client`, `client_tls` or
`status`, is used for that port.  What the configuration has as its address is then what others are told.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address
from types import MappingProxyType
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import AdoptedStreamServerEndpoint, serverFromString
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.logger import Logger
from zope.interface import implementer

from epaxos.config.addresses import server_address
from epaxos.config.endpoints import split, udp_server
from epaxos.config.model import Config

__all__ = [
    "NOTHING_PASSED",
    "Adopted",
    "Passed",
    "adopted",
    "check_datagram_socket",
    "is_on_host_alone",
    "passed_sockets",
]

PORTS = ("peer", "client", "client_tls", "status")

_log = Logger()


class Passed(NamedTuple):
    """A socket that was passed: its descriptor, and how many of them have its name."""

    descriptor: int
    namesakes: int = 1


NOTHING_PASSED: Mapping[str, Passed] = MappingProxyType({})


def passed_sockets(reactor: Any, environment: Mapping[str, str]) -> dict[str, Passed]:
    """The sockets that were passed for ports, by the names of these.

    Twisted has taken their descriptors from the environment, and keeps one of each name.
    """
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    parse: Any = serverFromString
    found = {}
    for name in PORTS:
        try:
            endpoint: Any = parse(reactor, f"systemd:domain=INET:name={name}")
        except KeyError:
            continue
        found[name] = Passed(endpoint.fileno, names.count(name))
    return found


@implementer(IStreamServerEndpoint)
class Adopted:
    """A socket that the service manager opened, of which every `listen` gets a copy.

    Twisted closes the descriptor that it is given, and a replica that begins again listens once more.
    """

    def __init__(self, reactor: Any, descriptor: int, family: int) -> None:
        self._reactor = reactor
        self._descriptor = descriptor
        self._family = family

    def listen(self, factory: IProtocolFactory) -> Deferred[IListeningPort]:
        """See IStreamServerEndpoint."""
        adopt: Any = AdoptedStreamServerEndpoint
        copy = adopt(self._reactor, os.dup(self._descriptor), self._family)
        listening: Deferred[IListeningPort] = copy.listen(factory)
        if self._family == socket.AF_UNIX:
            listening.addCallback(_keep)
        return listening


def _keep(port: Any) -> Any:
    """Let the Unix socket live on when `port` stops, as Twisted does with those of TCP alone.

    It would remove the file at which the next process is to be reached, and shut the socket down, which this
    process does not own.
    """
    port._bindPath = b"\0" + port._bindPath  # no name of the abstract namespace is removed
    port._shouldShutdown = False
    return port


def adopted(config: Config, id: int, key: str, reactor: Any, passed: Passed) -> IStreamServerEndpoint:
    """The endpoint that listens with the socket that was passed for the port `key`.  Raises ConfigError."""
    text = getattr(config.replica(id), key)
    if split(text)[0] not in ("tcp", "tcp6", "unix"):
        raise config.error(
            f"[replica {id}] {key} = {text}: a socket is passed for it, which serves without what this"
            " endpoint does; only tcp, tcp6 and unix go with one"
        )
    with _copy(config, id, key, passed) as copy:
        if copy.type != socket.SOCK_STREAM or not copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise config.error(f"[replica {id}] {key}: the socket that is passed for it does not listen")
        address = server_address(text)
        _tell(key, text, copy, None if address is None else address.port)
        return Adopted(reactor, passed.descriptor, copy.family)


def check_datagram_socket(config: Config, id: int, passed: Passed) -> int:
    """The family of the socket that was passed for `peer`, with transport = udp.  Raises ConfigError."""
    with _copy(config, id, "peer", passed) as copy:
        if copy.type != socket.SOCK_DGRAM or copy.family not in (socket.AF_INET, socket.AF_INET6):
            raise config.error(f"[replica {id}] peer: the socket that is passed for it is none of UDP")
        text = config.replica(id).peer
        _tell("peer", text, copy, udp_server(text)[1])
        os.set_blocking(passed.descriptor, False)
        return copy.family


def is_on_host_alone(passed: Passed) -> bool:
    """Whether only this host can reach the socket.  Not for one that `adopted` would refuse."""
    with suppress(OSError), socket.socket(fileno=os.dup(passed.descriptor)) as copy:
        return copy.family == socket.AF_UNIX or ip_address(copy.getsockname()[0]).is_loopback
    return False


def _copy(config: Config, id: int, key: str, passed: Passed) -> socket.socket:
    """A copy of the socket, which knows its family.  Raises ConfigError."""
    if passed.namesakes > 1:
        raise config.error(f"[replica {id}] {key}: {passed.namesakes} sockets are passed for it, not one")
    try:
        descriptor = os.dup(passed.descriptor)
        try:
            return socket.socket(fileno=descriptor)
        except OSError:
            os.close(descriptor)
            raise
    except OSError as error:
        raise config.error(
            f"[replica {id}] {key}: what is passed for it is no socket: {error.strerror}"
        ) from None


def _tell(key: str, text: str, copy: socket.socket, port: int | None) -> None:
    """Say which socket is used, and whether others are told another port."""
    name = copy.getsockname()
    if copy.family == socket.AF_UNIX:
        where = os.fsdecode(name)
    else:
        host = f"[{name[0]}]" if copy.family == socket.AF_INET6 else name[0]
        where = f"{host}:{name[1]}"
        if port is not None and port != name[1]:
            _log.warn(
                "{key} port: the service manager listens on port {passed}, and others are told {port}",
                key=key,
                passed=name[1],
                port=port,
            )
    _log.info(
        "{key} port: the socket of the service manager at {where} is used; others are told {text}",
        key=key,
        where=where,
        text=text,
    )
