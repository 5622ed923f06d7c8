"""Every promise of a replica: PreAccept, Accept, Commit, Recover and Validate are answered here alone.

A promise changes an instance, saves its record, and leaves when that record is durable
(`ReplicaState.promise`).  When an instance takes which message stands in `admission.ADMISSION`.

A coordinator's own vote passes through the same methods: it hands its own Accept, Recover or Validate to
its own acceptor, which promises the answer to itself.  The vote of a command leader for its own proposal
alone has a method of its own, `pre_accept_own`, which says why.

Sources: EPaxos* (arXiv 2511.02743), sections 3 and 4; docs: protocol/rules.
"""

from __future__ import annotations

from epaxos.protocol.admission import Admission, admit
from epaxos.protocol.memory.interference import interferes
from epaxos.protocol.memory.state import ReplicaState
from epaxos.protocol.values.ids import Deps, InstanceId, initial_ballot, is_in, merge, owner
from epaxos.protocol.values.instance import Instance
from epaxos.protocol.values.messages import (
    NOP,
    Accept,
    AcceptOK,
    Batch,
    Commit,
    Conflict,
    Fetch,
    Phase,
    PreAccept,
    PreAcceptOK,
    Recover,
    RecoverOK,
    Validate,
    ValidateOK,
)

__all__ = ["Acceptor"]


# Looked up once, because each lookup in an Enum costs 0.1 us.
_TAKE, _DECIDED, _SUPERSEDED = Admission.TAKE, Admission.DECIDED, Admission.SUPERSEDED
_PREACCEPTED = Phase.PREACCEPTED


class Acceptor:
    """The promises of one replica.

    Each `on_…` method handles one message and returns the outcome.  `sender` may be this replica
    itself.  Each raises DoubledError when the message holds another value for a slot of this replica
    than the one that it proposed there.
    """

    def __init__(self, state: ReplicaState) -> None:
        self._state = state

    # -- PreAccept

    def pre_accept_own(self, message: PreAccept) -> PreAcceptOK | None:
        """Vote for the proposal of this replica itself, in a slot that is new.

        Returns the vote when it counts at once; None when it counts once its record is durable.

        It differs from `on_pre_accept` in two points.  The vote is D0 itself: D0 names what
        interferes here, and asking the index again would find the same.  And with a named fast quorum the
        vote needs no record, because every value but NOP that can be decided contains D0, which the
        PreAccept carries (docs: protocol/proofs).
        """
        state = self._state
        instance = state.table.get(message.id)
        self._pre_accept(instance, message, message.deps)
        vote = PreAcceptOK(message.id, message.deps)
        if state.quorums.named:
            return vote
        state.save(instance)
        state.promise(state.id, vote)
        return None

    def on_pre_accept(self, sender: int, message: PreAccept) -> Admission:
        """The command leader proposes: vote with the dependencies that are known here."""
        state = self._state
        id = message.id
        if sender != id.replica:
            return _SUPERSEDED
        instance = state.table.get(id)
        admission = admit(PreAccept, instance, initial_ballot)
        if admission is _TAKE:
            deps = merge((message.deps, state.index.deps_of(id, message.batch)))
            self._pre_accept(instance, message, deps)
            state.save(instance)
        if admission is _DECIDED:
            state.answer_commit(sender, instance)
        elif admission is not _SUPERSEDED:
            state.promise(sender, PreAcceptOK(id, instance.deps))
        return admission

    def _pre_accept(self, instance: Instance, message: PreAccept, deps: Deps) -> None:
        state = self._state
        state.learn_proposal(instance, message.batch)
        instance.cmd = instance.proposed
        instance.init_deps = message.deps
        instance.fast_quorum = message.fast_quorum
        instance.deps = deps
        instance.phase = _PREACCEPTED
        state.table.hear_of(deps)

    # -- Accept and Commit

    def on_accept(self, sender: int, message: Accept) -> Admission:
        """The owner of a ballot asks this replica to accept its value."""
        state = self._state
        if owner(message.ballot, message.id, state.epoch) != sender:
            return _SUPERSEDED
        instance = state.table.get(message.id)
        admission = admit(Accept, instance, message.ballot)
        if admission is _DECIDED:
            state.answer_commit(sender, instance)
        elif admission is _TAKE:
            if not state.learn_value(instance, message.batch):
                return Admission.INCOMPLETE  # its owner sends it again, with the batch
            instance.bal = instance.abal = message.ballot
            instance.deps = message.deps
            instance.phase = Phase.ACCEPTED
            state.table.hear_of(message.deps)
            state.save(instance)
            state.promise(sender, AcceptOK(message.id, message.ballot))
        return admission

    def on_commit(self, sender: int, message: Commit) -> Admission:
        """A decision is final: it is taken at any ballot.  A batch that is missing here is fetched."""
        state = self._state
        instance = state.table.get(message.id)
        admission = admit(Commit, instance, message.ballot)
        if admission is _TAKE:
            if not state.learn_value(instance, message.batch):
                state.send(sender, Fetch((message.id,)))
                return Admission.INCOMPLETE
            instance.deps = message.deps
            state.decide(instance, message.ballot, durably=False)
        return admission

    # -- Recover and Validate

    def on_recover(self, sender: int, message: Recover) -> Admission:
        """Promise to take nothing below the ballot any more, and tell what this replica holds."""
        state = self._state
        if message.ballot == initial_ballot or owner(message.ballot, message.id, state.epoch) != sender:
            return _SUPERSEDED
        instance = state.table.get(message.id)
        admission = admit(Recover, instance, message.ballot)
        if admission is _DECIDED:
            state.answer_commit(sender, instance)
        elif admission is not _SUPERSEDED:
            if admission is _TAKE:
                instance.bal = message.ballot
                state.save(instance)
            state.promise(sender, _what_is_known(instance))
        return admission

    def on_validate(self, sender: int, message: Validate) -> Admission:
        """Remember the value as first proposed, and tell which instances speak against its commit."""
        state = self._state
        instance = state.table.get(message.id)
        admission = admit(Validate, instance, message.ballot)
        if admission is _DECIDED:
            state.answer_commit(sender, instance)
        elif admission is _TAKE:
            state.learn_value(instance, message.batch)
            instance.init_deps = message.deps
            state.save(instance)
            conflicts = self._conflicts(message.id, message.batch, message.deps)
            state.promise(sender, ValidateOK(message.id, message.ballot, conflicts))
        return admission

    def _conflicts(self, id: InstanceId, batch: Batch, deps: Deps) -> tuple[Conflict, ...]:
        """The instances outside `deps` that interfere with `batch` and do not name `id`.

        A committed one is answered alone: it settles the matter, and there may be any number of others.
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


def _what_is_known(instance: Instance) -> RecoverOK:
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
