"""The protocol in one table: which message an instance takes, in which phase, at which ballot.

docs: protocol/rules shows the same table, which a test keeps the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import NamedTuple

from epaxos.protocol.values.instance import Instance
from epaxos.protocol.values.messages import Accept, Message, Phase, PreAccept, Recover, Validate

__all__ = ["ADMISSION", "Admission", "Rule", "admit"]


class Admission(Enum):
    """What an instance does with a message."""

    TAKE = "take it"
    REPEAT = "answer again what was promised"
    DECIDED = "answer with the Commit"
    SUPERSEDED = "ignore it: a later ballot or phase was promised"


class Rule(NamedTuple):
    """When a message is taken: `phases`, and how the local ballot must stand to the message's."""

    phases: frozenset[Phase]
    ballot: Callable[[int, int], bool]
    ballot_text: str
    repeats: Callable[[Instance, int], bool]
    repeats_text: str


_UNDECIDED = frozenset({Phase.INITIAL, Phase.PREACCEPTED, Phase.ACCEPTED})


def _never(instance: Instance, ballot: int) -> bool:
    return False


ADMISSION: Mapping[type, Rule] = {
    PreAccept: Rule(
        frozenset({Phase.INITIAL}),
        lambda bal, ballot: bal == 0,
        "bal = 0",
        lambda instance, ballot: instance.bal == 0 and instance.phase is Phase.PREACCEPTED,
        "bal = 0, preaccepted",
    ),
    Accept: Rule(_UNDECIDED, lambda bal, ballot: bal <= ballot, "bal <= b", _never, ""),
    Recover: Rule(
        _UNDECIDED,
        lambda bal, ballot: bal < ballot,
        "bal < b",
        lambda instance, ballot: instance.bal == ballot,
        "bal = b",
    ),
    Validate: Rule(
        frozenset({Phase.INITIAL, Phase.PREACCEPTED}),
        lambda bal, ballot: bal == ballot,
        "bal = b",
        _never,
        "",
    ),
}
"""Where a value is accepted, a Validate is a double that comes after the Accept of its ballot (with an
older accepted value nobody validates, by rule 2): it must not change what was accepted.

Repeated answers are safe: nothing that they tell can have changed since the first, except by a
message of the same ballot, which its owner sends only when it no longer counts those answers."""


def admit(kind: type[Message], instance: Instance, ballot: int) -> Admission:
    """What `instance` does with a message of this kind and ballot (0 for a PreAccept)."""
    if instance.phase is Phase.COMMITTED:
        return Admission.DECIDED
    rule = ADMISSION[kind]
    if instance.phase in rule.phases and rule.ballot(instance.bal, ballot):
        return Admission.TAKE
    if rule.repeats(instance, ballot):
        return Admission.REPEAT
    return Admission.SUPERSEDED
