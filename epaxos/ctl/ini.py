"""The members of a cluster as a configuration file.

The list of the members says where they are reached, not on what they listen.  Of an address of the kind
tcp:HOST:PORT this is told by the port, and by the host where that is an IP address; else it has to be filled
in, as the folders of the data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from twisted.internet.abstract import isIPAddress, isIPv6Address

from epaxos.config.addresses import quoted
from epaxos.config.endpoints import split
from epaxos.ctl.members import Member

__all__ = ["ini_of"]


def ini_of(name: str, state_machine: str, epoch: int, members: Sequence[Member]) -> str:
    """The file.  A line that somebody has to complete is a comment that ends with `?`."""
    return "\n".join(_lines(name, state_machine, epoch, members)) + "\n"


def _lines(name: str, state_machine: str, epoch: int, members: Sequence[Member]) -> Iterator[str]:
    yield f"# The members of epoch {epoch}.  Timing, limits and security are what each file says, and `data`"
    yield "# has to be what it was."
    yield "[cluster]"
    yield f"name = {name}"
    yield f"state_machine = {state_machine}"
    for member in members:
        yield ""
        yield f"[replica {member.number}]"
        for key, address in (("peer", member.peer), ("client", member.client), ("status", member.status)):
            yield from _port(key, address)
        yield f"data = data/{member.number}"


def _port(key: str, address: str) -> Iterator[str]:
    """On what the member listens, and where it is reached, where that is not the same."""
    listens = listening_at(address)
    yield f"{key} = {listens}" if listens else f";{key} = ?"
    if address and address != listens:
        yield f"{key}_connect = {address}"


def listening_at(address: str) -> str:
    """The server endpoint of a port that is reached at `address`; "" where that does not say it.

    An address that is a server endpoint itself, of a member that told no other one, is returned as it is.
    """
    kind, positional, named = split(address)
    if kind not in {"tcp", "tcp6", "udp", "unix"}:
        return ""
    values = dict(zip(("host", "port"), positional), **named)
    if kind == "unix" or values.get("host", "").isdecimal() or "host" not in values:
        return address
    host, port = values["host"], values.get("port", "")
    if isIPv6Address(host):
        return f"{'udp' if kind == 'udp' else 'tcp6'}:{port}:interface={quoted(host)}"
    return f"{kind}:{port}:interface={host}" if isIPAddress(host) else f"{kind}:{port}"
