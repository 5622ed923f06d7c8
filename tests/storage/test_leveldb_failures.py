"""LevelDBStore when the disk fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from epaxos.interfaces import StoreError
from epaxos.protocol.values.ids import InstanceId
from epaxos.storage.leveldb import engine
from epaxos.storage.leveldb import store as leveldb
from epaxos.storage.leveldb.writer import GroupWriter
from tests.builds import plain_only
from tests.storage.case import StoreCase
from tests.storage.loop import (
    IDENTITY,
    checkpoint,
    proposal,
)


@plain_only
class FailureTests(StoreCase):
    def failing_at(self, number: int, error: Exception) -> None:
        """Writes fail from this one on."""

        class Failing(GroupWriter):
            def write(self, write_sets: Any, sync: bool) -> bool:
                if self.writes + 1 >= number:
                    raise error
                return super().write(write_sets, sync)

        self.patch(leveldb, "GroupWriter", Failing)

    def test_failed_once_and_nothing_durable(self) -> None:
        for error, text in (
            (engine.IOError(b"IO error: 000003.log: No space left on device"), "No space left on device"),
            (OSError(28, "No space left on device"), "No space left on device"),
            (MemoryError(), "MemoryError"),
        ):
            self.path = Path(self.mktemp())
            self.failures.clear()
            self.failing_at(2, error)
            store = self.make()
            store.open(IDENTITY)
            durable: list[int] = []
            self.loop.hold()
            store.write(checkpoint(1, {b"k": b"v"}), lambda: durable.append(1))  # noqa: B023
            self.loop.wait_until_held()
            for slot in (2, 3):
                store.write(proposal(slot), lambda: durable.append(2))  # noqa: B023
            self.loop.release()
            self.loop.run_until(lambda: self.failures)
            store.write(proposal(4), lambda: durable.append(4))  # noqa: B023
            self.assertEqual(store.counters()["store_queue"], 0)
            self.close_store(store)
            self.assertEqual(durable, [1])
            (failure,) = self.failures
            self.assertIsInstance(failure, StoreError)
            self.assertIn(f"{self.path} cannot be written: ", str(failure))
            self.assertIn(text, str(failure))

    def test_in_the_event_loop(self) -> None:
        """It is known when `write` returns; the thread writes nothing any more, either."""
        self.failing_at(2, OSError(28, "No space left on device"))
        store = self.make()
        store.open(IDENTITY)
        durable: list[int] = []
        store.write(proposal(1), lambda: durable.append(1))
        store.write(proposal(2), lambda: durable.append(2))
        (failure,) = self.failures
        self.assertIn("No space left on device", str(failure))
        for write_set in (proposal(3), checkpoint(1, {b"k": b"v"})):
            store.write(write_set, lambda: durable.append(3))
        self.close_store(store)
        self.assertEqual((durable, len(self.failures)), ([1], 1))
        self.assertEqual(list(self.restored_whatever()), [InstanceId(1, 1)])

    def restored_whatever(self) -> Any:
        self.patch(leveldb, "GroupWriter", GroupWriter)
        return self.restored()["records"]

    def test_failure_while_closing(self) -> None:
        self.failing_at(1, OSError(5, "Input/output error"))
        store = self.make()
        store.open(IDENTITY)
        store.write(proposal(1), self.fail)
        self.close_store(store)
        self.assertEqual(len(self.failures), 1)

    def test_a_thread_that_dies(self) -> None:
        """Whatever of it fails, the replica hears of it, and the store can be closed."""

        class Failing(GroupWriter):
            def go_on(self, least: int = 0) -> bool:
                raise KeyboardInterrupt("what no handler of ours expects")

        self.patch(leveldb, "GroupWriter", Failing)
        store = self.make()
        store.open(IDENTITY)
        store.write(checkpoint(1, {b"k": b"v"}), lambda: None)
        self.loop.run_until(lambda: self.failures)
        self.assertIn("what no handler of ours expects", str(self.failures[0]))
        self.close_store(store)
        self.assertEqual(self.restored_whatever(), {})

    def test_a_database_that_cannot_be_closed(self) -> None:
        """The close is over all the same, and the lock is free."""

        class Failing(GroupWriter):
            def close(self) -> None:
                super().close()
                raise OSError(5, "Input/output error")

        self.patch(leveldb, "GroupWriter", Failing)
        store = self.make()
        store.open(IDENTITY)
        self.close_store(store)
        (failure,) = self.failures
        self.assertIn("Input/output error", str(failure))
        self.assertEqual(self.restored_whatever(), {})

    def test_lock_is_released_after_failure(self) -> None:
        self.failing_at(1, OSError(5, "Input/output error"))
        store = self.make()
        store.open(IDENTITY)
        store.write(proposal(1), self.fail)
        self.close_store(store)
        self.assertEqual(self.restored()["records"], {})
