"""The configuration of a cluster: an ini file to typed values, every mistake one clear line.

All replicas are given the same file; each takes its own section `[replica N]` of it.  `conf/cluster.ini`
documents every setting.  Files named in it are relative to its own folder, because a daemon does not
stay in the folder in which it was started.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Iterable, Mapping
from configparser import ConfigParser, DuplicateOptionError, DuplicateSectionError, Error, ParsingError
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from twisted.internet.endpoints import clientFromString, serverFromString
from twisted.internet.interfaces import IStreamClientEndpoint, IStreamServerEndpoint

from epaxos.config.endpoints import (
    CLIENT_EXAMPLE,
    SERVER_EXAMPLE,
    UDP_CLIENT_EXAMPLE,
    UDP_SERVER_EXAMPLE,
    client_for,
    explain,
    is_udp,
    machine_of,
    server_address,
    udp_client,
    udp_server,
)
from epaxos.config.settings import CLUSTER, REPLICA, SETTINGS, Reader
from epaxos.node.limits import Batching
from epaxos.protocol.values.timing import Timing
from epaxos.transport.datagrams import batch_bytes_max
from epaxos.transport.udp import UdpAddress

__all__ = ["Config", "ConfigError", "Limits", "ReplicaConfig", "Storage", "example", "load"]


class ConfigError(Exception):
    """The configuration is wrong; the text is for people, one line: file, section, key, what and why."""


@dataclass(frozen=True)
class Limits:
    """What bounds the memory that others can make a replica take."""

    clients_max: int = 10_000
    """So many clients may be connected; more are refused."""
    clients_bytes_max: int = 1_073_741_824
    """Bytes that all clients together make a replica hold; beyond, the one that holds the most is cut off."""
    client_keepalive_s: int = 300
    """TCP asks whether a silent client is still there this often; 0: never."""
    client_timeout_s: float = 0.0
    """A client that is idle for this time is disconnected; 0: never."""
    peer_queue_bytes_max: int = 64 * 1024 * 1024
    """So many bytes may wait for one other replica; more are dropped, and sent again later."""
    datagram_bytes_max: int = 60_000
    """Over UDP, no longer datagram is sent, and no command is taken that does not fit into one."""


@dataclass(frozen=True)
class Storage:
    """How a replica remembers."""

    engine: str = "leveldb"
    """`leveldb`, or `memory`: nothing is kept, a replica that restarts needs a new place in a cluster."""
    sync: bool = True
    """Whether what is promised is first on the disk itself.  Without, it may be lost when a machine fails."""


@dataclass(frozen=True)
class ReplicaConfig:
    """One member of the cluster: what it listens on, how the others reach it, and where its data is."""

    id: int
    peer: str
    peer_connect: str
    client: str
    status: str
    data: Path


@dataclass(frozen=True)
class Config:
    """A whole configuration file."""

    path: Path
    cluster: str
    state_machine: str
    transport: str
    timing: Timing
    batching: Batching
    limits: Limits
    storage: Storage
    state_machine_options: Mapping[str, str]
    replicas: tuple[ReplicaConfig, ...]

    @property
    def n(self) -> int:
        """How many members the cluster has."""
        return len(self.replicas)

    def replica(self, id: int) -> ReplicaConfig:
        """The member `id`.  Raises ConfigError when the file has none."""
        if not 0 <= id < self.n:
            known = ", ".join(str(replica.id) for replica in self.replicas)
            raise ConfigError(f"{self.path}: there is no section [replica {id}]; the replicas are {known}")
        return self.replicas[id]

    def listening(self, id: int, key: str, reactor: Any) -> IStreamServerEndpoint:
        """What replica `id` listens on for `key`: peer, client or status.

        Raises ConfigError for what can be seen only on the machine that listens, such as a certificate
        that cannot be read.
        """
        endpoint: IStreamServerEndpoint = self._made(serverFromString, id, key, reactor, SERVER_EXAMPLE)
        return endpoint

    def connecting(self, id: int, reactor: Any) -> dict[int, IStreamClientEndpoint]:
        """How replica `id` reaches each of the others.  Raises ConfigError as `listening` does."""
        return {
            replica.id: self._made(clientFromString, replica.id, "peer_connect", reactor, CLIENT_EXAMPLE)
            for replica in self.replicas
            if replica.id != id
        }

    def udp_listening(self, id: int) -> UdpAddress:
        """Where replica `id` listens for the others, by UDP."""
        return udp_server(self.replica(id).peer)

    def udp_peers(self, id: int) -> dict[int, UdpAddress]:
        """Where replica `id` finds each of the others, by UDP."""
        return {replica.id: udp_client(replica.peer_connect) for replica in self.replicas if replica.id != id}

    def _made(self, make: Callable[[Any, str], Any], id: int, key: str, reactor: Any, valid: str) -> Any:
        text = getattr(self.replica(id), key)
        try:
            return make(reactor, text)
        except Exception as error:  # whatever a plugin or a TLS library makes of it
            why = explain(error, valid)
            raise ConfigError(f"{self.path}: [replica {id}] {key} = {text}: {why}") from None


_REPLICA_SECTION = re.compile(r"replica (0|[1-9][0-9]*)")
_BATCH_BYTES_MIN = 500  # of a batch, a datagram has to hold at least so much
_NO_SECTION = "\0"  # configparser's own defaults section, which this format does not have

_T = TypeVar("_T", Timing, Batching, Limits, Storage)


class _File:
    """The sections of one file, and the words for what is wrong with them."""

    def __init__(self, path: Path, sections: ConfigParser) -> None:
        self.path = path
        self.sections = sections

    def error(self, text: str) -> ConfigError:
        return ConfigError(f"{self.path}: {text}")

    def read(self, section: str, readers: Mapping[str, Reader]) -> dict[str, Any]:
        """The keys of a section, each by its reader; nothing for a section that is not there."""
        if section not in self.sections:
            return {}
        values = {}
        for key, text in self.sections[section].items():
            if key not in readers:
                raise self.error(f"[{section}] {key}: {_unknown('key', key, readers)}")
            if "\n" in text:
                raise self.error(f"[{section}] {key}: goes on in an indented line; give it in one line")
            try:
                values[key] = readers[key](text)
            except ValueError as why:
                raise self.error(f"[{section}] {key} = {text}: {why}") from None
        return values

    def need(self, section: str, values: Mapping[str, Any], keys: Iterable[str]) -> None:
        """Raise ConfigError unless the section and these keys of it are there."""
        if section not in self.sections:
            raise self.error(f"the section [{section}] is missing")
        for key in keys:
            if key not in values:
                raise self.error(f"[{section}] {key}: is missing")


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, known, 1)
    rest = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
    return f"unknown {what}; {rest}"


# -- a whole file


def load(path: str | os.PathLike[str]) -> Config:
    """Read and check the file.  Raises ConfigError."""
    file = _parse(Path(path))
    replica_ids = _check_sections(file)
    cluster = file.read("cluster", CLUSTER)
    file.need("cluster", cluster, ["name"])
    settings: dict[str, Any] = {}
    for section, readers in SETTINGS.items():
        settings |= file.read(section, readers)
    timing = _fill(Timing, settings)
    _check_timing(file, timing)
    transport = cluster.get("transport", "tcp")
    replicas = tuple(_replica(file, id, transport) for id in replica_ids)
    _check_apart(file, replicas)
    limits = _fill(Limits, settings)
    if transport == "udp":
        _check_udp(file, replicas, limits)
    has_options = file.sections.has_section("state_machine")
    return Config(
        path=file.path,
        cluster=cluster["name"],
        state_machine=cluster.get("state_machine", "kv"),
        transport=transport,
        timing=timing,
        batching=_fill(Batching, settings),
        limits=limits,
        storage=_fill(Storage, settings),
        state_machine_options=MappingProxyType(
            dict(file.sections.items("state_machine")) if has_options else {}
        ),
        replicas=replicas,
    )


def _parse(path: Path) -> _File:
    sections = ConfigParser(
        interpolation=None,
        default_section=_NO_SECTION,
        delimiters=("=",),
        comment_prefixes=("#", ";"),
        empty_lines_in_values=False,
    )
    sections.optionxform = str  # type: ignore[assignment,method-assign]  # keys are what they look like
    try:
        sections.read_string(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text (byte {error.start})") from None
    except DuplicateSectionError as error:
        raise ConfigError(f"{path}: line {error.lineno}: [{error.section}] is there twice") from None
    except DuplicateOptionError as error:
        where = f"line {error.lineno}: [{error.section}] {error.option}"
        raise ConfigError(f"{path}: {where}: is there twice") from None
    except ParsingError as error:
        errors = getattr(error, "errors", None)  # which one of its subclasses does not have
        line = errors[0][0] if errors else getattr(error, "lineno", 1)
        raise ConfigError(f"{path}: line {line}: is neither [SECTION] nor KEY = VALUE") from None
    except Error as error:
        raise ConfigError(f"{path}: {' '.join(str(error).split())}") from None
    return _File(path, sections)


def _check_sections(file: _File) -> list[int]:
    """Raise ConfigError unless all sections are known; the replicas' ids, in order."""
    names = file.sections.sections()
    if not names:
        raise file.error("is empty; conf/cluster.ini is an example")
    known = ["cluster", *SETTINGS, "state_machine"]
    ids = []
    for name in names:
        if match := _REPLICA_SECTION.fullmatch(name):
            ids.append(int(match[1]))
        elif name not in known:
            raise file.error(f"[{name}]: {_unknown('section', name, [*known, 'replica 0'])}")
    ids.sort()
    if not ids:
        raise file.error("the section [replica 0] is missing")
    for expected, id in enumerate(ids):
        if id != expected:
            raise file.error(
                f"the section [replica {expected}] is missing; replicas are 0, 1, 2 … without a gap"
            )
    return ids


