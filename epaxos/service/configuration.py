"""The configuration of a cluster, checked as far as that is possible before a replica is put together."""

from __future__ import annotations

import os

from epaxos.config.endpoints import check_peer_client, is_udp
from epaxos.config.file import load
from epaxos.config.model import Config, ConfigError
from epaxos.config.settings import ReplicaConfig
from epaxos.protocol.values.membership import Member
from epaxos.service.endpoints import check_datagrams
from epaxos.storage.folder import DataFolder

__all__ = ["check_seed", "has_begun", "load_and_check", "member_in", "members_in"]


def load_and_check(path: str | os.PathLike[str], id: int | None = None, seed: str = "") -> Config:
    """Read the configuration file of replica `id`.  Raises ConfigError.

    The file need not have the sections of other members where the replica knows them without it: from its
    folder, or from the member at the address `seed`, whose cluster it joins.
    """
    config = load(path, has_founders=False)
    replica = None if id is None else config.find(id)
    if seed:
        check_seed(config, seed)
    elif replica is None or not has_begun(replica):
        config.check_founders()
    check_datagrams(config)
    return config


def has_begun(replica: ReplicaConfig) -> bool:
    """Whether the replica was started before, so that its folder may know more of the members than the
    file."""
    return DataFolder(replica.data).database.exists()


def check_seed(config: Config, seed: str, option: str = "--join") -> None:
    """Raise ConfigError unless a replica can join a cluster at this address, which was given as `option`."""
    try:
        check_peer_client(seed)
        if is_udp(seed) is not (config.cluster.transport == "udp"):
            raise ValueError(f"it is not for transport = {config.cluster.transport}")
    except ValueError as why:
        raise ConfigError(f"{option} {seed}: is not the peer address of a member: {why}") from None
    if config.storage.engine == "memory":
        raise config.error("[storage] engine = memory: a replica that keeps nothing cannot join a cluster")


def members_in(config: Config) -> dict[int, Member]:
    """Where others find each replica of the file, by number.  Their uids are not known."""
    return {replica.id: member_in(config, replica.id) for replica in config.replicas}


def member_in(config: Config, id: int) -> Member:
    """Where others find replica `id`, as the file says; empty where it does not.  The uid is not known."""
    replica = config.find(id)
    if replica is None:
        return Member(id, 0)
    return Member(id, 0, replica.peer_connect, replica.client_connect, replica.status_connect)
