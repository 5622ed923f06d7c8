"""State machines with sessions, without a cluster: what one of them proposes, others apply."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count

from epaxos.interfaces import Batch, Command, IStateMachine, Ready, Reply
from epaxos.node.stepwise import stepwise
from epaxos.protocol.values.ids import InstanceId
from epaxos.statemachines.once.machine import ExactlyOnce
from epaxos.statemachines.redis.machine import KeyValueStore

__all__ = ["Site", "words"]


def words(*commands: str) -> list[list[bytes]]:
    """Commands, as text with spaces."""
    return [command.encode().split() for command in commands]


class Site:
    """One state machine: proposes batches, and applies them.  `clock` is what it says of the time."""

    def __init__(self, machine: IStateMachine | None = None, first_id: int = 1) -> None:
        inside = KeyValueStore(3) if machine is None else machine
        self.inside = inside
        ids: Iterator[int] = count(first_id)
        self.clock = 1000.0
        self.machine = ExactlyOnce(
            inside, stepwise(inside), lambda: next(ids).to_bytes(16, "big"), lambda: self.clock
        )
        self._slots = count(1)

    def propose(self, commands: Sequence[Command]) -> Batch:
        for command in commands:
            self.machine.check(command)
        return self.machine.batch(commands)

    def apply(self, batch: Batch, wanted: bool = True) -> Sequence[Reply]:
        return self.machine.apply([Ready(InstanceId(0, next(self._slots)), batch, wanted)])[0]

    def run(self, *commands: str) -> list[object]:
        """Propose and apply commands together; errors as their text."""
        replies = self.apply(self.propose(words(*commands)))
        return [str(reply) if isinstance(reply, Exception) else reply for reply in replies]

    def session(self) -> str:
        (id,) = self.run("EPAXOS SESSION")
        assert isinstance(id, bytes)
        return id.decode()

    def state(self) -> dict[bytes, bytes]:
        return dict(self.machine.entries())
