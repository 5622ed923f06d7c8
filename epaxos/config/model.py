"""A whole configuration as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from epaxos.config.settings import Batch, Cluster, Limits, Log, ReplicaConfig, Security, Slow, Storage
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.timing import Timing

__all__ = ["Config", "ConfigError"]


class ConfigError(Exception):
    """The configuration is wrong; the text is one line for people: file, section, key, what and why."""


@dataclass(frozen=True)
class Config:
    """One configuration file: a field for each section, by its name, and the members in the order of their
    numbers.  The numbers of first members have no gap; a file for members that came later may name any.

    `state_machine` holds the options of the state machine as they are in the file, and `users` the rules of
    the first users.  The address of a port that a member does not have is "", which only a replica within
    another program may lack.
    """

    path: Path
    cluster: Cluster
    timing: Timing
    batch: Batch
    limits: Limits
    storage: Storage
    security: Security
    log: Log
    state_machine: Mapping[str, str]
    replicas: tuple[ReplicaConfig, ...]
    slow: Slow = Slow()  # noqa: RUF009  # it is frozen
    users: Mapping[str, str] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """How many members the cluster has."""
        return len(self.replicas)

    @property
    def epoch(self) -> Epoch:
        """The first epoch, which these members make."""
        return Epoch(0, tuple(replica.id for replica in self.replicas))

    def find(self, id: int) -> ReplicaConfig | None:
        """The member `id`; None when the file has no section for it."""
        return next((replica for replica in self.replicas if replica.id == id), None)

    def replica(self, id: int) -> ReplicaConfig:
        """The member `id`.  Raises ConfigError when the file has none."""
        found = self.find(id)
        if found is None:
            ids = ", ".join(str(replica.id) for replica in self.replicas)
            raise ConfigError(f"{self.path}: there is no section [replica {id}]; the replicas are {ids}")
        return found

    @property
    def has_founders(self) -> bool:
        """Whether the members can be the first ones of a cluster: they are 0, 1, 2 … without a gap."""
        return all(replica.id == number for number, replica in enumerate(self.replicas))

    def check_founders(self) -> None:
        """Raise ConfigError unless the file has a section for each first member: 0, 1, 2 … without a gap."""
        for expected, replica in enumerate(self.replicas):
            if replica.id != expected:
                raise self.error(
                    f"the section [replica {expected}] is missing; replicas are 0, 1, 2 … without a gap"
                )

    def error(self, text: str) -> ConfigError:
        """An error that names this file."""
        return ConfigError(f"{self.path}: {text}")
