"""What keeps a replica going: heartbeats, catching up, forgetting, and noticing stuck rows.

Nothing here decides anything: it only asks (Fetch), starts recoveries, and forgets what every
member has executed.
"""

from __future__ import annotations

from epaxos.protocol.commit import CommitRules
from epaxos.protocol.ids import Deps, InstanceId, no_deps
from epaxos.protocol.messages import Fetch, Heartbeat, Phase
from epaxos.protocol.recovery import RecoveryRules
from epaxos.protocol.state import ReplicaState

__all__ = ["Progress"]

FORGOTTEN_AFTER = 5
"""Where equal answers make the fast path, keys are forgotten so many heartbeats after everybody has executed
them.  From then on each vote names them, and is equal to the proposal only when its leader knows it, too."""
FETCH_INSTANCES = 256
"""So many commits are asked for at a time."""
FETCH_BYTES = 4_000_000
"""About so much is answered at a time."""
RECOVERIES_AT_ONCE = 512
"""So many slots of a row are recovered at a time."""


class _Row:
    """How one row comes along here."""

    __slots__ = ("asked_at", "asked_of", "asked_upto", "known_then", "stalled_at", "watermark")

    def __init__(self) -> None:
        self.watermark = 0
        self.stalled_at = 0.0
        self.known_then = 0
        self.asked_at: float | None = None
        self.asked_upto = 0
        self.asked_of = 0


