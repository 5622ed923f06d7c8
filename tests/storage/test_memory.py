"""The store that keeps nothing."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from epaxos.storage.memory import MemoryStore
from tests.storage.contract import StoreContract
from tests.storage.loop import IDENTITY, proposal


class MemoryStoreTests(StoreContract, SynchronousTestCase):
    def make(self) -> Any:
        return MemoryStore()

    def test_durable_at_once(self) -> None:
        self.store.open(IDENTITY)
        durable: list[int] = []
        self.store.write(proposal(1), lambda: durable.append(1))
        self.assertEqual(durable, [1])
        self.assertEqual(self.store.counters()["store_writes"], 1)

    def test_nothing_is_left(self) -> None:
        self.assertFalse(self.store.persistent)
        self.store.open(IDENTITY)
        self.store.write(proposal(1), lambda: None)
        self.close()
        restored = self.make().open(IDENTITY)
        self.assertTrue(restored.fresh)
        self.assertEqual(list(restored.records), [])
