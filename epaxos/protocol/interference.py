"""Which known instances interfere with a batch: key -> highest slot per row, for writes and for reads.

Everything here costs a C-level pass over the batch's columns, never a Python loop over keys, except
for the few keys that really are shared.  Memory is bounded by generations: keys are never deleted
one by one, a whole generation goes when every member has executed all of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import repeat

from epaxos.protocol.ids import Deps, InstanceId
from epaxos.protocol.messages import Batch

__all__ = ["InterferenceIndex", "interferes"]

GENERATION_KEYS = 8192
"""A generation that has seen so many keys makes room for the next."""


def interferes(a: Batch, b: Batch) -> bool:
    """Whether one of two proposed batches writes a key that the other reads or writes (or is a barrier)."""
    if a.barrier or b.barrier:
        return True
    written = frozenset(a.writes)
    return not (
        written.isdisjoint(b.writes)
        and written.isdisjoint(b.reads)
        and frozenset(a.reads).isdisjoint(b.writes)
    )


class InterferenceIndex:
    """The instances that a new batch has to name, of a cluster of n.

    An instance stays in the index when it becomes NOP: it is then named without need, which is safe.
    """

    def __init__(self, n: int) -> None:
        self._n = n
        self._young = _Generation(n)
        self._old: _Generation | None = None
        self._unknown: InstanceId | None = None

    def add(self, id: InstanceId, batch: Batch) -> None:
        """From now on `id` is known to carry `batch`."""
        if self._old is None and self._young.keys >= GENERATION_KEYS:
            self._old, self._young = self._young, _Generation(self._n)
        self._young.add(id, batch)

    def set_unknown(self, id: InstanceId | None) -> None:
        """Everything of the row up to `id` may have been proposed, with whatever keys: it all counts
        as interfering.  None ends that."""
        self._unknown = id

    def deps_of(self, id: InstanceId, batch: Batch) -> Deps:
        """For every row the highest slot that interferes with `batch`, 0 where there is none.

        In id's own row only slots below its own count: a later instance of that row already names
        id, because its leader knew id (docs/protocol.md, "Commit").
        """
        slots = [0] * self._n
        for generation in (self._young, self._old):
            if generation is not None:
                generation.raise_to_interfering(slots, batch)
        if self._unknown is not None:
            row, slot = self._unknown
            slots[row] = max(slots[row], slot)
        own = id.replica
        slots[own] = min(slots[own], id.slot - 1)
        return tuple(slots)

    def forget(self, floor: Deps) -> None:
        """Every member has executed everything up to `floor`."""
        if self._old is not None and self._old.is_below(floor):
            self._old = None
        if self._young.keys and self._young.is_below(floor):
            self._young = _Generation(self._n)

    @property
    def keys(self) -> int:
        """How many keys are held, those in both generations counted twice."""
        return self._young.keys + (self._old.keys if self._old is not None else 0)


class _Generation:
    """What was added in one stretch of time."""

    def __init__(self, n: int) -> None:
        self._tops = [0] * n
        self._barriers = [0] * n
        self._writes: list[dict[bytes, int]] = [{} for _ in range(n)]
        self._reads: list[dict[bytes, int]] = [{} for _ in range(n)]
        self._written: set[bytes] = set()
        self._read: set[bytes] = set()

    @property
    def keys(self) -> int:
        return len(self._written) + len(self._read)

    def add(self, id: InstanceId, batch: Batch) -> None:
        row, slot = id
        in_order = slot > self._tops[row]
        if in_order:
            self._tops[row] = slot
        if batch.barrier:
            self._barriers[row] = max(self._barriers[row], slot)
            return
        if batch.writes:
            _raise_keys(self._writes[row], batch.writes, slot, in_order)
            self._written.update(batch.writes)
        if batch.reads:
            _raise_keys(self._reads[row], batch.reads, slot, in_order)
            self._read.update(batch.reads)

    def raise_to_interfering(self, slots: list[int], batch: Batch) -> None:
        if batch.barrier:
            slots[:] = map(max, slots, self._tops)
            return
        slots[:] = map(max, slots, self._barriers)
        self._raise_to(slots, self._writes, self._written, batch.writes)
        self._raise_to(slots, self._reads, self._read, batch.writes)
        self._raise_to(slots, self._writes, self._written, batch.reads)

    @staticmethod
    def _raise_to(
        slots: list[int], rows: Sequence[dict[bytes, int]], known: set[bytes], keys: Collection[bytes]
    ) -> None:
        if not known or not keys or known.isdisjoint(keys):
            return
        shared = known.intersection(keys)
        for row, highest in enumerate(rows):
            if highest:
                slots[row] = max(slots[row], max(map(highest.get, shared, repeat(0))))

    def is_below(self, floor: Deps) -> bool:
        return all(top <= executed for top, executed in zip(self._tops, floor))


def _raise_keys(highest: dict[bytes, int], keys: Iterable[bytes], slot: int, in_order: bool) -> None:
    """Note `slot` for each key, unless a higher one stands there already."""
    if in_order:
        highest.update(dict.fromkeys(keys, slot))
    else:
        for key in keys:
            if highest.get(key, 0) < slot:
                highest[key] = slot
