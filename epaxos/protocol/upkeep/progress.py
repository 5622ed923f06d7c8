"""What keeps a replica going: heartbeats, catching up, forgetting, and noticing stuck rows.

Nothing here decides anything: it only asks (Fetch), starts recoveries, and forgets what every
member has executed (docs: protocol/catching-up, protocol/forgetting).
"""

from __future__ import annotations

from epaxos.protocol.coordinators.commit import CommitRules
from epaxos.protocol.coordinators.recovery import RecoveryRules
from epaxos.protocol.memory.state import DoubledError, ReplicaState
from epaxos.protocol.values.ids import Deps, InstanceId, no_deps
from epaxos.protocol.values.messages import Commit, Fetch, Heartbeat, Phase

__all__ = ["Progress"]

FORGOTTEN_AFTER = 5
"""Where equal answers make the fast path, keys are forgotten so many heartbeats after everybody has executed
them.  From then on each vote names them, and is equal to the proposal only when its leader knows it, too."""
FETCH_INSTANCES = 256
"""So many commits are asked for at a time."""
FETCH_BYTES = 4_000_000
"""An answer ends with the commit that takes it beyond this size.  Asker and answerer count alike, so
the asker knows when an answer that was cut is whole."""
RECOVERIES_AT_ONCE = 512
"""So many slots of a row are recovered at a time."""
RECOVERIES_OF_CLAIMED = 64
"""Of those slots that another replica claims to hold, so many are recovered in each heartbeat: one that
can answer after all answers each with the whole batch."""
FORGOTTEN_AT_ONCE = 1000
"""So many slots are forgotten in a turn, which takes about 3 ms with what the store does for it."""
ASK_AGAIN_S = 0.05
"""A replica that starts asks the others how far they are, and again after this time, then after twice as
long every time, until the heartbeats would tell it as soon."""


class _Row:
    """How one row comes along here.

    `asked_of`, `asked_upto`: the last Fetch; `asked_at`: when it was sent, or last answered, None when
    nothing is being fetched;
    `awaited`: the slots of it that have not been answered, `answered_bytes` the size of the others.
    `in_vain`: fetching has taken too long, so the row is recovered, until a Fetch is answered.
    """

    __slots__ = (
        "answered_bytes",
        "asked_at",
        "asked_of",
        "asked_upto",
        "awaited",
        "in_vain",
        "known_then",
        "stalled_at",
        "watermark",
    )

    def __init__(self) -> None:
        self.watermark = 0
        self.stalled_at = 0.0
        self.known_then = 0
        self.asked_at: float | None = None
        self.asked_upto = 0
        self.asked_of = 0
        self.awaited: set[int] = set()
        self.answered_bytes = 0
        self.in_vain = False

    def end_fetch(self) -> None:
        """Nothing is being fetched."""
        self.asked_at = None
        self.awaited = set()
        self.in_vain = False


