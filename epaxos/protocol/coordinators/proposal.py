"""The command leader: propose a batch, collect PreAcceptOK, take the fast path or the slow path.

Source: EPaxos* (arXiv 2511.02743), section 3; docs: protocol/rules, "Commit", and protocol/fast-path.
"""

from __future__ import annotations

from collections.abc import Collection

from epaxos.protocol.acceptor import Acceptor
from epaxos.protocol.admission import Admission, admit
from epaxos.protocol.coordinators.accept_round import AcceptRounds
from epaxos.protocol.coordinators.fast_path import FastPath, judge_equal, judge_named
from epaxos.protocol.memory.deadlines import Deadlines
from epaxos.protocol.memory.state import ReplicaState
from epaxos.protocol.values.ids import Deps, InstanceId, initial_ballot, merge
from epaxos.protocol.values.instance import Instance
from epaxos.protocol.values.messages import Batch, PreAccept, PreAcceptOK

__all__ = ["Proposal", "Proposals"]


# Looked up once, because each lookup in an Enum costs 0.1 us.
_TAKE, _TAKEN = Admission.TAKE, FastPath.TAKEN


class Proposal:
    """What the command leader collects for one instance of its own.

    `asked` are the replicas that were sent the PreAccept; `answers` holds the dependencies that each
    replica has answered, this one included.  `proposed_at` and `slow_path_at` are seconds on the clock
    of `Replica.tick`; `slow_path_at`, when the slow path is taken, is None until a slow quorum has
    answered or more replicas were asked.
    """

    __slots__ = ("answers", "asked", "proposed_at", "slow_path_at")

    def __init__(self, proposed_at: float, asked: Collection[int]) -> None:
        self.proposed_at = proposed_at
        self.asked = set(asked)
        self.answers: dict[int, Deps] = {}
        self.slow_path_at: float | None = None


