"""What is durable on the disk of one replica, as plain values.

A store in memory keeps one of these and applies the write sets that have become durable.
"""

from __future__ import annotations

from epaxos.interfaces import Checkpoint, EpochRecord, Identity, WriteSet
from epaxos.protocol.values.ids import Deps, InstanceId, no_deps
from epaxos.protocol.values.instance import InstanceRecord
from epaxos.protocol.values.messages import Batch

__all__ = ["Contents"]


class Contents:
    """The durable state of one replica.  A new disk has no identity until `format`."""

    def __init__(self) -> None:
        self.identity: Identity | None = None
        self.reserved = 0
        self.floor: Deps = ()
        self.executed: Deps = ()
        self.beyond: tuple[InstanceId, ...] = ()
        self.records: dict[InstanceId, InstanceRecord] = {}
        self.batches: dict[InstanceId, Batch] = {}
        self.entries: dict[bytes, bytes] = {}
        self.log: list[tuple[InstanceId, Batch]] = []
        self.opened: EpochRecord | None = None
        self.closed: dict[int, dict[InstanceId, tuple[InstanceRecord, Batch | None]]] = {}
        self.used_before = 0

    @property
    def epoch(self) -> int:
        """The number of the newest epoch, whose everything but `closed` is."""
        return 0 if self.opened is None else self.opened.membership.number

    def format(self, identity: Identity) -> None:
        """Make this the empty store of `identity`."""
        self.identity = identity
        self.floor = self.executed = no_deps(identity.epoch)

    def apply(self, write_set: WriteSet) -> None:
        """The whole write set is durable now."""
        if write_set.opened is not None:
            self._open(write_set.opened)
        if write_set.epoch != self.epoch:
            self._drop(write_set)
            return
        self.batches.update(write_set.batches)
        self.records.update((record.id, record) for record in write_set.records)
        if write_set.reserved is not None:
            self.reserved = write_set.reserved
        if write_set.floor is not None:
            self.floor = write_set.floor
        for id in write_set.dropped:
            self.records.pop(id, None)
            self.batches.pop(id, None)
        if write_set.checkpoint is not None:
            self._take(write_set.checkpoint)

    def _open(self, opened: EpochRecord) -> None:
        """An epoch begins: what is held of the one before is found, and nothing else of it is needed."""
        records = {id: (record, self.batches.get(id)) for id, record in self.records.items()}
        self.closed[opened.previous.number] = records
        self.used_before += self.reserved
        self.opened = opened
        self.records, self.batches, self.reserved = {}, {}, 0
        self.floor = no_deps(opened.membership.epoch)

    def _drop(self, write_set: WriteSet) -> None:
        """What is written of an epoch that has ended only deletes."""
        held = self.closed.get(write_set.epoch, {})
        for id in write_set.dropped:
            held.pop(id, None)
        if not held:
            self.closed.pop(write_set.epoch, None)

    def _take(self, checkpoint: Checkpoint) -> None:
        self.executed = checkpoint.executed
        self.beyond = checkpoint.beyond
        self.log += checkpoint.batches
        if checkpoint.state is not None:
            self.entries, self.log = dict(checkpoint.state), []
