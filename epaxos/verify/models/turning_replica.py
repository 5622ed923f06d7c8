"""One replica of a model in which the epoch turns: the core of the present epoch, and what runs on it.

The parts that carry out the rules of a turn are the product's: `Executor`, `Applier` (T2), `InFlight` (T4)
and `ClosedEpoch` (T6).  What stands around them here (a state that is a list of commands, no reads, no
clock) has no rules of its own.  Two rules are carried out here as `Node` does: the beginning of an epoch
(T3, T8), and what becomes durable of an epoch that has ended counts nowhere.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

from epaxos.execution.executor import Executor
from epaxos.interfaces import EpochRecord, Outcome, Ready, Steps
from epaxos.node.applier import Applier
from epaxos.node.bundle import Bundle
from epaxos.node.closed_epoch import ClosedEpoch
from epaxos.node.in_flight import InFlight
from epaxos.node.step_times import StepTimes
from epaxos.node.submissions import Submission
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import Deps, InstanceId, no_deps
from epaxos.protocol.values.instance import InstanceRecord
from epaxos.protocol.values.messages import Batch, Fetch, Heartbeat, Message
from epaxos.verify.models.claims import unanswered, unheld
from epaxos.verify.models.fingerprint import canonical, committed, fingerprint
from epaxos.verify.models.model import NOBODY, Envelope
from epaxos.verify.models.model_replica import Disk, Effects, ModelReplica, NewReplica, new_replica
from epaxos.verify.models.turn_model import Acknowledged, Decided, GivenState, Opened, Ran

__all__ = ["Begun", "TurnEffects", "TurningReplica"]


class TurnEffects:
    """The effects of one step: what is sent, and what is judged."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.facts: list[Hashable] = []
        self.proposed: InstanceId | None = None


class Begun(NamedTuple):
    """What is durable at the beginning of the present epoch: the checkpoint, and the record of the epoch.

    `began`: how many of the commands in `applied` ran in the epochs before.  `record` is None in epoch 0.
    """

    record: EpochRecord | None
    applied: tuple[str, ...]
    began: int
    executed: Deps
    beyond: tuple[InstanceId, ...]


