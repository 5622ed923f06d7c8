"""What happens at once when a replica becomes suspected: others decide the instances that it left open.

Instances that interfere with an open one of a failed replica cannot run before it is decided, so clients
of every replica wait for it.  Nothing here decides anything: it only asks (Fetch) and starts recoveries,
sooner than `catch_up` would with the next heartbeats.

Source: docs: protocol/failures.
"""

from __future__ import annotations

from epaxos.protocol.coordinators.proposal import Proposals
from epaxos.protocol.coordinators.recovery import Recoveries
from epaxos.protocol.memory.deadlines import Deadlines
from epaxos.protocol.memory.state import ReplicaState
from epaxos.protocol.upkeep.catch_up import RECOVERIES_AT_ONCE, CatchUp
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import FETCH_INSTANCES, Fetch

__all__ = ["Takeover"]


class Takeover:
    """Takes over the open instances of suspected replicas.

    The replica of rank 0 recovers them at once; the k-th after it waits k times `turn_s`.  While it waits it
    asks all others for these instances.  A replica that holds a decision answers with it, and the
    replica of rank 0 hears of instances that only others know.
    """

    def __init__(
        self, state: ReplicaState, proposals: Proposals, recoveries: Recoveries, catch_up: CatchUp
    ) -> None:
        self._state = state
        self._proposals = proposals
        self._recoveries = recoveries
        self._catch_up = catch_up
        self._turns: Deadlines[int] = Deadlines()

    def next_deadline(self) -> float:
        """When `on_time` has to be called at the latest."""
        deadline = self._state.failures.next_deadline()
        turn = self._turns.next()
        return deadline if turn is None else min(deadline, turn)

    def on_time(self) -> None:
        """Take over from replicas that became suspected since the last call, and where the turn has come."""
        failures = self._state.failures
        if failures.newly_suspected:
            for replica in failures.newly_suspected:
                self._proposals.on_suspected(replica)
                self._recoveries.on_suspected(replica)
            failures.newly_suspected.clear()
            # Every suspected row, because the replica that had the first turn there may have failed now.
            for row in filter(failures.suspects, self._state.others):
                self._begin(row)
        for row in self._turns.pop_due(self._state.now):
            if failures.suspects(row):
                self._recover(row)

    def on_fetch(self, sender: int, message: Fetch) -> None:
        """Another replica asks for commits: it may be this replica's turn to recover those instances."""
        failures = self._state.failures
        for row in sorted({id.replica for id in message.ids[:FETCH_INSTANCES]}):
            if failures.suspects(row) and failures.rank(row) == 0:
                self._recover(row)

    def _begin(self, row: int) -> None:
        state = self._state
        rank = state.failures.rank(row)
        if rank == 0:
            self._recover(row)
            return
        self._turns.set(row, state.now + rank * state.timing.turn_s)
        missing = self._open(row, FETCH_INSTANCES)
        if missing:
            for replica in state.others:
                if not state.failures.suspects(replica):
                    state.send(replica, Fetch(tuple(missing)))
        self._catch_up.fetch_at_once(row)

    def _open(self, row: int, limit: int) -> list[InstanceId]:
        """The first `limit` slots of the row that are undecided, as far as is known here."""
        table = self._state.table
        return table.uncommitted(row, self._state.known(row), limit, self._catch_up.claimed(row))

    def _recover(self, row: int) -> None:
        for id in self._open(row, RECOVERIES_AT_ONCE):
            self._recoveries.start(id)
        self._catch_up.fetch_at_once(row)
