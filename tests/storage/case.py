"""Stores in one data folder, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import StoreError, WriteSet
from epaxos.protocol.values.ids import InstanceId
from epaxos.storage.leveldb.store import LevelDBStore
from tests.storage.loop import (
    IDENTITY,
    Loop,
    contents,
)


class StoreCase(SynchronousTestCase):
    """Stores in one data folder, one after the other."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.loop = Loop()
        self.failures: list[StoreError] = []

    def make(self, **options: Any) -> LevelDBStore:
        return LevelDBStore(
            self.path,
            call_from_thread=self.loop.call_from_thread,
            failed=self.failures.append,
            **options,
        )

    def close_store(self, store: LevelDBStore) -> None:
        closed: list[object] = []
        store.close().addCallback(closed.append)
        self.loop.run_until(lambda: closed)

    def write(self, *write_sets: WriteSet, **options: Any) -> LevelDBStore:
        """Write each of the sets alone, by a new store, and close the store.  Returns it."""
        store = self.make(**options)
        store.open(IDENTITY)
        for write_set in write_sets:
            self.write_by(store, write_set)
        self.close_store(store)
        return store

    def write_by(self, store: LevelDBStore, write_set: WriteSet) -> None:
        """Write the set, and wait until it is durable if it asks for a sync."""
        durable: list[int] = []
        store.write(write_set, lambda: durable.append(1))
        self.loop.run_until(lambda: durable or not write_set.sync)

    def held_by(
        self, store: LevelDBStore, epoch: int, after: InstanceId | None, limit: int
    ) -> list[InstanceId]:
        """What the store finds of an epoch that has ended.  Raises what it fails with."""
        found: list[list[InstanceId]] = []
        store.held(epoch, after, limit, found.append)
        self.loop.run_until(lambda: found or self.failures)
        if not found:
            raise self.failures[0]
        return found[0]

    def restored(self) -> dict[str, Any]:
        store = self.make()
        held = contents(store.open(IDENTITY))
        self.close_store(store)
        return held
