"""Writes several write sets as one write of LevelDB.  Everything here blocks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from epaxos.interfaces import EpochRecord, WriteSet
from epaxos.protocol.values.ids import Deps, InstanceId, no_deps
from epaxos.protocol.values.transfer import StateOffer
from epaxos.storage.gil import let_loop_run
from epaxos.storage.leveldb.epoch_record import EPOCH_KEY, encode_epoch_record, past_key, raise_format
from epaxos.storage.leveldb.records import (
    CHECKPOINT_KEY,
    FLOOR_KEY,
    FOUNDED_KEY,
    IDENTITY_KEY,
    RESERVED_KEY,
    STATE_KEY,
    RecordFormat,
    encode_founded,
    encode_number,
)
from epaxos.storage.leveldb.sequence import WriteSequence
from epaxos.storage.state.files import StateFiles
from epaxos.storage.state.manifest import Manifest, encode_manifest

__all__ = ["DurableState", "GroupWriter", "record_of"]

CHUNK = 2000
"""The number of records after which the event loop gets the interpreter lock; they take about 1 ms."""


class DurableState(NamedTuple):
    """A state that no failure of the host takes away: its epoch (None: epoch 0), how far execution was, and
    its files."""

    opened: EpochRecord | None
    executed: Deps
    beyond: tuple[InstanceId, ...]
    manifest: Manifest


def record_of(offer: StateOffer) -> EpochRecord:
    """How the epoch of a state that another replica gives began.  Nothing is held here of the one before."""
    nothing = no_deps(offer.previous.epoch)
    return EpochRecord(offer.membership, offer.previous, offer.opened_by, nothing)


class GroupWriter:
    """Writes groups of write sets in order, each group all or nothing.

    `db` is a LevelDB database in the folder `database`; `state` are the files that the batches and the
    states of checkpoints go to.  With `sync` False nothing is ever synced.

    `durable` is the newest durable state, None where there is none.  Another thread may look at it.
    `take_backup(name, opened, files)` is called between two write sets, when the first of them opens an epoch
    and wants a backup of the state that is in these files.
    """

    def __init__(
        self,
        db: Any,
        database: Path,
        format: RecordFormat,
        sequence: WriteSequence,
        state: StateFiles,
        *,
        sync: bool,
        durable: DurableState | None = None,
        take_backup: Callable[[str, EpochRecord, Manifest], None] | None = None,
    ) -> None:
        self.sequence = sequence
        self.writes = 0
        self.syncs = 0
        self._db = db
        self._database = database
        self._format = format
        self._state = state
        self._sync = sync
        self._take_backup = take_backup
        self._unsynced = False
        self._bytes = 0
        self._newest = self.durable = durable

    @property
    def bytes(self) -> int:
        """The number of bytes that were written, to the database and to the files of the state."""
        return self._bytes + self._state.bytes

    @property
    def epoch(self) -> int:
        """The number of the newest epoch."""
        return self._format.epoch.number

    @property
    def wants_state(self) -> bool:
        """See IStore."""
        return self._state.wants_state

    def write(self, write_sets: Sequence[WriteSet], sync: bool) -> bool:
        """Write the sets; with `sync`, sync them and all sets before them.

        The write also records a base that has become whole.  Returns whether everything that was written
        is synced (always true where nothing ever is).  Raises engine.Error, OSError.
        """
        sync = sync and self._sync
        if any(write_sets) or not self._state.recorded or (sync and self._unsynced):
            batch = self._db.write_batch(sync=sync)
            self._fill(batch, write_sets)
            manifest = self._state.settle()
            if manifest is not None:
                batch.put(STATE_KEY, encode_manifest(manifest))
            self._write(batch, sync)
            self._note(write_sets, manifest)
        return not self._unsynced

    def _write(self, batch: Any, sync: bool) -> None:
        self.sequence.add_to(batch)
        size = batch.approximate_size()
        batch.write()
        if sync and self._unsynced:
            self._sync_older_logs()
        self._unsynced = self._sync and not sync
        self.sequence.on_written(size)
        self.writes += 1
        self.syncs += sync
        self._bytes += size

    def _note(self, write_sets: Iterable[WriteSet], manifest: Manifest | None) -> None:
        """Remember what state the write has recorded."""
        newest = self._newest
        for write_set in write_sets:
            checkpoint = write_set.checkpoint
            if checkpoint is not None:
                opened = write_set.opened or (newest and newest.opened)
                files = manifest or (newest and newest.manifest)
                if files is None:
                    raise RuntimeError("a checkpoint was recorded without the files of its state")
                newest = DurableState(opened, checkpoint.executed, checkpoint.beyond, files)
        if newest is not None and manifest is not None:
            newest = newest._replace(manifest=manifest)
        self._newest = newest
        if not self._unsynced:
            self.durable = newest

    def install(self, offer: StateOffer, incoming: Path) -> None:
        """Become `offer`, whose files are in the folder `incoming`, in one write.  It is the last one.

        Raises engine.Error, OSError.
        """
        manifest = self._state.install(incoming, offer.parts)
        batch = self._db.write_batch(sync=self._sync)
        self._open_epoch(batch, record_of(offer))
        batch.put(CHECKPOINT_KEY, self._format.encode_checkpoint(offer.executed, offer.beyond))
        batch.put(STATE_KEY, encode_manifest(manifest))
        self._write(batch, self._sync)

    @property
    def unfinished(self) -> bool:
        """Whether a base has to be written or recorded, even when no write comes."""
        return self._state.unfinished

    @property
    def pinned_s(self) -> float | None:
        """See StateFiles."""
        return self._state.pinned_s

    @property
    def recorded(self) -> bool:
        """Whether a write has recorded every base that is whole."""
        return self._state.recorded

    def go_on(self, least: int = 0) -> bool:
        """Do a step of the work in the background: remove old files, write a base.

        The thread calls it after each write, and again while it returns that there is more to do.
        `least`: the bytes of a base that are written even when nothing of it is owed.
        """
        more = False
        # Nothing is removed before the first write, because until then the state may be found damaged.
        if self.writes and not self._unsynced:
            more = self._state.remove_unneeded()
        return self._state.go_on(least) or more

    def close(self) -> None:
        """Close everything, also after an error."""
        try:
            self._state.close()
        finally:
            self._db.close()

    def _sync_older_logs(self) -> None:
        """Sync LevelDB's logs but the newest.

        LevelDB begins a new log now and then, and its sync covers only the newest, although an older one
        may hold writes that were not synced.
        """
        logs = sorted(self._database.glob("*.log"), key=lambda path: int(path.stem))
        for log in logs[:-1]:
            try:
                descriptor = os.open(log, os.O_RDONLY)
            except FileNotFoundError:
                continue  # LevelDB has made a table of it, and synced that
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _fill(self, batch: Any, write_sets: Iterable[WriteSet]) -> None:
        filled = 0
        for write_set in write_sets:
            if write_set.opened is not None:
                self._open_epoch(batch, write_set.opened)
            self._add_instances(batch, write_set)
            filled += len(write_set.records) + len(write_set.batches) + len(write_set.dropped)
            if filled >= CHUNK:
                filled = 0
                let_loop_run()
            if write_set.reserved is not None:
                batch.put(RESERVED_KEY, encode_number(write_set.reserved))
            if write_set.floor is not None:
                batch.put(FLOOR_KEY, self._format.encode_deps(write_set.floor))
            if write_set.founded is not None:
                batch.put(FOUNDED_KEY, encode_founded(write_set.founded))
                batch.put(IDENTITY_KEY, raise_format(self._db.get(IDENTITY_KEY), write_set.founded))
            checkpoint = write_set.checkpoint
            if checkpoint is not None:
                value = self._format.encode_checkpoint(checkpoint.executed, checkpoint.beyond)
                batch.put(CHECKPOINT_KEY, value)
                self._state.add(checkpoint.batches, checkpoint.state)
            if write_set.backup and write_set.opened is not None and self._take_backup is not None:
                self._take_backup(write_set.backup, write_set.opened, self._state.cut())

    def _open_epoch(self, batch: Any, opened: EpochRecord) -> None:
        """An epoch begins.  It has neither a reservation nor a floor, and no instances."""
        self._format = RecordFormat(opened.membership.epoch)
        batch.put(EPOCH_KEY, encode_epoch_record(opened))
        batch.put(past_key(opened.membership), encode_founded(opened.membership))
        batch.put(IDENTITY_KEY, raise_format(self._db.get(IDENTITY_KEY), opened.membership))
        batch.delete(RESERVED_KEY)
        batch.delete(FLOOR_KEY)

    def _add_instances(self, batch: Any, write_set: WriteSet) -> None:
        format, put, delete = self._format, batch.put, batch.delete
        if write_set.epoch != format.epoch.number:  # what is left of an epoch that has ended is deleted
            format = RecordFormat(format.epoch._replace(number=write_set.epoch))
        for id, proposed in write_set.batches:
            put(format.batch_key(id), format.encode_batch(proposed))
        for record in write_set.records:
            put(format.record_key(record.id), format.encode_record(record))
        for id in write_set.dropped:
            delete(format.record_key(id))
            delete(format.batch_key(id))
