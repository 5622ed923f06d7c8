"""The configuration of a cluster from the arguments of a call, under the same checks as a file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Union

from epaxos.config.file import read
from epaxos.config.ini import IniFile
from epaxos.config.model import Config
from epaxos.config.settings import EMBEDDED_REPLICA
from epaxos.service.endpoints import check_datagrams

__all__ = ["Peer", "cluster"]

Peer = Union[str, Mapping[str, str]]
"""Where a member listens for the others, such as `tcp:7000:interface=10.0.0.1`, or its whole section."""


def cluster(
    name: str,
    peers: Sequence[Peer],
    data: str | os.PathLike[str],
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> Config:
    """The configuration of the cluster `name`, the same in each of its programs.

    `peers`: the members in the order of their numbers.  A dict has the keys of the section `[replica N]`: so
    a member gets ports for clients and for its status, or another folder.  `data`: the folder of the data;
    member N takes the folder N in it.  `settings`: other sections, as in {"limits": {"request_timeout_s": 2}}
    (docs: reference/settings).  Raises ConfigError.
    """
    sections = {section: dict(values) for section, values in (settings or {}).items()}
    sections["cluster"] = {**sections.get("cluster", {}), "name": name}
    for id, peer in enumerate(peers):
        given = {"peer": peer} if isinstance(peer, str) else peer
        sections[f"replica {id}"] = {"data": str(Path(data) / str(id)), **given}
    texts = {
        section: {key: _text(value) for key, value in values.items()} for section, values in sections.items()
    }
    config = read(IniFile.of(f"cluster {name}", texts), EMBEDDED_REPLICA)
    check_datagrams(config)
    return config


def _text(value: Any) -> str:
    """A value as a file has it."""
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)
