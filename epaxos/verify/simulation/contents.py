"""What is durable on the disk of one replica, as plain values.

A store in memory keeps one of these and applies the write sets that have become durable.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy as _copy
from dataclasses import dataclass
from typing import Union

from epaxos.interfaces import Checkpoint, EpochRecord, Identity, WriteSet
from epaxos.protocol.values.ids import Deps, InstanceId, no_deps
from epaxos.protocol.values.instance import InstanceRecord
from epaxos.protocol.values.messages import Batch
from epaxos.verify.simulation.state_bytes import encode_base, encode_log

__all__ = ["Contents", "FileName", "Installation", "Written"]

FileName = tuple[int, bool]
"""The generation of a file of the state, and whether it is a base."""


@dataclass(frozen=True)
class Installation:
    """A write that puts the state of another replica in the place of this one's.

    `base`: None when the state is in the `logs` alone.
    """

    opened: EpochRecord
    executed: Deps
    beyond: tuple[InstanceId, ...]
    base: dict[bytes, bytes] | None
    logs: Sequence[Sequence[tuple[InstanceId, Batch]]]
    sync: bool = True


Written = Union[WriteSet, Installation]


class Contents:
    """The durable state of one replica.  A new disk has no identity until `format`.

    The state is `entries` after the batches of `log`.  It lies in files: the base of `base_generation`, if
    there is one, and logs, of which `log_files` has the generation and the place of the first batch.
    """

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
        self.base_generation: int | None = None
        self.log_files: list[tuple[int, int]] = []
        self.opened: EpochRecord | None = None
        self.closed: dict[int, dict[InstanceId, tuple[InstanceRecord, Batch | None]]] = {}
        self.used_before = 0
        self._generation = 0

    @property
    def epoch(self) -> int:
        """The number of the newest epoch, whose everything but `closed` is."""
        return 0 if self.opened is None else self.opened.membership.number

    def copy(self) -> Contents:
        """The same, on another disk."""
        copy = _copy(self)
        for name, value in vars(self).items():
            if isinstance(value, (dict, list)):
                setattr(copy, name, _copy(value))
        copy.closed = {epoch: dict(held) for epoch, held in self.closed.items()}
        return copy

    def format(self, identity: Identity) -> None:
        """Make this the empty store of `identity`."""
        self.identity = identity
        self.floor = self.executed = no_deps(identity.epoch)

    def begin_log(self) -> None:
        """What is executed from now on goes into a new file."""
        if not self.log_files or self.log_files[-1][1] < len(self.log):
            self.log_files.append((self._next_generation(), len(self.log)))

    def files(self) -> dict[FileName, bytes]:
        """The files of the state, in the order in which they are read."""
        files: dict[FileName, bytes] = {}
        if self.base_generation is not None:
            files[self.base_generation, True] = encode_base(self.entries)
        ends = [begin for _, begin in self.log_files[1:]] + [len(self.log)]
        for (generation, begin), end in zip(self.log_files, ends):
            if begin < end:
                files[generation, False] = encode_log(self.log[begin:end])
        return files

    def apply(self, written: Written) -> None:
        """The whole write set is durable now."""
        if isinstance(written, Installation):
            self._install(written)
            return
        if written.opened is not None:
            self._open(written.opened)
        if written.epoch != self.epoch:
            self._drop(written)
            return
        self.batches.update(written.batches)
        self.records.update((record.id, record) for record in written.records)
        if written.reserved is not None:
            self.reserved = written.reserved
        if written.floor is not None:
            self.floor = written.floor
        for id in written.dropped:
            self.records.pop(id, None)
            self.batches.pop(id, None)
        if written.checkpoint is not None:
            self._take(written.checkpoint)

    def _open(self, opened: EpochRecord) -> None:
        """An epoch begins: what is held of the one before is found, and nothing else of it is needed."""
        records = {id: (record, self.batches.get(id)) for id, record in self.records.items()}
        if records:
            self.closed[self.epoch] = records
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
            self.entries, self.log, self.log_files = dict(checkpoint.state), [], []
            self.base_generation = self._next_generation()
            self.begin_log()

    def _install(self, installation: Installation) -> None:
        """The state of another replica is in the place of this one's, in files with new names."""
        self._open(installation.opened)
        self.executed = installation.executed
        self.beyond = installation.beyond
        self.entries, self.log, self.log_files = dict(installation.base or {}), [], []
        self.base_generation = None if installation.base is None else self._next_generation()
        for log in installation.logs:
            self.begin_log()
            self.log += log
        self.begin_log()

    def _next_generation(self) -> int:
        self._generation += 1
        return self._generation