class TurningReplica:
    """Replica `id` of n, with the epoch that it works in and what it keeps of the one before.

    `past`: epoch 0 as it was left, until the beginning of epoch 1 is durable; a crash goes back to it.
    `kept`: what is durable of epoch 0 after that.  Only those in `installers` are given states.
    """

    def __init__(self, id: int, n: int, new: NewReplica, syncs: bool, installers: frozenset[int]) -> None:
        self.id = id
        self.n = n
        self.syncs = syncs
        self.installers = installers
        self.present = ModelReplica(id, n, new, syncs)
        self.past: ModelReplica | None = None
        self.kept: Disk | None = None
        self.begun = self._before = Begun(None, (), 0, (0,) * n, ())
        self._effects = TurnEffects()
        self._start()

    # -- what it is

    @property
    def number(self) -> int:
        """The number of the present epoch."""
        return 0 if self.begun.record is None else self.begun.record.membership.number

    @property
    def is_durable(self) -> bool:
        """Whether the beginning of the present epoch is durable."""
        return self.past is None

    @property
    def is_unsynced(self) -> bool:
        """Whether something is not durable."""
        return self.past is not None or bool(self.present.unwritten)

    def fingerprint(self) -> Hashable:
        """Equal for two replicas that nothing can tell apart, now or later.

        What the executor waits for follows from what is committed, decided and executed.  Of the latency only
        who left a question unanswered counts: every answer takes no time.  Of a closed epoch only the
        commits count.
        """
        return (
            fingerprint(self.present),
            frozenset(self.present.core._state.latency._unanswered),
            None if self.past is None else (fingerprint(self.past), self._before),
            None if self.kept is None else committed(self.kept),
            self.begun,
            self._machine.applied,
            self._executor.executed,
            self._executor.executed_beyond(),
            tuple(tuple(sorted(row)) for row in self._executor._waiting),
            tuple((id, bundle.separation.batch) for id, bundle in self._in_flight._by_instance.items()),
            tuple(bundle.separation.batch for bundle, _ in self._in_flight._again),
            tuple(submission.commands[0] for submission in self._intake.queue),
        )

    # -- steps

    def propose(self, batch: Batch) -> TurnEffects:
        """Propose a command as soon as it may be, or an instance that ends epoch 0, if it is not over."""
        made = Effects()
        if batch.successor is None:
            self._intake.queue.append(Submission((cast(Any, batch),), self._on_answer, 0.0, 0))
        elif self.number or not self.present.core.can_propose:
            return self._settle(made)
        else:
            self.present.core.propose(batch)
            self._take(made)
        self._effects.proposed = InstanceId(self.id, 0)
        return self._settle(made)

    def receive(self, sender: int, message: Message, epoch: int) -> TurnEffects:
        """Let a message arrive.  One of the next epoch comes again when that is opened here (T11)."""
        if epoch == self.number:
            return self._settle(self.present.receive(sender, message))
        closed = self._closed()
        if epoch < self.number and closed is not None:
            for answer in closed.answer([message])[0]:
                self._effects.envelopes.append(Envelope(self.id, sender, canonical(answer, {}), epoch))
        return self._settle(Effects())

    def install(self, given: GivenState) -> TurnEffects:
        """Install the state of another replica, in one write, and begin again (T8)."""
        if self.number == 0:
            self.begun = Begun(given.record, given.applied, given.began, given.executed, given.beyond)
            self.present = ModelReplica(
                self.id, self.n, partial(new_replica, epoch=self._epoch()), self.syncs, begins_late=True
            )
            self.present.disk.reserved = 0
            self._effects.facts.append(Ran(1, given.applied))
            return self._restart()
        return self._settle(Effects())

    def hurry(self) -> TurnEffects:
        """End every wait for the fast path."""
        return self._settle(self.present.hurry())

    def time_out(self, id: InstanceId) -> TurnEffects:
        """End all waits for `id` of the present epoch, so that it is recovered, or recovered again."""
        return self._settle(self.present.time_out(id))

    def sync(self) -> TurnEffects:
        """Make the oldest write durable.  What becomes durable of an epoch that was left counts nowhere."""
        if self.past is None:
            return self._settle(self.present.sync())
        if self.past.unwritten:
            self.past.disk.apply(self.past.unwritten.pop(0))
        else:
            self._on_durable()
        return self._settle(Effects())

    def reboot(self) -> TurnEffects:
        """Crash, lose all that is not durable, and start again from the disk."""
        if self.past is not None:
            self.present, self.past, self.begun = self.past, None, self._before
        self.present.disk.reserved = self.present.core.last_used_slot()
        return self._restart()

    def _restart(self) -> TurnEffects:
        made = self.present.reboot(partial(new_replica, epoch=self._epoch()), self.begun.executed)
        self._start()  # on the core that the restart has made
        return self._settle(made)

    def _start(self) -> None:
        """Make everything that runs on the core anew: what it held is lost in a crash."""
        begun = self.begun
        self._machine = _Commands(begun.applied)
        self._intake = _Intake()
        self._executor = Executor(self._epoch())
        self._executor.restore(begun.executed, begun.beyond)
        fakes: Any = _Nothing()
        self._in_flight = InFlight(
            self.present.core, cast(Any, self._intake), fakes, fakes, _no_time, StepTimes()
        )
        self._applier = Applier(
            self.id, self._executor, cast(Any, self._machine), self._in_flight, fakes, fakes, fakes,
            _no_time, StepTimes(), _fail, self._on_end,
        )  # fmt: skip
        self._applier.start()

    def _epoch(self) -> Epoch:
        record = self.begun.record
        return Epoch.first(self.n) if record is None else record.membership.epoch

    # -- what follows from a step

    def _settle(self, made: Effects) -> TurnEffects:
        """Carry on with what the core has done, until nothing is left to do."""
        while True:
            before = self.present
            self._pass_on(made)
            self._execute()
            made = Effects()
            self._take(made)
            if self.present is before and not (made.messages or made.decisions):
                break
        self._judge()
        effects, self._effects = self._effects, TurnEffects()
        return effects

    def _take(self, made: Effects) -> None:
        """Propose what may be proposed, and carry out the outputs of the core."""
        while output := self._in_flight.propose():
            self.present.carry_out(output, made)

    def _pass_on(self, made: Effects) -> None:
        effects, core, number = self._effects, self.present.core, self.number
        proposed = {
            found.id: found.proposed for row in core.table.rows for found in row.values() if found.proposed
        }
        for dest, message in made.messages:
            if not isinstance(message, (Heartbeat, Fetch)):
                effects.envelopes.append(Envelope(self.id, dest, canonical(message, proposed), number))
        for id, batch, deps in made.decisions:
            effects.facts.append(Decided(number, id, batch, deps))
            self._executor.commit(id, batch, deps)
        self._in_flight.on_decided([core.table.get(decision.id) for decision in made.decisions])

    def _execute(self) -> None:
        applied = self._machine.applied
        while self._applier.busy:
            self._applier.run()
        if self._machine.applied != applied:
            self._effects.facts.append(Ran(self.number, self._machine.applied))

    def _on_answer(self, outcome: Outcome) -> None:
        """A client is told that its command has run."""
        replies = cast("Sequence[bytes]", outcome)
        self._effects.facts.append(Acknowledged(self.number, replies[0].decode()))

    # -- turns

    def _on_end(self, id: InstanceId, batch: Batch) -> None:
        """`id` has ended the epoch (T3)."""
        assert batch.successor is not None
        core, applied = self.present.core, self._machine.applied
        membership = batch.successor
        previous = membership._replace(number=self.number)
        record = EpochRecord(membership, previous, id, core.table.claimed)
        self._effects.facts.append(Ran(self.number, applied))
        self._effects.facts.append(Opened(id, membership, applied))
        self.past, self._before = self.present, self.begun
        self.begun = Begun(record, applied, len(applied), no_deps(membership.epoch), ())
        new = partial(new_replica, epoch=membership.epoch, previous=core)
        self.present = ModelReplica(self.id, self.n, new, self.syncs, begins_late=not self.syncs)
        if self.syncs:
            self._on_durable()
        self._executor = Executor(membership.epoch)
        self._applier.move(self.id, self._executor)
        self._in_flight.move(self.present.core)

    def _on_durable(self) -> None:
        """The beginning of the present epoch is durable."""
        assert self.past is not None
        self.kept, self.past, self._before = self.past.disk, None, self.begun
        closed = self._closed()
        assert closed is not None
        self._effects.facts += unanswered(closed, self.n)

    def _closed(self) -> ClosedEpoch | None:
        """What is said of epoch 0 (T6); nothing before epoch 1 is durable, or if that was installed."""
        record = self.begun.record
        if record is None or self.kept is None:
            return None
        return ClosedEpoch(record.previous, record.committed, partial(_find, self.kept))

    # -- what is judged here

    def _judge(self) -> None:
        """Give the durable state to those who may want it, and judge what is claimed of the present epoch."""
        self._effects.facts += unheld(self.present.core.table)
        record = self.begun.record
        if record is not None and not self.is_unsynced:
            executed, beyond = self._executor.executed, self._executor.executed_beyond()
            record = record._replace(committed=no_deps(record.previous.epoch))
            given = GivenState(record, self._machine.applied, self.begun.began, executed, beyond)
            for dest in self.installers - {self.id}:
                self._effects.envelopes.append(Envelope(NOBODY, dest, cast(Any, given), 1))


