"""One table of all messages: in which phase, and at which ballot, an instance takes each of them.

The acceptor and the coordinators ask this table.  The documentation shows it as a table and as a
picture of the phases; both are generated from it by tests/protocol/test_admission.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from operator import eq, le, lt
from typing import NamedTuple

from epaxos.protocol.values.instance import Instance
from epaxos.protocol.values.messages import (
    Accept,
    AcceptOK,
    Commit,
    Fetch,
    Heartbeat,
    Message,
    Phase,
    PreAccept,
    PreAcceptOK,
    Read,
    ReadOK,
    Recover,
    RecoverOK,
    Validate,
    ValidateOK,
    Waiting,
)

__all__ = ["ADMISSION", "Admission", "Rule", "admit"]


class Admission(Enum):
    """What an instance does with a message."""

    TAKE = "take it"
    REPEAT = "repeat the answer that was promised before"
    DECIDED = "the instance is decided: answer a request with the Commit, ignore an answer"
    SUPERSEDED = "ignore it: a later ballot or phase was promised, or the sender may not send it"
    INCOMPLETE = "it names a batch that is not held here: it has to come again, with the batch"


def _never(instance: Instance, ballot: int) -> bool:
    return False


class Rule(NamedTuple):
    """When an instance takes the messages of one kind.

    - `phases`: the phases in which the instance takes it; empty for a message that belongs to no
      instance, which is always taken.
    - `ballot(bal, b)`: whether the promised ballot `bal` allows a message of ballot `b`; None when every
      ballot is allowed.  `ballot_text` says the same for people.
    - `leads_to`: each phase that the instance may enter because of the message, and the condition ("" for
      none).
    - `repeats(instance, b)`: whether the same answer is given again; `repeats_text` says the same.
    - `is_request`: whether a decided instance answers it with the Commit.
    """

    phases: frozenset[Phase]
    ballot: Callable[[int, int], bool] | None
    ballot_text: str
    leads_to: tuple[tuple[Phase, str], ...] = ()
    repeats: Callable[[Instance, int], bool] = _never
    repeats_text: str = ""
    is_request: bool = False


_UNDECIDED = frozenset({Phase.INITIAL, Phase.PREACCEPTED, Phase.ACCEPTED})


_OF_NO_INSTANCE = Rule(frozenset(), None, "")

ADMISSION: Mapping[type, Rule] = {
    PreAccept: Rule(
        frozenset({Phase.INITIAL}),
        eq,
        "bal = 0",
        ((Phase.PREACCEPTED, ""),),
        lambda instance, ballot: instance.bal == 0 and instance.phase is Phase.PREACCEPTED,
        "bal = 0, preaccepted",
        is_request=True,
    ),
    PreAcceptOK: Rule(
        frozenset({Phase.PREACCEPTED}),
        eq,
        "bal = 0",
        ((Phase.COMMITTED, "fast quorum"), (Phase.ACCEPTED, "slow quorum")),
    ),
    Accept: Rule(
        _UNDECIDED,
        le,
        "bal <= b",
        ((Phase.ACCEPTED, ""),),
        is_request=True,
    ),
    AcceptOK: Rule(
        frozenset({Phase.ACCEPTED}),
        eq,
        "bal = b",
        ((Phase.COMMITTED, "slow quorum"),),
    ),
    Commit: Rule(_UNDECIDED, None, "any", ((Phase.COMMITTED, ""),)),
    Recover: Rule(
        _UNDECIDED,
        lt,
        "bal < b",
        (),
        lambda instance, ballot: instance.bal == ballot,
        "bal = b",
        is_request=True,
    ),
    RecoverOK: Rule(_UNDECIDED, eq, "bal = b", ((Phase.ACCEPTED, "slow quorum"),)),
    Validate: Rule(
        frozenset({Phase.INITIAL, Phase.PREACCEPTED}),
        eq,
        "bal = b",
        is_request=True,
    ),
    ValidateOK: Rule(_UNDECIDED, eq, "bal = b", ((Phase.ACCEPTED, "all of Q"),)),
    Waiting: Rule(_UNDECIDED, None, "any"),
    Fetch: _OF_NO_INSTANCE,
    Heartbeat: _OF_NO_INSTANCE,
    Read: _OF_NO_INSTANCE,
    ReadOK: _OF_NO_INSTANCE,
}
"""A Validate is not taken where a value is accepted: it is then a double that comes after the Accept of
its ballot, because by rule 2 nobody validates beside an older accepted value.  It must not change what
was accepted.

A repeated answer is safe: nothing that it tells can have changed since the first answer, except by a
message of the same ballot, which its owner sends only when it no longer counts those answers."""


_COMMITTED, _TAKE = (
    Phase.COMMITTED,
    Admission.TAKE,
)  # a lookup in an Enum costs as much as the rest of `admit`


def admit(kind: type[Message], instance: Instance, ballot: int) -> Admission:
    """What `instance` does with a message of this kind and ballot.

    `ballot` is 0 for a PreAccept, for a PreAcceptOK, and for a Waiting, which carry none.
    """
    phase = instance.phase
    if phase is _COMMITTED:
        return Admission.DECIDED
    rule = ADMISSION[kind]
    takes = rule.ballot
    if phase in rule.phases and (takes is None or takes(instance.bal, ballot)):
        return _TAKE
    if rule.repeats(instance, ballot):
        return Admission.REPEAT
    return Admission.SUPERSEDED
