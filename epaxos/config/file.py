"""A configuration file, read into plain values; every mistake is one clear line.

All replicas may be given the same file; each takes its own section `[replica N]` of it.  `settings.py`
declares every setting.  Folders named in the file are relative to its own folder, because a daemon does
not stay in the folder in which it was started.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import MappingProxyType
from typing import Any

from epaxos.config.addresses import client_for, reached_at
from epaxos.config.checks import check
from epaxos.config.endpoints import (
    CLIENT_EXAMPLE,
    SERVER_EXAMPLE,
    UDP_CLIENT_EXAMPLE,
    UDP_SERVER_EXAMPLE,
    is_udp,
)
from epaxos.config.ini import IniFile, unknown
from epaxos.config.model import Config
from epaxos.config.settings import REPLICA, SECTIONS, ReplicaConfig, Section
from epaxos.protocol.values.membership import NUMBER_MAX

__all__ = ["load", "read"]

_REPLICA_SECTION = re.compile(r"replica (0|[1-9][0-9]*)")
_OPTIONS = "state_machine"
_USERS = "users"
_NO_PORTS = {"client": "", "client_tls": "", "status": ""}
_PEER_EXAMPLES = {
    "tcp": {"peer": SERVER_EXAMPLE, "peer_connect": CLIENT_EXAMPLE},
    "udp": {"peer": UDP_SERVER_EXAMPLE, "peer_connect": UDP_CLIENT_EXAMPLE},
}


def load(path: str | os.PathLike[str], *, has_founders: bool = True) -> Config:
    """Read and check the file.  Raises ConfigError.

    `has_founders`: see `read`.
    """
    return read(IniFile.parse(Path(path)), has_founders=has_founders)


def read(file: IniFile, members: Section = REPLICA, *, has_founders: bool = True) -> Config:
    """Check the sections.  `members`: what the section of a member holds.  Raises ConfigError.

    `has_founders`: it has to have the sections of all first members.  A replica that joins a cluster, or
    that knows the members from its folder, needs its own section alone.
    """
    ids = _check_sections(file)
    sections: dict[str, Any] = {
        name: section.holder(**file.read(section)) for name, section in SECTIONS.items()
    }
    transport = sections["cluster"].transport
    config = Config(
        path=file.path,
        **sections,
        state_machine=MappingProxyType(file.options(_OPTIONS)),
        users=MappingProxyType(file.options(_USERS)),
        replicas=tuple(_replica(file, members, id, transport) for id in ids),
    )
    if has_founders:
        config.check_founders()
    check(config)
    return config


def _check_sections(file: IniFile) -> list[int]:
    """The ids of the replicas, in order.  Raises ConfigError for an unknown or missing section."""
    names = file.sections.sections()
    if not names:
        raise file.error("is empty; conf/cluster.ini is an example")
    allowed = [*SECTIONS, _OPTIONS, _USERS]
    ids = []
    for name in names:
        if match := _REPLICA_SECTION.fullmatch(name):
            if len(match[1]) > len(str(NUMBER_MAX)) or int(match[1]) > NUMBER_MAX:
                raise file.error(f"[{name}]: the highest number of a replica is {NUMBER_MAX}")
            ids.append(int(match[1]))
        elif name not in allowed:
            raise file.error(f"[{name}]: {unknown('section', name, [*allowed, 'replica 0'])}")
    ids.sort()
    if not ids:
        raise file.error("the section [replica 0] is missing")
    return ids


def _replica(file: IniFile, members: Section, id: int, transport: str) -> ReplicaConfig:
    section = f"replica {id}"
    values = {**_NO_PORTS, **file.read(members, section)}
    examples = _PEER_EXAMPLES[transport]
    for key, valid in examples.items():
        if key in values and is_udp(values[key]) != (transport == "udp"):
            text = f"is not for transport = {transport}; a valid one is {valid}"
            raise file.error(f"[{section}] {key} = {values[key]}: {text}")
    connect = values.get("peer_connect") or client_for(values["peer"])
    if connect is None:
        raise file.error(
            f"[{section}] peer_connect: is missing; peer = {values['peer']} does not say how the others"
            f" reach it, for example {examples['peer_connect']}"
        )
    data = Path(os.path.normpath(file.path.absolute().parent / values["data"]))
    derived = {
        f"{key}_connect": values.get(f"{key}_connect") or reached_at(values[key], connect)
        for key in ("client", "status")
    }
    return ReplicaConfig(id=id, **{**values, **derived, "peer_connect": connect, "data": data})
