"""How an instance is committed when nobody fails: propose, PreAccept, Accept, Commit.

EPaxos* (arXiv 2511.02743), section 3; docs: protocol/rules, "Commit".
"""

from __future__ import annotations

from collections.abc import Collection

from epaxos.protocol.admission import Admission, admit
from epaxos.protocol.coordinators.fast_path import FastPath, judge_equal, judge_named
from epaxos.protocol.memory.deadlines import Alarms
from epaxos.protocol.memory.state import ReplicaState
from epaxos.protocol.values.ids import Deps, InstanceId, initial_ballot, merge, owner
from epaxos.protocol.values.instance import Instance
from epaxos.protocol.values.messages import (
    NOP,
    Accept,
    AcceptOK,
    Batch,
    Commit,
    Fetch,
    Phase,
    PreAccept,
    PreAcceptOK,
)

__all__ = ["CommitRules"]


class _Proposal:
    """What the command leader gathers for an instance of its own.  `asked`: who was sent the PreAccept."""

    __slots__ = ("answers", "asked", "proposed_at", "slow_path_at")

    def __init__(self, proposed_at: float, asked: Collection[int]) -> None:
        self.proposed_at = proposed_at
        self.asked = set(asked)
        self.answers: dict[int, Deps] = {}
        self.slow_path_at: float | None = None


class _AcceptRound:
    """The votes for the value of one ballot."""

    __slots__ = ("ballot", "voters")

    def __init__(self, ballot: int) -> None:
        self.ballot = ballot
        self.voters: set[int] = set()