def _fill(into: type[_T], settings: Mapping[str, Any]) -> _T:
    names = [field.name for field in dataclasses.fields(into)]
    return into(**{name: settings[name] for name in names if name in settings})


def _check_timing(file: _File, timing: Timing) -> None:
    if timing.suspect_after_s <= 2 * timing.heartbeat_s:
        raise file.error(
            f"[timing] suspect_after_s = {timing.suspect_after_s:g}: must be more than twice"
            f" heartbeat_s = {timing.heartbeat_s:g}"
        )


_PEER_EXAMPLES = {
    "tcp": {"peer": SERVER_EXAMPLE, "peer_connect": CLIENT_EXAMPLE},
    "udp": {"peer": UDP_SERVER_EXAMPLE, "peer_connect": UDP_CLIENT_EXAMPLE},
}


def _replica(file: _File, id: int, transport: str) -> ReplicaConfig:
    section = f"replica {id}"
    values = file.read(section, REPLICA)
    file.need(section, values, ["peer", "client", "status", "data"])
    examples = _PEER_EXAMPLES[transport]
    for key, example in examples.items():
        if key in values and is_udp(values[key]) != (transport == "udp"):
            text = f"is not for transport = {transport}; a valid one is {example}"
            raise file.error(f"[{section}] {key} = {values[key]}: {text}")
    connect = values.get("peer_connect") or client_for(values["peer"])
    if connect is None:
        raise file.error(
            f"[{section}] peer_connect: is missing; peer = {values['peer']} does not say how the others"
            f" reach it, for example {examples['peer_connect']}"
        )
    return ReplicaConfig(
        id=id,
        peer=values["peer"],
        peer_connect=connect,
        client=values["client"],
        status=values["status"],
        data=Path(os.path.normpath(file.path.absolute().parent / values["data"])),
    )


