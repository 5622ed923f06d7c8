"""The mutants of rules about transactions, marks, fences and scripts (docs: using/clients, using/scripts)."""

from __future__ import annotations

from typing import Any

from epaxos.statemachines.redis import transactions
from epaxos.statemachines.redis.fences import Fences
from epaxos.statemachines.redis.marks import Marks
from epaxos.statemachines.redis.script_calls import Caller
from epaxos.statemachines.redis.space import Keyspace
from epaxos.statemachines.redis.state import State
from epaxos.verify.mutants.mutation import Edit, Mutant

__all__ = ["TRANSACTIONS"]


def _edit(name: str, rule: str, target: Any, old: str, new: str) -> Mutant:
    return Mutant(name, rule, (Edit(target, ((old, new),)),), 3, "transactions")


TRANSACTIONS = (
    _edit(
        "EXEC whatever has changed",
        "WATCH: EXEC runs nothing when a key has changed since",
        transactions._is_clean,
        "and not is_due",
        "or True",
    ),
    _edit(
        "bulk operations tell no marks",
        "WATCH: every write of a key makes its marks dirty",
        State.on_written,
        "if self.is_watched:",
        "if False:",
    ),
    _edit(
        "marks are not kept",
        "WATCH: the marks are a part of the state",
        Marks.entries,
        "sorted(self._watched.items())",
        "sorted({}.items())",
    ),
    _edit(
        "marks of what was undone stay dirty",
        "WATCH: what was taken back has changed nothing",
        Marks.back_to,
        "while len(self.journal) > length:",
        "while False:",
    ),
    _edit(
        "runs again without its mark",
        "WATCH: a transaction that runs again has its mark back",
        transactions._mark_again,
        "if asked.owner is not None:",
        "if False:",
    ),
    _edit(
        "not undone",
        "Scripts: one that fails, or touches a key that it did not declare, has no effect",
        Keyspace.back_to,
        "while len(self.journal) > savepoint.length:",
        "while False:",
    ),
    _edit(
        "any key may be touched",
        "Scripts: a key that was not declared ends the run",
        Caller.__call__,
        "if command[1] not in self._declared:",
        "if False:",
    ),
    _edit(
        "fences go by the clock",
        "FENCE: the numbers only grow",
        Fences.next,
        "max(self._last.get(slot, 0) + 1, now_ms * UNITS)",
        "now_ms * UNITS",
    ),
)