class CommitRules:
    """The commit protocol of one replica, as command leader, as acceptor and as learner."""

    def __init__(self, state: ReplicaState) -> None:
        self._state = state
        self._proposals: dict[InstanceId, _Proposal] = {}
        self._rounds: dict[InstanceId, _AcceptRound] = {}
        self._alarms: Alarms[InstanceId] = Alarms()

    @property
    def in_flight(self) -> int:
        """Own instances that are proposed and not decided."""
        return len(self._proposals)

    def leads(self, id: InstanceId) -> bool:
        """Whether `id` is in the hands of this replica, its command leader, at ballot 0."""
        return id in self._proposals

    # -- PreAccept

    def propose(self, id: InstanceId, batch: Batch) -> None:
        """Start the instance `id`, whose slot is durably reserved and new, with `batch`.

        D0 names all of the floor, not only what the index has forgotten of it: the votes of others, who
        name what theirs have, are then equal to it.  The
        PreAccept leaves before this replica's own record is durable: all that it promises is that
        the slot is used.  With a named fast quorum there is no such record before the decision, and
        the own vote counts at once (docs: protocol/fast-path).
        """
        state = self._state
        instance = state.table.get(id)
        deps = merge((state.table.floor, state.index.deps_of(id, batch)))
        message = PreAccept(id, batch, deps, self._name_fast_quorum())
        self._pre_accept(instance, message, deps)
        asked = self._whom_to_ask(instance)
        proposal = self._proposals[id] = _Proposal(state.now, asked)
        for replica in asked:
            state.send(replica, message)
        again_at = state.now + state.timing.resend_s
        if len(asked) < len(state.others):
            again_at = min(again_at, self._patience_ends(instance, proposal))
        self._alarms.set(id, again_at)
        if state.quorums.named:
            self.on_pre_accept_ok(state.id, PreAcceptOK(id, deps))
        else:
            state.save(instance)
            state.promise(state.id, PreAcceptOK(id, deps))

    def _name_fast_quorum(self) -> tuple[int, ...]:
        """The nearest that make a fast quorum with this replica, where such a quorum is named."""
        state = self._state
        if not state.quorums.named:
            return ()
        return state.nearness.nearest(state.quorums.fast - 1, state.failures.suspects)

    def _whom_to_ask(self, instance: Instance) -> tuple[int, ...]:
        """Those that were named, as only their answers count; all, where nobody is named, or now and
        then to see who is nearest."""
        state = self._state
        named = instance.fast_quorum
        return state.others if not named or state.nearness.asks_all(instance.id, state.now) else named

    def _pre_accept(self, instance: Instance, message: PreAccept, deps: Deps) -> None:
        state = self._state
        state.learn_proposal(instance, message.batch)
        instance.cmd = instance.proposed
        instance.init_deps = message.deps
        instance.fast_quorum = message.fast_quorum
        instance.deps = deps
        instance.phase = Phase.PREACCEPTED
        state.table.hear_of(deps)

    def on_pre_accept(self, sender: int, message: PreAccept) -> Admission:
        """The command leader proposes."""
        state = self._state
        id = message.id
        if sender != id.replica:
            return Admission.SUPERSEDED
        instance = state.table.get(id)
        admission = admit(PreAccept, instance, initial_ballot)
        if admission is Admission.TAKE:
            deps = merge((message.deps, state.index.deps_of(id, message.batch)))
            self._pre_accept(instance, message, deps)
            state.save(instance)
        if admission is Admission.DECIDED:
            state.answer_commit(sender, instance)
        elif admission is not Admission.SUPERSEDED:
            state.promise(sender, PreAcceptOK(id, instance.deps))
        return admission

    def on_pre_accept_ok(self, sender: int, message: PreAcceptOK) -> None:
        """A vote for an instance of our own."""
        state = self._state
        state.nearness.answered(message.id, sender, state.now)
        proposal = self._proposals.get(message.id)
        if proposal is None:
            return
        instance = state.table.get(message.id)
        if instance.bal == initial_ballot and instance.phase is Phase.PREACCEPTED:
            proposal.answers[sender] = message.deps
            self._judge(instance, proposal)

    def _judge(self, instance: Instance, proposal: _Proposal) -> None:
        """Fast path, slow path, or wait for more answers."""
        state = self._state
        verdict, deps = self._judge_fast_path(instance, proposal.answers)
        if verdict is FastPath.TAKEN:
            self._commit_fast(instance, proposal, deps)
        elif len(proposal.answers) >= state.quorums.slow:
            if proposal.slow_path_at is None:
                wait_ends = state.now + state.timing.fast_path_wait_s
                proposal.slow_path_at = max(wait_ends, self._patience_ends(instance, proposal))
            if verdict is FastPath.CLOSED or proposal.slow_path_at < state.now:
                self._take_slow_path(instance, proposal)
            else:
                self._alarms.set(instance.id, proposal.slow_path_at)

    def on_suspected(self, replica: int) -> None:
        """Nothing is awaited of `replica` any more: ask others, or take the slow path, without delay."""
        state = self._state
        for id, proposal in tuple(self._proposals.items()):
            instance = state.table.get(id)
            if replica in proposal.answers or instance.bal != initial_ballot or id in self._rounds:
                continue
            if len(proposal.answers) >= state.quorums.slow:
                self._judge(instance, proposal)
            elif replica in instance.fast_quorum:
                self._propose_again(instance, proposal)

    def _patience_ends(self, instance: Instance, proposal: _Proposal) -> float:
        """Until when those that were named may take to answer: they get twice their usual time, as a
        second round trip is not had for less."""
        state = self._state
        usual_s = state.nearness.usual_s(instance.fast_quorum)
        return proposal.proposed_at + max(state.timing.fast_path_wait_s, 2 * usual_s)

    def _judge_fast_path(self, instance: Instance, answers: dict[int, Deps]) -> tuple[FastPath, Deps]:
        state = self._state

        def is_awaited(replica: int) -> bool:
            return not state.failures.suspects(replica)

        if state.quorums.named:
            return judge_named(state.id, instance.fast_quorum, answers, is_awaited)
        assert instance.init_deps is not None
        return judge_equal(state.quorums, instance.init_deps, answers, is_awaited)

    def _commit_fast(self, instance: Instance, proposal: _Proposal, deps: Deps) -> None:
        """One round trip.  Durable here before anybody is told: a restarted leader that forgot it
        would answer Recover as "not committed", and rule 3 of recovery would lose it."""
        state = self._state
        state.counters.fast_path += 1
        instance.deps = deps
        state.decide(instance, initial_ballot, durably=True)
        self._tell_commit(instance, durably=True, sent_to=proposal.asked)
        self.forget(instance.id)

    def _take_slow_path(self, instance: Instance, proposal: _Proposal) -> None:
        deps = merge(proposal.answers.values())
        assert instance.cmd is not None
        self.start_accept(instance, initial_ballot, instance.cmd, deps, holders=set(proposal.answers))

    # -- Accept

    def start_accept(
        self, instance: Instance, ballot: int, cmd: Batch, deps: Deps, holders: set[int]
    ) -> None:
        """As the owner of `ballot`, ask all to accept (cmd, deps).

        `holders` are replicas known to hold the proposed batch: they are not sent it again.
        """
        state = self._state
        self._rounds[instance.id] = _AcceptRound(ballot)
        self._accept(instance, ballot, cmd, deps)
        self._send_accept(instance, [r for r in state.others if r in holders], with_batch=cmd is NOP)
        self._send_accept(instance, [r for r in state.others if r not in holders], with_batch=True)
        self._alarms.set(instance.id, state.now + state.timing.resend_s)
        state.promise(state.id, AcceptOK(instance.id, ballot))

    def _send_accept(self, instance: Instance, replicas: list[int], with_batch: bool) -> None:
        batch = instance.cmd if with_batch else None
        message = Accept(instance.id, instance.bal, batch, instance.deps)
        for replica in replicas:
            self._state.send(replica, message)

    def _accept(self, instance: Instance, ballot: int, batch: Batch | None, deps: Deps) -> bool:
        state = self._state
        if not state.learn_value(instance, batch):
            return False
        instance.bal = instance.abal = ballot
        instance.deps = deps
        instance.phase = Phase.ACCEPTED
        state.table.hear_of(deps)
        state.save(instance)
        return True

    def on_accept(self, sender: int, message: Accept) -> Admission:
        """The owner of a ballot asks to accept its value."""
        state = self._state
        if owner(message.ballot, message.id, state.epoch) != sender:
            return Admission.SUPERSEDED
        instance = state.table.get(message.id)
        admission = admit(Accept, instance, message.ballot)
        if admission is Admission.DECIDED:
            state.answer_commit(sender, instance)
        elif admission is Admission.TAKE:
            if not self._accept(instance, message.ballot, message.batch, message.deps):
                return Admission.SUPERSEDED  # without the batch; it is sent again, in full
            state.promise(sender, AcceptOK(message.id, message.ballot))
        return admission

    def on_accept_ok(self, sender: int, message: AcceptOK) -> None:
        """A vote for a value of ours."""
        state = self._state
        id = message.id
        accept_round = self._rounds.get(id)
        if accept_round is None or accept_round.ballot != message.ballot:
            return
        instance = state.table.get(id)
        if instance.bal != message.ballot or instance.phase is not Phase.ACCEPTED:
            return
        accept_round.voters.add(sender)
        if len(accept_round.voters) < state.quorums.slow:
            return
        if message.ballot == initial_ballot:
            state.counters.slow_path += 1
        else:
            state.counters.recovered += 1
        state.decide(instance, message.ballot, durably=False)
        self._tell_commit(instance, durably=False, sent_to=state.others)
        self.forget(id)

    # -- Commit

    def _tell_commit(self, instance: Instance, durably: bool, sent_to: Collection[int]) -> None:
        """Tell all, and with the batch those that it was not `sent_to` before.  Who missed it asks for it."""
        state = self._state
        whole = state.commit_of(instance)
        brief = whole if instance.cmd is NOP else whole._replace(batch=None)
        tell = state.promise if durably else state.send
        for replica in state.others:
            tell(replica, brief if replica in sent_to else whole)

    def on_commit(self, sender: int, message: Commit) -> None:
        """A decision is final: it is taken whatever was promised here."""
        state = self._state
        instance = state.table.get(message.id)
        if instance.phase is Phase.COMMITTED:
            return
        if not state.learn_value(instance, message.batch):
            state.send(sender, Fetch((message.id,)))
            return
        self.commit(instance, message.ballot, message.deps)

    def commit(self, instance: Instance, ballot: int, deps: Deps) -> None:
        """Take a decision that somebody else made, for the current command of `instance`."""
        instance.deps = deps
        self._state.decide(instance, ballot, durably=False)
        self.forget(instance.id)

    def forget(self, id: InstanceId) -> None:
        """`id` needs nothing more from here."""
        self._proposals.pop(id, None)
        self._rounds.pop(id, None)
        self._alarms.clear(id)

    # -- time

    def next_deadline(self) -> float | None:
        return self._alarms.next()

    def on_time(self) -> None:
        """Send again what was not answered, or ask more replicas; take the slow path when the fast one is
        waited for too long."""
        for id in self._alarms.pop_due(self._state.now):
            self.on_timeout(id)

    def on_timeout(self, id: InstanceId) -> None:
        """What was waited for in the commit of `id` has not come."""
        instance = self._state.table.get(id)
        if (accept_round := self._rounds.get(id)) is not None:
            self._accept_again(instance, accept_round)
        elif (proposal := self._proposals.get(id)) is not None:
            self._propose_again(instance, proposal)

    def _accept_again(self, instance: Instance, accept_round: _AcceptRound) -> None:
        state = self._state
        if instance.bal != accept_round.ballot:
            self.forget(instance.id)  # overtaken: whoever did it goes on with it
            return
        silent = [replica for replica in state.others if replica not in accept_round.voters]
        self._send_accept(instance, silent, with_batch=True)
        self._alarms.set(instance.id, state.now + state.timing.resend_s)

    def _propose_again(self, instance: Instance, proposal: _Proposal) -> None:
        state = self._state
        if instance.bal != initial_ballot:
            self.forget(instance.id)
            return
        state.nearness.missed(replica for replica in instance.fast_quorum if replica not in proposal.answers)
        slow_path_at = proposal.slow_path_at
        enough = len(proposal.answers) >= state.quorums.slow
        if enough and slow_path_at is not None and state.now >= slow_path_at:
            self._take_slow_path(instance, proposal)
        else:
            self._ask_again(instance, proposal)

    def _ask_again(self, instance: Instance, proposal: _Proposal) -> None:
        """Ask those that were not asked yet; when all were, those that have not answered.

        Once the named ones alone were asked in vain, whoever answers is enough for the slow path.
        """
        state = self._state
        silent = [replica for replica in state.others if replica not in proposal.answers]
        unasked = [replica for replica in silent if replica not in proposal.asked]
        if unasked:
            proposal.asked.update(unasked)
            proposal.slow_path_at = self._patience_ends(instance, proposal)
        assert instance.proposed is not None and instance.init_deps is not None
        again = PreAccept(instance.id, instance.proposed, instance.init_deps, instance.fast_quorum)
        for replica in unasked or silent:
            state.send(replica, again)
        self._alarms.set(instance.id, state.now + state.timing.resend_s)
