"""One rule of the core broken at a time, to see whether the explorer finds out.

Each mutant is a class, an attribute of it, and what is put in its place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from epaxos.protocol.messages import Phase, Recover, ValidateOK
from epaxos.protocol.quorums import Quorums
from epaxos.protocol.recovery import RecoveryRules

__all__ = [
    "FAST_QUORUM_OF_ONE_LESS",
    "NO_VALIDATION",
    "ONE_BALLOT",
    "Mutant",
]


class Mutant(NamedTuple):
    """What is put where."""

    where: type
    name: str
    instead: Any


_on_recover: Callable[..., Any] = RecoveryRules.on_recover
_on_validate_ok: Callable[..., None] = RecoveryRules.on_validate_ok


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
