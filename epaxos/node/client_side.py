"""What clients ask a replica: its state machine, its queue of commands, its status, turns and backups."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed

from epaxos.interfaces import (
    Command,
    CommandInfo,
    IBackups,
    IComposites,
    ICountsByDatabase,
    ICountsKeys,
    IStateMachine,
    IStore,
    ITellsKeys,
    ITimeoutService,
    Outcome,
    Refusal,
)
from epaxos.interfaces.memory import IBounded, IMemoryBound, MemoryUse
from epaxos.interfaces.metrics import Metric
from epaxos.interfaces.users import IHasUsers, IUserTable
from epaxos.node.backups import Backups
from epaxos.node.candidates import Candidates
from epaxos.node.digest import StateDigest
from epaxos.node.ending import Ending
from epaxos.node.epochs import Epochs
from epaxos.node.intake import Intake
from epaxos.node.metrics import metrics_of
from epaxos.node.status import Status
from epaxos.node.step_times import StepTimes
from epaxos.node.submissions import Submission
from epaxos.node.versions import Versions
from epaxos.protocol.replica import Replica
from epaxos.protocol.values.changes import Change, Nothing, Raise
from epaxos.protocol.values.control import Candidate
from epaxos.protocol.values.membership import Membership

__all__ = ["ClientSide"]


class ClientSide(Ending):
    """IClients, but for the turns of the event loop, which `_wake` asks for."""

    _timeouts: ITimeoutService
    _timeout_s: float
    _intake: Intake
    _status: Status
    _steps: StepTimes
    _epochs: Epochs
    _backups: Backups
    _core: Replica
    _candidates: Candidates
    _versions: Versions

    def __init__(
        self,
        id: int,
        state_machine: IStateMachine,
        store: IStore,
        fatal: Callable[[str], None],
        wrong: Callable[[str], None],
        begin_again: Callable[[], None] | None,
        removed: Callable[[str], None] | None,
        outdated: Callable[[str], None] | None,
    ) -> None:
        super().__init__(id, store, fatal, wrong, begin_again, removed, outdated)
        self._state_machine = state_machine
        machine: Any = state_machine
        self.users: IUserTable | None = machine.users if IHasUsers.providedBy(machine) else None
        """See IClients."""
        self.beside: Callable[[], Mapping[str, Any]] = dict
        """What the status shows beside what the node knows."""

    def _wake(self) -> None:
        raise NotImplementedError

    def check(self, command: Command) -> None:
        """See IClients."""
        self._state_machine.check(command)

    def is_valid_shape(self, name: bytes, length: int) -> bool:
        """See IClients."""
        return self._state_machine.is_valid_shape(name, length)

    def commands(self) -> Sequence[CommandInfo]:
        """See IClients."""
        return self._state_machine.commands()

    def version(self) -> int:
        """See IClients."""
        return self._versions.now

    def databases(self) -> int:
        """See IClients."""
        machine: Any = self._state_machine
        return int(machine.databases) if IComposites.providedBy(machine) else 0

    def is_read(self, name: bytes) -> bool:
        """See IClients."""
        return self._state_machine.is_read(name)

    def submit(
        self, commands: Sequence[Command], done: Callable[[Outcome], None], size_bytes: int = 0
    ) -> None:
        """See IClients."""
        deadline = self._timeouts.now() + self._timeout_s
        self._intake.add(Submission(commands, done, deadline, size_bytes))
        self._wake()

    def keyspace(self) -> Mapping[int, tuple[int, int]]:
        """See IClients."""
        machine: Any = self._state_machine
        if ICountsByDatabase.providedBy(machine):
            found: Mapping[int, tuple[int, int]] = machine.keyspace()
            return found
        keys = int(machine.keys()) if ICountsKeys.providedBy(machine) else 0
        return {0: (keys, 0)} if keys else {}

    def memory(self) -> MemoryUse | None:
        """See IClients."""
        machine: Any = self._state_machine
        return IMemoryBound(machine.bound).use() if IBounded.providedBy(machine) else None

    def keys_of(self, command: Command) -> Sequence[bytes]:
        """See IClients."""
        machine: Any = self._state_machine
        found: Sequence[bytes] = machine.keys_of(command) if ITellsKeys.providedBy(machine) else ()
        return found

    def status(self, digest: bool = False) -> Deferred[dict[str, Any]]:
        """See IClients.  While a batch is applied in part, a digest waits for the end of it."""
        status = self._status.with_digest() if digest else succeed(self._status.get())
        return status.addCallback(lambda told: {**told, **self.beside()})

    def metrics(self) -> Iterable[Metric]:
        """See IMeasured."""
        return metrics_of(self._status.get(), self._steps)

    def membership(self) -> Membership | None:
        """See IClients."""
        joining = self._epochs.joining
        return self._epochs.membership if joining is None else joining.newest

    def members_up(self) -> Collection[int]:
        """See IClients."""
        return self._status.members_up()

    def history(self) -> Sequence[Membership]:
        """See IClients."""
        return tuple(self._epochs.past)

    def candidates(self) -> Sequence[Candidate]:
        """See IClients."""
        return self._candidates.all()

    def foresee(self, change: Change, force: bool = False) -> Sequence[str]:
        """See IClients."""
        return self._turns.foresee(self._epochs.membership, change, force)

    def change(self, change: Change, force: bool = False) -> Deferred[Membership]:
        """See IClients."""
        outside = self._epochs.outside
        if outside:
            return fail(Refusal(outside.removeprefix("CLUSTERDOWN ")))
        changed = self._turns.ask(self._epochs.membership, change, force)
        self._wake()
        return changed

    def turn(self) -> Deferred[int]:
        """See IClients."""
        return self.change(Raise()).addCallback(attrgetter("number"))

    def _turn_for_backup(self) -> Deferred[int]:
        """An epoch that is begun for a backup leaves the version as it is: its files are those that one goes
        back to."""
        return self.change(Nothing()).addCallback(attrgetter("number"))

    def backup(self, name: str) -> Deferred[dict[str, Any]]:
        """See IClients."""
        if not self._running:
            return fail(Refusal("the replica does not run"))
        return self._backups.ask(name, self._epochs.number, self._core.next_slot)

    def backups(self) -> IBackups | None:
        """See IClients."""
        return self._backups.folder

    def _digest_of(self, digest: StateDigest) -> Deferred[str]:
        """The digest of the present state, in which no batch is applied in part."""
        return digest.of(self._applier.commands_applied, self._state_machine.entries)
