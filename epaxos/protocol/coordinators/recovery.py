"""The recoverer: decide an instance whose command leader may have failed.

Ask for what is known (Recover), choose (`choice`), perhaps validate the choice and wait for conflicting
instances, then run an accept round.  Any replica may recover any instance at any time: safety does
not depend on who recovers, or when.

Source: EPaxos* (arXiv 2511.02743), section 4; docs: protocol/rules, "Recovery".
"""

from __future__ import annotations

from enum import Enum

from epaxos.protocol.acceptor import Acceptor
from epaxos.protocol.admission import Admission, admit
from epaxos.protocol.coordinators.accept_round import AcceptRounds
from epaxos.protocol.coordinators.choice import (
    AskToValidate,
    Choice,
    Learn,
    Propose,
    choose,
    choose_after_validation,
    choose_after_wait,
    choose_late,
)
from epaxos.protocol.coordinators.proposal import Proposals
from epaxos.protocol.coordinators.waiting import Waits
from epaxos.protocol.memory.deadlines import Deadlines
from epaxos.protocol.memory.state import ReplicaState
from epaxos.protocol.values.ids import NUMBER_LIMIT, InstanceId, next_ballot
from epaxos.protocol.values.instance import Instance
from epaxos.protocol.values.messages import (
    Commit,
    Conflict,
    Phase,
    Recover,
    RecoverOK,
    Validate,
    ValidateOK,
    Waiting,
)

__all__ = ["Recoveries", "Recovery", "Stage"]


class Stage(Enum):
    """How far a recovery is."""

    COLLECT = "collecting RecoverOK"
    VALIDATE = "collecting ValidateOK"
    WAIT = "waiting for conflicting instances"
    ACCEPT = "a value was proposed"


class Recovery:
    """One attempt, at one ballot, to decide one instance.

    `attempt` counts the earlier attempts, from 0.  `answers` holds every RecoverOK, `quorum` (Q) the
    senders of those on which the choice rests.  `validated` is the value that Q validates, with |R|;
    `conflicts` its answers; `members` the conflicting instances that are waited for.
    """

    __slots__ = (
        "answers",
        "attempt",
        "ballot",
        "conflicts",
        "members",
        "quorum",
        "stage",
        "validated",
    )

    def __init__(self, ballot: int, attempt: int) -> None:
        self.ballot = ballot
        self.attempt = attempt
        self.stage = Stage.COLLECT
        self.answers: dict[int, RecoverOK] = {}
        self.quorum: tuple[int, ...] = ()
        self.validated: AskToValidate | None = None
        self.conflicts: dict[int, tuple[Conflict, ...]] = {}
        self.members: tuple[InstanceId, ...] = ()


