"""How much a replica holds only because others have not executed it: what the next epoch would free."""

from __future__ import annotations

from epaxos.protocol.memory.state import ReplicaState
from epaxos.protocol.upkeep.forgetting import Forgetting
from epaxos.protocol.values.instance import Instance

__all__ = ["Holding"]

INSTANCE_BYTES = 900
"""Bytes of memory that an instance takes beside its commands, about."""
COMMAND_BYTES = 70
"""Bytes of memory that a command takes beside its own bytes, about."""
LOOKED_AT_MAX = 500
"""Instances of each row that are looked at for their size; the others are taken to be like them."""
GOLDEN = 0.6180339887498949
"""Multiples of the golden ratio are spread over a row however many of them are taken."""
COMMANDS_LOOKED_AT_MAX = 10_000
"""The commands of these instances after which no further one is looked at.  They take 0.2 ms."""


class Holding:
    """What this replica has durably executed and holds for others."""

    def __init__(self, state: ReplicaState, forgetting: Forgetting) -> None:
        self._state = state
        self._forgetting = forgetting

    @property
    def instances(self) -> int:
        """The number of slots that this replica has durably executed, and that are not forgotten."""
        return sum(self._forgetting.executed) - sum(self._state.table.floor)

    def bytes(self) -> int:
        """About how many bytes of memory these instances take."""
        table = self._state.table
        held = len(table)
        if not held:
            return 0
        size = sum(len(row) * _mean_bytes(row) for row in table.rows if row)
        return int(size * self.instances / held)

    @property
    def awaits_failed(self) -> bool:
        """Whether a replica that is suspected to have failed has left instances behind that are not
        committed here."""
        state = self._state
        table = state.table
        committed, known = table.committed, table.known
        return any(
            known[row] > committed[row] and state.failures.suspects(row)
            for row in range(state.n)
            if row != state.id
        )


def _mean_bytes(row: dict[int, Instance]) -> float:
    """What an instance of the row takes, by some that are spread evenly over all of it, as many as are looked
    at: the first ones alone need not be like the others."""
    size = looked_at = commands = 0
    first, last = sorted((next(iter(row)), next(reversed(row))))
    for number in range(1, 1 + min(len(row), LOOKED_AT_MAX)):
        instance = row.get(first + int(number * GOLDEN % 1 * (last - first + 1)))
        if instance is None:
            continue
        looked_at += 1
        size += INSTANCE_BYTES
        batch = instance.proposed
        if batch is not None:
            size += batch.size_bytes + COMMAND_BYTES * batch.commands
            commands += batch.commands
            if commands >= COMMANDS_LOOKED_AT_MAX:
                break
    return size / looked_at if looked_at else INSTANCE_BYTES
