"""What clients are told of commands that are newer than their cluster."""

from __future__ import annotations

from epaxos.interfaces.commands import CommandError

__all__ = ["needs_upgrade"]


def needs_upgrade(name: str, since: int, version: int) -> CommandError:
    """The error for the command `name` of version `since` in a cluster that is at `version`."""
    return CommandError(
        f"ERR '{name}' needs an upgrade turn: it is of version {since}, and the cluster is at version"
        f" {version}; run epaxosctl turn once every replica has the new program"
    )
