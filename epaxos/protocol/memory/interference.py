"""The interference index: for each key, the highest slot of each row that writes it, and that reads it.

Each method passes over the columns of a batch in C; no Python code runs for each key.  The cost is
memory that is not in the processor's cache.  So a key is held once, with a vector of slots that all keys of
a batch share until another batch touches them.  Generations bound the memory: keys are never deleted
one by one, but a whole generation is dropped when every member has executed all of its instances.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress, repeat
from operator import is_not, le

from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import Deps, InstanceId, merge, no_deps
from epaxos.protocol.values.messages import Batch

__all__ = ["InterferenceIndex", "interferes"]

GENERATION_KEYS = 8192
"""Keys of a generation after which the next one begins, if there is no older one."""


def interferes(a: Batch, b: Batch) -> bool:
    """Whether one batch writes a key that the other reads or writes, or one of them is a barrier."""
    if a.barrier or b.barrier:
        return True
    written = frozenset(a.writes)
    return not (
        written.isdisjoint(b.writes)
        and written.isdisjoint(b.reads)
        and frozenset(a.reads).isdisjoint(b.writes)
    )


class InterferenceIndex:
    """The instances that a new batch has to name in its dependencies.

    An instance stays in the index when it becomes NOP.  It is then named without need, which is safe.
    """

    def __init__(self, epoch: Epoch) -> None:
        self._epoch = epoch
        self._young = _Generation(epoch)
        self._old: _Generation | None = None
        self._unknown: InstanceId | None = None
        self._forgotten = no_deps(epoch)

    def restore(self, floor: Deps) -> None:
        """Restore after a restart: nothing up to `floor` will be added."""
        self._forgotten = floor

    def add(self, id: InstanceId, batch: Batch) -> None:
        """Add `id`, which carries `batch`."""
        if self._old is None and self._young.keys >= GENERATION_KEYS:
            self._old, self._young = self._young, _Generation(self._epoch)
        self._young.add(id, batch)

    def set_unknown(self, id: InstanceId | None) -> None:
        """Let every slot of the row up to `id` interfere with everything; None ends that.

        A restarted replica needs it, because it may have forgotten what it proposed there.
        """
        self._unknown = id

    def deps_of(self, id: InstanceId, batch: Batch) -> Deps:
        """For each row, the highest slot that interferes with `batch`; 0 where there is none.

        Forgotten instances are named whatever their keys were, because a vote that does not name an
        instance must mean that the voter did not know it (docs: protocol/forgetting).

        In id's own row only slots below its own count, because a later instance of that row names id
        (docs: protocol/rules, "Commit").
        """
        found = self._young.interfering(batch)
        if self._old is not None:
            found = merge((found, self._old.interfering(batch)))
        slots = self._with_every_key(found)
        own = id.replica
        slots[own] = min(slots[own], id.slot - 1)
        return tuple(slots)

    def writes_of(self, keys: Sequence[bytes]) -> Deps:
        """For each row, the highest slot that a read of `keys` has to come after; 0 where there is none.

        What opens an epoch with the same members is not among these, because it writes nothing (docs:
        protocol/epochs, T10).
        """
        found = self._young.writing(keys)
        if self._old is not None:
            found = merge((found, self._old.writing(keys)))
        return tuple(self._with_every_key(found))

    def _with_every_key(self, found: Deps) -> list[int]:
        """`found`, and the slots that count for every key: those that are forgotten, and the unknown one."""
        slots = list(map(max, found, self._forgotten))
        if self._unknown is not None:
            row, slot = self._unknown
            slots[row] = max(slots[row], slot)
        return slots

    def forget(self, floor: Deps) -> None:
        """Drop each generation of which every member has executed everything, as `floor` says."""
        if self._old is not None and self._old.is_below(floor):
            self._forgotten = merge((self._forgotten, self._old.tops))
            self._old = None
        if self._young.keys and self._young.is_below(floor):
            self._forgotten = merge((self._forgotten, self._young.tops))
            self._young = _Generation(self._epoch)

    @property
    def keys(self) -> int:
        """The number of keys that are held; a key in both generations counts twice."""
        return self._young.keys + (self._old.keys if self._old is not None else 0)


class _Generation:
    """The instances that were added during one period."""

    def __init__(self, epoch: Epoch) -> None:
        self._nothing = no_deps(epoch)
        self._members = epoch.members
        self.tops = self._nothing
        self._barriers = self._nothing
        self._writers_of_all = self._nothing  # those barriers that reads have to come after
        self._writes: dict[bytes, Deps] = {}
        self._reads: dict[bytes, Deps] = {}

    @property
    def keys(self) -> int:
        return len(self._writes) + len(self._reads)

    def add(self, id: InstanceId, batch: Batch) -> None:
        row, slot = id
        own = (*self._nothing[:row], slot, *self._nothing[row + 1 :])
        self.tops = tuple(map(max, self.tops, own))
        if batch.barrier:
            self._barriers = merge((self._barriers, own))
            if batch.successor is None or batch.successor.epoch.members != self._members:
                self._writers_of_all = merge((self._writers_of_all, own))
            return
        if batch.writes:
            _raise_keys(self._writes, batch.writes, own)
        if batch.reads:
            _raise_keys(self._reads, batch.reads, own)

    def interfering(self, batch: Batch) -> Deps:
        """For each row, the highest slot that interferes with `batch`."""
        if batch.barrier:
            return self.tops
        vectors = {self._barriers}
        for index, keys in (
            (self._writes, batch.writes),
            (self._reads, batch.writes),
            (self._writes, batch.reads),
        ):
            if index and keys and (shared := index.keys() & keys):
                vectors.update(map(index.__getitem__, shared))
        return merge(vectors) if len(vectors) > 1 else self._barriers

    def writing(self, keys: Sequence[bytes]) -> Deps:
        """For each row, the highest slot that may write one of the keys."""
        index = self._writes
        vectors = {self._writers_of_all}
        if index and (shared := index.keys() & keys):
            vectors.update(map(index.__getitem__, shared))
        return merge(vectors) if len(vectors) > 1 else self._writers_of_all

    def is_below(self, floor: Deps) -> bool:
        return all(map(le, self.tops, floor))


def _raise_keys(index: dict[bytes, Deps], keys: Sequence[bytes], own: Deps) -> None:
    """Merge `own`, the vector of one instance, into the vector of each key."""
    noted = list(map(index.setdefault, keys, repeat(own)))
    before = list(compress(zip(keys, noted), map(is_not, noted, repeat(own))))
    if before:
        raised = {vector: tuple(map(max, vector, own)) for vector in {vector for _, vector in before}}
        index.update([(key, raised[vector]) for key, vector in before])
