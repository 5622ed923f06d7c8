"""What happens at once when a replica becomes suspected: others finish what it has left open.

Instances that interfere with an open one of a failed replica cannot run before that is decided, so
clients of every replica wait for it.  Nothing here decides anything: it only asks (Fetch) and starts
recoveries, sooner than `progress.py` would with the next heartbeats.
"""

from __future__ import annotations

from epaxos.protocol.coordinators.commit import CommitRules
from epaxos.protocol.coordinators.recovery import RecoveryRules
from epaxos.protocol.memory.deadlines import Alarms
from epaxos.protocol.memory.state import ReplicaState
from epaxos.protocol.upkeep.progress import FETCH_INSTANCES, RECOVERIES_AT_ONCE, Progress
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import Fetch

__all__ = ["Takeover"]


class Takeover:
    """The open instances of suspected replicas.

    The replica of rank 0 recovers them at once; the k-th after it waits k times `turn_s`.  Meanwhile these
    ask all others for them: whoever holds a decision answers with it, and the replica of rank 0 hears
    of those that only others know.
    """

    def __init__(
        self, state: ReplicaState, commit: CommitRules, recovery: RecoveryRules, progress: Progress
    ) -> None:
        self._state = state
        self._commit = commit
        self._recovery = recovery
        self._progress = progress
        self._turns: Alarms[int] = Alarms()

    def next_deadline(self) -> float | None:
        """When `on_time` is to be called at the latest."""
        deadline = self._state.failures.next_deadline()
        turn = self._turns.next()
        return deadline if turn is None else min(deadline, turn)

    def on_time(self) -> None:
        """Take over from those that are suspected since the last call, and where the turn has come."""
        failures = self._state.failures
        if failures.newly_suspected:
            for replica in failures.newly_suspected:
                self._commit.on_suspected(replica)
                self._recovery.on_suspected(replica)
            failures.newly_suspected.clear()
            # Also of those that were suspected before: who had the first turn there may have failed now.
            for row in filter(failures.suspects, self._state.others):
                self._begin(row)
        for row in self._turns.pop_due(self._state.now):
            if failures.suspects(row):
                self._recover(row)

    def on_fetch(self, sender: int, message: Fetch) -> None:
        """Another replica asks for commits; what was not heard of before may be this replica's to recover."""
        self._progress.on_fetch(sender, message)
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
        self._progress.fetch_at_once(row)

    def _open(self, row: int, limit: int) -> list[InstanceId]:
        """What is undecided, as far as is known here; the first `limit` slots."""
        table = self._state.table
        return table.uncommitted(row, self._state.known(row), limit, self._progress.claimed(row))

    def _recover(self, row: int) -> None:
        for id in self._open(row, RECOVERIES_AT_ONCE):
            self._recovery.start(id)
        self._progress.fetch_at_once(row)
