"""What clients ask a replica: its state machine, its queue of commands, its status, turns and backups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

from twisted.internet.defer import Deferred, fail

from epaxos.interfaces import (
    Command,
    CommandInfo,
    IBackups,
    ICountsKeys,
    IStateMachine,
    IStore,
    ITimeoutService,
    Outcome,
    Refusal,
)
from epaxos.node.backups import Backups
from epaxos.node.candidates import Candidates
from epaxos.node.digest import StateDigest
from epaxos.node.ending import Ending
from epaxos.node.epochs import Epochs
from epaxos.node.intake import Intake
from epaxos.node.status import Status
from epaxos.node.submissions import Submission
from epaxos.protocol.replica import Replica
from epaxos.protocol.values.changes import Change, Nothing
from epaxos.protocol.values.control import Candidate
from epaxos.protocol.values.membership import Membership

__all__ = ["ClientSide"]


class ClientSide(Ending):
    """IClients, but for the turns of the event loop, which `_wake` asks for."""

    _timeouts: ITimeoutService
    _timeout_s: float
    _intake: Intake
    _status: Status
    _epochs: Epochs
    _backups: Backups
    _core: Replica
    _candidates: Candidates

    def __init__(
        self,
        id: int,
        state_machine: IStateMachine,
        store: IStore,
        fatal: Callable[[str], None],
        wrong: Callable[[str], None],
        begin_again: Callable[[], None] | None,
        removed: Callable[[str], None] | None,
    ) -> None:
        super().__init__(id, store, fatal, wrong, begin_again, removed)
        self._state_machine = state_machine

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

    def submit(
        self, commands: Sequence[Command], done: Callable[[Outcome], None], size_bytes: int = 0
    ) -> None:
        """See IClients."""
        deadline = self._timeouts.now() + self._timeout_s
        self._intake.add(Submission(commands, done, deadline, size_bytes))
        self._wake()

    def keys(self) -> int | None:
        """See IClients."""
        machine: Any = self._state_machine
        return int(machine.keys()) if ICountsKeys.providedBy(machine) else None

    def status(self) -> Deferred[dict[str, Any]]:
        """See IClients.  While a batch is applied in part, the status waits for the end of it."""
        return self._status.get()

    def membership(self) -> Membership | None:
        """See IClients."""
        joining = self._epochs.joining
        return self._epochs.membership if joining is None else joining.newest

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
