"""A new cluster as its operator wants it, and the configuration file that says so."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from twisted.internet.abstract import isIPAddress, isIPv6Address

from epaxos.config.addresses import quoted
from epaxos.protocol.values.membership import NUMBER_MAX

__all__ = ["HOSTS_MAX", "LOOPBACK", "Plan", "Site", "hosts_in"]

LOOPBACK = "127.0.0.1"
HOSTS_MAX = 99
"""The most members that `epaxosctl new` makes, so that the three ports of each host stay apart."""
CLIENT_PORTS = 100
STATUS_PORTS = 200
"""How far the ports for clients and for the status are above that for the other replicas."""
PORT_LAST = 65_535
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
_NUMBER = re.compile(r"[0-9]{1,9}")


class Site(NamedTuple):
    """A member, the host where it is, and its port for the other replicas."""

    number: int
    host: str
    port: int

    @property
    def client(self) -> str:
        """Where clients reach it, as `--at` wants it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port + CLIENT_PORTS}"


def hosts_in(text: str) -> list[str]:
    """The hosts that somebody has written, with spaces or commas between; a number: replicas of this host.

    Raises ValueError.
    """
    words = text.replace(",", " ").split()
    if len(words) == 1 and _NUMBER.fullmatch(words[0]):
        words = [LOOPBACK] * min(int(words[0]), HOSTS_MAX + 1)
    if not 1 <= len(words) <= min(HOSTS_MAX, NUMBER_MAX + 1):
        raise ValueError(f"a cluster that is made here has 1 to {HOSTS_MAX} replicas")
    for word in words:
        is_name = _HOST_NAME.fullmatch(word) and not word.rpartition(".")[2].isdecimal()
        if not (is_name or isIPAddress(word) or isIPv6Address(word)):
            raise ValueError(f"{word!r} is neither an IP address nor the name of a host")
    if len(set(words)) > 1 and any(map(_is_loopback, words)):
        raise ValueError("other hosts cannot reach a loopback address; name the hosts otherwise")
    return words


def _is_loopback(host: str) -> bool:
    return host in {"localhost", "::1"} or (isIPAddress(host) and host.startswith("127."))


@dataclass(frozen=True)
class Plan:
    """What the operator wants.

    `hosts`: one for each member, in the order of their numbers.  `port`: the first for the other replicas;
    members that share a host have the next ones.  `password`: empty for none.  `data`: the folder of each
    member's data, in which `{id}` stands for its number.
    """

    name: str
    hosts: Sequence[str]
    port: int
    password: str
    has_tls: bool
    data: str = "data/{id}"

    def check(self) -> None:
        """Raise ValueError when the members cannot be there together."""
        last = max(site.port for site in self.sites)
        if self.port < 1 or last + STATUS_PORTS > PORT_LAST:
            highest = PORT_LAST - STATUS_PORTS - (last - self.port)
            raise ValueError(f"the first port must be 1 to {highest}, not {self.port}")
        if len(self.hosts) > 1 and "{id}" not in self.data:
            raise ValueError("the folder of the data must have {id} in it, so that each member has its own")

    @property
    def sites(self) -> list[Site]:
        """The members."""
        return [
            Site(number, host, self.port + self.hosts[:number].count(host))
            for number, host in enumerate(self.hosts)
        ]

    @property
    def is_local(self) -> bool:
        """Whether all of it is on one host, for clients of this host alone."""
        return all(map(_is_loopback, self.hosts))

    def ini(self) -> str:
        """The configuration file, the same for all members."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        yield "# Every member is given this same file.  What else it may hold: twistd epaxos --help-settings"
        yield "[cluster]"
        yield f"name = {self.name}"
        if self.password or self.has_tls:
            yield ""
            yield "[security]"
        if self.password:
            yield f"requirepass = {self.password}"
        if self.has_tls:
            yield "peer_tls = yes"
        for site in self.sites:
            yield ""
            yield f"[replica {site.number}]"
            yield from _ports(site)
            yield f"data = {self.data.replace('{id}', str(site.number))}"


def _ports(site: Site) -> Iterator[str]:
    """The ports of a member.  Only its own host sees its status."""
    status = site.port + STATUS_PORTS
    for key, port in (("peer", site.port), ("client", site.port + CLIENT_PORTS)):
        if isIPv6Address(site.host):
            yield f"{key} = tcp6:{port}:interface={quoted(site.host)}"
        elif isIPAddress(site.host):
            yield f"{key} = tcp:{port}:interface={site.host}"
        else:
            yield f"{key} = tcp:{port}"
            yield f"{key}_connect = tcp:{site.host}:{port}"
    yield f"status = tcp:{status}:interface={LOOPBACK}"
