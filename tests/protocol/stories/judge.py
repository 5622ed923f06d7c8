"""Judges the decisions of a story: Agreement and Visibility (docs: protocol/rules, "Commit")."""

from __future__ import annotations

from itertools import combinations

from epaxos.protocol.values.ids import Deps, InstanceId
from epaxos.protocol.values.messages import NOP, Batch

__all__ = ["Judge"]


def _interfere(a: Batch, b: Batch) -> bool:
    """Whether two batches interfere, by the judge's own rule: it borrows nothing from what it judges."""
    if a.barrier or b.barrier:
        return True
    return any(key in a.writes or key in b.writes for key in {*a.writes, *a.reads} & {*b.writes, *b.reads})


class Judge:
    """Records what each replica decides."""

    def __init__(self) -> None:
        self._decided: dict[InstanceId, tuple[int, Batch, Deps]] = {}

    def on_decided(self, replica: int, id: InstanceId, batch: Batch, deps: Deps) -> None:
        """Raises AssertionError when another replica decided `id` otherwise, or when two that interfere
        do not name each other."""
        first, *earlier = self._decided.setdefault(id, (replica, batch, deps))
        if earlier != [batch, deps]:
            raise AssertionError(
                f"Agreement: replicas {first} and {replica} decide {id} as {earlier} and as {[batch, deps]}"
            )
        for (a, (_, a_batch, a_deps)), (b, (_, b_batch, b_deps)) in combinations(self._decided.items(), 2):
            blind = b.slot > a_deps[b.replica] and a.slot > b_deps[a.replica]
            if blind and a_batch is not NOP and b_batch is not NOP and _interfere(a_batch, b_batch):
                raise AssertionError(f"Visibility: {a} and {b} are decided, and neither names the other")
