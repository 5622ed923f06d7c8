"""The replica at work: the core, the executor and the state machine between clients, disk and peers.

A node turns what arrives (client commands, messages, durable writes, time) into calls of the core,
and the core's outputs into writes, messages and execution, once per turn of the event loop.  It
knows the other parts only by their interfaces, so the simulator drives the very same node.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.logger import Logger
from zope.interface import implementer

from epaxos.interfaces import (
    Checkpoint,
    Command,
    CommandError,
    CommandInfo,
    IClients,
    ICountsKeys,
    Identity,
    IExecutor,
    IRestoresInParts,
    IStateMachine,
    IStore,
    ITimeout,
    ITimeoutService,
    ITransport,
    Outcome,
    Ready,
    Reply,
    Restored,
    Steps,
    StoreError,
    Unavailable,
    WriteSet,
)
from epaxos.node.digest import StateDigest
from epaxos.node.disk_watch import DiskWatch
from epaxos.node.gathering import Gathering
from epaxos.node.intake import split
from epaxos.node.limits import Batching
from epaxos.node.outbox import Company
from epaxos.node.reads import Reading, Separation
from epaxos.node.stepwise import stepwise
from epaxos.protocol.memory.slots import SLOTS_RESERVED
from epaxos.protocol.memory.state import DoubledError
from epaxos.protocol.replica import Replica
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import Deps, InstanceId
from epaxos.protocol.values.instance import Instance
from epaxos.protocol.values.messages import NOP, Batch, Commit, Message
from epaxos.protocol.values.output import Output
from epaxos.protocol.values.timing import Timing

__all__ = ["Node"]

CHECKPOINT_COMMANDS = 15_000
"""After so many commands a checkpoint is due early: all hold their keys until every member wrote one."""
CHECKPOINT_COMMANDS_IN_MEMORY = 1_000
"""The same for a store that keeps nothing, where a checkpoint costs nothing either: what is held then stays
in the processor's cache."""
EXECUTED_PER_TURN = 256
"""About this number of instances is executed before other work gets its turn."""
EXECUTE_S = 0.005
"""After this time, too, other work gets its turn, in the middle of a batch if need be."""

_HANGS = "CLUSTERDOWN the disk of this replica does not answer"

_log = Logger()


class _Submission:
    """Commands of one caller, answered together."""

    __slots__ = ("commands", "deadline", "done", "size_bytes")

    def __init__(
        self,
        commands: Sequence[Command],
        done: Callable[[Outcome], None],
        deadline: float,
        size_bytes: int,
    ) -> None:
        self.commands = commands
        self.done: Callable[[Outcome], None] | None = done
        self.deadline = deadline
        self.size_bytes = size_bytes

    def answer(self, outcome: Outcome) -> None:
        """Tell the caller, unless it was told before.  A caller's bug is its own."""
        done, self.done = self.done, None
        if done is not None:
            try:
                done(outcome)
            except Exception:
                _log.failure("an answer could not be delivered")


class _Work:
    """What the state machine is in the middle of, and whom to tell when it is done."""

    __slots__ = ("applies", "done", "steps")

    def __init__(self, steps: Steps, done: Callable[[Sequence[Reply]], None], applies: bool) -> None:
        self.steps = steps
        self.done = done
        self.applies = applies


