"""Whether a replica holds the instances that it claims (docs: protocol/epochs, T6 and T8)."""

from __future__ import annotations

from collections.abc import Iterator

from epaxos.node.closed_epoch import ClosedEpoch
from epaxos.protocol.memory.table import InstanceTable
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import Commit, Fetch, Heartbeat, Phase
from epaxos.verify.models.turn_model import Broken

__all__ = ["unanswered", "unheld"]


def unheld(table: InstanceTable) -> Iterator[Broken]:
    """The instances of the present epoch that are claimed, and neither forgotten nor held."""
    for row, upto in enumerate(table.claimed):
        for slot in range(table.floor[row] + 1, upto + 1):
            instance = table.rows[row].get(slot)
            if instance is None or instance.phase is not Phase.COMMITTED:
                yield Broken(f"{row}.{slot} is claimed, and not held")


def unanswered(closed: ClosedEpoch, n: int) -> Iterator[Broken]:
    """What the heartbeat of a closed epoch of n rows claims, and a Fetch does not bring."""
    (heartbeat,), _ = closed.answer([Heartbeat((0,) * n, (0,) * n)])
    assert isinstance(heartbeat, Heartbeat)
    for row, upto in enumerate(heartbeat.committed):
        for slot in range(1, upto + 1):
            answers, _ = closed.answer([Fetch((InstanceId(row, slot),))])
            if not any(isinstance(answer, Commit) for answer in answers):
                yield Broken(f"{row}.{slot} is claimed of the closed epoch, and not answered")
