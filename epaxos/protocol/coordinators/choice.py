"""What a recovery chooses, as pure functions of the answers that it has collected.

Nothing here has state or effects.  Each choice names the rule that leads to it, with the number that the
rule has in the documentation.

Source: EPaxos* (arXiv 2511.02743), section 4; docs: protocol/rules, "Recovery", and protocol/fast-path.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Enum
from typing import NamedTuple, Union

from epaxos.protocol.values.ids import Deps, InstanceId, merge, no_deps
from epaxos.protocol.values.messages import NOP, Batch, Conflict, Phase, RecoverOK
from epaxos.protocol.values.quorums import Quorums

__all__ = [
    "AskToValidate",
    "Choice",
    "Learn",
    "Member",
    "Propose",
    "WaitFor",
    "choose",
    "choose_after_validation",
    "choose_after_wait",
    "choose_late",
]


class Learn(NamedTuple):
    """The instance is decided already: take the decision that `sender` has told in `answer`."""

    rule: str
    sender: int
    answer: RecoverOK


class Propose(NamedTuple):
    """Ask all replicas to accept (batch, deps) at the ballot of the recovery."""

    rule: str
    batch: Batch
    deps: Deps


class AskToValidate(NamedTuple):
    """(batch, deps) may have been committed on the fast path: ask Q to validate it.

    `votes` is |R|, the number of answers that may belong to a fast quorum.
    """

    rule: str
    batch: Batch
    deps: Deps
    votes: int


class WaitFor(NamedTuple):
    """Wait until the conflicting instances `members`, sorted, show what to propose."""

    rule: str
    members: tuple[InstanceId, ...]


Choice = Union[Learn, Propose, AskToValidate, WaitFor]


class Member(Enum):
    """What is known here of a conflicting instance for which the recovery of `id` waits."""

    OPEN = "it may still commit in any way"
    CONFLICTS = "it committed without naming id, so id was not committed on the fast path"
    EXCLUDES = "its own recovery has more than n-f-e votes, so id did not take the fast path"
    HARMLESS = "it committed as NOP, or it names id"


def choose(quorums: Quorums, id: InstanceId, answers: Mapping[int, RecoverOK]) -> Choice:
    """The choice for `id` after `answers`, of at least a slow quorum Q: rules 1 to 5, 4n and 5n."""
    latest = max(answer.accepted_ballot for answer in answers.values())
    accepted = None
    for sender, answer in answers.items():
        if answer.phase is Phase.COMMITTED:
            return Learn("1", sender, answer)
        if answer.accepted_ballot == latest and answer.phase is Phase.ACCEPTED:
            accepted = answer
    if accepted is not None:
        return _again("2", accepted)
    if id.replica in answers:
        return _nop("3", quorums)
    if quorums.named:
        return _choose_by_named(quorums, answers)
    return _choose_by_votes(quorums, answers)


def _choose_by_votes(quorums: Quorums, answers: Mapping[int, RecoverOK]) -> Choice:
    """Any fast quorum of equal answers may have been taken: rules 4 and 5."""
    votes = [
        answer
        for answer in answers.values()
        if answer.phase is Phase.PREACCEPTED and answer.deps == answer.init_deps
    ]
    if len(votes) >= len(answers) - quorums.e and votes:
        batch, deps = votes[0].batch, votes[0].init_deps
        assert batch is not None and deps is not None
        return AskToValidate("4", batch, deps, len(votes))
    return _nop("5", quorums)


def _choose_by_named(quorums: Quorums, answers: Mapping[int, RecoverOK]) -> Choice:
    """Only the answers of the named replicas count: rules 4n and 5n.

    All replicas but the leader are in Q.  So the union of the answers of all named replicas is the
    value that the leader would have committed, and there is nothing to validate.
    """
    votes = {replica: answer for replica, answer in answers.items() if answer.phase is Phase.PREACCEPTED}
    named = next((answer.fast_quorum for answer in votes.values()), ())
    if named and all(replica in votes for replica in named):
        vote = votes[named[0]]
        assert vote.batch is not None
        return Propose("4n", vote.batch, merge(votes[replica].deps for replica in named))
    return _nop("5n", quorums)


def choose_after_validation(
    quorums: Quorums, validated: AskToValidate, answers: Mapping[int, Collection[Conflict]]
) -> Choice:
    """The choice after all of Q have answered Validate with their conflicts: validation rules 1 to 3."""
    conflicts = [conflict for found in answers.values() for conflict in found]
    if not conflicts:
        return Propose("validation 1", validated.batch, validated.deps)
    if any(conflict.committed for conflict in conflicts) or (
        validated.votes == len(answers) - quorums.e
        and any(conflict.id.replica not in answers for conflict in conflicts)
    ):
        return _nop("validation 2", quorums)
    return WaitFor("validation 3", tuple(sorted({conflict.id for conflict in conflicts})))


def choose_after_wait(
    quorums: Quorums, validated: AskToValidate, members: Collection[Member]
) -> Propose | None:
    """The choice when this is known of the conflicting instances; None to wait on: validation rule 3."""
    if Member.CONFLICTS in members or Member.EXCLUDES in members:
        return _nop("validation 3", quorums)
    if Member.OPEN in members:
        return None
    return Propose("validation 3", validated.batch, validated.deps)


def choose_late(quorums: Quorums, id: InstanceId, sender: int, answer: RecoverOK) -> Choice | None:
    """The choice when `answer` comes from outside Q during a wait; None to wait on: validation rule 3."""
    if answer.phase is Phase.COMMITTED:
        return Learn("validation 3", sender, answer)
    if answer.phase is Phase.ACCEPTED:
        return _again("validation 3", answer)
    if sender == id.replica:
        return _nop("validation 3", quorums)
    return None


def _again(rule: str, accepted: RecoverOK) -> Propose:
    assert accepted.batch is not None
    return Propose(rule, accepted.batch, accepted.deps)


def _nop(rule: str, quorums: Quorums) -> Propose:
    return Propose(rule, NOP, no_deps(quorums.epoch))
