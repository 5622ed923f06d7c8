"""The round in which the owner of a ballot asks all replicas to accept its value.

Both a slow path (ballot 0) and a recovery (a higher ballot) end with such a round.
Source: EPaxos* (arXiv 2511.02743), section 3; docs: protocol/rules, "Commit".
"""

from __future__ import annotations

from epaxos.protocol.acceptor import Acceptor
from epaxos.protocol.admission import Admission, admit
from epaxos.protocol.memory.deadlines import Deadlines
from epaxos.protocol.memory.state import ReplicaState
from epaxos.protocol.values.ids import Deps, InstanceId, initial_ballot
from epaxos.protocol.values.instance import Instance
from epaxos.protocol.values.messages import NOP, Accept, AcceptOK, Batch

__all__ = ["AcceptRound", "AcceptRounds"]


class AcceptRound:
    """One round: its ballot, and the replicas that have accepted the value."""

    __slots__ = ("ballot", "voters")

    def __init__(self, ballot: int) -> None:
        self.ballot = ballot
        self.voters: set[int] = set()


class AcceptRounds:
    """The accept rounds of one replica, at most one for each instance.

    `deadlines` is shared with the proposals: an instance is waited for in one round at a time.
    """

    def __init__(self, state: ReplicaState, acceptor: Acceptor, deadlines: Deadlines[InstanceId]) -> None:
        self._state = state
        self._acceptor = acceptor
        self._deadlines = deadlines
        self.open: dict[InstanceId, AcceptRound] = {}
        """The rounds that have not ended."""

    def start(self, instance: Instance, ballot: int, cmd: Batch, deps: Deps, holders: set[int]) -> None:
        """As the owner of `ballot`, ask all replicas to accept (cmd, deps).

        `holders` are other replicas that are known to hold the proposed batch: it is not sent to them again.
        Nobody is asked when this replica's own acceptor does not take the value.
        """
        state = self._state
        id = instance.id
        message = Accept(id, ballot, cmd, deps)
        if self._acceptor.on_accept(state.id, message) is not Admission.TAKE:
            return
        self.open[id] = AcceptRound(ballot)
        brief = message if cmd is NOP else message._replace(batch=None)
        for replica in state.others:
            if replica in holders:
                state.send(replica, brief)
        for replica in state.others:
            if replica not in holders:
                state.send(replica, message)
        self._deadlines.set(id, state.now + state.timing.resend_s)

    def on_accept_ok(self, sender: int, message: AcceptOK) -> None:
        """A vote for the value of a round of this replica; a slow quorum of them decides."""
        state = self._state
        accept_round = self.open.get(message.id)
        if accept_round is None or accept_round.ballot != message.ballot:
            return
        instance = state.table.get(message.id)
        if admit(AcceptOK, instance, message.ballot) is not Admission.TAKE:
            return
        accept_round.voters.add(sender)
        if len(accept_round.voters) < state.quorums.slow:
            return
        if message.ballot == initial_ballot:
            state.counters.slow_path += 1
        else:
            state.counters.recovered += 1
        state.decide(instance, message.ballot, durably=False)
        state.tell_commit(instance, durably=False, holders=state.others)

    def ask_again(self, instance: Instance, accept_round: AcceptRound) -> None:
        """Send the Accept, with its batch, to the replicas that have not voted for it."""
        state = self._state
        message = Accept(instance.id, accept_round.ballot, instance.cmd, instance.deps)
        for replica in state.others:
            if replica not in accept_round.voters:
                state.send(replica, message)
        self._deadlines.set(instance.id, state.now + state.timing.resend_s)
