"""The replicas of a simulated cluster: processes that start, crash and start again on their disks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from epaxos.interfaces import (
    Command,
    CommandInfo,
    IBackups,
    IClients,
    IClusterClock,
    IExecutor,
    IExpires,
    IStateMachine,
    ITimeoutService,
    Outcome,
    WriteSet,
)
from epaxos.interfaces.audience import IPublishes
from epaxos.interfaces.instruments import ITrace, Took
from epaxos.interfaces.memory import MemoryUse
from epaxos.interfaces.metrics import Metric
from epaxos.interfaces.users import IUserTable
from epaxos.node.cluster_clock import CLOCK_ERROR_MAX_S, SETTLE_S, ClusterClock
from epaxos.node.node import Node
from epaxos.protocol.values.changes import Change
from epaxos.protocol.values.control import Candidate, Standing
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import Deps, InstanceId
from epaxos.protocol.values.membership import VERSION, Membership
from epaxos.protocol.values.messages import Batch, Heartbeat, PreAccept
from epaxos.statemachines.due_keys import DueKeys
from epaxos.verify.judges.bounds import allowed, held
from epaxos.verify.judges.channels import ChannelJudge, Listener
from epaxos.verify.judges.invariants import Invariants
from epaxos.verify.judges.place import place, places
from epaxos.verify.simulation.claims import Claims
from epaxos.verify.simulation.clock import SECOND, Process, ReplicaClock, VirtualTime
from epaxos.verify.simulation.components import Components
from epaxos.verify.simulation.dice import Dice, seeded
from epaxos.verify.simulation.disk import Disk, VirtualStore
from epaxos.verify.simulation.handover import Handover, Offers
from epaxos.verify.simulation.members import founded, is_member, member_of, was_member
from epaxos.verify.simulation.network import Carried, Network, VirtualTransport
from epaxos.verify.simulation.observers import Commands, ObservedExecutor, ObservedStateMachine
from epaxos.verify.simulation.old_program import OldProgram
from epaxos.verify.simulation.plan import Plan
from epaxos.verify.simulation.state_transfer import VirtualTransfer
from epaxos.verify.simulation.subject import Hunted
from epaxos.verify.simulation.traps import Traps
from epaxos.verify.simulation.wall_clocks import WallClocks
from epaxos.verify.trace import Trace

__all__ = ["Cluster", "Host"]

CLUSTER = "simulated"
_PER_LISTED = 7
"""A member in a list has five fields, and a place; a list has seven."""
STEP_US = (0, 0, 0, 700, 6000)
"""Microseconds that a step of the state machine takes; each process of a replica has one of these."""


@implementer(IClients)
class _Connection:
    """The connection of a client to one process.  It brings no answer once the process is dead."""

    def __init__(self, node: Node, process: Process) -> None:
        self._node = node
        self._process = process
        self.executed = node.executed

    def check(self, command: Command) -> None:
        """See IClients."""
        self._node.check(command)

    def is_valid_shape(self, name: bytes, length: int) -> bool:
        """See IClients."""
        return self._node.is_valid_shape(name, length)

    def commands(self) -> Sequence[CommandInfo]:
        """See IClients."""
        return self._node.commands()

    def metrics(self) -> Iterable[Metric]:
        """See IMeasured."""
        return self._node.metrics()

    def version(self) -> int:
        """See IClients."""
        return self._node.version()

    def databases(self) -> int:
        """See IClients."""
        return self._node.databases()

    def is_read(self, name: bytes) -> bool:
        """See IClients."""
        return self._node.is_read(name)

    def submit(
        self, commands: Sequence[Command], done: Callable[[Outcome], None], size_bytes: int = 0
    ) -> None:
        """See IClients."""

        def answer(outcome: Outcome) -> None:
            if self._process.alive:
                done(outcome)

        self._node.submit(commands, answer, size_bytes)

    def took(self) -> Took | None:
        """See IClients."""
        return self._node.took()

    def trace(self, command: Command) -> ITrace:
        """See IClients."""
        return self._node.trace(command)

    def memory(self) -> MemoryUse | None:
        """See IClients."""
        return self._node.memory()

    def keyspace(self) -> Mapping[int, tuple[int, int]]:
        """See IClients."""
        return self._node.keyspace()

    def keys_of(self, command: Command) -> Sequence[bytes]:
        """See IClients."""
        return self._node.keys_of(command)

    @property
    def users(self) -> IUserTable | None:
        """See IClients."""
        return self._node.users

    def status(self, digest: bool = False) -> Deferred[dict[str, Any]]:
        """See IClients."""
        return self._node.status(digest)

    def turn(self) -> Deferred[int]:
        """See IClients."""
        return self._node.turn()

    def backup(self, name: str) -> Deferred[dict[str, Any]]:
        """See IClients."""
        return self._node.backup(name)

    def backups(self) -> IBackups | None:
        """See IClients."""
        return self._node.backups()

    def membership(self) -> Membership | None:
        """See IClients."""
        return self._node.membership()

    def members_up(self) -> Collection[int]:
        """See IClients."""
        return self._node.members_up()

    def history(self) -> Sequence[Membership]:
        """See IClients."""
        return self._node.history()

    def candidates(self) -> Sequence[Candidate]:
        """See IClients."""
        return self._node.candidates()

    def foresee(self, change: Change, force: bool = False) -> Sequence[str]:
        """See IClients."""
        return self._node.foresee(change, force)

    def change(self, change: Change, force: bool = False) -> Deferred[Membership]:
        """See IClients."""
        return self._node.change(change, force)


class Host:
    """The host of one replica: a disk, and at most one process at a time."""

    def __init__(self, id: int, cluster: Cluster) -> None:
        self.id = id
        self.disk = Disk(cluster.plan.disk, Dice(cluster.plan.seed, "disk", id))
        self.node: Node | None = None
        self.process: Process | None = None
        self.clock: ReplicaClock | None = None
        self.cluster_clock: ClusterClock | None = None
        self.crash_at_write: int | None = None
        self.traps = Traps()
        self.cost = cluster.plan.cost_us
        self._cluster = cluster
        self._dice = Dice(cluster.plan.seed, "host", id)
        self._lives = 0
        self._empty = 0
        self._epoch = 0
        self._handover: Handover | None = None
        self.was_put_back = False
        """Whether it ever got an earlier program than it had."""
        self.machine: ObservedStateMachine | None = None
        self._stopping = self._start_again = False
        self.dead = False
        self._claims = Claims(id, cluster.violated)
        self.gone = False
        """Whether it was removed: it is never started again."""
        self.wanted = id < cluster.plan.n
        """Whether it is to run at all: a spare is, once it was told to join."""
        self._lost: dict[object, Callable[[], None]] = {}

    @property
    def up(self) -> bool:
        """Whether a process runs here."""
        return self.node is not None

    @property
    def life(self) -> int:
        """How many processes have begun here."""
        return self._lives

    # -- life

    def start(self) -> None:
        """Start a process on the disk, unless one runs or the host is dead.  When a process is stopping,
        the next one starts after its end."""
        if self.up:
            self._start_again = self._stopping
            return
        if self.dead or self.gone or not self.wanted:
            return
        cluster = self._cluster
        self._lives += 1
        process = self.process = Process(cluster.time, self.cost)
        self._claims = Claims(self.id, cluster.violated)
        self.clock = ReplicaClock(process, self._dice.below(1000) * SECOND)
        self.disarm()
        self._stopping = self._start_again = False
        cluster.trace.note(f"R{self.id}", f"starts, life {self._lives}")
        commands = Commands()
        cluster_clock = self.cluster_clock = ClusterClock(
            self.clock.now,
            partial(cluster.wall_clocks.now_s, self.id),
            cluster.plan.skews.error_max_s or CLOCK_ERROR_MAX_S,
            SETTLE_S if cluster.plan.skews.error_max_s else 0.0,
        )
        machine = self.machine = self._new_state_machine(process, commands, cluster_clock)
        node = self.node = self._new_node(process, self.clock, machine, commands, cluster_clock)
        if self._lives == 1:
            self._empty = _held(node, self._cluster.components.subject)
        self._cluster.trace.note(f"R{self.id}", f"finds {_found(self.disk)}")
        node.start().addErrback(self._on_failure)
        due = _due_keys(machine.inside, _Connection(node, process), cluster_clock, self.clock, self._rank)
        if due is not None and cluster.plan.workload.expiring:
            due.start()  # it ends with the process, as all that waits for its clock does
        if is_member(self.disk.contents, self.id, cluster.plan.n):
            cluster.invariants.on_state(self.id, machine.entries)

    def _new_state_machine(
        self, process: Process, commands: Commands, clock: ClusterClock
    ) -> ObservedStateMachine:
        cluster = self._cluster
        step_us = Dice(cluster.plan.seed, "steps", self.id, self._lives).pick(STEP_US)
        machine = cluster.components.new_state_machine(
            cluster.plan.seed, self.id, self._lives, cluster.time, clock
        )
        inside = getattr(machine, "inside", machine)
        if IPublishes.providedBy(inside):
            IPublishes(inside).use_audience(cluster.channels.listener(f"R{self.id} life {self._lives}"))
        version = cluster.network.versions[self.id]
        return ObservedStateMachine(
            machine if version == VERSION else OldProgram(machine, version),
            self.id,
            cluster.invariants,
            commands,
            partial(process.spend, step_us),
            judges_replies=cluster.components.subject is not None,
            placed=self._placed,
        )

    def _rank(self) -> int:
        """How many members with lower numbers are up."""
        hosts = self._cluster.hosts
        return sum(other < self.id and hosts[other].up for other in self._cluster.members())

    def _placed(self, id: InstanceId) -> InstanceId:
        """Where an instance of the epoch in which the process executes stands for the judge."""
        return place(self._epoch, id)

    def _new_executor(self, epoch: Epoch) -> IExecutor:
        cluster = self._cluster
        self._epoch = epoch.number
        executor = cluster.components.executor(epoch)
        return ObservedExecutor(executor, self.id, cluster.invariants, cluster.trace, epoch.number)

    def _new_node(
        self,
        process: Process,
        clock: ReplicaClock,
        machine: ObservedStateMachine,
        commands: Commands,
        cluster_clock: ClusterClock,
    ) -> Node:
        cluster = self._cluster
        plan = cluster.plan
        transport = VirtualTransport(
            cluster.network,
            process,
            self.id,
            cluster.trace,
            partial(self._before_send, commands),
            partial(self.traps.on_send, True),
            dials=self.id >= plan.n,
        )
        self._handover = Handover(
            self.id,
            cluster.offers,
            cluster.invariants,
            self.traps,
            cluster.trace,
            lambda: self.disk.contents,
            lambda: process.alive,
            cluster.violated,
        )
        on_write = partial(self._on_write, commands)
        store = VirtualStore(self.disk, process, self._on_write_error, on_write, self._handover)
        node: Node = cluster.components.node(
            self.id,
            cluster.epoch if self.id < plan.n else Epoch(0, (self.id,)),
            cluster=CLUSTER,
            timing=plan.timing,
            batching=plan.batching,
            state_machine=machine,
            executor=self._new_executor,
            store=store,
            transport=transport,
            timeouts=clock,
            random=seeded(plan.seed, "core", self.id, self._lives),
            fatal=self._on_fatal,
            begin_again=self.begin_again,
            removed=partial(cluster.on_removed, self),
            outdated=partial(cluster.on_outdated, self),
            joins=member_of(self.id) if self.id >= plan.n else None,
            keep=plan.bound,
            cluster_clock=cluster_clock,
            slots_reserved=plan.slots_reserved,
        )
        return node

    def crash(self, power: bool) -> None:
        """End the process at once; with `power` the host loses power, too."""
        if self.process is None or not self.up:
            return
        self._end()
        lost = self.disk.crash(power)
        what = "loses power" if power else "is killed"
        self._cluster.trace.note(f"R{self.id}", f"{what}, {lost} write sets lost")

    def stop(self) -> None:
        """Tell the process to stop cleanly."""
        if self.node is None or self._stopping:
            return
        self._stopping = True
        self._cluster.trace.note(f"R{self.id}", "is told to stop")
        process = self.process
        stopped = self.node.stop()
        stopped.addCallback(lambda _: self._on_stopped(process))
        stopped.addErrback(self._on_failure)

    def _on_stopped(self, process: Process | None) -> None:
        if process is self.process and self.up:
            self._end()
            self.disk.crash(power=False)
            self._cluster.trace.note(f"R{self.id}", "has stopped")
            if self._start_again:
                self.start()

    def begin_again(self) -> None:
        """Stop cleanly, and start a new process on the same disk."""
        self._cluster.trace.note(f"R{self.id}", "begins again")
        assert self.process is not None
        self.process.soon(self._begin_again)

    def _begin_again(self) -> None:
        self.stop()
        self.start()

    def _end(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.node = None
        self._cluster.network.attach(self.id, None)
        lost, self._lost = self._lost, {}
        for call in lost.values():
            self._cluster.time.after(0, call)

    # -- what the process does

    def _on_write(self, commands: Commands, write_set: WriteSet) -> None:
        cluster = self._cluster
        epoch = write_set.epoch
        for id, batch in write_set.batches:
            self._on_proposed(commands, place(epoch, id), batch)
        if write_set.opened is not None:
            cluster.on_begun(self.id, write_set.opened.membership)
            cluster.invariants.on_end(self.id, place(epoch - 1, write_set.opened.opened_by))
        if write_set.checkpoint is not None:
            checkpoint = write_set.checkpoint
            beyond = tuple(place(epoch, id) for id in checkpoint.beyond)
            cluster.invariants.on_checkpoint(self.id, places(epoch, checkpoint.executed), beyond)
            if epoch and self.machine is not None:
                cluster.invariants.on_state(self.id, self.machine.entries)
        if self._handover is not None:
            self._handover.on_write(write_set)
        if self.crash_at_write is not None:
            self.crash_at_write -= 1
            if self.crash_at_write <= 0:
                self.crash(power=False)

    def _on_proposed(self, commands: Commands, id: InstanceId, batch: Batch) -> None:
        """`id` carries `batch`.  Only the first call for a batch knows the commands in it."""
        names = commands.take(batch, id)
        if names:
            self._cluster.invariants.on_proposed(id, names)

    def _before_send(self, commands: Commands, epoch: int, messages: Sequence[Carried]) -> None:
        for message in messages:
            if isinstance(message, PreAccept):
                self._on_proposed(commands, place(epoch, message.id), message.batch)
            elif isinstance(message, Heartbeat) and self.node is not None:
                self._claims.check(epoch, message, self.node)
            elif isinstance(message, Standing):
                self._claims.check_epoch(message, self.disk.contents.epoch)
        self.traps.on_send(False, epoch, messages)

    def _on_write_error(self, text: str) -> None:
        if self.node is not None:
            self.node.fail(text)

    def _on_fatal(self, text: str) -> None:
        if not self.disk.full:
            self._cluster.violated(f"replica {self.id} gave up: {text}")
        self._cluster.trace.note(f"R{self.id}", f"gives up: {text}")
        self._cluster.time.after(0, partial(self.crash, power=False))

    def check_bounds(self, keys: int) -> None:
        """Check that the process holds no more than its unfinished work and the number of keys justify."""
        status = self._cluster.status(self.id)
        if self.node is None or status is None:
            return
        counters = status["counters"]
        disks = [host.disk.contents for host in self._cluster.hosts]
        reserved = sum(contents.reserved + contents.used_before for contents in disks)
        unforgotten = reserved - sum(self.disk.contents.floor)
        for name in ("instances_held", "instances_waiting", "recoveries"):
            if counters[name] > unforgotten:
                self._cluster.violated(
                    f"Bounds: replica {self.id} has {name} = {counters[name]},"
                    f" but only {unforgotten} slots were used and are not forgotten"
                )
        unfinished = counters["instances_held"] + counters["instances_waiting"] + counters["commands_queued"]
        empty = max(host._empty for host in self._cluster.hosts)  # a spare began without other members
        most = allowed(empty, self._cluster.n, keys, unfinished) + self._cluster.listed()
        found = _held(self.node, self._cluster.components.subject)
        if found > most:
            self._cluster.violated(
                f"Bounds: the tables of replica {self.id} have {found} entries,"
                f" more than the {most} for {keys} keys and {unfinished} unfinished instances and commands"
            )

    def _on_failure(self, failure: Failure) -> None:
        self._cluster.violated(f"replica {self.id}: {failure.getTraceback()}")

    # -- clients

    def connect(self, call: Callable[[IClients], None], lost: Callable[[], None]) -> bool:
        """See Servers."""
        if self.node is None or self.process is None:
            return False
        connection = _Connection(self.node, self.process)
        self._lost[lost] = lost
        self.process.soon(lambda: call(connection))
        return True

    # -- faults

    def disarm(self) -> None:
        """Remove all traps, and the crash that is due at a write."""
        self.crash_at_write = None
        self.traps.clear()

    def set_cost(self, cost: int) -> None:
        """From now on, also after a restart, each step of a process takes `cost` microseconds."""
        self.cost = cost
        if self.process is not None:
            self.process.cost = cost


def _due_keys(
    machine: IStateMachine,
    clients: IClients,
    clock: IClusterClock,
    time: ITimeoutService,
    rank: Callable[[], int],
) -> DueKeys | None:
    """What removes due keys that nobody touches; None with a state machine that has none."""
    inside = getattr(machine, "inside", machine)
    return DueKeys(inside, clients, clock, time, rank) if IExpires.providedBy(inside) else None


def _found(disk: Disk) -> str:
    """What a process finds on its disk."""
    disk.sync()
    found = disk.contents
    records = [f"{id}:{record.phase.name}" for id, record in sorted(found.records.items())]
    return (
        f"reserved={found.reserved} floor={found.floor} executed={found.executed}"
        f" beyond=[{' '.join(map(str, found.beyond))}] records=[{' '.join(records)}]"
    )


def _held(node: Node, subject: Hunted | None) -> int:
    """How many entries the tables of a process have, without those of a state machine that is not ours,
    because nobody knows how many entries that one may need for a key."""
    world: tuple[type, ...] = (
        *(Cluster, Commands, Handover, Host, Invariants, Listener, ReplicaClock, Trace, VirtualTime),
        *(VirtualStore, VirtualTransfer, VirtualTransport),
    )
    return held(node, world if subject is None else (*world, subject.kind))


class Cluster:
    """The hosts of all replicas, and the network between them."""

    def __init__(
        self,
        plan: Plan,
        time: VirtualTime,
        trace: Trace,
        invariants: Invariants,
        violated: Callable[[str], None],
        components: Components,
    ) -> None:
        self.plan = plan
        self.time = time
        self.trace = trace
        self.invariants = invariants
        self.violated = violated
        self.components = components
        self.n = plan.n + plan.spares
        self.epoch = Epoch.first(plan.n)
        self.network = Network(
            time,
            self.n,
            plan.network,
            Dice(plan.seed, "network"),
            trace,
            self._recode,
        )
        self.channels = ChannelJudge(violated)
        self.wall_clocks = WallClocks(plan.skews, plan.seed, self.n, plan.active_us, time)
        self.network.versions.update(dict.fromkeys(range(plan.n), plan.disk.version))
        self.offers = Offers()
        self.lists = {0: founded(self.epoch, plan.disk.version)}
        """The members of each epoch that has begun anywhere."""
        self.hosts = [Host(id, self) for id in range(self.n)]

    def _recode(self, epoch: int, message: Carried) -> Carried:
        """Encode a message of this epoch and decode it again."""
        return self.components.recode(message, self.lists.get(epoch, self.lists[0]).epoch)

    # -- members

    def members(self) -> list[int]:
        """The members of the newest epoch that has begun anywhere."""
        return [member.number for member in self.lists[max(self.lists)].members]

    def on_begun(self, replica: int, membership: Membership) -> None:
        """An epoch begins at `replica`, with these members."""
        number = membership.number
        known = self.lists.setdefault(number, membership)
        before = self.lists.get(number - 1)
        if known != membership:
            self.violated(f"Members: of epoch {number}, {membership} at replica {replica}, and {known}")
        elif before is not None:
            used = [one.number for one in membership.members if before.find(one.number) is None]
            if membership.unused < before.unused or any(one < before.unused for one in used):
                self.violated(f"Members: a number is used again in {membership}, after {before}")

    def on_outdated(self, host: Host, text: str) -> None:
        """A process ends, because its program is too old.  Only who has put a program back can bring that
        about: nobody raises the version while one is old."""
        if not host.was_put_back:
            self.violated(f"Versions: {text}")
        self.trace.note(f"R{host.id}", f"is too old: {text}")
        self.time.after(0, partial(host.crash, power=False))

    def on_removed(self, host: Host, text: str) -> None:
        """A process ends for good: it must not be needed any more."""
        self.trace.note(f"R{host.id}", f"ends: {text}")
        without = [one for one in self.lists.values() if one.number and one.find(host.id) is None]
        if not any(self.is_safe(one) for one in without):
            self.violated(f"Members: replica {host.id} ends, and no epoch without it is safe: {text}")
        host.gone = True
        self.time.after(0, partial(host.crash, power=False))

    def durable(self) -> list[Deps]:
        """What each replica that was ever a member has durably executed, as `places`."""
        disks = [(host.id, host.disk.contents) for host in self.hosts]
        return [
            places(contents.epoch, contents.executed)
            for id, contents in disks
            if was_member(contents, id, self.plan.n)
        ]

    def listed(self) -> int:
        """How many entries the lists of members may have that a process has seen begin."""
        lists = [one for one in self.lists.values() if one.number]
        return _PER_LISTED * sum(1 + len(one.members) for one in lists) if self.plan.spares else 0

    def is_safe(self, membership: Membership) -> bool:
        """Whether the state at the beginning of an epoch is durable at a majority of its members."""
        members = [self.hosts[one.number] for one in membership.members]
        there = sum(host.disk.contents.epoch >= membership.number for host in members)
        return 2 * there > len(members)

    def check_safe(self, membership: Membership, who: str) -> None:
        """Check that the epoch of `membership` is safe, as `who` says."""
        if not self.is_safe(membership):
            self.violated(f"Members: {who} that epoch {membership.number} is safe, and it is not")

    def start(self) -> None:
        """Start every replica that does not run."""
        for host in self.hosts:
            host.start()

    def connect(self, replica: int, call: Callable[[IClients], None], lost: Callable[[], None]) -> bool:
        """See Servers."""
        return self.hosts[replica].connect(call, lost)

    def life(self, replica: int) -> int:
        """See Servers."""
        host = self.hosts[replica]
        return host.life if host.up else 0

    def state(self, replica: int) -> dict[bytes, bytes]:
        """The state of a replica that runs, between two batches."""
        machine = self.hosts[replica].machine
        return {} if machine is None else dict(machine.entries())

    def status(self, replica: int) -> dict[str, Any] | None:
        """The status of a replica, with its digest; None when it is down or cannot tell at once."""
        node = self.hosts[replica].node
        if node is None:
            return None
        found: list[dict[str, Any]] = []
        node.status(digest=True).addCallback(found.append)
        return found[0] if found else None