def _check_udp(file: _File, replicas: tuple[ReplicaConfig, ...], limits: Limits) -> None:
    """All in one family of addresses, and room for a batch beside what comes with it."""
    families = {is_v6: replica for replica in replicas for is_v6 in _families(replica)}
    if len(families) == 2:
        old, new = families[False], families[True]
        raise file.error(
            f"[replica {new.id}] peer_connect = {new.peer_connect}: is of IPv6, and"
            f" [replica {old.id}] of IPv4; give all peers addresses of one kind, and an interface of it"
        )
    room = batch_bytes_max(limits.datagram_bytes_max, len(replicas))
    if room < _BATCH_BYTES_MIN:
        least = limits.datagram_bytes_max + _BATCH_BYTES_MIN - room
        raise file.error(
            f"[limits] datagram_bytes_max = {limits.datagram_bytes_max}: must be at least {least}"
            f" with {len(replicas)} replicas"
        )


def _families(replica: ReplicaConfig) -> set[bool]:
    """Whether it is of IPv6: where it listens (nowhere in particular is of IPv4), where it is found."""
    return {":" in udp_server(replica.peer).host, ":" in udp_client(replica.peer_connect).host}


def _check_apart(file: _File, replicas: tuple[ReplicaConfig, ...]) -> None:
    """No two listen on one address or share a folder, as far as they are on one machine."""
    listening: list[tuple[str, str, Any]] = []
    connects: dict[str, str] = {}
    folders: dict[tuple[str, Path], str] = {}
    for replica in replicas:
        section = f"[replica {replica.id}]"
        first = connects.setdefault(replica.peer_connect, section)
        if first != section:
            text = f"{section} peer_connect = {replica.peer_connect}: is that of {first} too"
            raise file.error(text)
        machine = machine_of(replica.peer_connect)
        for key in ("peer", "client", "status"):
            address = server_address(getattr(replica, key))
            if address is None:
                continue
            for other, other_machine, taken in listening:
                if machine == other_machine and address.overlaps(taken):
                    text = f"{section} {key} = {getattr(replica, key)}: {address} is taken by {other}"
                    raise file.error(text)
            listening.append((f"{section} {key}", machine, address))
        first = folders.setdefault((machine, replica.data), section)
        if first != section:
            raise file.error(f"{section} data = {replica.data}: is the folder of {first} too")


# -- making a file


def example(n: int = 3, base_port: int = 7000, data: str = "../data", transport: str = "tcp") -> str:
    """A file for n replicas on this machine, with default settings.

    Replica i has the peer port `base_port` + i, the Redis port 100 above it, the status port 200
    above it, and the data folder `data`/i.
    """
    sections = ["[cluster]\nname = example\n" + ("transport = udp\n" if transport == "udp" else "")]
    for id in range(n):
        port = base_port + id
        sections.append(
            f"[replica {id}]\n"
            f"peer = {transport}:{port}:interface=127.0.0.1\n"
            f"client = tcp:{port + 100}:interface=127.0.0.1\n"
            f"status = tcp:{port + 200}:interface=127.0.0.1\n"
            f"data = {data}/{id}\n"
        )
    return "\n".join(sections)