class Proposals:
    """The undecided instances that this replica leads at ballot 0.

    `deadlines` is shared with the accept rounds: an instance is waited for in one round at a time.
    """

    def __init__(
        self,
        state: ReplicaState,
        acceptor: Acceptor,
        rounds: AcceptRounds,
        deadlines: Deadlines[InstanceId],
    ) -> None:
        self._state = state
        self._acceptor = acceptor
        self._rounds = rounds
        self._deadlines = deadlines
        self._proposals: dict[InstanceId, Proposal] = {}

    def __len__(self) -> int:
        return len(self._proposals)

    def leads(self, id: InstanceId) -> bool:
        """Whether this replica is the command leader of `id` and still brings it to a decision."""
        return id in self._proposals

    # -- ask

    def propose(self, id: InstanceId, batch: Batch) -> None:
        """Start the instance `id` with `batch`.  Its slot is new, and durably reserved.

        D0 names the whole floor, not only what the index has forgotten, so that it is equal to
        the votes of replicas whose index has forgotten more.  The PreAccept leaves before the record of
        this replica is durable, because it promises only that the slot is used.
        """
        state = self._state
        deps = merge((state.table.floor, state.index.deps_of(id, batch)))
        message = PreAccept(id, batch, deps, self._name_fast_quorum())
        vote = self._acceptor.pre_accept_own(message)
        asked = self._whom_to_ask(message)
        proposal = self._proposals[id] = Proposal(state.now, asked)
        for replica in asked:
            state.send(replica, message)
        again_at = state.now + state.timing.resend_s
        if len(asked) < len(state.others):
            again_at = min(again_at, self._patience_ends(message.fast_quorum, proposal))
        self._deadlines.set(id, again_at)
        if vote is not None:
            self.on_pre_accept_ok(state.id, vote)

    def _name_fast_quorum(self) -> tuple[int, ...]:
        """The fastest replicas that make a fast quorum with this one; empty where none is named."""
        state = self._state
        if not state.quorums.named:
            return ()
        return state.latency.fastest(state.quorums.fast - 1, state.failures.suspects)

    def _whom_to_ask(self, message: PreAccept) -> tuple[int, ...]:
        """The named replicas, because only their answers count.

        All replicas where none is named, or when the answers of all are to be timed.
        """
        state = self._state
        named = message.fast_quorum
        return state.others if not named or state.latency.asks_all(message.id, state.now) else named

    # -- collect

    def on_pre_accept_ok(self, sender: int, message: PreAcceptOK) -> None:
        """A vote for an instance of this replica."""
        state = self._state
        state.latency.on_answer(message.id, sender, state.now)
        proposal = self._proposals.get(message.id)
        if proposal is None:
            return
        instance = state.table.get(message.id)
        if admit(PreAcceptOK, instance, initial_ballot) is _TAKE:
            proposal.answers[sender] = message.deps
            self._judge(instance, proposal)

    def _judge(self, instance: Instance, proposal: Proposal) -> None:
        """Take the fast path or the slow path, or wait for more answers.

        With a slow quorum of answers the wait ends `fast_path_wait_s` from now, and not before the
        patience with the named replicas ends.
        """
        state = self._state
        verdict, deps = self._judge_fast_path(instance, proposal.answers)
        if verdict is _TAKEN:
            self._commit_fast(instance, proposal, deps)
        elif len(proposal.answers) >= state.quorums.slow:
            if proposal.slow_path_at is None:
                wait_ends = state.now + state.timing.fast_path_wait_s
                proposal.slow_path_at = max(wait_ends, self._patience_ends(instance.fast_quorum, proposal))
            if verdict is FastPath.CLOSED or proposal.slow_path_at < state.now:
                self._take_slow_path(instance, proposal)
            else:
                self._deadlines.set(instance.id, proposal.slow_path_at)

    def _patience_ends(self, named: tuple[int, ...], proposal: Proposal) -> float:
        """Until when the named replicas may answer, in seconds on the clock of `Replica.tick`.

        They get twice their usual time, because the alternative, a second round trip, takes as long.
        """
        state = self._state
        usual_s = state.latency.usual_s(named)
        return proposal.proposed_at + max(state.timing.fast_path_wait_s, 2 * usual_s)

    def _judge_fast_path(self, instance: Instance, answers: dict[int, Deps]) -> tuple[FastPath, Deps]:
        state = self._state

        def is_awaited(replica: int) -> bool:
            return not state.failures.suspects(replica)

        if state.quorums.named:
            return judge_named(state.id, instance.fast_quorum, answers, is_awaited)
        assert instance.init_deps is not None
        return judge_equal(state.quorums, instance.init_deps, answers, is_awaited)

    def _commit_fast(self, instance: Instance, proposal: Proposal, deps: Deps) -> None:
        """Decide after one round trip.

        The decision is durable here before anybody is told.  A restarted leader that had forgotten it would
        answer Recover with "not committed", and rule 3 of recovery would choose NOP.
        """
        state = self._state
        state.counters.fast_path += 1
        instance.deps = deps
        state.decide(instance, initial_ballot, durably=True)
        state.tell_commit(instance, durably=True, holders=proposal.asked)

    def _take_slow_path(self, instance: Instance, proposal: Proposal) -> None:
        deps = merge(proposal.answers.values())
        assert instance.cmd is not None
        self._rounds.start(instance, initial_ballot, instance.cmd, deps, holders=set(proposal.answers))

    # -- ask again

    def on_suspected(self, replica: int) -> None:
        """No answer of `replica` is awaited any more: ask others, or take the slow path, at once."""
        state = self._state
        for id, proposal in tuple(self._proposals.items()):
            instance = state.table.get(id)
            in_round = id in self._rounds.open
            if replica in proposal.answers or instance.bal != initial_ballot or in_round:
                continue
            if len(proposal.answers) >= state.quorums.slow:
                self._judge(instance, proposal)
            elif replica in instance.fast_quorum:
                self._propose_again(instance, proposal)

    def next_deadline(self) -> float | None:
        """When `on_time` has to be called at the latest; None while nothing is waited for."""
        return self._deadlines.next()

    def on_time(self) -> None:
        """Carry on with each proposal and accept round whose wait is over."""
        for id in self._deadlines.pop_due(self._state.now):
            self.on_timeout(id)

    def on_timeout(self, id: InstanceId) -> None:
        """The wait for answers about `id` is over: ask again, ask more replicas, or take the slow path.

        A proposal or round that was overtaken by a higher ballot is dropped: the owner of that ballot
        carries on.
        """
        instance = self._state.table.get(id)
        proposal = self._proposals.get(id)
        accept_round = self._rounds.open.get(id)
        if instance.bal != (initial_ballot if accept_round is None else accept_round.ballot):
            self.drop(id)
        elif accept_round is not None:
            self._rounds.ask_again(instance, accept_round)
        elif proposal is not None:
            self._propose_again(instance, proposal)

    def _propose_again(self, instance: Instance, proposal: Proposal) -> None:
        state = self._state
        state.latency.on_silence(r for r in instance.fast_quorum if r not in proposal.answers)
        slow_path_at = proposal.slow_path_at
        enough = len(proposal.answers) >= state.quorums.slow
        if enough and slow_path_at is not None and state.now >= slow_path_at:
            self._take_slow_path(instance, proposal)
        else:
            self._ask_again(instance, proposal)

    def _ask_again(self, instance: Instance, proposal: Proposal) -> None:
        """Ask the replicas that were not asked yet; if all were asked, those that have not answered.

        Once the named replicas alone were asked in vain, any slow quorum of answers is enough for the
        slow path.
        """
        state = self._state
        silent = [replica for replica in state.others if replica not in proposal.answers]
        unasked = [replica for replica in silent if replica not in proposal.asked]
        if unasked:
            proposal.asked.update(unasked)
            proposal.slow_path_at = self._patience_ends(instance.fast_quorum, proposal)
        assert instance.proposed is not None and instance.init_deps is not None
        again = PreAccept(instance.id, instance.proposed, instance.init_deps, instance.fast_quorum)
        for replica in unasked or silent:
            state.send(replica, again)
        self._deadlines.set(instance.id, state.now + state.timing.resend_s)

    # -- the end

    def drop(self, id: InstanceId) -> None:
        """Drop the proposal and the round of `id`, because it is decided or another replica recovers it."""
        self._proposals.pop(id, None)
        self._rounds.open.pop(id, None)
        self._deadlines.clear(id)
