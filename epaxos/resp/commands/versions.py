"""What connections do by themselves, in a cluster that has not had its upgrade turn yet."""

from __future__ import annotations

from epaxos.interfaces import CommandError
from epaxos.interfaces.versions import needs_upgrade
from epaxos.resp.interfaces import IClient

__all__ = ["SINCE", "too_new"]

SINCE = 2
"""The first version of the cluster that has transactions, marks and databases."""


def too_new(client: IClient, name: str) -> CommandError | None:
    """Why the cluster cannot run what the command `name` makes of others; None when it can."""
    version = client.server.replica.version()
    return needs_upgrade(name, SINCE, version) if version < SINCE else None
