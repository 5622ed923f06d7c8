"""One replica of the protocol: the composition of commit, recovery and progress.

The core is asked (`propose`, `read`, `receive`, `tick`, `durable`) and answers with one `Output` when
`take_output` is called; it never calls out.  Who drives it may be a service, a simulator or a test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import Any

from epaxos.protocol.coordinators.commit import CommitRules
from epaxos.protocol.coordinators.reads import ReadRules
from epaxos.protocol.coordinators.recovery import RecoveryRules
from epaxos.protocol.memory.slots import SLOTS_RESERVED, OwnSlots
from epaxos.protocol.memory.state import Counters, ReplicaState
from epaxos.protocol.memory.table import InstanceTable
from epaxos.protocol.upkeep.progress import Progress
from epaxos.protocol.upkeep.takeover import Takeover
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import Deps, InstanceId
from epaxos.protocol.values.instance import Instance
from epaxos.protocol.values.messages import (
    Accept,
    AcceptOK,
    Batch,
    Commit,
    Fetch,
    Heartbeat,
    Message,
    Phase,
    PreAccept,
    PreAcceptOK,
    Read,
    ReadOK,
    Recover,
    RecoverOK,
    Validate,
    ValidateOK,
    Waiting,
)
from epaxos.protocol.values.output import Output
from epaxos.protocol.values.quorums import Quorums
from epaxos.protocol.values.timing import Timing

__all__ = ["Replica"]


class Replica:
    """The replica of row `id` in `epoch`.

    `random` decides only how long to back off; `timing` only when to try again; `slots_reserved` how
    many slots are reserved at a time.  `quorums`: those of `epoch` by default.
    """

    def __init__(
        self,
        id: int,
        epoch: Epoch,
        *,
        timing: Timing,
        random: Random,
        slots_reserved: int = SLOTS_RESERVED,
        quorums: Quorums | None = None,
    ) -> None:
        self._state = state = ReplicaState(id, quorums or Quorums.of(epoch), timing, random)
        self._commit = CommitRules(state)
        self._recovery = RecoveryRules(state, self._commit)
        self._progress = Progress(state, self._commit, self._recovery)
        self._takeover = Takeover(state, self._commit, self._recovery, self._progress)
        self._reads = ReadRules(state)
        self._slots = OwnSlots(slots_reserved)
        self._unknown_upto = 0
        self._handlers: dict[type, Callable[[int, Any], object]] = {
            PreAccept: self._commit.on_pre_accept,
            PreAcceptOK: self._commit.on_pre_accept_ok,
            Accept: self._commit.on_accept,
            AcceptOK: self._commit.on_accept_ok,
            Commit: self._on_commit,
            Recover: self._recovery.on_recover,
            RecoverOK: self._recovery.on_recover_ok,
            Validate: self._recovery.on_validate,
            ValidateOK: self._recovery.on_validate_ok,
            Waiting: self._recovery.on_waiting,
            Fetch: self._takeover.on_fetch,
            Heartbeat: self._progress.on_heartbeat,
            Read: self._reads.on_read,
            ReadOK: self._reads.on_read_ok,
        }

    # -- life

    def restore(self, *, reserved: int, floor: Deps, executed: Deps, instances: Iterable[Instance]) -> None:
        """Take up from what was durable, once, before anything else.

        Slots that were reserved and of which nothing is known may have been proposed before the
        crash.  Until they are decided they count as interfering with everything: a replica that
        forgot an instance of its own would otherwise vote for others without naming it, and rule 2
        of validation relies on that no command leader does (docs: protocol/restart).
        """
        state = self._state
        table = state.table
        table.restore(floor, executed)
        state.index.restore(floor)
        for instance in sorted(instances, key=lambda instance: instance.id):
            table.rows[instance.id.replica][instance.id.slot] = instance
            table.hear_of(instance.deps)
            if instance.proposed is not None:
                state.index.add(instance.id, instance.proposed)
            if instance.phase is Phase.COMMITTED:
                table.on_committed(instance.id)
                state.output.decided.append(instance)
        highest = [max(row, default=0) for row in table.rows]
        table.hear_of(tuple(highest))
        upto = state.used_upto = max(reserved, highest[state.id])
        self._slots.restore(upto)
        self._progress.restore(executed, upto)
        if table.committed[state.id] < upto:
            own = [0] * state.n
            own[state.id] = self._unknown_upto = upto
            table.hear_of(tuple(own))
            state.index.set_unknown(InstanceId(state.id, upto))

    def last_used_slot(self) -> int:
        """For a clean stop, after which nothing is proposed: the reservation to leave behind."""
        return self._slots.last_used()

    # -- what a driver asks

    @property
    def can_propose(self) -> bool:
        """Whether a slot is reserved; if not, one is as soon as the outputs so far are durable."""
        return self._slots.available

    def propose(self, batch: Batch) -> InstanceId:
        """Replicate `batch`; only while `can_propose`.  The instance that will carry it, or NOP."""
        id = InstanceId(self._state.id, self._slots.take())
        self._state.used_upto = id.slot
        self._commit.propose(id, batch)
        self._after()
        return id

    def read(self, keys: tuple[bytes, ...]) -> int:
        """Read `keys` as they are now or later; the number under which `Output.reads` says when."""
        return self._reads.start(keys)

    def end_read(self, number: int) -> None:
        """Nobody waits for this read any more."""
        self._reads.end(number)

    def receive(self, sender: int, message: Message) -> None:
        """A message of another replica.

        Raises DoubledError when it shows that this replica must stop: it lost its data, or is doubled.
        """
        self._state.failures.heard(sender)
        self._handle(sender, message)
        self._after()

    def connected(self, replica: int) -> None:
        """There is a connection with `replica`, after there was none."""
        self._state.failures.connected(replica)

    def disconnected(self, replica: int) -> None:
        """All connections with `replica` were lost, and no new one could be made at once."""
        self._state.failures.disconnected(replica)
        self._takeover.on_time()
        self._after()

    def tick(self, now: float) -> None:
        """The time is `now` (seconds on a clock that never goes back)."""
        state = self._state
        state.now = now
        state.failures.advance(now)
        self._takeover.on_time()
        self._commit.on_time()
        self._recovery.on_time()
        self._progress.on_time()
        self._reads.on_time()
        self._reserve()
        self._after()

    def stand_still(self, now: float) -> None:
        """The time is `now`, and nothing is done for it: this replica's disk does not answer."""
        self._state.now = now
        self._state.failures.advance(now)

    def hear(self, sender: int) -> None:
        """`sender` lives, whatever it said."""
        self._state.failures.heard(sender)

    def time_out(self, id: InstanceId) -> None:
        """Every wait for `id`, which is not forgotten, is over now, whatever the time is.

        For a driver that lets happen what may happen, at any time, instead of running a clock.
        """
        self._commit.on_timeout(id)
        self._recovery.on_timeout(id)
        self._after()

    def durable(self, output: Output) -> None:
        """All that `output` and every earlier one wrote is durable: own votes count now."""
        if output.reserved is not None:
            self._slots.on_durable(output.reserved)
        for message in output.own_promises:
            self._handle(self._state.id, message)
        self._after()

    def executed(self, executed: Deps) -> None:
        """Per row, everything up to here is durably executed by this replica."""
        self._progress.executed(executed)

    def take_output(self) -> Output:
        """What to do now; the next output starts empty."""
        self._reserve()
        output = self._state.output
        self._state.output = Output()
        return output

    def next_deadline(self) -> float:
        """When `tick` wants to be called at the latest."""
        deadlines = (
            self._commit.next_deadline(),
            self._recovery.next_deadline(),
            self._progress.next_deadline(),
            self._takeover.next_deadline(),
            self._reads.next_deadline(),
        )
        return min(deadline for deadline in deadlines if deadline is not None)

    def _handle(self, sender: int, message: Message) -> None:
        state = self._state
        id = getattr(message, "id", None)
        if id is None or not (state.table.is_forgotten(id) or state.is_unused(id)):
            self._handlers[type(message)](sender, message)

    def _on_commit(self, sender: int, message: Commit) -> None:
        self._commit.on_commit(sender, message)
        self._progress.on_commit(sender, message)

    def _after(self) -> None:
        """Decisions may end recoveries, and thereby lead to others."""
        state = self._state
        while state.newly_decided:
            decided, state.newly_decided = state.newly_decided, []
            for id in decided:
                self._recovery.on_decided(id)
                self._progress.on_decided(id)
            if self._unknown_upto and state.table.committed[state.id] >= self._unknown_upto:
                self._unknown_upto = 0
                state.index.set_unknown(None)

    def _reserve(self) -> None:
        wanted = self._slots.wanted()
        if wanted is not None:
            self._state.output.reserved = wanted

    # -- what others may look at

    @property
    def table(self) -> InstanceTable:
        """The known instances; read only."""
        return self._state.table

    @property
    def counters(self) -> Counters:
        return self._state.counters

    @property
    def in_flight(self) -> int:
        """Own instances that are proposed and not decided."""
        return self._commit.in_flight

    @property
    def recoveries(self) -> int:
        """Recoveries that go on here."""
        return len(self._recovery)

    @property
    def catching_up(self) -> bool:
        """Whether commits that others hold are being fetched."""
        return self._progress.catching_up

    @property
    def next_slot(self) -> int:
        return self._slots.next

    def suspects(self, replica: int) -> bool:
        """Whether `replica` is thought to have failed."""
        return self._state.failures.suspects(replica)
