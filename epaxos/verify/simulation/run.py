"""Carries out one plan and judges the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from zope.interface import implementer

from epaxos.statemachines.due_keys import RANK_S
from epaxos.verify.judges import model, transactions
from epaxos.verify.judges.expiry import ExpiryJudge
from epaxos.verify.judges.fences import FenceJudge
from epaxos.verify.judges.history import History
from epaxos.verify.judges.invariants import Invariants
from epaxos.verify.judges.linearizability import Model, Verdict, judge
from epaxos.verify.judges.once import OnceJudge
from epaxos.verify.judges.program_order import ProgramOrderJudge
from epaxos.verify.simulation.clients import Client, commands_of
from epaxos.verify.simulation.clock import SECOND, VirtualTime
from epaxos.verify.simulation.cluster import Cluster
from epaxos.verify.simulation.components import Components
from epaxos.verify.simulation.expiry_clients import ExpiryClient
from epaxos.verify.simulation.faults.fault import FaultKind
from epaxos.verify.simulation.faults.faults import Faults
from epaxos.verify.simulation.members import was_member
from epaxos.verify.simulation.once_clients import OnceClient
from epaxos.verify.simulation.plan import Plan
from epaxos.verify.simulation.publishers import Publisher
from epaxos.verify.simulation.stream_clients import KEYS, Looker, StreamClient
from epaxos.verify.simulation.survivors import choices, judge_survivors
from epaxos.verify.simulation.transaction_clients import Lives, TransactionClient
from epaxos.verify.trace import Trace

__all__ = ["Result", "simulate"]

_CALM_TIMES = 10
"""After the faults end, the cluster must come to rest within this many times the sum of all timeouts."""
JUDGE_STEPS_MAX = 200_000
_HEARTBEATS_A_LOOK = 4
"""Heartbeats between two looks at whether an awaited condition holds."""
_BOUNDS_LOOKS = 2
"""How often all tables of all replicas are counted while faults go on.  They are counted at rest, too."""
NEWER_ENTRIES = 4
"""The entries of the key of the newer commands, and of what says the version in the log, about."""
ONCE_ENTRIES = 32
"""The entries of a session, about: itself, and the replies that its client has not acknowledged."""
TRANSACTION_ENTRIES = 400
"""The entries of the keys, marks and scripts of a client of transactions, about."""
DUE_S = 10.0
"""Due keys that nobody touches are removed within this time, and that of the ranks of the members."""
EXPIRY_ENTRIES = 32
"""The entries of the keys with deadlines that a client of these uses, and of their index, about."""
_EVENTS_MAX = 500_000
_PROFILES_OF_EPOCHS = ("turns", "sleepers")


@dataclass
class Result:
    """The result of a run.  `violations`: the rules that were broken, in order of time."""

    plan: Plan
    violations: list[str] = field(default_factory=list)
    undecided: bool = False
    digest: str = ""
    operations: int = 0
    answered: int = 0
    messages: int = 0
    events: int = 0
    seconds: float = 0.0
    instances: int = 0
    counters: dict[str, int] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether a rule was broken."""
        return bool(self.violations)


def simulate(
    plan: Plan,
    trace: bool = False,
    show: Callable[[str], None] | None = None,
    components: Components | None = None,
) -> Result:
    """Carry out the plan.  With `trace` the result has the digest of all events, and `show` gets one line for
    each event."""
    run = _Run(plan, trace, show, components or Components())
    tracebacks = _Tracebacks(run.violated)
    globalLogPublisher.addObserver(tracebacks)
    try:
        run.carry_out()
    finally:
        globalLogPublisher.removeObserver(tracebacks)
    return run.result()


@implementer(ILogObserver)
class _Tracebacks:
    """Watches the log of the replicas: each traceback is a violation."""

    def __init__(self, violated: Callable[[str], None]) -> None:
        self._violated = violated

    def __call__(self, event: LogEvent) -> None:
        """See ILogObserver."""
        if "log_failure" in event:
            self._violated(f"{formatEvent(event)}\n{event['log_failure'].getTraceback()}")


