"""The configuration of a cluster, checked as far as that is possible before a replica is put together."""

from __future__ import annotations

import os

from epaxos.config.file import load
from epaxos.config.model import Config
from epaxos.service.endpoints import check_datagrams

__all__ = ["load_and_check"]


def load_and_check(path: str | os.PathLike[str]) -> Config:
    """Read the configuration file.  Raises ConfigError."""
    config = load(path)
    check_datagrams(config)
    return config
