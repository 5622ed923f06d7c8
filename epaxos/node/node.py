"""The turn of a replica: what has arrived goes into the core, and what the core wants is done.

A node turns what arrives (client commands, messages, durable writes, time) into calls of the core,
and the core's outputs into writes, messages and execution, once per turn of the event loop.  It
knows disk, network, state machine and executor only by their interfaces, so the simulator drives
the very same node.  What each component does: see the package.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from zope.interface import implementer

from epaxos.interfaces import (
    IClients,
    Identity,
    IExecutor,
    IStateMachine,
    IStore,
    ITimeout,
    ITimeoutService,
    ITransport,
    WriteSet,
)  # fmt: skip
from epaxos.node.alarm import Alarm
from epaxos.node.applier import Applier
from epaxos.node.backups import DIGEST_PAUSE_S, Backups
from epaxos.node.candidates import Candidates
from epaxos.node.checkpoints import Checkpoints
from epaxos.node.cluster_clock import ClusterClock
from epaxos.node.digest import StateDigest
from epaxos.node.disk_watch import DiskWatch
from epaxos.node.epochs import Epochs
from epaxos.node.following import Following
from epaxos.node.in_flight import InFlight
from epaxos.node.intake import Intake
from epaxos.node.journal import Journal
from epaxos.node.limits import Batching, Keep
from epaxos.node.moving import Moving, rows_of
from epaxos.node.next_turn import next_turn
from epaxos.node.observers import Observers
from epaxos.node.outbox import Outbox
from epaxos.node.pacing import Pacing
from epaxos.node.reads import Reads
from epaxos.node.refusals import Refusals
from epaxos.node.reruns import Reruns
from epaxos.node.restart import restore
from epaxos.node.status import Status
from epaxos.node.step_times import StepTimes
from epaxos.node.stepwise import stepwise
from epaxos.node.transfers import Transfers
from epaxos.node.turns import Turns
from epaxos.node.versions import Versions
from epaxos.protocol.memory.slots import SLOTS_RESERVED
from epaxos.protocol.memory.state import DoubledError
from epaxos.protocol.replica import Replica
from epaxos.protocol.values.control import Control
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import Deps
from epaxos.protocol.values.instance import Instance
from epaxos.protocol.values.membership import Member
from epaxos.protocol.values.messages import Message
from epaxos.protocol.values.output import Output
from epaxos.protocol.values.timing import Timing

__all__ = ["Node"]

_log = Logger()


@implementer(IClients)
class Node(Moving):
    """Replica `id` of the cluster `cluster`, which was founded with the members of `epoch`.

    `executor` makes the executor of an epoch.
    `fatal(text)` is called once when the replica must stop: a write failed, or a batch cannot be
    understood.  `wrong(text)` is called instead when its data is not that of this replica, or when another
    process has the same id.  `begin_again()` is called when the store holds the state of another replica
    instead of its own: a new node has to be made, and started on it.  `removed(text)` is called when the
    replica is no member any more and nobody needs what it holds, or when it can never become one: it must
    not be started again.  `outdated(text)` is called when its program is too old for the cluster.  After any
    of these the node does nothing any more.

    `joins`: this replica, and where it is, if it may join a cluster: that is so only while its store has
    never held a list of members.  `wall_clock`: seconds since 1970, for people; by default they are told
    nothing.  `cluster_clock`: by default one that takes the clock of `timeouts` for that of the host.
    `found_at`: where the configuration says that members are, for a list that does not say it.

    While the disk does not answer, the node neither sends nor takes messages, and time stands still
    for the core.  So the other replicas see it as failed, and what it holds stays bounded.
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
        executor: Callable[[Epoch], IExecutor],
        store: IStore,
        transport: ITransport,
        timeouts: ITimeoutService,
        random: Random,
        fatal: Callable[[str], None],
        wrong: Callable[[str], None] | None = None,
        begin_again: Callable[[], None] | None = None,
        removed: Callable[[str], None] | None = None,
        outdated: Callable[[str], None] | None = None,
        joins: Member | None = None,
        wall_clock: Callable[[], float] | None = None,
        cluster_clock: ClusterClock | None = None,
        found_at: Mapping[int, Member] | None = None,
        keep: Keep | None = None,
        slots_reserved: int = SLOTS_RESERVED,
    ) -> None:
        self.n = epoch.n
        self._identity = Identity(cluster, id, epoch, state_machine_name)
        super().__init__(id, state_machine, store, fatal, wrong or fatal, begin_again, removed, outdated)
        self._joins = joins
        self._rows = rows_of(epoch)
        row = self._rows.get(id, 0)
        self._new_core = partial(Replica, timing=timing, random=random, slots_reserved=slots_reserved)
        self._new_executor = executor
        self._executor = executor(epoch)
        self._transport = transport
        self._timeouts = timeouts
        self._timeout_s = batching.request_timeout_s
        now, entries = timeouts.now, state_machine.entries
        core = self._core = self._new_core(row, epoch)
        disk = self._disk = DiskWatch(timing.suspect_after_s)
        steps = self._steps = StepTimes(self._timeout_s)
        self._journal = Journal(id, store, disk, now, self._on_durable, steps)
        clock = self._clock = cluster_clock or ClusterClock(now, now)
        clock.move(id, epoch.members)
        self._outbox = Outbox(transport.send, now, clock.stamp)
        intake = self._intake = Intake(state_machine, batching, transport.batch_bytes_max, self._wake)
        pacing = self._pacing = Pacing(batching.window)
        reads = self._reads = Reads(core, state_machine, Reruns(intake, state_machine, self._wake))
        in_flight = self._in_flight = InFlight(
            core, intake, pacing, reads, now, steps, timing.suspect_after_s, clock
        )
        following = self._following = Following(id, epoch)
        candidates = self._candidates = Candidates(now)
        versions = self._versions = Versions(id, transport, state_machine, self.end_outdated)
        self._turns = Turns(
            id, following, transport, candidates, versions, now, self._timeout_s,
            keep or Keep(), partial(random.getrandbits, 128), wall_clock or (lambda: 0.0), found_at,
        )  # fmt: skip
        self._transfers = Transfers(id, store, transport, now, timing.resend_s, self._leave, self.fail)
        self._epochs = Epochs(
            id, following, candidates, self._turns, self._transfers, versions, store, transport, now,
            timing.resend_s, self._receive_early, self.fail, self._end_removed,
        )  # fmt: skip
        self._checkpoints = Checkpoints(
            store, self._executor, entries, timeouts, batching.checkpoint_s,
            self._on_checkpoint_due, self._on_checkpoint_durable,
        )  # fmt: skip
        self.executed = self._observers = Observers(state_machine, self._is_whole, self._has_majority)
        self._applier = Applier(
            row, self._executor, stepwise(state_machine), in_flight, reads, self._checkpoints,
            self._observers, now, steps, self.fail, self._on_end,
        )  # fmt: skip
        self._refusals = Refusals(self._timeout_s, intake, in_flight, core, self._executor, disk)
        self._status = Status(
            self._identity, core, intake, reads, self._applier, store, transport,
            StateDigest(timeouts), entries, self._epochs.status, self._member_numbers, clock,
        )  # fmt: skip
        digest = partial(self._digest_of, StateDigest(timeouts, DIGEST_PAUSE_S))
        self._backups = Backups(store, self._turn_for_backup, digest)
        self._alarm = Alarm(timeouts, self._wake)
        self._carrying_out = False
        self._turn_due: ITimeout | None = None

    # -- life

    def start(self) -> Deferred[None]:
        """Open the store, restore what it holds, and talk to the other replicas.

        Blocks while it restores.  The Deferred fails with StoreError, or as the transport's does.
        """
        return maybeDeferred(self._open)

    def _open(self) -> Deferred[None]:
        restored = self._store.open(self._identity)
        self._epochs.restore(restored, self._joins)
        if self._epochs.outside:
            self._rows = {}
        else:
            if restored.opened is not None:
                self._begin(restored.opened.membership.epoch)
            versions, now = self._versions, self._timeouts.now
            restore(self.id, restored, self._state_machine, versions, self._executor, self._core, now)
            self._checkpoints.restore(restored.executed, versions.mark(restored.founded))
            self._applier.start()
        self._running = True
        started = self._transport.start(self._on_messages, self._on_connection, self._on_control)
        return started.addCallback(self._on_started)

    def _on_started(self, _: None) -> None:
        self._epochs.on_started()
        if not self._epochs.outside:
            self._checkpoints.schedule()
        self._wake()

    def stop(self) -> Deferred[None]:
        """Answer clients that wait, write a last checkpoint, close the transport and the store."""
        was_running, self._running = self._running, False
        if self._turn_due is not None:
            self._turn_due.cancel()
        self._alarm.end()
        self._checkpoints.stop()
        self._refuse_all("CLUSTERDOWN the replica is stopping")
        if was_running:
            self._outbox.send_delayed()
        return self._transport.stop().addCallback(self._on_transport_stopped, was_running)

    def _on_transport_stopped(self, _: None, was_running: bool) -> Deferred[None]:
        """The last checkpoint has no state, because the store could not use it any more.  What was
        not applied is executed again after the next start."""
        if was_running and not self._epochs.outside:
            checkpoint = None if self._applier.lags else self._checkpoints.take(with_state=False)
            last = WriteSet(reserved=self._core.last_used_slot(), checkpoint=checkpoint, sync=True)
            last.epoch = self._following.number
            self._store.write(last, lambda: None)  # nobody waits for it
        return self._store.close()

    # -- what arrives

    def _on_messages(self, sender: int, epoch: int, messages: Sequence[Message]) -> None:
        row = self._rows.get(sender)
        if self._running and self._disk.hangs:
            if row is not None:
                self._core.on_heard(row)
        elif self._running:
            try:
                if row is not None and epoch == self._following.number:
                    self._receive(row, messages)
                else:
                    if row is not None:
                        self._core.on_heard(row)
                    self._epochs.on_other_epoch(sender, epoch, messages)
            except DoubledError as why:
                self.fail(str(why), is_wrong=True)
            except Exception:
                self._on_bug()
            self._wake()

    def _on_control(self, sender: int, control: Control) -> None:
        if self._running and not self._disk.hangs:
            try:
                self._epochs.on_control(sender, control, self._core)
            except Exception:
                self._on_bug()
            self._wake()

    def _on_connection(self, replica: int, is_there: bool) -> None:
        if self._running:
            try:
                row = self._rows.get(replica)
                if row is not None and is_there:
                    self._on_connected(row)
                elif row is not None:
                    self._core.on_disconnected(row)
                self._epochs.on_connection(replica, is_there)
            except Exception:
                self._on_bug()
            self._wake()

    def _on_durable(self, output: Output) -> None:
        """`output` is durable: its promises may leave now, and its own votes count."""
        if not (self._running and output.awaits_durability):
            return
        self._journal.on_synced()
        if self._epochs.outside:
            return
        try:
            self._outbox.add(output.promises)
            if output.decided_durably:
                self._on_decided(output.decided_durably)
            self._core.on_durable(output)
        except DoubledError as why:
            self.fail(str(why), is_wrong=True)
        except Exception:
            self._on_bug()
        self._wake()

    def _on_checkpoint_due(self) -> None:
        if self._running and not self._epochs.outside:
            try:
                self._checkpoints.write_when_settled(self._applier.is_settled)
            except Exception:
                self._on_bug()

    def _on_checkpoint_durable(self, executed: Deps) -> None:
        if self._running and not self._epochs.outside:
            try:
                self._core.on_executed(executed)
            except Exception:
                self._on_bug()
                return
            self._checkpoints.schedule()
            self._wake()

    # -- turns

    def _wake(self) -> None:
        """Take a turn when everything that has arrived is handled."""
        if self._turn_due is None and not self._carrying_out:
            self._turn_due = self._timeouts.call_later(0, self._turn)

    def _turn(self) -> None:
        self._turn_due = None
        if not self._running:
            if self._intake.queue:
                self._refusals.refuse_all("CLUSTERDOWN the replica does not run")
            return
        try:
            now = self._timeouts.now()
            if self._epochs.outside:
                self._turn_outside(now)
                return
            if self._disk.look(now):
                self._journal.on_hang(now)
                self._outbox.drop()
            if self._disk.hangs:
                self._core.stand_still(now)
                self._refusals.refuse_unproposed()
            else:
                self._core.tick(now)
                self._look_at_epochs(now)
                self._carry_out()
            if now >= self._refusals.due:
                self._refusals.refuse_overdue(now)
            if now >= self._observers.due:
                self._observers.on_time(now)
            self._alarm.set(
                now,
                next_turn(
                    now, self._core, self._disk, self._epochs, self._in_flight, self._intake,
                    self._outbox, self._pacing, self._refusals, self._turns,
                ),
            )  # fmt: skip
        except Exception:
            self._on_bug()

    def _look_at_epochs(self, now: float) -> None:
        """Do what is due about epochs, and let a new one begin when somebody wants it."""
        epochs, turns = self._epochs, self._turns
        if now >= epochs.due:
            epochs.on_time()
        if now >= turns.due:
            turns.on_time(self._core, epochs.membership)
        if turns.wanted and not epochs.outside:
            turns.propose(self._core, epochs.membership)
        if self._transfers.is_active:
            self._refusals.refuse_unproposed(self._transfers.refusal())

    def _carry_out(self) -> None:
        """Propose, write, send and execute until there is nothing more to do now.

        Clients are answered before Commits leave, because nobody waits for a Commit as they do.
        """
        core, outbox = self._core, self._outbox
        self._carrying_out = True  # what is durable at once needs no turn of its own
        while output := core.take_output() or self._in_flight.propose():
            if output.messages:
                outbox.add(output.messages)
            if output.decided:
                self._on_decided(output.decided)
            if output.reads:
                self._reads.on_answered(output.reads)
            if output.writes or output.awaits_durability:
                self._journal.write(output)
        self._carrying_out = False
        if not self._running:
            return  # a write has failed
        executed: Deps = self._executor.executed
        answers_first = outbox.has_only_commits
        if not answers_first:
            outbox.flush(executed)
        if self._applier.work() and self._running:
            self._wake()
        if answers_first and self._running:
            outbox.flush(executed)

    def _on_decided(self, decided: Sequence[Instance]) -> None:
        """These instances are decided: the executor says when they run."""
        for instance in decided:
            assert instance.cmd is not None
            self._executor.commit(instance.id, instance.cmd, instance.deps)
        self._in_flight.on_decided(decided)