class Progress:
    """Runs on every heartbeat and looks at every row."""

    def __init__(self, state: ReplicaState, commit: CommitRules, recovery: RecoveryRules) -> None:
        self._state = state
        self._commit = commit
        self._recovery = recovery
        self._rows = [_Row() for _ in range(state.n)]
        self._committed_at = [no_deps(state.n)] * state.n
        self._executed_at = [no_deps(state.n)] * state.n
        self._heartbeat_at: float | None = None
        self._started_upto = 0
        self._floors = (no_deps(state.n),) * FORGOTTEN_AFTER

    def restore(self, executed: Deps, own_upto: int) -> None:
        """After a restart: what is durably executed here, and the own row's slots that may be
        unfinished: nobody else leads them, so they are recovered without delay.

        The floor, restored before, is what every member has executed, whoever is silent now: it
        must not fall, or new proposals would no longer name what was forgotten.
        """
        state = self._state
        self._executed_at = [state.table.floor] * state.n
        self._executed_at[state.id] = executed
        self._started_upto = own_upto

    def executed(self, executed: Deps) -> None:
        """All up to here is durably executed by this replica.  The others are told soon: they, too,
        hold what not every member has executed."""
        self._executed_at[self._state.id] = executed
        if self._heartbeat_at is not None:
            self._heartbeat_at = min(self._heartbeat_at, self._state.now)
        self._forget()

    # -- heartbeats

    def next_deadline(self) -> float:
        return self._heartbeat_at if self._heartbeat_at is not None else 0.0

    def on_time(self) -> None:
        """Send a heartbeat and look after the rows, when it is time."""
        state = self._state
        if self._heartbeat_at is not None and state.now < self._heartbeat_at:
            return
        self._heartbeat_at = state.now + state.timing.heartbeat_s
        state.send_to_others(Heartbeat(state.table.committed, self._executed_at[state.id]))
        self._forget()  # a single replica, which hears none, knows it from a restart
        for row in range(state.n):
            self._look_after(row)
        state.index.forget(self._floors[0])
        self._floors = (*self._floors[1:], state.table.floor)

    def on_heartbeat(self, sender: int, message: Heartbeat) -> None:
        """A replica lives, and tells how far it is."""
        state = self._state
        self._committed_at[sender] = tuple(map(max, self._committed_at[sender], message.committed))
        self._executed_at[sender] = tuple(map(max, self._executed_at[sender], message.executed))
        state.table.hear_of(message.committed)
        self._forget()

    def _forget(self) -> None:
        """What every member has durably executed is dropped, from memory and from disk."""
        state = self._state
        floor = tuple(map(min, *self._executed_at)) if state.n > 1 else self._executed_at[0]
        if floor != state.table.floor:
            state.output.dropped.extend(state.table.forget(floor))
            state.output.floor = floor
            if state.quorums.named:  # answers need not be equal: see FORGOTTEN_AFTER
                state.index.forget(floor)
            for id in state.output.dropped:
                state.output.instances.pop(id, None)
            if state.output.batches:
                state.output.batches = [
                    (id, batch) for id, batch in state.output.batches if not state.table.is_forgotten(id)
                ]

    # -- stuck rows

    def _look_after(self, row: int) -> None:
        """Fetch what others hold, recover what nobody brings to an end."""
        state = self._state
        committed = state.table.committed[row]
        known = state.known(row)
        watch = self._rows[row]
        if committed > watch.watermark or watch.known_then <= committed:
            watch.watermark = committed
            watch.stalled_at = state.now
            watch.known_then = known
        if known <= committed:
            return
        stalled_s = state.now - watch.stalled_at
        if not self._ahead(row):
            watch.asked_at = None
            self._recover(row, stalled_s)
        elif watch.asked_at is None:
            if stalled_s >= 2 * state.timing.heartbeat_s:
                self._fetch(row)
        elif state.now - watch.asked_at >= state.timing.resend_s:
            self._fetch(row)

    def _ahead(self, row: int) -> list[int]:
        """The lively replicas that hold commits of the row that are missing here."""
        state = self._state
        committed = state.table.committed[row]
        return [
            replica
            for replica in state.others
            if self._committed_at[replica][row] > committed and not state.failures.suspects(replica)
        ]

    def _recover(self, row: int, stalled_s: float) -> None:
        state = self._state
        failures = state.failures
        watch = self._rows[row]
        upto = watch.known_then
        if row == state.id and state.table.committed[row] < self._started_upto:
            wait_s, upto = 0.0, max(upto, self._started_upto)
        elif failures.suspects(row):
            wait_s, upto = failures.rank(row) * state.timing.turn_s, state.known(row)
        else:
            wait_s = state.timing.recover_after_s + failures.rank(row) * state.timing.turn_s
        if stalled_s < wait_s:
            return
        for id in state.table.uncommitted(row, upto, RECOVERIES_AT_ONCE):
            if not self._commit.leads(id):
                self._recovery.start(id)

    # -- catching up

    def _fetch(self, row: int) -> None:
        """Ask the next replica that is ahead for the commits that are missing here."""
        state = self._state
        watch = self._rows[row]
        committed = state.table.committed[row]
        ahead = self._ahead(row)
        if not ahead:
            watch.asked_at = None
            return
        peer = next((r for r in ahead if r > watch.asked_of), ahead[0])
        if watch.asked_at is not None and committed >= watch.asked_upto and watch.asked_of in ahead:
            peer = watch.asked_of  # it answers well: stay with it
        missing = state.table.uncommitted(row, self._committed_at[peer][row], FETCH_INSTANCES)
        watch.asked_at = state.now
        watch.asked_of = peer
        watch.asked_upto = missing[-1].slot
        state.send(peer, Fetch(tuple(missing)))

    def on_decided(self, id: InstanceId) -> None:
        """A commit may end a fetch: then the next one starts at once."""
        watch = self._rows[id.replica]
        if watch.asked_at is None:
            return
        committed = self._state.table.committed[id.replica]
        if committed >= watch.asked_upto:
            self._fetch(id.replica)

    def on_fetch(self, sender: int, message: Fetch) -> None:
        """Send the commits that are asked for, as far as they are known here, up to a size.

        What is asked for exists: if nobody holds it any more, everybody has to know that it is to be
        recovered.
        """
        state = self._state
        highest = [0] * state.n
        for row, slot in message.ids[:FETCH_INSTANCES]:
            highest[row] = max(highest[row], slot)
        state.table.hear_of(tuple(highest))
        size = 0
        for id in message.ids[:FETCH_INSTANCES]:
            instance = None if state.table.is_forgotten(id) else state.table.find(id)
            if instance is None or instance.phase is not Phase.COMMITTED or instance.cmd is None:
                continue
            state.answer_commit(sender, instance)
            size += instance.cmd.size_bytes
            if size > FETCH_BYTES:
                break
