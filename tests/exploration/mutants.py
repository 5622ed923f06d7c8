"""One rule of the core broken at a time, to see whether the explorer finds out.

Each mutant is a class, an attribute of it, and what is put in its place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from epaxos.protocol.instance import Instance
from epaxos.protocol.interference import InterferenceIndex
from epaxos.protocol.messages import Phase, Recover, RecoverOK, ValidateOK
from epaxos.protocol.quorums import Quorums
from epaxos.protocol.recovery import RecoveryRules
from epaxos.protocol.state import ReplicaState

__all__ = [
    "FAST_QUORUM_OF_ONE_LESS",
    "FORGETS_ITS_OWN_ROW",
    "NO_RULE_3",
    "NO_VALIDATION",
    "ONE_BALLOT",
    "PROMISES_TOO_EARLY",
    "Mutant",
]


class Mutant(NamedTuple):
    """What is put where."""

    where: type
    name: str
    instead: Any


_choose: Callable[..., None] = RecoveryRules._choose
_on_recover: Callable[..., Any] = RecoveryRules.on_recover
_on_validate_ok: Callable[..., None] = RecoveryRules.on_validate_ok


class _Answers(dict[int, RecoverOK]):
    """Answers among which nobody's own is found."""

    def __contains__(self, replica: object) -> bool:
        return False


def _choose_without_rule_3(self: RecoveryRules, instance: Instance, recovery: Any) -> None:
    """The command leader's answer counts like anybody else's."""
    answers = recovery.answers
    recovery.answers = _Answers(answers)
    _choose(self, instance, recovery)
    recovery.answers = answers


NO_RULE_3 = Mutant(RecoveryRules, "_choose", _choose_without_rule_3)


def on_validate_ok(self: RecoveryRules, sender: int, message: ValidateOK) -> None:
    """Nobody ever has anything against the value that the fast path may have decided."""
    _on_validate_ok(self, sender, message._replace(conflicts=()))


NO_VALIDATION = Mutant(RecoveryRules, "on_validate_ok", on_validate_ok)


def on_recover(self: RecoveryRules, sender: int, message: Recover) -> Any:
    """A promise overwrites the ballot in which the value was accepted: there is but one."""
    instance = self._state.table.get(message.id)
    if instance.phase < Phase.COMMITTED and instance.bal < message.ballot:
        instance.abal = message.ballot
    return _on_recover(self, sender, message)


ONE_BALLOT = Mutant(RecoveryRules, "on_recover", on_recover)
FAST_QUORUM_OF_ONE_LESS = Mutant(Quorums, "fast", property(lambda self: self.n - self.e - 1))
FORGETS_ITS_OWN_ROW = Mutant(InterferenceIndex, "set_unknown", lambda self, id: None)
PROMISES_TOO_EARLY = Mutant(ReplicaState, "promise", ReplicaState.send)
