"""The instances that a replica holds, and how far each row is heard of, committed and forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from operator import le

from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.errors import InvariantError
from epaxos.protocol.values.ids import Deps, InstanceId, no_deps
from epaxos.protocol.values.instance import Instance
from epaxos.protocol.values.messages import Phase

__all__ = ["InstanceTable"]

_COMMITTED = Phase.COMMITTED  # looked up once, because each lookup in an Enum costs 0.1 us
LOOKED_THROUGH_MAX = 50_000
"""Slots that one call of `uncommitted` looks at, at most, because that takes a few milliseconds."""


class InstanceTable:
    """The instances of n rows, one row for each replica.

    For each row, every slot up to `floor` has been executed by every member and is forgotten; every
    slot up to `committed` is committed; `known` is the highest slot that was heard of.

    A replica that has installed the state of another one has executed instances that it does not hold.
    `claimed` is what others may ask it for: every instance up to there is forgotten, or held and committed.
    """

    def __init__(self, epoch: Epoch) -> None:
        n = epoch.n
        self.rows: list[dict[int, Instance]] = [{} for _ in range(n)]
        self._floor = [0] * n
        self._committed = [0] * n
        self._known = [0] * n
        self._installed = [0] * n  # not everything above the floor and up to here is held
        self._no_deps = no_deps(epoch)

    @property
    def floor(self) -> Deps:
        return tuple(self._floor)

    @property
    def committed(self) -> Deps:
        return tuple(self._committed)

    @property
    def known(self) -> Deps:
        return tuple(self._known)

    @property
    def claimed(self) -> Deps:
        return tuple(
            committed if floor >= installed else floor
            for floor, committed, installed in zip(self._floor, self._committed, self._installed)
        )

    def __len__(self) -> int:
        return sum(map(len, self.rows))

    def is_forgotten(self, id: InstanceId) -> bool:
        """Whether every member has executed `id`, so that nothing about it can matter any more."""
        return id.slot <= self._floor[id.replica]

    def find(self, id: InstanceId) -> Instance | None:
        """The instance `id`; None when it is not held here."""
        return self.rows[id.replica].get(id.slot)

    def get(self, id: InstanceId) -> Instance:
        """The instance `id`, which is created when it is not held here.

        Raises InvariantError when `id` is forgotten, because it would start anew.
        """
        row = self.rows[id.replica]
        instance = row.get(id.slot)
        if instance is None:
            if id.slot <= self._floor[id.replica]:
                raise InvariantError(f"{id} is forgotten")
            instance = row[id.slot] = Instance(id, self._no_deps)
            self._known[id.replica] = max(self._known[id.replica], id.slot)
        return instance

    def hear_of(self, slots: Deps) -> None:
        """Some replica named these slots, one for each row."""
        self._known[:] = map(max, self._known, slots)

    def on_committed(self, id: InstanceId) -> None:
        """`id` has just been committed: raise `committed` of its row as far as it goes."""
        row, slot = id
        if slot == self._committed[row] + 1:
            self._go_on(row)

    def _go_on(self, row: int) -> None:
        """Raise `committed` of the row as far as instances are committed one after the other."""
        instances, slot = self.rows[row], self._committed[row] + 1
        while (instance := instances.get(slot)) is not None and instance.phase is _COMMITTED:
            slot += 1
        self._committed[row] = slot - 1

    def uncommitted(self, row: int, upto: int, limit: int, above: int = 0) -> list[InstanceId]:
        """The first `limit` slots of the row, above `above` and up to `upto`, that are not committed here.

        The result is shorter when more than LOOKED_THROUGH_MAX slots would have to be looked at.  The first
        uncommitted slot is always found.
        """
        found: list[InstanceId] = []
        instances = self.rows[row]
        first = max(self._committed[row], above) + 1
        for slot in range(first, min(upto + 1, first + LOOKED_THROUGH_MAX)):
            instance = instances.get(slot)
            if instance is None or instance.phase is not Phase.COMMITTED:
                found.append(InstanceId(row, slot))
                if len(found) == limit:
                    break
        return found

    def above(self, deps: Deps) -> Iterator[Instance]:
        """The instances held here that are not in `deps`, row by row and in the order of slots."""
        for row, instances in enumerate(self.rows):
            below = deps[row]
            for slot in sorted(slot for slot in instances if slot > below):
                yield instances[slot]

    def restore(self, floor: Deps, executed: Deps) -> None:
        """Restore the floor, and what is executed and so committed, before any instance."""
        self._floor[:] = floor
        self._committed[:] = map(max, floor, executed)
        self._known[:] = self._committed

    def restored(self, executed: Deps) -> None:
        """All instances are restored: find out of which rows not all that is executed is held."""
        for row, instances in enumerate(self.rows):
            slot = self._floor[row] + 1
            while (instance := instances.get(slot)) is not None and instance.phase is _COMMITTED:
                slot += 1
            if slot <= executed[row]:
                self._installed[row] = executed[row]

    def forget(self, floor: Deps) -> list[InstanceId]:
        """Drop every instance up to `floor`.  Returns those that were held here.

        Raises InvariantError when the floor falls, because new proposals would no longer name what was
        forgotten.
        """
        if not all(map(le, self._floor, floor)):
            raise InvariantError(f"the floor {self._floor} falls to {floor}")
        dropped = []
        for row, (old, new) in enumerate(zip(self._floor, floor)):
            instances = self.rows[row]
            for slot in range(old + 1, new + 1):
                if instances.pop(slot, None) is not None:
                    dropped.append(InstanceId(row, slot))
        self._floor[:] = floor
        for row, new in enumerate(floor):
            if self._committed[row] < new:  # what was executed in an installed state was not held
                self._committed[row] = new
                self._go_on(row)
        self._known[:] = map(max, self._known, floor)
        return dropped
