"""Observers between a node and its executor and state machine, which report all calls to the judge."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from zope.interface import alsoProvides, implementer

from epaxos.interfaces import (
    Command,
    CommandInfo,
    IExecutor,
    IReadsBefore,
    IStateMachine,
    IStepwise,
    IVersioned,
    Ready,
    Reply,
    Steps,
)
from epaxos.node.stepwise import stepwise
from epaxos.protocol.values.ids import Deps, InstanceId
from epaxos.protocol.values.messages import NOP, Batch
from epaxos.verify.judges.history import NamedCommand
from epaxos.verify.judges.invariants import Invariants
from epaxos.verify.judges.place import place, places
from epaxos.verify.trace import Trace

__all__ = ["Commands", "ObservedExecutor", "ObservedStateMachine"]


class Commands:
    """Which commands a batch carries, by the identity of the batch, because two clients may send equal
    ones."""

    def __init__(self) -> None:
        self._batches: dict[int, tuple[Batch, tuple[str, ...]]] = {}
        self._carriers: dict[int, InstanceId] = {}

    def remember(self, batch: Batch, commands: Sequence[Command]) -> None:
        """`batch` was made of these commands."""
        names = tuple(command.name for command in commands if isinstance(command, NamedCommand))
        self._batches[id(batch)] = (batch, names)

    def take(self, batch: Batch, carrier: InstanceId) -> tuple[str, ...]:
        """The names of the commands in `batch`, which `carrier` carries, at the first call for both; then an
        empty tuple.  A batch that was void has another carrier later."""
        found = self._batches.get(id(batch))
        if found is None or self._carriers.get(id(batch)) == carrier:
            return ()
        self._carriers[id(batch)] = carrier
        return found[1]


@implementer(IExecutor)
class ObservedExecutor:
    """The executor of one process of `replica` in epoch `epoch`."""

    def __init__(
        self, executor: IExecutor, replica: int, invariants: Invariants, trace: Trace, epoch: int = 0
    ) -> None:
        self._epoch = epoch
        self._has_ended = False
        self._executor = executor
        self._replica = replica
        self._invariants = invariants
        self._trace = trace

    @property
    def executed(self) -> Deps:
        """See IExecutor."""
        executed: Deps = self._executor.executed
        return executed

    @property
    def waiting(self) -> int:
        """See IExecutor."""
        waiting: int = self._executor.waiting
        return waiting

    @property
    def busy(self) -> bool:
        """See IExecutor."""
        busy: bool = self._executor.busy
        return busy

    def commit(self, id: InstanceId, batch: Batch, deps: Deps) -> None:
        """See IExecutor."""
        if self._trace.on:
            self._trace.note(f"R{self._replica}", f"{id} is decided{' NOP' if batch is NOP else ''} {deps}")
        self._invariants.on_commit(self._replica, place(self._epoch, id), batch, places(self._epoch, deps))
        self._executor.commit(id, batch, deps)

    def run(self, limit: int | None = None) -> list[tuple[InstanceId, Batch]]:
        """See IExecutor."""
        executed = self._executor.run(limit)
        for id, batch in executed:
            if self._has_ended:
                break  # what is behind the end of the epoch has no effect
            if self._trace.on:
                self._trace.note(f"R{self._replica}", f"runs {id}")
            self._invariants.on_execute(self._replica, place(self._epoch, id), batch)
            self._has_ended = batch.successor is not None
        return executed

    def executed_beyond(self) -> tuple[InstanceId, ...]:
        """See IExecutor."""
        return self._executor.executed_beyond()

    def restore(self, executed: Deps, beyond: Iterable[InstanceId]) -> None:
        """See IExecutor."""
        beyond = tuple(beyond)
        self._invariants.on_restore(
            self._replica,
            places(self._epoch, executed),
            tuple(place(self._epoch, id) for id in beyond),
        )
        self._executor.restore(executed, beyond)


@implementer(IStepwise)
class ObservedStateMachine:
    """The state machine of one process of `replica`.

    `took_step()` is called after each step.  Any other call while a batch is applied in part is a violation,
    because it would see half of the batch.  `judges_replies`: the replies of each batch are asked for at
    every replica, and the judge compares them.  `placed`: where an instance of the present epoch stands.
    """

    def __init__(
        self,
        machine: IStateMachine,
        replica: int,
        invariants: Invariants,
        commands: Commands,
        took_step: Callable[[], None] = lambda: None,
        judges_replies: bool = False,
        placed: Callable[[InstanceId], InstanceId] = lambda id: id,
    ) -> None:
        self._placed = placed
        self._machine = machine
        self._stepwise = stepwise(machine)
        self._replica = replica
        self._invariants = invariants
        self._commands = commands
        self._took_step = took_step
        self._judges_replies = judges_replies
        self._begun: InstanceId | None = None
        for optional in (IReadsBefore, IVersioned):
            if optional.providedBy(machine):
                alsoProvides(self, optional)

    @property
    def inside(self) -> IStateMachine:
        """The state machine that is observed."""
        return self._machine

    def on_version(self, version: int) -> None:
        """See IVersioned."""
        IVersioned(self._machine).on_version(version)

    def check(self, command: Command) -> None:
        """See IStateMachine."""
        self._machine.check(command)

    def is_valid_shape(self, name: bytes, length: int) -> bool:
        """See IStateMachine."""
        return self._machine.is_valid_shape(name, length)

    def commands(self) -> Sequence[CommandInfo]:
        """See IStateMachine."""
        return self._machine.commands()

    def is_read(self, name: bytes) -> bool:
        """See IStateMachine."""
        return self._machine.is_read(name)

    def read(self, commands: Sequence[Command]) -> Sequence[Reply]:
        """See IStateMachine."""
        self._see("a read")
        return self._machine.read(commands)

    def read_before(self, command: Command, batch: Batch) -> Reply:
        """See IReadsBefore."""
        self._see("a read")
        machine: Any = self._machine
        reply: Reply = machine.read_before(command, batch)
        return reply

    def read_in_steps(self, commands: Sequence[Command]) -> Steps:
        """See IStepwise."""
        for replies in self._stepwise.read_in_steps(commands):
            self._see("a read")
            self._took_step()
            yield replies

    def batch(self, commands: Sequence[Command]) -> Batch:
        """See IStateMachine."""
        batch = self._machine.batch(commands)
        self._commands.remember(batch, commands)
        return batch

    def apply(self, ready: Sequence[Ready]) -> list[Sequence[Reply]]:
        """See IStateMachine."""
        self._see("a batch")
        replies = self._machine.apply([*map(self._asked, ready)])
        if len(replies) != len(ready):
            raise ValueError(f"there are replies of {len(replies)} batches, and {len(ready)} were applied")
        replies = [self._heard(one, answers) for one, answers in zip(ready, replies)]
        if ready:
            self._invariants.on_applied(self._replica, self._placed(ready[-1].id), self._machine.entries)
        return replies

    def apply_in_steps(self, ready: Ready) -> Steps:
        """See IStepwise."""
        self._see("a batch")
        self._begun = ready.id
        for replies in self._stepwise.apply_in_steps(self._asked(ready)):
            if replies is not None:
                replies = self._heard(ready, replies)
                self._begun = None
                self._invariants.on_applied(self._replica, self._placed(ready.id), self._machine.entries)
            self._took_step()
            yield replies

    def restore(self, entries: dict[bytes, bytes], ready: Iterable[Ready]) -> None:
        """See IStateMachine."""
        self._machine.restore(entries, ready)

    def entries(self) -> Iterable[tuple[bytes, bytes]]:
        """See IStateMachine."""
        self._see("a checkpoint or a digest")
        return self._machine.entries()

    def _asked(self, ready: Ready) -> Ready:
        """The batch as the state machine gets it."""
        return ready._replace(wanted=True) if self._judges_replies else ready

    def _heard(self, ready: Ready, replies: Sequence[Reply]) -> Sequence[Reply]:
        """The replies as the node gets them."""
        if not self._judges_replies:
            return replies
        self._invariants.on_replies(self._replica, self._placed(ready.id), replies, ready.batch.commands)
        return replies if ready.wanted else ()

    def _see(self, who: str) -> None:
        if self._begun is not None:
            self._invariants.on_partial(self._replica, self._begun, who)
