"""The execution rule of the protocol (docs: protocol/rules, "Execution"), taken literally: every edge,
every path."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from epaxos.protocol.values.ids import InstanceId, is_in
from epaxos.protocol.values.messages import NOP
from tests.execution.histories import Decided, interferes

__all__ = ["Reference"]


class Reference:
    """Which instances may run when, and in which order, in a history whose commits are all known."""

    def __init__(self, history: Sequence[Decided]) -> None:
        self.ids = [decided.id for decided in history]
        self.nops = {id for id, batch, _ in history if batch is NOP}
        inside = {x.id: [y for y in history if y.id != x.id and is_in(y.id, x.deps)] for x in history}
        edges = {x.id: [y.id for y in inside[x.id] if interferes(x.batch, y.batch)] for x in history}
        self.reach = {id: self._reach(id, edges) for id in self.ids}
        """For each id, the id and all instances to which a path of edges leads."""
        self.needs = {
            id: self.reach[id].union(*({y.id for y in inside[other]} for other in self.reach[id]))
            for id in self.ids
        }
        """For each id, the instances that must be committed before it may run."""

    @staticmethod
    def _reach(start: InstanceId, edges: dict[InstanceId, list[InstanceId]]) -> set[InstanceId]:
        found = {start}
        todo = [start]
        while todo:
            for target in edges[todo.pop()]:
                if target not in found:
                    found.add(target)
                    todo.append(target)
        return found

    def runnable(self, committed: set[InstanceId]) -> set[InstanceId]:
        """The instances that may have run, NOPs included, when `committed` are committed."""
        return {id for id in committed if self.needs[id] <= committed}

    def component(self, id: InstanceId) -> set[InstanceId]:
        """The strongly connected component of `id`."""
        return {other for other in self.reach[id] if id in self.reach[other]}

    def must_precede(self, a: InstanceId, b: InstanceId) -> bool:
        """Whether `a` has to run before `b`."""
        if a not in self.reach[b]:
            return False
        return b not in self.reach[a] or (a.slot, a.replica) < (b.slot, b.replica)

    def misordered(self, order: Sequence[InstanceId]) -> Iterable[tuple[InstanceId, InstanceId]]:
        """The pairs that ran in the wrong order."""
        for place, later in enumerate(order):
            for earlier in order[:place]:
                if self.must_precede(later, earlier):
                    yield earlier, later
