"""How an instance is decided when its command leader may have failed: Recover, Validate, Waiting.

EPaxos* (arXiv 2511.02743), section 4; docs: protocol/rules, "Recovery".  The numbers in comments are
those of that page.
"""

from __future__ import annotations

from enum import Enum

from epaxos.protocol.admission import Admission, admit
from epaxos.protocol.coordinators.commit import CommitRules
from epaxos.protocol.memory.deadlines import Alarms
from epaxos.protocol.memory.interference import interferes
from epaxos.protocol.memory.state import ReplicaState
from epaxos.protocol.values.ids import (
    NUMBER_LIMIT,
    Deps,
    InstanceId,
    initial_ballot,
    is_in,
    merge,
    next_ballot,
    no_deps,
    owner,
)
from epaxos.protocol.values.instance import Instance
from epaxos.protocol.values.messages import (
    NOP,
    Batch,
    Conflict,
    Phase,
    Recover,
    RecoverOK,
    Validate,
    ValidateOK,
    Waiting,
)

__all__ = ["RecoveryRules"]


class _Stage(Enum):
    COLLECT = "collecting RecoverOK"
    VALIDATE = "collecting ValidateOK"
    WAIT = "waiting for conflicting instances"
    ACCEPT = "a value was proposed"


class _Recovery:
    """One attempt, at one ballot, to decide one instance."""

    __slots__ = (
        "answers",
        "attempt",
        "ballot",
        "batch",
        "conflicts",
        "deps",
        "members",
        "quorum",
        "stage",
        "votes",
    )

    def __init__(self, ballot: int, attempt: int) -> None:
        self.ballot = ballot
        self.attempt = attempt
        self.stage = _Stage.COLLECT
        self.answers: dict[int, RecoverOK] = {}
        self.quorum: tuple[int, ...] = ()
        self.batch: Batch = NOP
        self.deps: Deps = ()
        self.votes = 0
        self.conflicts: dict[int, tuple[Conflict, ...]] = {}
        self.members: list[InstanceId] = []


