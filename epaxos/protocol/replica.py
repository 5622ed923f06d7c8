"""One replica of the protocol: the composition of acceptor, coordinators and upkeep.

The core is asked (`propose`, `read`, `receive`, `tick`, …) and answers with one `Output` when
`take_output` is called; it never calls out.  Its driver may be a service, a simulator or a test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import Any

from epaxos.protocol.acceptor import Acceptor
from epaxos.protocol.coordinators.accept_round import AcceptRounds
from epaxos.protocol.coordinators.proposal import Proposals
from epaxos.protocol.coordinators.reads import ReadRounds
from epaxos.protocol.coordinators.recovery import Recoveries
from epaxos.protocol.memory.deadlines import Deadlines
from epaxos.protocol.memory.slots import SLOTS_RESERVED, OwnSlots
from epaxos.protocol.memory.state import ReplicaState
from epaxos.protocol.upkeep.catch_up import CatchUp
from epaxos.protocol.upkeep.forgetting import Forgetting
from epaxos.protocol.upkeep.heartbeats import Heartbeats
from epaxos.protocol.upkeep.holding import Holding
from epaxos.protocol.upkeep.takeover import Takeover
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import Deps, InstanceId
from epaxos.protocol.values.instance import Instance
from epaxos.protocol.values.messages import (
    NOP,
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

Handler = Callable[[int, Any], object]
"""Handles a message of the replica whose row comes first."""


class _InTurn:
    """Lets several handlers handle each message, one after the other."""

    __slots__ = ("_handlers",)

    def __init__(self, *handlers: Handler) -> None:
        self._handlers = handlers

    def __call__(self, sender: int, message: Any) -> None:
        for handler in self._handlers:
            handler(sender, message)


class Replica:
    """The replica of row `id` in `epoch`.

    `random` decides only how long to back off and where the numbers of reads begin; `timing` only when
    to try again.  Each reservation covers `slots_reserved` slots.  `quorums` are those of `epoch` by
    default.

    `previous`: the core of the epoch before, which had the same members; what it knows of their failures, and
    of how fast they answer, is taken over.

    `table`, `counters`, `endings` (the known instances that may open the next epoch) and `holding` are for
    readers; only the core changes them.
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
        previous: Replica | None = None,
    ) -> None:
        self._state = state = ReplicaState(id, quorums or Quorums.of(epoch), timing, random)
        if previous is not None:
            state.failures, state.latency = previous._state.failures, previous._state.latency
        self.table = state.table
        self.counters = state.counters
        self.endings = state.endings
        deadlines: Deadlines[InstanceId] = Deadlines()
        self._acceptor = acceptor = Acceptor(state)
        self._rounds = AcceptRounds(state, acceptor, deadlines)
        self._proposals = Proposals(state, acceptor, self._rounds, deadlines)
        self._recoveries = Recoveries(state, acceptor, self._proposals, self._rounds)
        self._forgetting = Forgetting(state)
        self.holding = Holding(state, self._forgetting)
        self._catch_up = CatchUp(state, self._proposals, self._recoveries)
        self._heartbeats = Heartbeats(state, self._forgetting, self._catch_up)
        self._takeover = Takeover(state, self._proposals, self._recoveries, self._catch_up)
        self._reads = ReadRounds(state)
        self._slots = OwnSlots(slots_reserved)
        self._unknown_upto = 0
        self._handlers: dict[type, Handler] = {
            PreAccept: acceptor.on_pre_accept,
            PreAcceptOK: self._proposals.on_pre_accept_ok,
            Accept: acceptor.on_accept,
            AcceptOK: self._rounds.on_accept_ok,
            Commit: _InTurn(acceptor.on_commit, self._catch_up.on_commit),
            Recover: acceptor.on_recover,
            RecoverOK: self._recoveries.on_recover_ok,
            Validate: acceptor.on_validate,
            ValidateOK: self._recoveries.on_validate_ok,
            Waiting: self._recoveries.on_waiting,
            Fetch: _InTurn(self._heartbeats.on_fetch, self._catch_up.on_fetch, self._takeover.on_fetch),
            Heartbeat: self._heartbeats.on_heartbeat,
            Read: self._reads.on_read,
            ReadOK: self._reads.on_read_ok,
        }

    # -- life

    def restore(self, *, reserved: int, floor: Deps, executed: Deps, instances: Iterable[Instance]) -> None:
        """Restore what was durable, once, before anything else.

        Slots that were reserved may have been proposed before the crash, even if no record shows it.
        Until they are decided they count as interfering with everything.  Otherwise this replica could
        vote for another instance without naming a forgotten one of its own, and rule 2 of validation relies
        on command leaders that name their own (docs: protocol/restart).
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
                if instance.proposed.successor is not None and instance.cmd is not NOP:
                    state.endings.add(instance.id)
            if instance.phase is Phase.COMMITTED:
                table.on_committed(instance.id)
                state.output.decided.append(instance)
        table.restored(executed)
        highest = [max(row, default=0) for row in table.rows]
        table.hear_of(tuple(highest))
        upto = state.used_upto = max(reserved, highest[state.id])
        self._slots.restore(upto)
        self._forgetting.restore(executed)
        self._catch_up.restore(upto)
        if table.committed[state.id] < upto:
            own = [0] * state.n
            own[state.id] = self._unknown_upto = upto
            table.hear_of(tuple(own))
            state.index.set_unknown(InstanceId(state.id, upto))

    def last_used_slot(self) -> int:
        """The reservation that a clean stop leaves behind; nothing may be proposed afterwards."""
        return self._slots.last_used()

    # -- what a driver asks

    @property
    def can_propose(self) -> bool:
        """Whether a slot is durably reserved; if not, one is when the outputs so far are durable."""
        return self._slots.available

    def propose(self, batch: Batch) -> InstanceId:
        """Replicate `batch`.  Returns the instance, which will be decided as `batch` or as NOP.

        Raises InvariantError when not `can_propose`.
        """
        id = InstanceId(self._state.id, self._slots.take())
        self._state.used_upto = id.slot
        self._proposals.propose(id, batch)
        self._after()
        return id

    def read(self, keys: tuple[bytes, ...]) -> int:
        """Read `keys`, as they are now or later.  Returns the number of the read in `Output.reads`."""
        return self._reads.start(keys)

    def end_read(self, number: int) -> None:
        """Drop the read `number`: nobody waits for it any more."""
        self._reads.end(number)

    def receive(self, sender: int, message: Message) -> None:
        """Handle a message of another replica.

        Raises DoubledError when it shows that this replica must stop, because it has lost its data or
        another process has its id.
        """
        self._state.failures.on_heard(sender)
        self._handle(sender, message)
        self._after()

    def on_connected(self, replica: int) -> None:
        """There is a connection with `replica`, after there was none."""
        self._state.failures.on_connected(replica)

    def on_disconnected(self, replica: int) -> None:
        """All connections with `replica` are lost, and no new one could be made at once."""
        self._state.failures.on_disconnected(replica)
        self._takeover.on_time()
        self._after()

    def tick(self, now: float) -> None:
        """Let the time be `now`, in seconds on a clock that never goes back, and do what is due."""
        state = self._state
        state.now = now
        state.failures.advance(now)
        self._takeover.on_time()
        self._proposals.on_time()
        self._recoveries.on_time()
        self._heartbeats.on_time()
        self._reads.on_time()
        _reserve(self._slots, state.output)
        self._after()

    def stand_still(self, now: float) -> None:
        """Let the time be `now` and do nothing, because this replica's disk does not answer."""
        self._state.now = now
        self._state.failures.advance(now)

    def on_heard(self, sender: int) -> None:
        """`sender` lives: something came from it that is not handed to `receive`."""
        self._state.failures.on_heard(sender)

    def time_out(self, id: InstanceId) -> None:
        """End every wait for `id`, which is not forgotten, whatever the time is.

        This is for a driver that explores what may happen at any time instead of running a clock.
        """
        self._proposals.on_timeout(id)
        self._recoveries.on_timeout(id)
        self._after()

    def on_durable(self, output: Output) -> None:
        """All that `output` and every earlier output wrote is durable: own votes count now."""
        if output.reserved is not None:
            self._slots.on_durable(output.reserved)
        for message in output.own_promises:
            self._handle(self._state.id, message)
        self._after()

    def on_executed(self, executed: Deps) -> None:
        """This replica has durably executed every row up to the slot in `executed`."""
        self._heartbeats.on_executed(executed)

    def take_output(self) -> Output:
        """What the driver has to do now.  The next output starts empty."""
        _reserve(self._slots, self._state.output)
        output = self._state.output
        self._state.output = Output()
        return output

    def next_deadline(self) -> float:
        """When `tick` has to be called at the latest, in seconds on its clock."""
        deadlines = (
            self._proposals.next_deadline(),
            self._recoveries.next_deadline(),
            self._heartbeats.next_deadline(),
            self._takeover.next_deadline(),
            self._reads.next_deadline(),
        )
        return min(deadline for deadline in deadlines if deadline is not None)

    def _handle(self, sender: int, message: Message) -> None:
        state = self._state
        id = getattr(message, "id", None)
        if id is None or not (state.table.is_forgotten(id) or state.is_unused(id)):
            self._handlers[type(message)](sender, message)

    def _after(self) -> None:
        """Tell everything in the core what was decided, which may end recoveries and so decide more."""
        state = self._state
        while state.newly_decided:
            decided, state.newly_decided = state.newly_decided, []
            for id in decided:
                self._proposals.drop(id)
                self._recoveries.on_decided(id)
                self._catch_up.on_decided(id)
            if self._unknown_upto and state.table.committed[state.id] >= self._unknown_upto:
                self._unknown_upto = 0
                state.index.set_unknown(None)

    # -- what others may look at

    @property
    def in_flight(self) -> int:
        """The number of own instances that are proposed and not decided."""
        return len(self._proposals)

    @property
    def recoveries(self) -> int:
        """The number of recoveries that this replica runs."""
        return len(self._recoveries)

    @property
    def catching_up(self) -> bool:
        """Whether commits that others hold are being fetched."""
        return self._catch_up.is_fetching

    @property
    def next_slot(self) -> int:
        """The slot of the next own proposal."""
        return self._slots.next

    def suspects(self, replica: int) -> bool:
        """Whether `replica` is suspected to have failed."""
        return self._state.failures.suspects(replica)


def _reserve(slots: OwnSlots, output: Output) -> None:
    """Write the next reservation with the output, when one is wanted."""
    wanted = slots.wanted()
    if wanted is not None:
        output.reserved = wanted
