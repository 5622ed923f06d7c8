"""Runs committed batches and reads on the state machine, in short steps between other work.

Reads and digests see whole batches only: between two steps of a batch nothing else begins, no read
runs and no digest is taken.  While released batches are not applied, the executor is ahead of the
state: no checkpoint is made, and reads wait for `applied_up_to`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred

from epaxos.interfaces import IExecutor, IStepwise, Ready, Reply, Steps
from epaxos.node.checkpoints import Checkpoints
from epaxos.node.in_flight import InFlight
from epaxos.node.observers import Observers
from epaxos.node.reads import Reads
from epaxos.node.step_times import StepTimes
from epaxos.protocol.values.ids import Deps, InstanceId
from epaxos.protocol.values.messages import Batch

__all__ = ["Applier"]

EXECUTED_PER_TURN = 256
"""About the most instances that the executor releases before other work runs."""
EXECUTE_S = 0.005
"""The time, in seconds, after which other work runs, even in the middle of a batch."""


class _Work:
    """The batch or read that the state machine has begun.

    `done` gets its replies.  `applies`: whether it is a batch.  `began`: when.
    """

    __slots__ = ("applies", "began", "done", "steps")

    def __init__(
        self, steps: Steps, done: Callable[[Sequence[Reply]], None], applies: bool, began: float
    ) -> None:
        self.began = began
        self.steps = steps
        self.done = done
        self.applies = applies


class Applier:
    """Applies what the executor releases, in its order, and runs reads between batches.

    `row`: the own one.  `now`: the clock of `ITimeoutService`.  `times` is told when each batch and read
    begins.  `fail(text)` is called when a batch cannot be applied; it stops the replica.  `end(id, batch)` is
    called when the epoch ends with `id`: everything before it is applied, and everything behind it is void.
    """

    def __init__(
        self,
        row: int,
        executor: IExecutor,
        machine: IStepwise,
        in_flight: InFlight,
        reads: Reads,
        checkpoints: Checkpoints,
        observers: Observers,
        now: Callable[[], float],
        times: StepTimes,
        fail: Callable[[str], None],
        end: Callable[[InstanceId, Batch], None],
    ) -> None:
        self.running = False
        self.commands_applied = 0
        self._row = row
        self._executor = executor
        self._machine = machine
        self._in_flight = in_flight
        self._reads = reads
        self._checkpoints = checkpoints
        self._observers = observers
        self._now = now
        self._times = times
        self._looked = 0.0  # at the clock, the last time
        self._fail = fail
        self._end = end
        self._released: deque[tuple[InstanceId, Batch]] = deque()  # executed, and not wholly applied
        self._work: _Work | None = None  # begun, of the first released batch or the first ready read
        self._tidying: deque[Steps] = deque()
        self._whole_waits: deque[Deferred[None]] = deque()

    # -- what others ask

    @property
    def busy(self) -> bool:
        """Whether `run` has something to do."""
        return bool(self._work or self._released or self._reads.ready or self._tidying or self._executor.busy)

    @property
    def lags(self) -> bool:
        """Whether a released batch is not applied: the executor is ahead of the state."""
        return bool(self._released)

    @property
    def is_whole(self) -> bool:
        """Whether no batch is applied in part."""
        return self._work is None

    @property
    def is_settled(self) -> bool:
        """Whether the state is that of the executor, and the state machine does nothing."""
        return not (self._released or self._work)

    @property
    def waiting(self) -> int:
        """The number of instances that are committed and not applied."""
        waiting: int = self._executor.waiting
        return waiting + len(self._released)

    def applied_up_to(self) -> Deps:
        """The slot of each row up to which everything is in the state."""
        executed: Deps = self._executor.executed
        if not self._released:
            return executed
        marks = list(executed)
        for id, _ in self._released:
            marks[id.replica] = min(marks[id.replica], id.slot - 1)
        return tuple(marks)

    def when_whole(self) -> Deferred[None] | None:
        """Fires when no batch is applied in part any more, or when the replica stops.  None when
        there is nothing to wait for.  May be cancelled."""
        if self._work is None or not self.running:
            return None
        waiting: Deferred[None] = Deferred(self._whole_waits.remove)
        self._whole_waits.append(waiting)
        return waiting

    def start(self) -> None:
        """The state is restored: batches may be applied."""
        self.running = True

    def move(self, row: int, executor: IExecutor) -> None:
        """The next epoch begins, with this own row: what was released of the one before is void."""
        self._released.clear()
        self._row = row
        self._executor = executor

    def stop(self) -> None:
        """Begin nothing any more; what is being applied stays as it is."""
        self.running = False
        self._tell_whole()

    # -- a turn

    def work(self) -> bool:
        """Work for a while, if there is anything to do.  Returns whether something is left."""
        if self.busy or self._checkpoints.waits or self._reads.waiting:
            self.run()
            return self.busy or self._checkpoints.waits
        return False

    def run(self) -> None:
        """Apply batches and run reads for about EXECUTE_S seconds."""
        self._looked = self._now()
        ends = self._looked + EXECUTE_S
        work = self._work
        if work is not None:
            self._times.began = work.began
        if work is None or self._go_on(work.steps, work.done, work.applies, ends):
            self._begin(ends)
        if self._tidying and self._work is None and self.running:
            self._tidy(ends)

    def _begin(self, ends: float) -> None:
        """Apply and read until `ends`.  Of the released batches at least one is begun."""
        if self._released:
            self._read(ends)  # reads do not wait for a long row of batches
            if self._work is not None:
                return
        else:
            self._released.extend(self._executor.run(EXECUTED_PER_TURN))
        while self._released:
            if not self._apply(ends):
                break
        if self.running and not self._released:
            if self._checkpoints.waits:
                self._checkpoints.on_settled()
            self._read(ends)

    def _apply(self, ends: float) -> bool:
        """Apply the next batch, after the reads that it overtakes.  Returns whether time is left."""
        id, batch = self._released[0]
        if batch.successor is not None:
            self._end(id, batch)
            return False
        wanted = False
        if id.replica == self._row:
            wanted = self._in_flight.is_wanted(id)
            self._in_flight.on_own_batch(id, batch)
        try:
            steps = self._machine.apply_in_steps(Ready(id, batch, wanted))
        except ValueError as error:
            return self._fail_to_apply(error)
        self._times.began = self._looked
        return self._go_on(steps, self._on_applied, True, ends)

    def _go_on(
        self, steps: Steps, done: Callable[[Sequence[Reply]], None], applies: bool, ends: float
    ) -> bool:
        """Take at least one step, and more until `ends` or until the work is done.  Returns
        whether time is left for other work."""
        now = self._now
        self._work = None
        try:
            replies = next(steps)
            while replies is None:
                if now() >= ends:
                    self._work = _Work(steps, done, applies, self._times.began)
                    return False
                replies = next(steps)
        except ValueError as error:
            if not applies:
                raise
            return self._fail_to_apply(error)
        done(replies)
        for _ in steps:
            self._tidying.append(steps)
            break
        if self._whole_waits:
            self._tell_whole()
        self._looked = now()
        return self.running and self._looked < ends

    def _fail_to_apply(self, error: ValueError) -> bool:
        self._fail(f"a committed batch cannot be applied: {error}")
        return False

    def _on_applied(self, replies: Sequence[Reply]) -> None:
        """The first released batch is applied as a whole."""
        id, batch = self._released.popleft()
        self.commands_applied += batch.commands
        self._checkpoints.on_applied(id, batch)
        self._observers.applied += 1
        is_alone = id.replica == self._row and self._in_flight.on_applied(id, replies)
        if self._observers.all:
            self._observers.on_applied(batch, is_alone)

    def _read(self, ends: float) -> None:
        """Run reads whose instances are all in the state, until `ends`."""
        if self._reads.waiting:
            self._find_readable()
        while self._reads.ready:
            steps = self._machine.read_in_steps(self._reads.next_commands())
            self._times.began = self._looked
            if not self._go_on(steps, self._reads.on_read, False, ends):
                return

    def _find_readable(self) -> None:
        found = self._reads.find_ready(self.applied_up_to())
        if found:
            self._in_flight.on_readable(found)

    def _tidy(self, ends: float) -> None:
        """Let the state machine free memory until `ends`, and for at least one step."""
        now = self._now
        while self._tidying:
            for _ in self._tidying[0]:
                if now() >= ends:
                    return
            self._tidying.popleft()

    def _tell_whole(self) -> None:
        while self._whole_waits:
            self._whole_waits.popleft().callback(None)
