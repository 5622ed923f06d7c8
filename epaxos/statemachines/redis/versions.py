"""Which commands are newer than the version of the cluster, and not served there."""

from __future__ import annotations

from epaxos.interfaces import Command
from epaxos.interfaces.redis import text_of
from epaxos.interfaces.versions import needs_upgrade
from epaxos.statemachines.redis.commands import COMMANDS, INTERNAL

__all__ = ["check_version", "since_of"]

_SET_SINCE_2 = {b"EX", b"PX", b"EXAT", b"PXAT", b"KEEPTTL", b"IFEQ", b"FENCE"}
"""The options of SET that version 1 does not have."""
_SET_OPTIONS_AT = 3


def since_of(command: Command) -> int:
    """The lowest version of the cluster that has this command, called like this; 1 where there is none."""
    spec = COMMANDS.get(command[0].upper())
    if spec is None or spec.name.startswith(INTERNAL):
        return 1
    if spec.name == b"SET" and not _SET_SINCE_2.isdisjoint(map(bytes.upper, command[_SET_OPTIONS_AT:])):
        return 2
    return spec.since


def check_version(command: Command, version: int) -> None:
    """Raise CommandError when the command is newer than `version`.

    What else may be wrong with it is looked at afterwards: a replica whose clock is off has to be upgraded
    all the same.
    """
    since = since_of(command)
    if since > version:
        raise needs_upgrade(text_of(command[0]).lower(), since, version)
