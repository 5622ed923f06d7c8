"""Catching up: fetch the commits that others hold, and recover what nobody brings to a decision.

Source: docs: protocol/catching-up.  Nothing here decides anything.
"""

from __future__ import annotations

from epaxos.protocol.coordinators.proposal import Proposals
from epaxos.protocol.coordinators.recovery import Recoveries
from epaxos.protocol.memory.state import ReplicaState
from epaxos.protocol.values.ids import Deps, InstanceId, no_deps
from epaxos.protocol.values.messages import FETCH_BYTES, FETCH_INSTANCES, Commit, Fetch, Phase

__all__ = ["RECOVERIES_AT_ONCE", "CatchUp"]

RECOVERIES_AT_ONCE = 512
"""Slots of one row that are recovered at a time, at most."""
RECOVERIES_OF_CLAIMED = 64
"""Slots of one row that are recovered in each heartbeat while another replica claims to hold them.  They
are few, because a replica that can answer after all answers each with its whole batch."""


class Row:
    """How far one row is here.

    `watermark` is the slot up to which everything is committed, `stalled_at` the time since which it stands
    still, and `heard_then` the highest slot that was heard of at that time.
    `asked_of` and `asked_upto` are the receiver and the last slot of the last Fetch.  `asked_at` is the time
    when it was sent or last answered; None when nothing is being fetched.  `awaited` holds its slots
    that were not answered, and `answered_bytes` is the size of those that were.
    `in_vain`: fetching has taken too long, so the row is recovered until a Fetch is answered.
    Times are in seconds on the clock of `Replica.tick`.
    """

    __slots__ = (
        "answered_bytes",
        "asked_at",
        "asked_of",
        "asked_upto",
        "awaited",
        "heard_then",
        "in_vain",
        "stalled_at",
        "watermark",
    )

    def __init__(self) -> None:
        self.watermark = 0
        self.stalled_at = 0.0
        self.heard_then = 0
        self.asked_at: float | None = None
        self.asked_upto = 0
        self.asked_of = 0
        self.awaited: set[int] = set()
        self.answered_bytes = 0
        self.in_vain = False

    def end_fetch(self) -> None:
        """Note that nothing is being fetched."""
        self.asked_at = None
        self.awaited = set()
        self.in_vain = False


class CatchUp:
    """Looks after every row at each heartbeat: fetches what others hold, and recovers what is stuck."""

    def __init__(self, state: ReplicaState, proposals: Proposals, recoveries: Recoveries) -> None:
        self._state = state
        self._proposals = proposals
        self._recoveries = recoveries
        self._rows = [Row() for _ in range(state.n)]
        self._committed_at = [no_deps(state.epoch)] * state.n
        self._started_upto = 0

    def restore(self, own_upto: int) -> None:
        """Restore after a restart: slots of the own row up to `own_upto` may be undecided.

        No other replica leads them, so they are recovered without delay.
        """
        self._started_upto = own_upto

    # -- stuck rows

    def look_after(self, row: int) -> None:
        """Fetch what others hold of the row; recover what nobody brings to a decision."""
        state = self._state
        committed = state.table.committed[row]
        heard = state.known(row)
        watch = self._rows[row]
        if committed > watch.watermark or watch.heard_then <= committed:
            watch.watermark = committed
            watch.stalled_at = state.now
            watch.heard_then = heard
        if heard <= committed:
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
            self._start_recoveries(row, heard, RECOVERIES_OF_CLAIMED)

    def _fetch_time_s(self, row: int, ahead: int) -> float:
        """How long a row may stand still, in seconds, while `ahead` replicas claim to hold more of it.

        In this time each of them is asked, and one of them twice.  Each rank adds `turn_s`, so that
        replicas take turns in recovering.
        """
        timing = self._state.timing
        turns_s = self._state.failures.rank(row) * timing.turn_s
        return 2 * timing.heartbeat_s + (ahead + 1) * timing.resend_s + turns_s

    def _ahead(self, row: int) -> list[int]:
        """The replicas, without the suspected ones, that hold commits of the row that are missing here."""
        state = self._state
        committed = state.table.committed[row]
        return [
            replica
            for replica in state.others
            if self._committed_at[replica][row] > committed and not state.failures.suspects(replica)
        ]

    def _recover(self, row: int, stalled_s: float) -> None:
        """Recover the undecided slots of a row that nobody claims to hold, when it is this replica's turn."""
        state = self._state
        failures = state.failures
        watch = self._rows[row]
        upto = watch.heard_then
        if row == state.id and state.table.committed[row] < self._started_upto:
            wait_s, upto = 0.0, max(upto, self._started_upto)
        elif failures.suspects(row):
            wait_s, upto = failures.rank(row) * state.timing.turn_s, state.known(row)
            stalled_s = min(stalled_s, state.now - failures.suspected_at(row))
        else:
            wait_s = state.timing.recover_after_s + failures.rank(row) * state.timing.turn_s
        if stalled_s >= wait_s:
            self._start_recoveries(row, upto, RECOVERIES_AT_ONCE)

    def _start_recoveries(self, row: int, upto: int, limit: int) -> None:
        for id in self._state.table.uncommitted(row, upto, limit):
            if not self._proposals.leads(id):
                self._recoveries.start(id)

    # -- what others hold

    def on_committed_at(self, replica: int, committed: Deps) -> None:
        """`replica` claims to hold every commit up to `committed`, or further if it claimed so before."""
        self._committed_at[replica] = tuple(map(max, self._committed_at[replica], committed))
        self._state.table.hear_of(committed)

    def on_first_heartbeat(self, committed: Deps) -> None:
        """The first Heartbeat of a replica came, which holds `committed`: fetch what is missing here."""
        for row in range(self._state.n):
            if committed[row] > self._state.table.committed[row]:
                self.fetch_at_once(row)

    def claimed(self, row: int) -> int:
        """The highest slot up to which a replica that is not suspected claims every commit of the row."""
        return max((self._committed_at[replica][row] for replica in self._ahead(row)), default=0)

    # -- fetch

    @property
    def is_fetching(self) -> bool:
        """Whether commits that others hold are being fetched."""
        return any(watch.asked_at is not None and not watch.in_vain for watch in self._rows)

    def fetch_at_once(self, row: int) -> None:
        """Ask for the commits of the row that others claim, unless a Fetch of it is under way."""
        if self._rows[row].asked_at is None:
            self._fetch(row)

    def _fetch(self, row: int) -> None:
        """Ask a replica that is ahead for commits that are missing here.

        The replica that was asked last is asked again if it has answered; otherwise the next one is.
        """
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
        """A Commit was handled.  If it was the last of an answer, the next Fetch leaves at once.

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
        watch.asked_at = self._state.now  # a long answer is not asked for twice while it is coming in
        if slot == watch.asked_upto or watch.answered_bytes > FETCH_BYTES:
            self._fetch(row)

    def on_decided(self, id: InstanceId) -> None:
        """`id` is decided here, perhaps without an answer: a Fetch that is complete leads to the next."""
        watch = self._rows[id.replica]
        if watch.asked_at is not None and self._state.table.committed[id.replica] >= watch.asked_upto:
            self._fetch(id.replica)

    def on_fetch(self, sender: int, message: Fetch) -> None:
        """Answer with the commits that are held here, in the order asked for, up to FETCH_BYTES.

        What is asked for was proposed.  It is noted as heard of, because it has to be recovered if no
        replica holds it any more.
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