class Progress:
    """Runs on every heartbeat and looks at every row."""

    def __init__(self, state: ReplicaState, commit: CommitRules, recovery: RecoveryRules) -> None:
        self._state = state
        self._commit = commit
        self._recovery = recovery
        self._rows = [_Row() for _ in range(state.n)]
        self._committed_at = [no_deps(state.epoch)] * state.n
        self._executed_at = [no_deps(state.epoch)] * state.n
        self._heartbeat_at: float | None = None
        self._started_upto = 0
        self._floors = (no_deps(state.epoch),) * FORGOTTEN_AFTER
        self._forget_left = FORGOTTEN_AT_ONCE
        self._forgets_more = False
        self._unheard = set(state.others)
        self._ask_at: float | None = None
        self._ask_after_s = ASK_AGAIN_S

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
        if self._heartbeat_at is None:
            return 0.0
        if self._forgets_more:
            return self._state.now
        return self._heartbeat_at if self._ask_at is None else min(self._heartbeat_at, self._ask_at)

    def on_time(self) -> None:
        """Send a heartbeat and look after the rows, when it is time; forget a part of what is to be
        forgotten; ask the others how far they are, after a start."""
        state = self._state
        self._forget_left = FORGOTTEN_AT_ONCE
        if self._forgets_more:
            self._forget()
        if self._heartbeat_at is None:
            self._ask_at = state.now
        if self._ask_at is not None and state.now >= self._ask_at:
            self._ask_how_far()
        if self._heartbeat_at is not None and state.now < self._heartbeat_at:
            return
        self._heartbeat_at = state.now + state.timing.heartbeat_s
        state.send_to_others(self._heartbeat())
        self._forget()  # a single replica, which hears none, knows it from a restart
        for row in range(state.n):
            self._look_after(row)
        state.index.forget(self._floors[0])
        self._floors = (*self._floors[1:], state.table.floor)

    def _heartbeat(self) -> Heartbeat:
        state = self._state
        return Heartbeat(state.table.committed, self._executed_at[state.id])

    def _ask_how_far(self) -> None:
        """A Fetch of nothing is answered with a Heartbeat.  So a replica that was down begins to catch
        up as soon as it is connected, whatever `heartbeat_s` is."""
        state = self._state
        self._ask_at = None
        if not self._unheard or self._ask_after_s >= state.timing.heartbeat_s:
            return
        for replica in sorted(self._unheard):
            state.send(replica, Fetch(()))
        self._ask_at = state.now + self._ask_after_s
        self._ask_after_s *= 2

    def on_heartbeat(self, sender: int, message: Heartbeat) -> None:
        """A replica lives, and tells how far it is.

        Raises DoubledError when it holds instances of this replica that this replica never proposed.
        """
        state = self._state
        claimed = max(message.committed[state.id], message.executed[state.id])
        if claimed > state.used_upto:
            raise DoubledError(
                f"replica {sender} holds slot {claimed} of the row of replica {state.id}, which has used"
                f" {state.used_upto}: its data was lost or replaced, or another process has its id"
            )
        self._committed_at[sender] = tuple(map(max, self._committed_at[sender], message.committed))
        self._executed_at[sender] = tuple(map(max, self._executed_at[sender], message.executed))
        state.table.hear_of(message.committed)
        self._forget()
        if sender in self._unheard:
            self._unheard.discard(sender)
            for row in range(state.n):
                if self._rows[row].asked_at is None and message.committed[row] > state.table.committed[row]:
                    self._fetch(row)

    def _forget(self) -> None:
        """What every member has durably executed is dropped, from memory and from disk; of a floor
        that rises by much, a part in each turn."""
        state = self._state
        wanted = tuple(map(min, *self._executed_at)) if state.n > 1 else self._executed_at[0]
        old = state.table.floor
        floor = list(old)
        for row in range(state.n):
            step = min(wanted[row] - old[row], self._forget_left)
            self._forget_left -= step
            floor[row] += step
        risen = tuple(floor)
        self._forgets_more = risen != wanted
        if risen == old:
            return
        dropped = state.table.forget(risen)
        state.output.dropped.extend(dropped)
        state.output.floor = risen
        if state.quorums.named:  # answers need not be equal: see FORGOTTEN_AFTER
            state.index.forget(risen)
        for id in dropped:
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
            watch.end_fetch()
            return
        stalled_s = state.now - watch.stalled_at
        ahead = self._ahead(row)
        if not ahead:
            watch.end_fetch()
            self._recover(row, stalled_s)
            return
        if watch.asked_at is None:
            if stalled_s >= 2 * state.timing.heartbeat_s or state.failures.suspects(row):
                self._fetch(row)
        elif state.now - watch.asked_at >= state.timing.resend_s:
            self._fetch(row)
        if stalled_s >= self._fetch_time_s(row, len(ahead)):
            watch.in_vain = True
        if watch.in_vain:
            self._start_recoveries(row, state.known(row), RECOVERIES_OF_CLAIMED)

    def _fetch_time_s(self, row: int, ahead: int) -> float:
        """How long a row may stand still while others claim to be ahead: each of them was asked then,
        and one of them twice.  Longer for each rank, so that replicas take turns in recovering."""
        timing = self._state.timing
        turns_s = self._state.failures.rank(row) * timing.turn_s
        return 2 * timing.heartbeat_s + (ahead + 1) * timing.resend_s + turns_s

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
            stalled_s = min(stalled_s, state.now - failures.suspected_at(row))
        else:
            wait_s = state.timing.recover_after_s + failures.rank(row) * state.timing.turn_s
        if stalled_s < wait_s:
            return
        self._start_recoveries(row, upto, RECOVERIES_AT_ONCE)

    def _start_recoveries(self, row: int, upto: int, limit: int) -> None:
        for id in self._state.table.uncommitted(row, upto, limit):
            if not self._commit.leads(id):
                self._recovery.start(id)

    # -- catching up

    @property
    def catching_up(self) -> bool:
        """Whether commits that others hold are being fetched."""
        return any(watch.asked_at is not None and not watch.in_vain for watch in self._rows)

    def claimed(self, row: int) -> int:
        """Up to which slot a lively replica says that it holds all commits of the row."""
        return max((self._committed_at[replica][row] for replica in self._ahead(row)), default=0)

    def fetch_at_once(self, row: int) -> None:
        """Ask for what others claim and is missing here, unless that is asked for already."""
        if self._rows[row].asked_at is None:
            self._fetch(row)

    def _fetch(self, row: int) -> None:
        """Ask a replica that is ahead for the commits that are missing here: the same as before when it
        has answered, else the next one."""
        state = self._state
        watch = self._rows[row]
        ahead = self._ahead(row)
        if not ahead:
            watch.end_fetch()
            return
        peer = next((r for r in ahead if r > watch.asked_of), ahead[0])
        if watch.asked_at is not None and watch.answered_bytes and watch.asked_of in ahead:
            peer = watch.asked_of
        missing = state.table.uncommitted(row, self._committed_at[peer][row], FETCH_INSTANCES)
        watch.asked_at = state.now
        watch.asked_of = peer
        watch.asked_upto = missing[-1].slot
        watch.awaited = {id.slot for id in missing}
        watch.answered_bytes = 0
        state.send(peer, Fetch(tuple(missing)))

    def on_commit(self, sender: int, message: Commit) -> None:
        """A commit that has been taken may be the last of an answer: then the next Fetch leaves at once.

        An answer ends with the last slot that was asked for, or where it was cut.  Only commits that were
        asked for count, and each once, so that doubled and late ones start nothing.
        """
        row, slot = message.id
        watch = self._rows[row]
        if sender != watch.asked_of or slot not in watch.awaited:
            return
        instance = self._state.table.find(message.id)
        if instance is None or instance.phase is not Phase.COMMITTED or instance.cmd is None:
            return
        watch.awaited.discard(slot)
        watch.answered_bytes += instance.cmd.size_bytes
        watch.in_vain = False
        watch.asked_at = self._state.now  # an answer that takes long is not asked for twice
        if slot == watch.asked_upto or watch.answered_bytes > FETCH_BYTES:
            self._fetch(row)

    def on_decided(self, id: InstanceId) -> None:
        """What is fetched may be decided without an answer, too."""
        watch = self._rows[id.replica]
        if watch.asked_at is not None and self._state.table.committed[id.replica] >= watch.asked_upto:
            self._fetch(id.replica)

    def on_fetch(self, sender: int, message: Fetch) -> None:
        """Send the commits that are asked for, as far as they are known here, up to a size.

        What is asked for exists: if nobody holds it any more, everybody has to know that it is to be
        recovered.
        """
        state = self._state
        if not message.ids:  # from one that has just started
            state.send(sender, self._heartbeat())
            return
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
