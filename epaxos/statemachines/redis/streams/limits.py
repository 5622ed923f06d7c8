"""How many groups, consumers, and fields of an entry there may be."""

from __future__ import annotations

from epaxos.interfaces import CommandError
from epaxos.statemachines.redis.streams.groups import Group
from epaxos.statemachines.redis.streams.stream import Stream

__all__ = ["CONSUMERS_MAX", "ELEMENTS_MAX", "GROUPS_MAX", "may_have_consumer", "may_have_group"]

CONSUMERS_MAX = 100_000
"""The most consumers of a group, because a copy of it copies their table."""
ELEMENTS_MAX = 16_384
"""The most names and values of one entry, because a block is packed in one step."""
GROUPS_MAX = 100_000
"""The most groups of a stream, because a copy of it copies their table."""


def may_have_consumer(group: Group, name: bytes) -> None:
    """Raises CommandError when the group has no such consumer, and gets no further one."""
    if len(group.names) >= CONSUMERS_MAX and group.consumer(name) is None:
        raise CommandError(f"ERR a group has at most {CONSUMERS_MAX} consumers")


def may_have_group(stream: Stream) -> None:
    """Raises CommandError when the stream gets no further group."""
    if len(stream.groups) >= GROUPS_MAX:
        raise CommandError(f"ERR a stream has at most {GROUPS_MAX} groups")