class _Proposed:
    """Commands under way together, for whom, and since when.

    `number`: of their read, None when there is none, or it has been answered.
    """

    __slots__ = ("_read", "_replies", "number", "separation", "since", "submissions")

    def __init__(self, separation: Separation, submissions: list[_Submission], since: float) -> None:
        self.separation = separation
        self.submissions = submissions
        self.since = since
        self.number: int | None = None
        self._replies: Sequence[Reply] | None = None if separation.batch is not None else ()
        self._read: Sequence[Reply] | None = None if separation.reads else ()

    @property
    def commands(self) -> int:
        return sum(len(submission.commands) for submission in self.submissions)

    @property
    def wanted(self) -> bool:
        """Whether anybody still waits."""
        return any(submission.done is not None for submission in self.submissions)

    def on_executed(self, replies: Sequence[Reply]) -> None:
        """The batch was run."""
        self._replies = replies
        self._answer_if_whole()

    def on_read(self, replies: Sequence[Reply]) -> None:
        """The reads were run."""
        self._read = replies
        self._answer_if_whole()

    def _answer_if_whole(self) -> None:
        if self._replies is not None and self._read is not None:
            self._answer(self.separation.merge(self._replies, self._read))

    def _answer(self, replies: Sequence[Reply]) -> None:
        """Hand each submission its part of the replies."""
        if len(self.submissions) == 1:
            self.submissions[0].answer(replies)
            return
        start = 0
        for submission in self.submissions:
            end = start + len(submission.commands)
            submission.answer(replies[start:end])
            start = end


