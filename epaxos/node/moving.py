"""How a node moves on from one epoch to the next, or out of the cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from epaxos.interfaces import IExecutor, WriteSet
from epaxos.node.alarm import Alarm
from epaxos.node.checkpoints import Checkpoints
from epaxos.node.in_flight import InFlight
from epaxos.node.journal import Journal
from epaxos.node.outbox import Outbox
from epaxos.node.receiving import Receiving
from epaxos.node.versions import Versions
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import InstanceId, no_deps
from epaxos.protocol.values.messages import Batch

__all__ = ["Moving", "rows_of"]


class Moving(Receiving):
    """What a node does when an epoch ends, and while it is not a member of the present one."""

    _executor: IExecutor
    _new_executor: Callable[[Epoch], IExecutor]
    _alarm: Alarm
    _checkpoints: Checkpoints
    _in_flight: InFlight
    _journal: Journal
    _outbox: Outbox
    _versions: Versions

    def _look_at_epochs(self, now: float) -> None:
        raise NotImplementedError

    def _on_end(self, id: InstanceId, batch: Batch) -> None:
        """`id` has ended the epoch, and everything before it is in the state (docs: protocol/epochs, T3)."""
        assert batch.successor is not None
        if self._versions.is_outdated(batch.successor):
            return
        backup = self._backups.on_end(self._epochs.number, self._rows[self.id], id)
        record = self._epochs.end(id, batch.successor, self._core)
        epoch = record.membership.epoch
        start = self._checkpoints.take(with_state=False)._replace(executed=no_deps(epoch), beyond=())
        self._versions.move(record.membership)
        self._checkpoints.on_version(self._versions.mark(record.membership))
        if self._epochs.outside:
            self._leave_members(epoch)
        else:
            self._begin(epoch)
            self._checkpoints.schedule()
        opening = WriteSet(checkpoint=start, sync=True, epoch=epoch.number, opened=record, backup=backup)
        self._store.write(opening, partial(self._on_opened, epoch.number))
        self._wake()

    def _on_opened(self, epoch: int) -> None:
        """The beginning of the epoch is durable here."""
        self._epochs.on_durable(epoch)
        self._backups.on_durable(epoch)

    def _leave_members(self, epoch: Epoch) -> None:
        """This replica is not a member of the epoch that begins: it runs nothing any more."""
        self._outbox.move(epoch)
        self._applier.stop()
        self._checkpoints.stop()
        self._rows = {}
        self._refusals.refuse_void(self._epochs.outside)
        self._observers.end(self._epochs.outside)

    def _is_whole(self) -> bool:
        """Whether the state machine is between two batches."""
        return self._applier.is_whole

    def _has_majority(self) -> bool:
        """Whether a majority of the members seems to be up."""
        return len(self._status.members_up()) > len(self._rows) // 2

    def _member_numbers(self) -> Sequence[int]:
        """The numbers of the members of the epoch in which this replica works, by row."""
        return tuple(self._rows)

    def _begin(self, epoch: Epoch) -> None:
        """From now on work in `epoch`, which has just been opened or restored."""
        same = self._running and tuple(self._rows) == epoch.members
        previous = self._core if same else None
        self._rows = rows_of(epoch)
        row = self._rows[self.id]
        core, executor = self._new_core(row, epoch, previous=previous), self._new_executor(epoch)
        if self._running:
            core.tick(self._timeouts.now())
        self._core, self._executor = core, executor
        self._clock.move(self.id, epoch.members)
        self._outbox.move(epoch)
        self._journal.epoch = epoch.number
        self._applier.move(row, executor)
        self._checkpoints.move(epoch, executor)
        self._in_flight.move(core)
        self._refusals.move(core, executor)
        self._status.move(core)

    def _turn_outside(self, now: float) -> None:
        """Do what a replica does that is not a member: it gives its state, or takes one."""
        self._refusals.refuse_void(self._epochs.outside)
        self._look_at_epochs(now)
        if self._running:
            self._alarm.set(now, max(now + 0.001, min(self._epochs.due, self._turns.deadline)))


def rows_of(epoch: Epoch) -> dict[int, int]:
    """The row of each member."""
    return {number: row for row, number in enumerate(epoch.members)}
