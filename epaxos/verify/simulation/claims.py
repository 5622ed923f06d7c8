"""Judges what a replica claims: in its Heartbeats, and which epoch it has opened (docs: protocol/epochs)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from epaxos.protocol.values.control import Standing
from epaxos.protocol.values.ids import Deps
from epaxos.protocol.values.messages import Heartbeat, Phase

__all__ = ["Claims"]


class Claims:
    """What one process of `replica` has claimed: the others fetch from it whatever it says is committed.

    This judge looks into the table of the process, because nobody outside sees at once what is missing: who
    asks in vain recovers the instance after a while.
    """

    def __init__(self, replica: int, violated: Callable[[str], None]) -> None:
        self._replica = replica
        self._violated = violated
        self._epoch = -1
        self._checked: Deps = ()

    def check_epoch(self, standing: Standing, synced: int) -> None:
        """The process tells which epoch it has opened; `synced` is the newest one on its disk."""
        if standing.installed > synced:
            self._violated(
                f"Claims: replica {self._replica} has opened epoch {standing.installed}, it says,"
                f" and {synced} is on its disk"
            )

    def check(self, epoch: int, heartbeat: Heartbeat, node: Any) -> None:
        """`node` sends this in `epoch`.  Looks only at what it has not claimed before, in its present epoch:
        of an epoch that it has left it holds the instances on its disk alone."""
        if epoch != node._following.number:
            return
        if epoch != self._epoch:
            self._epoch, self._checked = epoch, (0,) * len(heartbeat.committed)
        if heartbeat.committed == self._checked:
            return
        table = node._core.table
        for row, upto in enumerate(heartbeat.committed):
            for slot in range(max(table.floor[row], self._checked[row]) + 1, upto + 1):
                instance = table.rows[row].get(slot)
                if instance is None or instance.phase is not Phase.COMMITTED:
                    self._violated(
                        f"Claims: replica {self._replica} claims {row}.{slot}, and does not hold it"
                    )
        self._checked = heartbeat.committed
