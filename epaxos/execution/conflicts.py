"""The edges of the dependency graph: which instances must not run after a given one.

The full graph has an edge from X to every instance in D(X) that interferes with X, a quadratic number
on one hot key.  This module builds a smaller graph in which the same instances can be reached, and which
therefore has the same components in the same order.  It relies on one fact: of two interfering instances of
one row the later names the earlier, because its leader knew its own row.  For each key that X touches, and
each row q:

- of the writers of the key in q, X needs an edge to the latest in D(X) only: that one names the
  writer before it, and so on down the row;
- of the readers (when X writes the key), those that the previous writer of the key in X's *own* row
  names are reached through that writer.  The others get an edge, so a reader has one from each row.

Only the writer of the own row may stand in for readers.  Two writers of different rows may name each
other, and then each would rely on the other for the reader.

A barrier is a writer of one further key, which all other instances read.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Union

from epaxos.execution.waiting import WaitingInstance
from epaxos.protocol.values.messages import NOP, Batch

__all__ = ["Conflicts", "touches"]

Key = Union[bytes, None]
Slots = Union[int, "list[int]"]
"""One slot, because most keys are touched once; or several in ascending order."""

EVERYTHING: Key = None
"""The key that stands for all keys: barriers write it, all other instances read it."""

SLACK = 1024
"""Entries of executed instances from which on an index is rebuilt."""


def touches(batch: Batch) -> tuple[tuple[Key, ...], tuple[Key, ...]]:
    """The keys that `batch` writes and those that it only reads, for the search of conflicts."""
    if batch.barrier:
        return (EVERYTHING,), ()
    return batch.writes, (*batch.reads, EVERYTHING)


def latest(slots: Slots, bound: int) -> int:
    """The highest slot that is not above `bound`; 0 when there is none."""
    if isinstance(slots, int):
        return slots if slots <= bound else 0
    place = bisect_right(slots, bound)
    return slots[place - 1] if place else 0


def enter(index: dict[Key, Slots], keys: Iterable[Key], slot: int) -> None:
    """Add `slot`, which is above all earlier ones, to each of the keys."""
    entries: dict[Key, Slots] = dict.fromkeys(keys, slot)
    for key in index.keys() & entries.keys():  # few; the others are done in bulk
        slots = index[key]
        if isinstance(slots, list):
            slots.append(slot)
        else:
            slots = [slots, slot]
        entries[key] = slots
    index.update(entries)


class Row:
    """The waiting instances of one row up to slot `upto`, and which of them touch which key.

    Executed instances leave `instances` at once.  They leave the indexes when these are mostly stale.
    """

    __slots__ = ("_entries", "_live", "instances", "readers", "upto", "writers")

    def __init__(self) -> None:
        self.instances: dict[int, WaitingInstance] = {}
        self.writers: dict[Key, Slots] = {}
        self.readers: dict[Key, Slots] = {}
        self.upto = 0
        self._entries = 0
        self._live = 0

    def add(self, instance: WaitingInstance) -> None:
        """Index an instance.  Its slot is above all indexed ones."""
        writes, reads = touches(instance.batch)
        slot = instance.id.slot
        self.instances[slot] = instance
        enter(self.writers, writes, slot)
        enter(self.readers, reads, slot)
        instance.indexed = True
        size = len(writes) + len(reads)
        self._entries += size
        self._live += size

    def remove(self, instance: WaitingInstance) -> None:
        """Remove an instance, which still has its batch."""
        del self.instances[instance.id.slot]
        writes, reads = touches(instance.batch)
        self._live -= len(writes) + len(reads)
        if self._entries > 4 * self._live + SLACK or not self._live:
            self._rebuild()

    def _rebuild(self) -> None:
        instances = self.instances
        self.instances = {}
        self.writers = {}
        self.readers = {}
        self._entries = self._live = 0
        for instance in instances.values():
            self.add(instance)

    def writer(self, key: Key, bound: int) -> WaitingInstance | None:
        """The latest writer of `key` up to `bound`; None when it was executed, and then so were all before
        it."""
        return self.instances.get(latest(self.writers.get(key, 0), bound))

    def latest_writers(self, keys: Iterable[Key], bound: int) -> Iterator[WaitingInstance]:
        """The waiting writers of the keys up to `bound`, the latest for each key, where there is one."""
        writers = self.writers
        instances = self.instances
        for key in writers.keys() & keys:
            slots = writers[key]
            slot = slots if isinstance(slots, int) else latest(slots, bound)
            if slot <= bound and slot in instances:
                yield instances[slot]

    def readers_between(self, key: Key, floor: int, bound: int) -> Iterable[WaitingInstance]:
        """The waiting readers of `key` above `floor` and up to `bound`."""
        slots = self.readers[key]
        instances = self.instances
        if isinstance(slots, int):
            return [instances[slots]] if floor < slots <= bound and slots in instances else []
        start = bisect_right(slots, floor)
        end = bisect_right(slots, bound)
        waiting = [slot for slot in slots[start:end] if slot in instances]
        if len(waiting) < end - start:  # never look at the same executed instances twice
            slots[start:end] = waiting
        return [instances[slot] for slot in waiting]


class Conflicts:
    """The edges among the waiting instances.

    `waiting[row]` maps slots to the committed instances that were not executed.  It belongs to the caller and
    is read in place.  An instance is indexed when edges to it may first be needed, which in the steady state
    never happens.
    """

    def __init__(self, waiting: Sequence[dict[int, WaitingInstance]]) -> None:
        self._waiting = waiting
        self._rows = [Row() for _ in waiting]

    def edges(self, instance: WaitingInstance, executed: Sequence[int]) -> list[WaitingInstance]:
        """The instances to which `instance`, which is grounded, has edges in the reduced graph, without
        executed ones.

        `executed`: per row, the slot up to which everything was executed.  The result is sorted, so that the
        latest is followed first; after it, most of the others are executed.
        """
        if instance.batch is NOP:
            return []
        writes, reads = touches(instance.batch)
        touched = writes + reads
        found: set[WaitingInstance] = set()
        for row, (bound, done) in enumerate(zip(instance.deps, executed)):
            if bound <= done:
                continue
            self._cover(row, bound, done)
            index = self._rows[row]
            found.update(index.latest_writers(touched, bound))
            for key in index.readers.keys() & writes:
                found.update(index.readers_between(key, self._reader_floor(instance, key, row), bound))
        return sorted(found, key=attrgetter("rank"))

    def _reader_floor(self, instance: WaitingInstance, key: Key, row: int) -> int:
        """The slot up to which the readers of `key` in `row` are reached through the previous writer."""
        own = instance.id.replica
        previous = self._rows[own].writer(key, instance.deps[own])
        return previous.deps[row] if previous is not None else 0

    def _cover(self, row: int, bound: int, done: int) -> None:
        """Index the waiting instances of `row` up to `bound`.  All slots up to there are committed."""
        index = self._rows[row]
        if index.upto >= bound:
            return
        waiting = self._waiting[row]
        for slot in range(max(index.upto, done) + 1, bound + 1):
            instance = waiting.get(slot)
            if instance is not None and instance.batch is not NOP:
                index.add(instance)
        index.upto = bound

    def remove(self, instance: WaitingInstance) -> None:
        """Remove `instance`, which is executed and still has its batch."""
        if instance.indexed:
            self._rows[instance.id.replica].remove(instance)
