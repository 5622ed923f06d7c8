"""When a checkpoint is written, and what is in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from epaxos.interfaces import Checkpoint, IExecutor, IStore, ITimeout, ITimeoutService, WriteSet
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import Deps, InstanceId, no_deps
from epaxos.protocol.values.messages import Batch

__all__ = ["Checkpoints"]

CHECKPOINT_COMMANDS = 15_000
"""The number of commands after which a checkpoint is due early, because every member keeps the keys
of these commands in memory until all members have written a checkpoint."""
CHECKPOINT_COMMANDS_IN_MEMORY = 1_000
"""The same for a store that keeps nothing, because a checkpoint costs nothing there, and so few keys
stay in the processor's cache."""


class Checkpoints:
    """Writes a checkpoint every `interval_s` seconds, and earlier after many commands.

    The next one waits until this one is durable.  `entries()`: the whole state.  `on_due()` is
    called when the time has come; `on_durable(executed)` when a checkpoint of these slots is
    durable.
    """

    def __init__(
        self,
        store: IStore,
        executor: IExecutor,
        entries: Callable[[], Iterable[tuple[bytes, bytes]]],
        timeouts: ITimeoutService,
        interval_s: float,
        on_due: Callable[[], None],
        on_durable: Callable[[Deps], None],
    ) -> None:
        self.waits = False
        """Whether a checkpoint is due, and waits until everything that was released is applied."""
        self._store = store
        self._executor = executor
        self._entries = entries
        self._timeouts = timeouts
        self._interval_s = interval_s
        self._on_due = on_due
        self._on_durable = on_durable
        self._epoch = 0
        self._due: ITimeout | None = None
        self._latest: Deps | None = None
        self._mark: tuple[InstanceId, Batch] | None = None
        self._is_marked = False
        self._applied: list[tuple[InstanceId, Batch]] = []  # since the latest one
        self._commands = 0  # of all batches since the latest one
        self._commands_max = CHECKPOINT_COMMANDS if store.persistent else CHECKPOINT_COMMANDS_IN_MEMORY

    def restore(self, executed: Deps, mark: tuple[InstanceId, Batch] | None) -> None:
        """The store holds a checkpoint of everything up to `executed`."""
        self._latest = executed
        self.on_version(mark)

    def schedule(self) -> None:
        """Start the timer for the next checkpoint."""
        self._due = self._timeouts.call_later(self._interval_s, self._on_timeout)

    def stop(self) -> None:
        """Stop the timer."""
        if self._due is not None:
            self._due.cancel()

    def on_applied(self, id: InstanceId, batch: Batch) -> None:
        """`batch` was applied as a whole."""
        self._commands += batch.commands
        if self._commands >= self._commands_max and self._due is not None:  # None: one is being written
            self.waits = True
        if self._store.persistent and (batch.writes or batch.barrier):
            self._applied.append((id, batch))

    def on_settled(self) -> None:
        """A checkpoint waits, and everything that was released is applied: write it."""
        self.stop()
        self._on_timeout()

    def _on_timeout(self) -> None:
        self._due = None
        self._on_due()

    def write_when_settled(self, is_settled: bool) -> None:
        """A checkpoint is due.  Write it now, or let it wait until the state `is_settled`."""
        self.waits = not is_settled
        if is_settled:
            self._write()

    def _write(self) -> None:
        self._commands = 0
        executed: Deps = self._executor.executed
        if executed == self._latest:
            self.schedule()
            return
        self._latest = executed
        written = partial(self._on_written, self._epoch, executed)
        checkpoint = self.take(self._store.wants_state)
        self._store.write(WriteSet(checkpoint=checkpoint, sync=True, epoch=self._epoch), written)

    def _on_written(self, epoch: int, executed: Deps) -> None:
        """A checkpoint is durable.  One of an epoch that has ended says nothing of the present one."""
        if epoch == self._epoch:
            self._on_durable(executed)

    def move(self, epoch: Epoch, executor: IExecutor) -> None:
        """`epoch` begins, and the store holds a checkpoint of its start."""
        self.stop()
        self.waits = False
        self._epoch = epoch.number
        self._executor = executor
        self._latest = no_deps(epoch)
        self._commands = 0

    def on_version(self, mark: tuple[InstanceId, Batch] | None) -> None:
        """What is applied from now on has another version; all that was applied before has been taken.

        `mark`: what says so in the log of the state; None where nothing has to.  It stands before the first
        batch of each version, and of each log, because nobody knows of a base whose version it is: that of a
        start, and that behind a base (docs: protocol/epochs, "Versions").
        """
        self._mark = mark
        self._is_marked = False

    def take(self, with_state: bool) -> Checkpoint:
        """A checkpoint of this moment, at which no batch may be applied in part."""
        applied, self._applied = self._applied, []
        if applied and self._mark is not None and not self._is_marked:
            applied.insert(0, self._mark)
            self._is_marked = True
        if with_state:  # the batches behind it begin a new log
            self._is_marked = False
        state = self._entries() if with_state else None
        return Checkpoint(self._executor.executed, self._executor.executed_beyond(), applied, state)
