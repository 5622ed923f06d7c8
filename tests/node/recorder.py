"""The Redis-like store, which notes what is asked of it, and commands as words."""

from __future__ import annotations

from collections.abc import Sequence

from epaxos.interfaces import Command, Ready, Reply
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import Batch
from epaxos.statemachines.redis.machine import KeyValueStore

ID = InstanceId(1, 5)


def words(*texts: str) -> list[list[bytes]]:
    return [text.encode().split() for text in texts]


def run(store: KeyValueStore, batch: Batch | None) -> Sequence[Reply]:
    """Apply the batch, if there is one; its replies."""
    return store.apply([Ready(ID, batch, True)])[0] if batch is not None else ()


class Recorder(KeyValueStore):
    """A key-value store that notes its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[object] = []

    def is_read(self, name: bytes) -> bool:
        """See IStateMachine."""
        self.asked.append(name)
        return super().is_read(name)

    def batch(self, commands: Sequence[Command]) -> Batch:
        """See IStateMachine."""
        assert commands
        return super().batch(commands)

    def read_before(self, command: Command, batch: Batch) -> Reply:
        """See IReadsBefore."""
        self.asked.append(b" ".join(command))
        return super().read_before(command, batch)

    def read(self, commands: Sequence[Command]) -> Sequence[Reply]:
        """See IStateMachine."""
        assert commands
        self.asked += [b" ".join(command) for command in commands]
        return tuple(super().read(commands))
