"""The slots of every row that have passed some stage: a watermark, and the few beyond it."""

from __future__ import annotations

from collections.abc import Iterable

from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import Deps, InstanceId

__all__ = ["Frontier"]


class Frontier:
    """A set of instances, almost all of which are a prefix of their row.

    `marks[row]` is the slot up to which the row is complete.  Callers that compare many vectors with it read
    the list in place; only this class changes it.
    """

    __slots__ = ("_ahead", "marks")

    def __init__(self, epoch: Epoch) -> None:
        n = epoch.n
        self.marks = [0] * n
        self._ahead: list[set[int]] = [set() for _ in range(n)]

    def add(self, row: int, slot: int) -> bool:
        """Add one instance, and return whether it is new."""
        mark = self.marks[row]
        ahead = self._ahead[row]
        if slot == mark + 1:
            if ahead:
                while slot + 1 in ahead:
                    slot += 1
                    ahead.remove(slot)
            self.marks[row] = slot
            return True
        if slot <= mark or slot in ahead:
            return False
        ahead.add(slot)
        return True

    def restore(self, deps: Deps, beyond: Iterable[InstanceId]) -> None:
        """Become the set of the prefixes `deps` and of the instances `beyond` them."""
        self.marks[:] = deps
        for ahead in self._ahead:
            ahead.clear()
        for row, slot in sorted(beyond):
            self.add(row, slot)

    @property
    def deps(self) -> Deps:
        """The complete prefixes, as a dependency vector."""
        return tuple(self.marks)

    def beyond(self) -> tuple[InstanceId, ...]:
        """The members above the prefixes, sorted."""
        return tuple(InstanceId(row, slot) for row, ahead in enumerate(self._ahead) for slot in sorted(ahead))
