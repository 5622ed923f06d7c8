"""All commands on streams."""

from __future__ import annotations

from epaxos.statemachines.redis.streams import (
    adding,
    claiming,
    grouping,
    info,
    pending,
    ranges,
    reading,
    waiting,
)

__all__ = ["COMMANDS"]

COMMANDS = tuple(
    spec
    for family in (adding, ranges, reading, grouping, pending, claiming, info, waiting)
    for spec in family.COMMANDS
)
