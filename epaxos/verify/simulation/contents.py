"""What is durable on the disk of one replica, as plain values.

A store in memory keeps one of these and applies the write sets that have become durable.
"""

from __future__ import annotations

from epaxos.interfaces import Checkpoint, Identity, WriteSet
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

    def format(self, identity: Identity) -> None:
        """Make this the empty store of `identity`."""
        self.identity = identity
        self.floor = self.executed = no_deps(identity.epoch)

    def apply(self, write_set: WriteSet) -> None:
        """The whole write set is durable now."""
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

    def _take(self, checkpoint: Checkpoint) -> None:
        self.executed = checkpoint.executed
        self.beyond = checkpoint.beyond
        self.log += checkpoint.batches
        if checkpoint.state is not None:
            self.entries, self.log = dict(checkpoint.state), []
