"""Outputs of the core on their way to the disk, and whether the disk answers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from twisted.logger import Logger

from epaxos.interfaces import IStore, WriteSet
from epaxos.node.disk_watch import DiskWatch
from epaxos.node.step_times import StepTimes
from epaxos.protocol.values.output import Output

__all__ = ["Journal"]

_log = Logger()


class Journal:
    """Writes outputs, and watches the disk meanwhile.

    `id`: of the replica, for the log.  `on_durable(output)` is called for each output, in order,
    once it and every earlier one is durable.  `now`: the clock of `ITimeoutService`.  `steps` is told how
    long the writes take that are synced.
    """

    def __init__(
        self,
        id: int,
        store: IStore,
        watch: DiskWatch,
        now: Callable[[], float],
        on_durable: Callable[[Output], None],
        steps: StepTimes,
    ) -> None:
        self._steps = steps
        self._id = id
        self._store = store
        self._watch = watch
        self._now = now
        self._on_durable = on_durable
        self.epoch = 0
        """The epoch of the outputs that are written."""

    def write(self, output: Output) -> None:
        """Write what `output` wants to be durable, in one atomic step."""
        if not self._store.persistent:
            self._on_durable(output)
            return
        write_set = WriteSet(
            batches=output.batches,
            records=[instance.record() for instance in output.instances.values()],
            reserved=output.reserved,
            floor=output.floor,
            dropped=output.dropped,
            sync=output.awaits_durability,
            epoch=self.epoch,
        )
        if write_set.sync:
            self._watch.on_began(self._now())
        self._store.write(write_set, partial(self._on_written, self.epoch, output))

    def _on_written(self, epoch: int, output: Output) -> None:
        """Tell that `output` is durable, unless its epoch has ended: nobody counts on it any more."""
        if self._steps.tracer.is_on and output.awaits_durability:
            now = self._now()
            self._steps.tracer.on_written(output.instances, now - self._watch.waited_s(now), now)
        if epoch == self.epoch:
            self._on_durable(output)
        elif output.awaits_durability:
            self.on_synced()

    def on_synced(self) -> None:
        """The disk has answered the oldest write with `sync`."""
        if not self._store.persistent:
            return
        now = self._now()
        self._steps.on_synced(self._watch.waited_s(now))
        if self._watch.on_answered(now):
            _log.info("the disk answers again: replica {id} goes on", id=self._id)

    def on_hang(self, now: float) -> None:
        """The disk hangs from now on: say so in the log."""
        _log.warn(
            "the disk has not answered for {waited:.1f} s: replica {id} is silent until it does",
            waited=self._watch.waited_s(now),
            id=self._id,
        )
