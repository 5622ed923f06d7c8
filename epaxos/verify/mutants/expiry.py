"""The mutants of rules about keys with deadlines (docs: internals/expiry)."""

from __future__ import annotations

from typing import Any

from epaxos.statemachines.due_keys import DueKeys
from epaxos.statemachines.redis.space import Space
from epaxos.verify.mutants.mutation import Edit, Mutant

__all__ = ["EXPIRY"]


def _edit(name: str, rule: str, target: Any, old: str, new: str) -> Mutant:
    return Mutant(name, rule, (Edit(target, ((old, new),)),), 3, "expiry")


EXPIRY = (
    _edit(
        "gone by the clock of a reader",
        "Expiry: who only reads does not say that a key is gone before it is removed",
        Space._remove_due,
        "raise Due(self.database, key, stored[1])",
        "return",
    ),
    _edit(
        "removed whatever its deadline",
        "Expiry: a key is removed only if exactly the deadline stands that was due",
        Space.remove_due,
        "or stored[1] != deadline_ms:",
        "or not deadline_ms:",
    ),
    _edit(
        "written although it is due",
        "Expiry: for a command that writes a key, the key is gone when its deadline has come",
        Space.get,
        "if stored[1] > self.now_ms:",
        "if stored[1] > self.now_ms or key in self.moment.writes:",
    ),
    _edit(
        "nobody removes what nobody touches",
        "Expiry: a key that is due is removed, though nobody touches it",
        DueKeys._may_propose,
        "return now - self._waits_since >= self._rank() * RANK_S",
        "return False",
    ),
)