class RecoveryRules:
    """The recovery protocol of one replica, as recoverer and as answerer."""

    def __init__(self, state: ReplicaState, commit: CommitRules) -> None:
        self._state = state
        self._commit = commit
        self._recoveries: dict[InstanceId, _Recovery] = {}
        self._waited_for: dict[InstanceId, list[InstanceId]] = {}
        self._strongly_waiting: set[InstanceId] = set()
        self._alarms: Alarms[InstanceId] = Alarms()

    def __len__(self) -> int:
        return len(self._recoveries)

    # -- the recoverer asks

    def start(self, id: InstanceId) -> None:
        """Try to decide `id`, unless it is decided or being recovered here already."""
        state = self._state
        if not (id in self._recoveries or state.table.is_forgotten(id) or state.is_unused(id)):
            self._start(state.table.get(id), attempt=0)

    def _start(self, instance: Instance, attempt: int) -> None:
        """Ask all, at a new ballot.  The ballot is durable before anybody hears of it, so that a
        restarted replica never uses it again."""
        state = self._state
        if instance.phase is Phase.COMMITTED:
            return
        ballot = next_ballot(instance.bal, state.id, state.epoch)
        if ballot >= NUMBER_LIMIT:  # somebody lied, and nobody would take it
            self._recoveries.pop(instance.id, None)
            return
        recovery = _Recovery(ballot, attempt)
        self._recoveries[instance.id] = recovery
        instance.bal = recovery.ballot
        state.save(instance)
        for replica in state.others:
            state.promise(replica, Recover(instance.id, recovery.ballot))
        state.promise(state.id, self._answer(instance))
        self._alarms.set(instance.id, state.now + self._backoff(attempt))

    def _backoff(self, attempt: int) -> float:
        state = self._state
        timing = state.timing
        longest = min(timing.backoff_max_s, timing.resend_s * (1 << min(attempt, 10)))
        return longest * (0.5 + state.random.random())

    # -- the others answer

    @staticmethod
    def _answer(instance: Instance) -> RecoverOK:
        return RecoverOK(
            instance.id,
            instance.bal,
            instance.abal,
            instance.phase,
            instance.cmd,
            instance.deps,
            instance.init_deps,
            instance.fast_quorum,
        )

    def on_recover(self, sender: int, message: Recover) -> Admission:
        """Promise to take nothing below the ballot any more, and tell what is known."""
        state = self._state
        if message.ballot == initial_ballot or owner(message.ballot, message.id, state.epoch) != sender:
            return Admission.SUPERSEDED
        instance = state.table.get(message.id)
        admission = admit(Recover, instance, message.ballot)
        if admission is Admission.DECIDED:
            state.answer_commit(sender, instance)
        elif admission is not Admission.SUPERSEDED:
            if admission is Admission.TAKE:
                instance.bal = message.ballot
                state.save(instance)
            state.promise(sender, self._answer(instance))
        return admission

    def on_recover_ok(self, sender: int, message: RecoverOK) -> None:
        """An answer to our Recover."""
        state = self._state
        recovery, instance = self._current(message.id, message.ballot)
        if recovery is None or instance is None or sender in recovery.answers:
            return
        recovery.answers[sender] = message
        if recovery.stage is _Stage.COLLECT:
            if len(recovery.answers) >= state.quorums.slow:
                self._choose(instance, recovery)
        elif recovery.stage is _Stage.WAIT:
            self._on_late_answer(instance, recovery, sender, message)

    def _current(self, id: InstanceId, ballot: int) -> tuple[_Recovery | None, Instance | None]:
        """The recovery of `id` at `ballot`, if it goes on and was not overtaken."""
        recovery = self._recoveries.get(id)
        if recovery is None or recovery.ballot != ballot:
            return None, None
        instance = self._state.table.get(id)
        if instance.bal != ballot or instance.phase is Phase.COMMITTED:
            return None, None
        return recovery, instance

    # -- the recoverer decides what to propose

    def _choose(self, instance: Instance, recovery: _Recovery) -> None:
        """Q has answered: rules 1 to 5."""
        state = self._state
        answers = recovery.answers
        recovery.quorum = tuple(answers)
        latest = max(answer.accepted_ballot for answer in answers.values())
        accepted = None
        for answer in answers.values():
            if answer.phase is Phase.COMMITTED:  # 1
                self._take_commit(instance, answer)
                return
            if answer.accepted_ballot == latest and answer.phase is Phase.ACCEPTED:
                accepted = answer
        if accepted is not None:  # 2
            assert accepted.batch is not None
            self._propose(instance, recovery, accepted.batch, accepted.deps)
        elif instance.id.replica in answers:  # 3
            self._propose_nop(instance, recovery)
        elif state.quorums.named:
            self._choose_by_named(instance, recovery)
        else:
            self._choose_by_votes(instance, recovery)

    def _choose_by_votes(self, instance: Instance, recovery: _Recovery) -> None:
        """Any fast quorum of equal answers may have been taken: rules 4 and 5."""
        answers = recovery.answers.values()
        votes = [
            answer
            for answer in answers
            if answer.phase is Phase.PREACCEPTED and answer.deps == answer.init_deps
        ]
        if len(votes) >= len(answers) - self._state.quorums.e and votes:  # 4
            self._validate(instance, recovery, votes)
        else:  # 5
            self._propose_nop(instance, recovery)

    def _choose_by_named(self, instance: Instance, recovery: _Recovery) -> None:
        """Only the answers of those whom the leader named count, and all others than the leader are
        in Q: rules 4n and 5n.  What all of them answered is as good as what the leader would have
        committed, so there is nothing to validate (docs: protocol/fast-path)."""
        votes = {
            replica: answer
            for replica, answer in recovery.answers.items()
            if answer.phase is Phase.PREACCEPTED
        }
        named = next((answer.fast_quorum for answer in votes.values()), ())
        if named and all(replica in votes for replica in named):  # 4n
            vote = votes[named[0]]
            assert vote.batch is not None
            deps = merge(votes[replica].deps for replica in named)
            self._propose(instance, recovery, vote.batch, deps)
        else:  # 5n
            self._propose_nop(instance, recovery)

    def _take_commit(self, instance: Instance, answer: RecoverOK) -> None:
        if instance.phase is not Phase.COMMITTED and self._state.learn_value(instance, answer.batch):
            self._commit.commit(instance, answer.accepted_ballot, answer.deps)

    def _propose(self, instance: Instance, recovery: _Recovery, batch: Batch, deps: Deps) -> None:
        recovery.stage = _Stage.ACCEPT
        self._stop_waiting(instance.id, recovery)
        self._state.learn_value(instance, batch)
        assert instance.cmd is not None
        self._commit.start_accept(instance, recovery.ballot, instance.cmd, deps, holders=set())

    def _propose_nop(self, instance: Instance, recovery: _Recovery) -> None:
        self._propose(instance, recovery, NOP, no_deps(self._state.epoch))

    # -- validation of what the fast path may have decided

    def _validate(self, instance: Instance, recovery: _Recovery, votes: list[RecoverOK]) -> None:
        state = self._state
        vote = votes[0]
        assert vote.batch is not None and vote.init_deps is not None
        recovery.stage = _Stage.VALIDATE
        recovery.batch = vote.batch
        recovery.deps = vote.init_deps
        recovery.votes = len(votes)
        message = Validate(instance.id, recovery.ballot, vote.batch, vote.init_deps)
        for replica in recovery.quorum:
            if replica == state.id:
                self.on_validate(state.id, message)
            else:
                state.send(replica, message)

    def on_validate(self, sender: int, message: Validate) -> Admission:
        """Remember the value, and tell what speaks against its having been committed."""
        state = self._state
        instance = state.table.get(message.id)
        admission = admit(Validate, instance, message.ballot)
        if admission is Admission.DECIDED:
            state.answer_commit(sender, instance)
        elif admission is Admission.TAKE:
            state.learn_value(instance, message.batch)
            instance.init_deps = message.deps
            state.save(instance)
            conflicts = self._conflicts(message.id, message.batch, message.deps)
            state.promise(sender, ValidateOK(message.id, message.ballot, conflicts))
        return admission

    def _conflicts(self, id: InstanceId, batch: Batch, deps: Deps) -> tuple[Conflict, ...]:
        """The known instances outside `deps` that interfere with `batch` and do not name `id`.

        One that is committed is answered alone: it settles the matter, and there may be any number.
        """
        found = []
        for other in self._state.table.above(deps):
            if other.id == id:
                continue
            committed = other.phase is Phase.COMMITTED
            cmd, named = (other.cmd, other.deps) if committed else (other.proposed, other.init_deps)
            if cmd is None or cmd is NOP or named is None:
                continue
            if not is_in(id, named) and interferes(batch, cmd):
                if committed:
                    return (Conflict(other.id, True),)
                found.append(Conflict(other.id, False))
        return tuple(found)

    def on_validate_ok(self, sender: int, message: ValidateOK) -> None:
        """An answer to our Validate; all of Q have to answer."""
        recovery, instance = self._current(message.id, message.ballot)
        if recovery is None or instance is None or recovery.stage is not _Stage.VALIDATE:
            return
        recovery.conflicts[sender] = message.conflicts
        if len(recovery.conflicts) == len(recovery.quorum):
            self._conclude(instance, recovery)

    def _conclude(self, instance: Instance, recovery: _Recovery) -> None:
        """All of Q have validated: rules 1 to 3."""
        state = self._state
        quorum = recovery.quorum
        conflicts = [conflict for answer in recovery.conflicts.values() for conflict in answer]
        if not conflicts:  # 1
            self._propose(instance, recovery, recovery.batch, recovery.deps)
        elif any(conflict.committed for conflict in conflicts) or (
            recovery.votes == len(quorum) - state.quorums.e
            and any(conflict.id.replica not in quorum for conflict in conflicts)
        ):  # 2
            self._propose_nop(instance, recovery)
        else:  # 3
            self._wait(instance, recovery, sorted({conflict.id for conflict in conflicts}))

    # -- waiting for the conflicting instances

    def _wait(self, instance: Instance, recovery: _Recovery, members: list[InstanceId]) -> None:
        state = self._state
        recovery.stage = _Stage.WAIT
        recovery.members = members
        for member in members:
            self._waited_for.setdefault(member, []).append(instance.id)
        state.send_to_others(Waiting(instance.id, recovery.votes))
        self.on_waiting(state.id, Waiting(instance.id, recovery.votes))
        for sender, answer in tuple(recovery.answers.items()):
            if sender not in recovery.quorum and recovery.stage is _Stage.WAIT:
                self._on_late_answer(instance, recovery, sender, answer)
        if recovery.stage is _Stage.WAIT and not self._try_end_wait(instance, recovery):
            for member in members:
                self._recover_later(member)

    def _recover_later(self, member: InstanceId) -> None:
        """Members that make no progress are recovered too: when their turn has come, if ever."""
        state = self._state
        if not (
            state.table.is_forgotten(member)
            or state.is_unused(member)
            or member in self._recoveries
            or self._commit.leads(member)
        ):
            wait_s = state.timing.turn_s * state.failures.rank(member.replica)
            if not state.failures.suspects(member.replica):
                wait_s += state.timing.resend_s
            self._alarms.set(member, state.now + wait_s)

    def _try_end_wait(self, instance: Instance, recovery: _Recovery) -> bool:
        """Whether what is known of the members now says what to propose.

        A forgotten member was executed everywhere, here too, and so without `id`, which is not
        committed here: it is NOP, or `id` did not take the fast path and comes after it anyway.
        """
        state = self._state
        pending = False
        for member in recovery.members:
            if member in self._strongly_waiting:
                self._propose_nop(instance, recovery)
                return True
            if state.table.is_forgotten(member):
                other = None
            else:
                other = state.table.find(member)
                if other is None or other.phase is not Phase.COMMITTED:
                    pending = True
                    continue
            if other is not None and other.cmd is not NOP and not is_in(instance.id, other.deps):
                self._propose_nop(instance, recovery)
                return True
        if not pending:
            self._propose(instance, recovery, recovery.batch, recovery.deps)
        return not pending

    def _stop_waiting(self, id: InstanceId, recovery: _Recovery) -> None:
        for member in recovery.members:
            waiters = self._waited_for.get(member)
            if waiters is not None and id in waiters:
                waiters.remove(id)
                if not waiters:
                    del self._waited_for[member]
        recovery.members = []

    def on_waiting(self, sender: int, message: Waiting) -> None:
        """Somebody's recovery of `id` waits, with so many votes that those for which it waits and
        `id` cannot both have taken the fast path."""
        quorums = self._state.quorums
        id = message.id
        if message.votes <= quorums.n - quorums.f - quorums.e:
            return
        instance = self._state.table.get(id)
        if instance.phase is not Phase.COMMITTED:
            self._strongly_waiting.add(id)
            self._reconsider(id)

    def _reconsider(self, member: InstanceId) -> None:
        """Something was learnt of `member`: those that wait for it may go on."""
        for id in tuple(self._waited_for.get(member, ())):
            recovery = self._recoveries.get(id)
            if recovery is None:
                continue
            current, instance = self._current(id, recovery.ballot)
            if current is not None and instance is not None and current.stage is _Stage.WAIT:
                self._try_end_wait(instance, current)

    def _on_late_answer(
        self, instance: Instance, recovery: _Recovery, sender: int, answer: RecoverOK
    ) -> None:
        """A RecoverOK from outside Q while waiting."""
        if answer.phase is Phase.COMMITTED:
            self._take_commit(instance, answer)
        elif answer.phase is Phase.ACCEPTED:
            assert answer.batch is not None
            self._propose(instance, recovery, answer.batch, answer.deps)
        elif sender == instance.id.replica:
            self._propose_nop(instance, recovery)

    def on_suspected(self, replica: int) -> None:
        """Nothing is awaited of `replica` any more: start again what needs its answer to a Validate."""
        for id, recovery in tuple(self._recoveries.items()):
            waits = replica in recovery.quorum and replica not in recovery.conflicts
            if recovery.stage is _Stage.VALIDATE and waits:
                self._retry(self._state.table.get(id), recovery)

    # -- the end

    def on_decided(self, id: InstanceId) -> None:
        """`id` has been committed here, in whatever way."""
        recovery = self._recoveries.pop(id, None)
        if recovery is not None:
            self._stop_waiting(id, recovery)
        self._alarms.clear(id)
        self._strongly_waiting.discard(id)
        self._reconsider(id)

    # -- time

    def next_deadline(self) -> float | None:
        return self._alarms.next()

    def on_time(self) -> None:
        """Ask again, or start again at a higher ballot, what does not come to an end."""
        for id in self._alarms.pop_due(self._state.now):
            if not self._state.table.is_forgotten(id):
                self.on_timeout(id)

    def on_timeout(self, id: InstanceId) -> None:
        """`id`, which is not forgotten, was waited for long enough: recover it, or go on with that."""
        instance = self._state.table.get(id)
        recovery = self._recoveries.get(id)
        if instance.phase is Phase.COMMITTED:
            self._recoveries.pop(id, None)
        elif recovery is None:
            if not self._commit.leads(id):
                self._start(instance, attempt=0)
        elif instance.bal != recovery.ballot:
            self._retry(instance, recovery)  # overtaken, and the other did not end it
        else:
            self._go_on(instance, recovery)

    def _retry(self, instance: Instance, recovery: _Recovery) -> None:
        self._stop_waiting(instance.id, recovery)
        self._start(instance, recovery.attempt + 1)

    def _go_on(self, instance: Instance, recovery: _Recovery) -> None:
        """A timeout at our own ballot: messages may be lost, or a member of Q."""
        state = self._state
        recovery.attempt += 1
        if recovery.stage is _Stage.VALIDATE:
            self._retry(instance, recovery)
            return
        if recovery.stage is not _Stage.ACCEPT:  # accepts are sent again by their own rules
            for replica in state.others:
                if replica not in recovery.answers:
                    state.promise(replica, Recover(instance.id, recovery.ballot))
        if recovery.stage is _Stage.WAIT:
            state.send_to_others(Waiting(instance.id, recovery.votes))
            for member in recovery.members:
                self._recover_later(member)
        self._alarms.set(instance.id, state.now + self._backoff(recovery.attempt))