class _Run:
    """One run: its clock, cluster, faults, clients and judges."""

    def __init__(
        self, plan: Plan, trace: bool, show: Callable[[str], None] | None, components: Components
    ) -> None:
        self._plan = plan
        self._subject = components.subject
        self._violations: list[str] = []
        self._undecided = False
        self._time = VirtualTime()
        self._trace = Trace(lambda: self._time.now, trace, show)
        self._history = History()
        self._invariants = Invariants(
            plan.n, self.violated, self._history.run, lambda: self._cluster.durable(), plan.n + plan.spares
        )
        self._cluster = Cluster(plan, self._time, self._trace, self._invariants, self.violated, components)
        self._faults = Faults(self._cluster)
        self._clients = [self._client(number) for number in plan.workload.clients]
        program_order = ProgramOrderJudge(KEYS, self.violated)
        self._streams = [self._stream_client(number) for number in range(plan.workload.streams)]
        self._lookers = [self._looker(number, program_order) for number in range(plan.workload.streams)]
        self._publishers = [
            Publisher(number, plan.workload, plan.seed, self._time, self._cluster)
            for number in range(plan.workload.publishers)
        ]
        self._once_judge = OnceJudge(self.violated)
        self._expiry_judge = ExpiryJudge(round(plan.skews.error_max_s * SECOND))
        self._expiring = [self._expiry_client(number) for number in range(plan.workload.expiring)]
        self._once = [self._once_client(number) for number in range(plan.workload.once)]
        self._transactions = History()
        fences, lives = FenceJudge(self.violated), Lives()
        self._transacting = [
            TransactionClient(
                number, plan.workload, plan.seed, self._time, self._cluster, self._transactions, fences,
                lives, self._trace, self.violated,
            )
            for number in range(plan.workload.transacting)
        ]  # fmt: skip

    def _client(self, number: int, script: Sequence[tuple[bytes, ...]] = ()) -> Client:
        return Client(
            number, self._plan.workload, self._plan.seed, self._time,
            self._cluster, self._history, self._trace, self.violated, script,
            commands_of if self._subject is None else self._subject.commands_of,
        )  # fmt: skip

    def _once_client(self, number: int) -> OnceClient:
        return OnceClient(
            number, self._plan.workload, self._plan.seed, self._time,
            self._cluster, self._once_judge, self._trace, self.violated,
        )  # fmt: skip

    def _expiry_client(self, number: int) -> ExpiryClient:
        return ExpiryClient(
            number, self._plan.workload, self._plan.seed, self._time, self._cluster, self._expiry_judge,
            self._trace, self.violated, self._is_trusted,
        )  # fmt: skip

    def _is_trusted(self, replica: int) -> bool:
        """Whether a process runs there whose clock is to be trusted."""
        host = self._cluster.hosts[replica]
        return host.up and host.cluster_clock is not None and host.cluster_clock.is_trusted

    def _stream_client(self, number: int) -> StreamClient:
        return StreamClient(
            number, self._plan.workload, self._plan.seed, self._time, self._cluster, self._trace
        )

    def _looker(self, number: int, judge: ProgramOrderJudge) -> Looker:
        return Looker(
            number,
            self._plan.workload,
            self._plan.seed,
            self._time,
            self._cluster,
            lambda: self._streams,
            judge,
        )

    def _others(
        self,
    ) -> Sequence[OnceClient | ExpiryClient | StreamClient | Looker | TransactionClient | Publisher]:
        return [
            *self._once,
            *self._expiring,
            *self._streams,
            *self._lookers,
            *self._transacting,
            *self._publishers,
        ]

    def violated(self, text: str) -> None:
        """A rule was broken; the run ends.  The text says which rule and how."""
        self._trace.note("VIOLATION", text)
        self._violations.append(text)
        self._time.stop()

    # -- the course of a run

    def carry_out(self) -> None:
        """Run the faults, wait for the clients, read every key, wait until the cluster is at rest, judge."""
        self._cluster.start()
        for look in range(1, _BOUNDS_LOOKS + 1):
            self._advance(self._plan.active_us * look // _BOUNDS_LOOKS)
            self._check_bounds()
        self._judge_survivors()
        self._faults.end_all()
        for client in (*self._clients, *self._others()):
            client.come_to_an_end()
        calm_until = self._plan.active_us + self._calm_us()
        self._await("the clients are not done", self._clients_done, calm_until)
        readers = self._read_everything()
        self._await("the last reads are not answered", lambda: all(r.finished for r in readers), calm_until)
        due_until = max(calm_until, self._time.now + self._due_us())
        self._await("keys that are due are not removed", self._none_is_due, due_until)
        self._await("the cluster is not at rest", self._at_rest, due_until + self._calm_us())
        self._check_bounds()
        for replica in self._well() if self._once and not self._violations else ():
            self._once_judge.judge(replica, self._cluster.state(replica))
        if not self._violations:
            self._judge_history()

    def _advance(self, until: int) -> None:
        self._time.run(until, _EVENTS_MAX)
        if self._time.happened >= _EVENTS_MAX:
            self.violated(f"more than {_EVENTS_MAX} events: something never comes to an end")

    def _calm_us(self) -> int:
        timing, batching = self._plan.timing, self._plan.batching
        waits_s = timing.suspect_after_s + timing.backoff_max_s + batching.request_timeout_s
        return _CALM_TIMES * (round(waits_s * SECOND) + self._plan.workload.patience_us)

    def _await(self, complaint: str, done: Callable[[], str | bool], until: int) -> None:
        """Let time pass until `done()` is True; otherwise it returns False, or a text that says what is
        missing."""
        look_every = round(_HEARTBEATS_A_LOOK * self._plan.timing.heartbeat_s * SECOND)
        while not self._violations and done() is not True:
            if self._time.now >= until:
                missing = done()
                after = f"{(self._time.now - self._plan.active_us) / SECOND:g} s after the faults"
                self.violated(f"Liveness: {complaint} {after}{': ' * bool(missing)}{missing or ''}")
                return
            self._advance(min(until, self._time.now + look_every))

    def _due_us(self) -> int:
        """The time after which no key may be there any more that nobody has touched."""
        lives_s = max(self._plan.workload.lives_ms) / 1000 + 2 * self._plan.skews.error_max_s
        return round((lives_s + DUE_S + RANK_S * self._plan.n) * SECOND)

    def _none_is_due(self) -> bool | str:
        lonely = [key for client in self._expiring for key in client.lonely]
        machines = [self._cluster.hosts[replica].machine for replica in self._well()] if lonely else []
        left = {
            key for machine in machines if machine is not None for key in lonely
            if machine.inside.read([(b"EXISTS", key)])[0] != 0
        }  # fmt: skip
        return not left or f"{sorted(left)}"

    def _clients_done(self) -> bool | str:
        waiting = [str(op) for client in self._clients for op in client.waiting]
        waiting += [str(client) for client in self._others() if not client.finished]
        finished = [client.finished for client in (*self._clients, *self._others())]
        return all(finished) or "\n".join(waiting)

    def _read_everything(self) -> list[Client]:
        """At every replica without a lasting fault, a last client reads every key that was ever named.
        Left out with a state machine that is not ours, because nobody knows which command reads a key."""
        keys = sorted(self._keys()) if self._subject is None else []
        readers = []
        for replica in self._well() if keys and not self._violations else ():
            script = [(b"GET", key) for key in keys]
            reader = self._client(1000 + replica, script)
            reader.submit(script, replica)
            readers.append(reader)
        return readers

    def _keys(self) -> set[bytes]:
        """All keys that clients named."""
        keys_of = model.keys_of if self._subject is None else self._subject.keys_of
        return {key for operation in self._history.operations for key in keys_of(operation.command) or ()}

    def _check_bounds(self) -> None:
        if not self._violations:
            keys = len(self._keys()) + ONCE_ENTRIES * sum(client.begun + 1 for client in self._once)
            keys += EXPIRY_ENTRIES * len(self._expiring)
            keys += TRANSACTION_ENTRIES * len(self._transacting)
            keys += NEWER_ENTRIES * any(fault.kind is FaultKind.NEWER for fault in self._plan.faults)
            keys += KEYS * sum(len(client.connections) for client in self._streams)
            for host in self._cluster.hosts:
                host.check_bounds(keys)

    # -- rest

    def _well(self) -> list[int]:
        """The members without a lasting fault."""
        return [replica for replica in self._cluster.members() if replica not in self._faults.ill]

    def _at_rest(self) -> bool | str:
        """Whether everything is executed everywhere and forgotten.  When members have lasting faults: whether
        all others have decided and executed everything, which they have to keep for those members, as far as
        the next epoch does not free them of it."""
        well = self._well()
        all_well = len(well) == len(self._cluster.members())
        names = ["instances_waiting", "recoveries", "instances_in_flight"]
        if all_well:
            names.append("instances_held")
        inside = {*self._cluster.members(), *self._faults.ill}
        for host in self._cluster.hosts:
            known = was_member(host.disk.contents, host.id, self._plan.n)
            if host.up and host.id not in inside and known:
                return f"replica {host.id} is not a member any more, and does not know it"
        first = self._cluster.status(well[0])
        for replica in well:
            status = self._cluster.status(replica)
            if status is None or first is None:
                return f"replica {replica} is down or busy"
            counters = status["counters"]
            for name in names:
                if counters[name]:
                    return f"replica {replica} has {name} = {counters[name]}: {status}"
            if status["epoch"]["number"] != first["epoch"]["number"]:
                return f"replica {replica} is in epoch {status['epoch']}, and {well[0]} in {first['epoch']}"
            if status["epoch"]["number"] and counters["instances_held"] > self._plan.bound.instances:
                return f"replica {replica} holds more than {self._plan.bound.instances} instances: {status}"
            if all_well and not status["epoch"]["settled"]:
                return f"replica {replica} does not know that every member is in epoch {status['epoch']}"
            for name in ("executed", "committed", "digest"):
                if status[name] != first[name]:
                    return f"{name} is {status[name]} at {replica}, but {first[name]} at {well[0]}"
            left = self._left_on_disk(replica)
            if left:
                return left
        return True

    def _left_on_disk(self, replica: int) -> str:
        """Which records are on the disk of a replica although nobody needs them; empty when there are
        none."""
        disk = self._cluster.hosts[replica].disk
        disk.sync()
        held = {*disk.contents.records, *disk.contents.batches}
        if disk.contents.closed and not self._faults.ill.intersection(self._cluster.members()):
            return f"the disk of {replica} holds {disk.contents.closed}, of epochs that have ended"
        if len(disk.contents.closed) > 1:
            return f"the disk of {replica} holds {sorted(disk.contents.closed)}: at most one is needed"
        if self._faults.ill.intersection(self._cluster.members()):
            held = {id for id in held if id.slot <= disk.contents.floor[id.replica]}
        return f"the disk of {replica} holds {sorted(held)[:20]}" if held else ""

    # -- the verdict

    def _judge_survivors(self) -> None:
        """In the profiles whose epochs end: see `survivors`."""
        if self._plan.profile not in _PROFILES_OF_EPOCHS or self._subject is not None:
            return
        present = [host.id for host in self._cluster.hosts if not host.dead]
        for survivors in choices(self._plan.seed, self._plan.n, present):
            if not self._violations:
                wrong = judge_survivors(
                    survivors, self._cluster, self._history, self._keys(), self._calm_us(), JUDGE_STEPS_MAX
                )
                if wrong:
                    self.violated(wrong)

    def _judge_history(self) -> None:
        meaning: Model | None = model if self._subject is None else self._subject.model
        if meaning is None:
            return  # nobody knows what the commands mean
        for history, means in ((self._history, meaning), (self._transactions, transactions)):
            judgement = judge(history.operations, JUDGE_STEPS_MAX, means)
            if judgement.verdict is Verdict.NOT_LINEARIZABLE:
                self.violated(f"Linearizability: {judgement.explanation}")
            self._undecided = self._undecided or judgement.verdict is Verdict.UNDECIDED
        wrong, undecided = self._expiry_judge.judge(JUDGE_STEPS_MAX)
        self._undecided = self._undecided or undecided
        if wrong:
            self.violated(wrong)

    def result(self) -> Result:
        """The result of the run."""
        counters: dict[str, int] = {}
        for replica in range(self._cluster.n):
            status: dict[str, Any] = self._cluster.status(replica) or {"counters": {}}
            for name, count in status["counters"].items():
                counters[name] = counters.get(name, 0) + count
        operations = [*self._history.operations, *self._transactions.operations]
        return Result(
            plan=self._plan,
            violations=self._violations,
            undecided=self._undecided,
            digest=self._trace.digest if self._trace.on else "",
            operations=len(operations),
            answered=sum(operation.outcome.value == "answered" for operation in operations),
            messages=self._cluster.network.sent,
            events=self._time.happened,
            seconds=self._time.now / SECOND,
            instances=len(self._invariants.decisions),
            counters=counters,
        )