@implementer(IClients)
class Node:
    """Replica `id` of the cluster `cluster`, in `epoch`.

    `fatal(text)` is called once when the replica must stop: a write failed, a batch cannot be
    understood, or another process has the same id.  A node that was told so does nothing any more.

    While the disk does not answer, the node neither sends nor takes messages, and time stands still for
    the core.  So the others see it as they see one that has failed, and what it holds stays bounded.
    """

    def __init__(
        self,
        id: int,
        epoch: Epoch,
        *,
        cluster: str,
        timing: Timing,
        batching: Batching,
        state_machine: IStateMachine,
        state_machine_name: str = "kv",
        executor: IExecutor,
        store: IStore,
        transport: ITransport,
        timeouts: ITimeoutService,
        random: Random,
        fatal: Callable[[str], None],
        slots_reserved: int = SLOTS_RESERVED,
    ) -> None:
        self.id = id
        self.n = epoch.n
        self._identity = Identity(cluster, id, epoch, state_machine_name)
        self._batching = batching
        self._state_machine = state_machine
        self._stepwise = stepwise(state_machine)
        self._executor = executor
        self._store = store
        self._transport = transport
        self._timeouts = timeouts
        self._fatal = fatal
        self._core = Replica(id, epoch, timing=timing, random=random, slots_reserved=slots_reserved)
        self._digest = StateDigest(timeouts)
        self._running = False
        self._carrying_out = False
        self._turn_due: ITimeout | None = None
        self._tick_due: ITimeout | None = None
        self._tick_at = self._tick_wanted_at = 0.0
        self._gathering = Gathering()
        self._company = Company()
        self._disk = DiskWatch(timing.suspect_after_s)
        self._checkpoint_due: ITimeout | None = None
        self._outgoing: list[tuple[int, Message]] = []
        self._queue: deque[_Submission] = deque()
        self._proposed: dict[InstanceId, _Proposed] = {}
        self._readings: dict[int, tuple[Reading, _Proposed]] = {}
        self._is_read = Separation.names(state_machine)
        self._to_apply: deque[tuple[InstanceId, Batch]] = deque()  # executed, and not applied in whole
        self._to_read: deque[tuple[Reading, _Proposed]] = deque()
        self._work: _Work | None = None  # begun, of the first of one of these two
        self._tidying: deque[Steps] = deque()
        self._checkpoint_waits = False
        self._status_waits: deque[Deferred[None]] = deque()
        self._commands_read = 0
        self._expire_at = 0.0
        self._checkpointed: Deps | None = None
        self._applied: list[tuple[InstanceId, Batch]] = []  # since the last checkpoint
        self._commands_executed = 0
        self._commands_checkpointed = 0
        self._checkpoint_commands = CHECKPOINT_COMMANDS if store.persistent else CHECKPOINT_COMMANDS_IN_MEMORY

    # -- life

    def start(self) -> Deferred[None]:
        """Open the store, take up what it holds, and talk to the others.

        Blocks while it restores.  The Deferred fails with StoreError, or as the transport's does.
        """
        return maybeDeferred(self._open)

    def _open(self) -> Deferred[None]:
        self._restore()
        self._running = True
        started = self._transport.start(self._on_messages, self._on_connection)
        return started.addCallback(self._on_started)

    def _on_started(self, _: None) -> None:
        self._schedule_checkpoint()
        self._wake()

    def _restore(self) -> None:
        restored = self._store.open(self._identity)
        self._restore_state(restored)
        self._executor.restore(restored.executed, restored.beyond)
        self._core.tick(self._timeouts.now())
        self._core.restore(
            reserved=restored.reserved,
            floor=restored.floor,
            executed=restored.executed,
            instances=(Instance.restore(record, batch) for record, batch in restored.records),
        )
        self._checkpointed = restored.executed
        if not restored.fresh:
            _log.info(
                "replica {id} takes up at {executed} with {instances} instances",
                id=self.id,
                executed=restored.executed,
                instances=len(self._core.table),
            )

    def _restore_state(self, restored: Restored) -> None:
        """Raises StoreError."""
        ready = (Ready(id, batch, False) for id, batch in restored.batches)
        try:
            if IRestoresInParts.providedBy(self._state_machine):
                self._state_machine.restore_in_parts(restored.base, ready)
            else:
                entries: dict[bytes, bytes] = {}
                for part in restored.base:
                    entries.update(part)
                self._state_machine.restore(entries, ready)
        except ValueError as why:
            raise StoreError(f"what was executed cannot be applied again: {why}") from None

    def stop(self) -> Deferred[None]:
        """Answer what waits, write a last checkpoint, close transport and store."""
        was_running, self._running = self._running, False
        for due in (self._turn_due, self._tick_due, self._checkpoint_due):
            if due is not None:
                due.cancel()
        self._fail_all("CLUSTERDOWN the replica is stopping")
        if was_running:
            self._transport.send(self._company.end())
        return self._transport.stop().addCallback(self._on_transport_stopped, was_running)

    def _on_transport_stopped(self, _: None, was_running: bool) -> Deferred[None]:
        if was_running:  # what is not applied is executed again after the next start
            checkpoint = None if self._to_apply else self._checkpoint()
            self._store.write(
                WriteSet(reserved=self._core.last_used_slot(), checkpoint=checkpoint, sync=True),
                _nothing,
            )
        return self._store.close()

    def fail(self, text: str) -> None:
        """Stop at once, answering nothing: the replica cannot go on."""
        if self._running:
            self._running = False
            try:
                self._fail_all("CLUSTERDOWN the replica has failed")
            finally:
                self._fatal(text)

    def _fail_all(self, text: str) -> None:
        for proposed in self._under_way():
            for submission in proposed.submissions:
                submission.answer(Unavailable(f"{text}; the command may still run", True))
        for submission in self._queue:
            submission.answer(Unavailable(text, False))
        self._proposed.clear()
        self._readings.clear()
        self._to_read.clear()
        self._queue.clear()
        self._tell_status()

    def _under_way(self) -> Iterator[_Proposed]:
        yield from self._proposed.values()
        yield from (proposed for _, proposed in self._readings.values())
        yield from (proposed for _, proposed in self._to_read)

    # -- what clients ask

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
        deadline = self._timeouts.now() + self._batching.request_timeout_s
        self._queue.append(_Submission(commands, done, deadline, size_bytes))
        self._wake()

    # -- turns

    def _wake(self) -> None:
        """Take a turn when everything that has arrived is handled."""
        if self._turn_due is None and not self._carrying_out:
            self._turn_due = self._timeouts.call_later(0, self._turn)

    def _on_messages(self, sender: int, messages: Sequence[Message]) -> None:
        if self._running and self._disk.hangs:
            self._core.hear(sender)
        elif self._running:
            try:
                for message in messages:
                    self._core.receive(sender, message)
            except DoubledError as why:
                self.fail(str(why))
            except Exception:
                self._on_bug()
            self._wake()

    def _on_connection(self, replica: int, is_there: bool) -> None:
        if self._running:
            try:
                (self._core.connected if is_there else self._core.disconnected)(replica)
            except Exception:
                self._on_bug()
            self._wake()

    def _turn(self) -> None:
        self._turn_due = None
        if not self._running:
            if self._queue:
                self._fail_all("CLUSTERDOWN the replica does not run")
            return
        try:
            now = self._timeouts.now()
            if self._disk.look(now):
                self._on_disk_hangs(now)
            if self._disk.hangs:
                self._core.stand_still(now)
                self._refuse_queued(_HANGS)
            else:
                self._core.tick(now)
                self._carry_out()
            if now >= self._expire_at:
                self._expire(now)
            self._schedule_tick(now)
        except Exception:
            self._on_bug()

    def _on_bug(self) -> None:
        """Own bugs are loud: a replica whose state may be wrong must not go on."""
        self.fail("internal error, see the log")  # first: what is logged may never come through
        _log.failure("replica {id}: internal error", id=self.id)

    def _schedule_tick(self, now: float) -> None:
        """Deadlines mostly move away, turn by turn: then the tick stays, and comes too early once."""
        due = self._expire_at if self._disk.hangs else min(self._core.next_deadline(), self._expire_at)
        if self._disk.due is not None:
            due = min(due, self._disk.due)
        due = max(now + 0.001, due)
        if self._queue and self._gathering.wait_ends is not None:
            due = min(due, self._gathering.wait_ends)
        if self._company.due is not None:
            due = min(due, self._company.due)
        self._tick_wanted_at = due
        if self._tick_due is not None:
            if self._tick_at <= due:
                return
            self._tick_due.cancel()
        self._set_tick(now)

    def _set_tick(self, now: float) -> None:
        self._tick_at = self._tick_wanted_at
        self._tick_due = self._timeouts.call_later(self._tick_at - now, self._on_tick)

    def _on_tick(self) -> None:
        self._tick_due = None
        now = self._timeouts.now()
        if now < self._tick_wanted_at:
            self._set_tick(now)
        else:
            self._wake()

    # -- proposing

    def _propose(self) -> Output:
        """Close batches while there is something to propose and the window is open; what comes of it.

        After everything else of the turn: who is answered in it is waited for (`gathering.py`).
        """
        core = self._core
        while (
            self._queue
            and self._is_gathered()
            and core.can_propose
            and core.in_flight < self._batching.window
        ):
            submissions = self._next_submissions()
            if len(submissions) == 1:
                commands = submissions[0].commands
            else:
                commands = list(
                    itertools.chain.from_iterable(submission.commands for submission in submissions)
                )
            separation = Separation(commands, self._is_read, self._state_machine)
            limit = self._transport.batch_bytes_max
            if limit is not None and separation.size_bytes > limit:
                self._make_smaller(submissions, separation.size_bytes, limit)
                continue
            self._start(_Proposed(separation, submissions, self._timeouts.now()))
        return core.take_output()

    def _start(self, proposed: _Proposed) -> None:
        """The batch first: what is read comes after what this replica has proposed before."""
        core, separation = self._core, proposed.separation
        if separation.batch is not None:
            self._proposed[core.propose(separation.batch)] = proposed
        if separation.reads:
            reading = Reading(separation.reads, core.next_slot, proposed.on_read)
            number = proposed.number = core.read(tuple(reading.keys))
            self._readings[number] = (reading, proposed)

    def _is_gathered(self) -> bool:
        """Whether no other commands are waited for."""
        gathering = self._gathering
        return gathering.wait_ends is None or gathering.is_complete(
            self._timeouts.now(), self._commands_queued()
        )

    def _commands_queued(self) -> int:
        return sum(len(submission.commands) for submission in self._queue)

    def _next_submissions(self) -> list[_Submission]:
        queue = self._queue
        bytes_max = self._batching.bytes_max
        limit = self._transport.batch_bytes_max
        if limit is not None:  # an eighth is left: what commands take in a batch is known only about
            bytes_max = min(bytes_max, limit - limit // 8)
        submissions = [queue.popleft()]
        commands = len(submissions[0].commands)
        size = submissions[0].size_bytes
        while queue:
            commands += len(queue[0].commands)
            size += queue[0].size_bytes
            if commands > self._batching.commands_max or size > bytes_max:
                break
            submissions.append(queue.popleft())
        return submissions

    def _make_smaller(self, submissions: list[_Submission], size_bytes: int, limit: int) -> None:
        """The batch of these would take `size_bytes`, more than the transport carries: queue them so
        that smaller ones come of them, or refuse what cannot be made smaller."""
        first = submissions[0]
        if len(submissions) > 1:  # they take more than was thought
            thought = sum(submission.size_bytes + 1 for submission in submissions)
            for submission in submissions:
                submission.size_bytes = (submission.size_bytes + 1) * size_bytes // thought + 1
        elif len(first.commands) > 1:
            count = min(len(first.commands), size_bytes // limit + 1)
            submissions = [
                _Submission(commands, done, first.deadline, size_bytes // count)
                for commands, done in split(first.commands, first.answer, count)
            ]
        else:
            text = f"{size_bytes} bytes, and no more than {limit} are carried between replicas"
            first.answer([CommandError(f"ERR the command is too large: {text}")])
            return
        self._queue.extendleft(reversed(submissions))

    def _propose_again(self, id: InstanceId) -> None:
        """Our instance became NOP: its commands can never run there, so they get a new one."""
        proposed = self._proposed.pop(id, None)
        if proposed is not None:
            self._end_reading(proposed)
            self._queue.extendleft(
                submission for submission in reversed(proposed.submissions) if submission.done
            )

    def _end_reading(self, proposed: _Proposed) -> None:
        """Nobody waits any more for what is read with these, if anything is."""
        number, proposed.number = proposed.number, None
        if number is not None:
            self._core.end_read(number)
            self._readings.pop(number, None)

    def _expire(self, now: float) -> None:
        """Tell those that waited too long."""
        timeout_s = self._batching.request_timeout_s
        text = self._why_unanswered()
        while self._queue and self._queue[0].deadline <= now:
            self._queue.popleft().answer(Unavailable(f"{text}; the command was not run", False))
        for proposed in list(self._under_way()):
            for submission in proposed.submissions:
                if submission.deadline <= now:
                    submission.answer(Unavailable(f"{text}; the command may still run", True))
            if not proposed.wanted:
                self._end_reading(proposed)
        self._expire_at = now + min(0.25, timeout_s / 4)

    def _why_unanswered(self) -> str:
        """Why commands have waited for `request_timeout_s`, for their clients."""
        timeout_s = self._batching.request_timeout_s
        if self._disk.hangs:
            return _HANGS
        if self._core.catching_up or self._executor.busy:
            return f"CLUSTERDOWN the replica is catching up and did not answer within {timeout_s:g} s"
        return f"CLUSTERDOWN no quorum answered within {timeout_s:g} s"

    # -- a disk that does not answer

    def _on_disk_hangs(self, now: float) -> None:
        """Send nothing and take nothing until it answers; what has been proposed may still run."""
        _log.warn(
            "the disk has not answered for {waited:.1f} s: replica {id} is silent until it does",
            id=self.id,
            waited=self._disk.waited_s(now),
        )
        self._outgoing.clear()
        self._company.end()

    def _refuse_queued(self, text: str) -> None:
        """What has not been proposed need not wait."""
        refused, self._queue = self._queue, deque()
        for submission in refused:
            submission.answer(Unavailable(f"{text}; the command was not run", False))

    def _on_written(self, now: float) -> None:
        """The disk has answered the oldest write that somebody waits for."""
        if self._disk.answered(now):
            _log.info("the disk answers again: replica {id} goes on", id=self.id)

    # -- carrying out what the core wants

    def _carry_out(self) -> None:
        """Propose, write, send and execute until there is nothing more to do now."""
        self._carrying_out = True  # what is durable at once needs no turn of its own
        while output := self._core.take_output() or self._propose():
            self._outgoing += output.messages
            self._commit(output.decided)
            for number, deps in output.reads:
                if number in self._readings:  # else it has just been given up
                    self._readings[number][0].deps = deps
            if output.writes or output.awaits_durability:
                self._write(output)
        self._carrying_out = False
        if not self._running:
            return  # a write has failed
        executed: Deps = self._executor.executed
        answers_first = all(isinstance(message, Commit) for _, message in self._outgoing)
        if not answers_first:
            self._send(executed)
        self._execute()
        if answers_first and self._running:  # nobody waits for a Commit as clients do for their answers
            self._send(executed)

    def _send(self, executed: Deps) -> None:
        """`executed`: before this turn."""
        outgoing, self._outgoing = self._outgoing, []
        if outgoing or self._company.due is not None:
            leaving = self._company.gather(self._timeouts.now(), outgoing, executed)
            if leaving:
                self._transport.send(leaving)

    def _write(self, output: Output) -> None:
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
        )
        if write_set.sync:
            self._disk.began(self._timeouts.now())
        self._store.write(write_set, partial(self._on_durable, output))

    def _on_durable(self, output: Output) -> None:
        """The promises may leave now, and own votes count."""
        if not (self._running and output.awaits_durability):
            return
        if self._store.persistent:
            self._on_written(self._timeouts.now())
        try:
            self._outgoing += output.promises
            self._commit(output.decided_durably)
            self._core.durable(output)
        except DoubledError as why:
            self.fail(str(why))
        except Exception:
            self._on_bug()
        self._wake()

    def _commit(self, decided: list[Instance]) -> None:
        own = 0
        since = 0.0
        for instance in decided:
            assert instance.cmd is not None
            self._executor.commit(instance.id, instance.cmd, instance.deps)
            proposed = self._proposed.get(instance.id)
            if proposed is None:
                continue
            if instance.cmd is NOP:
                self._propose_again(instance.id)
            else:
                own += proposed.commands
                since = proposed.since
        if own:
            now = self._timeouts.now()
            self._gathering.on_decided(now, now - since, own, self._commands_queued())

    # -- execution
    #
    # Only whole batches are seen.  While `_work` is not None, a batch may be applied in part: nothing else
    # begins, no read without an instance runs, and no digest is taken.  While `_to_apply` is not empty, the
    # executor is ahead of the state: no checkpoint is made, and reads go by `_applied_up_to`.

    def _execute(self) -> None:
        """Apply what is ready, and read, for about EXECUTE_S; answer the clients of this replica."""
        if not (self._is_more_to_execute() or self._readings):
            return
        ends = self._timeouts.now() + EXECUTE_S
        work = self._work
        if work is None or self._go_on(work.steps, work.done, work.applies, ends):
            self._begin(ends)
        if self._running:
            if self._tidying and self._work is None:
                self._tidy(ends)
            if self._is_more_to_execute():
                self._wake()

    def _is_more_to_execute(self) -> bool:
        """Whether `_execute` has more to do when other work has had its turn."""
        return bool(
            self._work
            or self._to_apply
            or self._to_read
            or self._tidying
            or self._checkpoint_waits
            or self._executor.busy
        )

    def _begin(self, ends: float) -> None:
        """Apply and read until `ends`.  Of what was left over at least one batch is begun."""
        if self._to_apply:
            self._read(ends)  # reads do not wait for a long row of batches
            if self._work is not None:
                return
        else:
            self._to_apply.extend(self._executor.run(EXECUTED_PER_TURN))
        while self._to_apply:
            if not self._apply(ends):
                break
        if self._running and not self._to_apply:
            if self._checkpoint_waits:
                self._hasten_checkpoint()
            self._read(ends)

    def _apply(self, ends: float) -> bool:
        """Apply the next batch, after the reads that it would overtake; whether there is time for more."""
        id, batch = self._to_apply[0]
        proposed = None
        if id.replica == self.id:
            proposed = self._proposed.get(id)
            for reading, _ in itertools.chain(self._readings.values(), self._to_read):
                if reading.is_overtaken_by(id, batch):
                    reading.run_before(batch, self._state_machine)
        ready = Ready(id, batch, proposed is not None and proposed.wanted)
        try:
            steps = self._stepwise.apply_in_steps(ready)
        except ValueError as error:
            return self._fail_to_apply(error)
        return self._go_on(steps, self._on_applied, True, ends)

    def _go_on(
        self, steps: Steps, done: Callable[[Sequence[Reply]], None], applies: bool, ends: float
    ) -> bool:
        """Take steps until the work is done, and at least one; whether there is time for more work."""
        now = self._timeouts.now
        self._work = None
        try:
            replies = next(steps)
            while replies is None:
                if now() >= ends:
                    self._work = _Work(steps, done, applies)
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
        if self._status_waits:
            self._tell_status()
        return self._running and now() < ends

    def _fail_to_apply(self, error: ValueError) -> bool:
        self.fail(f"a committed batch cannot be applied: {error}")
        return False

    def _on_applied(self, replies: Sequence[Reply]) -> None:
        """The first batch is applied as a whole."""
        id, batch = self._to_apply.popleft()
        self._commands_executed += batch.commands
        if (
            self._commands_executed - self._commands_checkpointed >= self._checkpoint_commands
            and self._checkpoint_due is not None  # else one is being written
        ):
            self._checkpoint_waits = True
        if self._store.persistent and (batch.writes or batch.barrier):
            self._applied.append((id, batch))
        if id.replica == self.id:
            proposed = self._proposed.pop(id, None)
            if proposed is not None and replies:
                proposed.on_executed(replies)

    def _applied_up_to(self) -> Deps:
        """The slot of each row up to which everything is in the state."""
        executed: Deps = self._executor.executed
        if not self._to_apply:
            return executed
        marks = list(executed)
        for id, _ in self._to_apply:
            marks[id.replica] = min(marks[id.replica], id.slot - 1)
        return tuple(marks)

    def _read(self, ends: float) -> None:
        """Answer the reads that come after nothing that is not in the state, until `ends`."""
        if self._readings:
            self._find_readable()
        while self._to_read:
            steps = self._stepwise.read_in_steps(self._to_read[0][0].commands)
            if not self._go_on(steps, self._on_read, False, ends):
                return

    def _find_readable(self) -> None:
        executed = self._applied_up_to()
        numbers = [number for number, (reading, _) in self._readings.items() if reading.is_ready(executed)]
        if not numbers:
            return
        ready = [self._readings.pop(number) for number in numbers]
        alone = [proposed for _, proposed in ready if proposed.separation.batch is None]
        if alone:  # else the clients are waited for already
            now = self._timeouts.now()
            commands = sum(proposed.commands for proposed in alone)
            self._gathering.on_decided(now, now - alone[-1].since, commands, self._commands_queued())
        for _, proposed in ready:
            proposed.number = None
        self._to_read.extend(ready)

    def _on_read(self, replies: Sequence[Reply]) -> None:
        """The first of those that could be read is."""
        reading, _ = self._to_read.popleft()
        self._commands_read += len(reading.commands)
        reading.on_read(replies)

    def _tidy(self, ends: float) -> None:
        """Let the state machine free memory until `ends`, and at least one step."""
        now = self._timeouts.now
        while self._tidying:
            for _ in self._tidying[0]:
                if now() >= ends:
                    return
            self._tidying.popleft()

    # -- checkpoints

    def _schedule_checkpoint(self) -> None:
        self._checkpoint_due = self._timeouts.call_later(self._batching.checkpoint_s, self._on_checkpoint_due)

    def _hasten_checkpoint(self) -> None:
        if self._checkpoint_due is not None:
            self._checkpoint_due.cancel()
        self._on_checkpoint_due()

    def _on_checkpoint_due(self) -> None:
        """Make durable what was executed; the next checkpoint waits until this one is written."""
        self._checkpoint_due = None
        self._checkpoint_waits = bool(self._to_apply or self._work)
        if self._running and not self._checkpoint_waits:
            try:
                self._write_checkpoint()
            except Exception:
                self._on_bug()

    def _write_checkpoint(self) -> None:
        self._commands_checkpointed = self._commands_executed
        executed: Deps = self._executor.executed
        if executed == self._checkpointed:
            self._schedule_checkpoint()
            return
        self._checkpointed = executed
        on_durable = partial(self._on_checkpointed, executed)
        self._store.write(WriteSet(checkpoint=self._checkpoint(), sync=True), on_durable)

    def _on_checkpointed(self, executed: Deps) -> None:
        if self._running:
            try:
                self._core.executed(executed)
            except Exception:
                self._on_bug()
                return
            self._schedule_checkpoint()
            self._wake()

    def _checkpoint(self) -> Checkpoint:
        """All of one moment.  When the replica stops, a whole state would come too late to be of use."""
        applied, self._applied = self._applied, []
        state = self._state_machine.entries() if self._running and self._store.wants_state else None
        return Checkpoint(self._executor.executed, self._executor.executed_beyond(), applied, state)

    # -- what can be seen

    def keys(self) -> int | None:
        """See IClients."""
        machine: Any = self._state_machine
        return int(machine.keys()) if ICountsKeys.providedBy(machine) else None

    def status(self) -> Deferred[dict[str, Any]]:
        """See IClients.  Tells nothing of the middle of a batch: then it waits for the end."""
        if self._work is None or not self._running:
            return self._status(None)
        waiting: Deferred[None] = Deferred(self._status_waits.remove)
        self._status_waits.append(waiting)
        return waiting.addCallback(self._status)

    def _tell_status(self) -> None:
        """No batch is applied in part, or none will ever be whole."""
        while self._status_waits:
            self._status_waits.popleft().callback(None)

    def _status(self, _: None) -> Deferred[dict[str, Any]]:
        core = self._core
        members = [
            {
                "id": replica,
                "up": replica == self.id
                or (self._transport.is_connected(replica) and not core.suspects(replica)),
            }
            for replica in range(self.n)
        ]
        status: dict[str, Any] = {
            "id": self.id,
            "cluster": self._identity.cluster,
            "state_machine": self._identity.state_machine,
            "members": members,
            "next_slot": core.next_slot,
            "committed": list(core.table.committed),
            "executed": list(self._applied_up_to()),
            "counters": {
                "fast_path": core.counters.fast_path,
                "slow_path": core.counters.slow_path,
                "recovered": core.counters.recovered,
                "commands_executed": self._commands_executed,
                "commands_read": self._commands_read,
                "commands_queued": self._commands_queued(),
                "instances_in_flight": core.in_flight,
                "instances_held": len(core.table),
                "instances_waiting": self._executor.waiting + len(self._to_apply),
                "recoveries": core.recoveries,
                **self._store.counters(),
                **self._transport.counters(),
            },
        }
        if not self._running:
            return succeed({**status, "digest": None})
        digest = self._digest.of(self._commands_executed, self._state_machine.entries)
        return digest.addCallback(partial(_with_digest, status))


def _with_digest(status: dict[str, Any], digest: str) -> dict[str, Any]:
    return {**status, "digest": digest}


def _nothing() -> None:
    """Nobody waits for it."""
