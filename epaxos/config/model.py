"""A whole configuration as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from epaxos.config.settings import Batch, Cluster, Limits, ReplicaConfig, Security, Storage
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.timing import Timing

__all__ = ["Config", "ConfigError"]


class ConfigError(Exception):
    """The configuration is wrong; the text is one line for people: file, section, key, what and why."""


@dataclass(frozen=True)
class Config:
    """One configuration file: a field for each section, by its name, and the members in order.

    `state_machine` holds the options of the state machine as they are in the file.  The address of a port
    that a member does not have is "", which only a replica within another program may lack.
    """

    path: Path
    cluster: Cluster
    timing: Timing
    batch: Batch
    limits: Limits
    storage: Storage
    security: Security
    state_machine: Mapping[str, str]
    replicas: tuple[ReplicaConfig, ...]

    @property
    def n(self) -> int:
        """How many members the cluster has."""
        return len(self.replicas)

    @property
    def epoch(self) -> Epoch:
        """The epoch that these members make."""
        return Epoch.first(self.n)

    def replica(self, id: int) -> ReplicaConfig:
        """The member `id`.  Raises ConfigError when the file has none."""
        if not 0 <= id < self.n:
            ids = ", ".join(str(replica.id) for replica in self.replicas)
            raise ConfigError(f"{self.path}: there is no section [replica {id}]; the replicas are {ids}")
        return self.replicas[id]

    def error(self, text: str) -> ConfigError:
        """An error that names this file."""
        return ConfigError(f"{self.path}: {text}")