def _find(disk: Disk, id: InstanceId) -> tuple[InstanceRecord, Batch | None] | None:
    record = disk.records.get(id)
    return None if record is None else (record, disk.batches.get(id))


class _Commands:
    """The state machine: its state is the list of commands that have run."""

    def __init__(self, applied: tuple[str, ...]) -> None:
        self.applied = applied

    def apply_in_steps(self, ready: Ready) -> Steps:
        """Run the batch; the reply is its name."""
        name = ready.batch.payload.decode()
        self.applied += (name,)
        yield (name.encode(),) if ready.wanted else ()


class _Separation(NamedTuple):
    """A batch alone: nothing is read."""

    batch: Batch
    reads: tuple[()] = ()

    def merge(self, replies: Sequence[Any], read: Sequence[Any]) -> Sequence[Any]:
        return replies


class _Intake:
    """Commands that wait to be proposed, each in a batch of its own."""

    def __init__(self) -> None:
        self.queue: list[Submission] = []

    @property
    def commands(self) -> int:
        return len(self.queue)

    def add_first(self, submissions: list[Submission]) -> None:
        self.queue[:0] = submissions

    def take(self) -> tuple[_Separation, list[Submission]]:
        submission = self.queue.pop(0)
        return _Separation(cast(Any, submission.commands[0])), [submission]


class _Nothing:
    """Pacing that never waits, no reads, nothing that runs again, no checkpoints, and no observers."""

    window = 8
    wait_ends = None
    waits = ready = waiting = all = False
    applied = 0

    @property
    def reruns(self) -> _Nothing:
        return self

    def on_decided(self, now: float, took_s: float, decided: int, queued: int) -> None:
        """Learn nothing."""

    def on_applied(self, id: InstanceId, batch: Batch) -> None:
        """Keep nothing for a checkpoint."""

    def on_own_batch(self, *of: object) -> None:
        """No read is overtaken."""

    def end(self, bundle: Bundle) -> None:
        """End no read."""

    def leave(self, core: object) -> Iterator[Any]:
        """No read starts again."""
        return iter(())


def _no_time() -> float:
    return 0.0


def _fail(text: str) -> None:
    raise AssertionError(text)
