"""Turning write sets into one LevelDB write.  Runs in the store's thread, and blocks."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from epaxos.interfaces import Changes, WriteSet
from epaxos.storage.records import (
    CHECKPOINT_KEY,
    ENTRY_PREFIX,
    FLOOR_KEY,
    GENERATION_KEY,
    RESERVED_KEY,
    RecordFormat,
    encode_number,
    entry_prefix,
)
from epaxos.storage.sequence import WriteSequence

__all__ = ["GroupWriter"]

CHUNK = 2000
"""After so many records or entries the event loop gets the interpreter lock.

They take about a millisecond; the interpreter alone would hand the lock over only every five, and
at each of the loop's system calls again.
"""
PAUSE_S = 0.0002
SWEPT_PER_WRITE = 500
"""So many entries of a cleared state are removed with each write."""


def _let_loop_run() -> None:
    time.sleep(PAUSE_S)


class GroupWriter:
    """Writes groups of write sets, each group all or nothing, in order.

    `db` is a plyvel database in the folder `database`.  With `sync` False nothing is ever synced.
    """

    def __init__(
        self,
        db: Any,
        database: Path,
        format: RecordFormat,
        sequence: WriteSequence,
        *,
        generation: int,
        sync: bool,
    ) -> None:
        self.sequence = sequence
        self.writes = 0
        self.syncs = 0
        self.bytes = 0
        self._db = db
        self._database = database
        self._format = format
        self._sync = sync
        self._unsynced = False
        self._generation = generation
        self._swept: bytes | None = ENTRY_PREFIX  # up to here; None: there is nothing to sweep

    def write(self, write_sets: Sequence[WriteSet], sync: bool) -> bool:
        """Write the sets, and sync them and all before them if asked to.

        Returns whether nothing that was written waits for a sync now.  Raises plyvel.Error, OSError.
        """
        sync = sync and self._sync
        if any(write_sets) or (sync and self._unsynced):
            batch = self._db.write_batch(sync=sync)
            self._sweep(batch)
            self._fill(batch, write_sets)
            self.sequence.add_to(batch)
            size = batch.approximate_size()
            batch.write()
            if sync and self._unsynced:
                self._sync_older_logs()
            self._unsynced = self._sync and not sync
            self.sequence.written(size)
            self.writes += 1
            self.syncs += sync
            self.bytes += size
        return not self._unsynced

    def _sync_older_logs(self) -> None:
        """LevelDB begins a new log now and then, and a sync reaches only the newest.

        An older one may still hold writes that were not synced.
        """
        logs = sorted(self._database.glob("*.log"), key=lambda path: int(path.stem))
        for log in logs[:-1]:
            try:
                descriptor = os.open(log, os.O_RDONLY)
            except FileNotFoundError:
                continue  # it has become a table, which was synced
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _fill(self, batch: Any, write_sets: Iterable[WriteSet]) -> None:
        filled = 0
        for write_set in write_sets:
            self._add_instances(batch, write_set)
            filled += len(write_set.records) + len(write_set.batches) + len(write_set.dropped)
            if filled >= CHUNK:
                filled = 0
                _let_loop_run()
            if write_set.reserved is not None:
                batch.put(RESERVED_KEY, encode_number(write_set.reserved))
            if write_set.floor is not None:
                batch.put(FLOOR_KEY, self._format.encode_deps(write_set.floor))
            checkpoint = write_set.checkpoint
            if checkpoint is not None:
                value = self._format.encode_checkpoint(checkpoint.executed, checkpoint.beyond)
                batch.put(CHECKPOINT_KEY, value)
                self._add_changes(batch, checkpoint.changes)

    def _add_instances(self, batch: Any, write_set: WriteSet) -> None:
        format, put, delete = self._format, batch.put, batch.delete
        for id, proposed in write_set.batches:
            put(format.batch_key(id), format.encode_batch(proposed))
        for record in write_set.records:
            put(format.record_key(record.id), format.encode_record(record))
        for id in write_set.dropped:
            delete(format.record_key(id))
            delete(format.batch_key(id))

    def _add_changes(self, batch: Any, changes: Changes) -> None:
        if changes.cleared:
            self._generation += 1
            self._swept = ENTRY_PREFIX
            batch.put(GENERATION_KEY, encode_number(self._generation))
        prefix = entry_prefix(self._generation)
        entries = iter(changes.entries.items())
        while chunk := list(islice(entries, CHUNK)):
            keys = [prefix + key for key, _ in chunk]
            values = [value for _, value in chunk]
            if None in values:
                for key, value in zip(keys, values):
                    if value is None:
                        batch.delete(key)
                    else:
                        batch.put(key, value)
            else:
                deque(map(batch.put, keys, values), maxlen=0)
            if len(chunk) == CHUNK:
                _let_loop_run()

    def _sweep(self, batch: Any) -> None:
        """Remove some entries of older generations."""
        if self._swept is None:
            return
        with self._db.iterator(
            start=self._swept, stop=entry_prefix(self._generation), include_value=False, fill_cache=False
        ) as older:
            keys = list(islice(older, SWEPT_PER_WRITE))
        deque(map(batch.delete, keys), maxlen=0)
        self._swept = keys[-1] + b"\0" if keys else None