class Recoveries:
    """The recoveries that one replica runs, at most one for each instance."""

    def __init__(
        self, state: ReplicaState, acceptor: Acceptor, proposals: Proposals, rounds: AcceptRounds
    ) -> None:
        self._state = state
        self._acceptor = acceptor
        self._proposals = proposals
        self._rounds = rounds
        self._recoveries: dict[InstanceId, Recovery] = {}
        self._waits = Waits(state.table)
        self._deadlines: Deadlines[InstanceId] = Deadlines()

    def __len__(self) -> int:
        return len(self._recoveries)

    # -- ask

    def start(self, id: InstanceId) -> None:
        """Try to decide `id`, unless it is decided or this replica recovers it already."""
        state = self._state
        if not (id in self._recoveries or state.table.is_forgotten(id) or state.is_unused(id)):
            self._start(state.table.get(id), attempt=0)

    def _start(self, instance: Instance, attempt: int) -> None:
        """Ask all replicas, this one included, at a new ballot.

        The ballot is durable before anybody hears of it, so that a restarted replica never uses it again.
        """
        state = self._state
        id = instance.id
        if instance.phase is Phase.COMMITTED:
            return
        ballot = next_ballot(instance.bal, state.id, state.epoch)
        if ballot >= NUMBER_LIMIT:  # a peer lied about a ballot, and no peer would take a higher one
            self._recoveries.pop(id, None)
            return
        self._recoveries[id] = Recovery(ballot, attempt)
        message = Recover(id, ballot)
        self._acceptor.on_recover(state.id, message)
        for replica in state.others:
            state.promise(replica, message)
        self._deadlines.set(id, state.now + self._back_off_s(attempt))

    def _back_off_s(self, attempt: int) -> float:
        """Seconds until the next attempt: random, doubled by each, at most 1.5 times `backoff_max_s`."""
        state = self._state
        timing = state.timing
        longest = min(timing.backoff_max_s, timing.resend_s * (1 << min(attempt, 10)))
        return longest * (0.5 + state.random.random())

    def _current(self, message: RecoverOK | ValidateOK) -> tuple[Recovery | None, Instance | None]:
        """The recovery that the answer belongs to, unless it has ended or was overtaken."""
        recovery = self._recoveries.get(message.id)
        if recovery is None or recovery.ballot != message.ballot:
            return None, None
        instance = self._state.table.get(message.id)
        if admit(type(message), instance, message.ballot) is not Admission.TAKE:
            return None, None
        return recovery, instance

    # -- choose

    def on_recover_ok(self, sender: int, message: RecoverOK) -> None:
        """An answer to a Recover of this replica; a slow quorum of them leads to a choice."""
        quorums = self._state.quorums
        recovery, instance = self._current(message)
        if recovery is None or instance is None or sender in recovery.answers:
            return
        recovery.answers[sender] = message
        if recovery.stage is Stage.COLLECT:
            if len(recovery.answers) >= quorums.slow:
                recovery.quorum = tuple(recovery.answers)
                self._follow(instance, recovery, choose(quorums, instance.id, recovery.answers))
        elif recovery.stage is Stage.WAIT:
            self._on_late_answer(instance, recovery, sender, message)

    def _on_late_answer(self, instance: Instance, recovery: Recovery, sender: int, answer: RecoverOK) -> None:
        choice = choose_late(self._state.quorums, instance.id, sender, answer)
        if choice is not None:
            self._follow(instance, recovery, choice)

    def _follow(self, instance: Instance, recovery: Recovery, choice: Choice) -> None:
        """Do what was chosen."""
        if isinstance(choice, Propose):
            self._propose(instance, recovery, choice)
        elif isinstance(choice, AskToValidate):
            self._validate(instance, recovery, choice)
        elif isinstance(choice, Learn):
            answer = choice.answer
            commit = Commit(instance.id, answer.accepted_ballot, answer.batch, answer.deps)
            self._acceptor.on_commit(choice.sender, commit)
        else:
            self._wait(instance, recovery, choice.members)

    def _propose(self, instance: Instance, recovery: Recovery, choice: Propose) -> None:
        recovery.stage = Stage.ACCEPT
        self._stop_waiting(instance.id, recovery)
        self._rounds.start(instance, recovery.ballot, choice.batch, choice.deps, holders=set())

    # -- validate a value that the fast path may have decided

    def _validate(self, instance: Instance, recovery: Recovery, choice: AskToValidate) -> None:
        state = self._state
        recovery.stage = Stage.VALIDATE
        recovery.validated = choice
        message = Validate(instance.id, recovery.ballot, choice.batch, choice.deps)
        for replica in recovery.quorum:
            if replica == state.id:
                self._acceptor.on_validate(state.id, message)
            else:
                state.send(replica, message)

    def on_validate_ok(self, sender: int, message: ValidateOK) -> None:
        """An answer to a Validate of this replica; those of all of Q lead to a choice."""
        recovery, instance = self._current(message)
        if recovery is None or instance is None or recovery.stage is not Stage.VALIDATE:
            return
        if sender not in recovery.quorum:
            return
        recovery.conflicts[sender] = message.conflicts
        if len(recovery.conflicts) == len(recovery.quorum) and recovery.validated is not None:
            quorums = self._state.quorums
            choice = choose_after_validation(quorums, recovery.validated, recovery.conflicts)
            self._follow(instance, recovery, choice)

    # -- wait for the conflicting instances

    def _wait(self, instance: Instance, recovery: Recovery, members: tuple[InstanceId, ...]) -> None:
        state = self._state
        recovery.stage = Stage.WAIT
        recovery.members = members
        self._waits.begin(instance.id, members)
        message = _waiting(instance, recovery)
        state.send_to_others(message)
        self.on_waiting(state.id, message)
        for sender, answer in tuple(recovery.answers.items()):
            if sender not in recovery.quorum and recovery.stage is Stage.WAIT:
                self._on_late_answer(instance, recovery, sender, answer)
        if recovery.stage is Stage.WAIT and not self._try_end_wait(instance, recovery):
            for member in members:
                self._recover_later(member)

    def _recover_later(self, member: InstanceId) -> None:
        """Recover a conflicting instance too, when this replica's turn to do so comes."""
        state = self._state
        if not (
            state.table.is_forgotten(member)
            or state.is_unused(member)
            or member in self._recoveries
            or self._proposals.leads(member)
        ):
            wait_s = state.timing.turn_s * state.failures.rank(member.replica)
            if not state.failures.suspects(member.replica):
                wait_s += state.timing.resend_s
            self._deadlines.set(member, state.now + wait_s)

    def _try_end_wait(self, instance: Instance, recovery: Recovery) -> bool:
        """Propose the value that the members determine.  False when they do not determine one yet."""
        assert recovery.validated is not None
        members = [self._waits.look_at(instance.id, member) for member in recovery.members]
        choice = choose_after_wait(self._state.quorums, recovery.validated, members)
        if choice is not None:
            self._propose(instance, recovery, choice)
        return choice is not None

    def _stop_waiting(self, id: InstanceId, recovery: Recovery) -> None:
        self._waits.end(id, recovery.members)
        recovery.members = ()

    def on_waiting(self, sender: int, message: Waiting) -> None:
        """A recovery, here or elsewhere, waits.

        With more than n-f-e votes it excludes that an instance which conflicts with it took the fast path.
        """
        quorums = self._state.quorums
        id = message.id
        if message.votes <= quorums.n - quorums.f - quorums.e:
            return
        if admit(Waiting, self._state.table.get(id), 0) is Admission.TAKE:
            self._reconsider(self._waits.on_excluding(id))

    def _reconsider(self, waiters: tuple[InstanceId, ...]) -> None:
        """More is known of an instance that the recoveries of `waiters` wait for: they may go on."""
        for id in waiters:
            recovery = self._recoveries.get(id)
            if recovery is None or recovery.stage is not Stage.WAIT:
                continue
            instance = self._state.table.get(id)
            if instance.bal == recovery.ballot and instance.phase is not Phase.COMMITTED:
                self._try_end_wait(instance, recovery)

    def on_suspected(self, replica: int) -> None:
        """No answer of `replica` is awaited any more: start each recovery again that needs its ValidateOK."""
        for id, recovery in tuple(self._recoveries.items()):
            waits = replica in recovery.quorum and replica not in recovery.conflicts
            if recovery.stage is Stage.VALIDATE and waits:
                self._retry(self._state.table.get(id), recovery)

    # -- the end

    def on_decided(self, id: InstanceId) -> None:
        """`id` has been committed here, by whomever."""
        recovery = self._recoveries.pop(id, None)
        if recovery is not None:
            self._stop_waiting(id, recovery)
        self._deadlines.clear(id)
        waiters = self._waits.on_decided(id)
        if waiters:
            self._reconsider(waiters)

    # -- time

    def next_deadline(self) -> float | None:
        """When `on_time` has to be called at the latest; None while nothing is waited for."""
        return self._deadlines.next()

    def on_time(self) -> None:
        """Carry on with each instance whose wait is over."""
        for id in self._deadlines.pop_due(self._state.now):
            if not self._state.table.is_forgotten(id):
                self.on_timeout(id)

    def on_timeout(self, id: InstanceId) -> None:
        """The wait for `id`, which is not forgotten, is over: recover it, or carry on with its recovery."""
        instance = self._state.table.get(id)
        recovery = self._recoveries.get(id)
        if instance.phase is Phase.COMMITTED:
            self._recoveries.pop(id, None)
        elif recovery is None:
            if not self._proposals.leads(id):
                self._start(instance, attempt=0)
        elif instance.bal != recovery.ballot:
            self._retry(instance, recovery)  # overtaken by a recovery that has not ended either
        else:
            self._carry_on(instance, recovery)

    def _retry(self, instance: Instance, recovery: Recovery) -> None:
        self._stop_waiting(instance.id, recovery)
        self._start(instance, recovery.attempt + 1)

    def _carry_on(self, instance: Instance, recovery: Recovery) -> None:
        """A timeout at the recovery's own ballot: messages may be lost, or a member of Q has failed."""
        state = self._state
        recovery.attempt += 1
        if recovery.stage is Stage.VALIDATE:
            self._retry(instance, recovery)
            return
        if recovery.stage is not Stage.ACCEPT:  # the accept round sends its messages again itself
            for replica in state.others:
                if replica not in recovery.answers:
                    state.promise(replica, Recover(instance.id, recovery.ballot))
        if recovery.stage is Stage.WAIT:
            state.send_to_others(_waiting(instance, recovery))
            for member in recovery.members:
                self._recover_later(member)
        self._deadlines.set(instance.id, state.now + self._back_off_s(recovery.attempt))


def _waiting(instance: Instance, recovery: Recovery) -> Waiting:
    assert recovery.validated is not None
    return Waiting(instance.id, recovery.validated.votes)
