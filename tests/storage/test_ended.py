"""What is held of epochs that have ended is looked for in a thread, whatever was deleted before it."""

from __future__ import annotations

from collections.abc import Iterator
from threading import current_thread
from time import sleep, thread_time
from typing import Any

from epaxos.interfaces import WriteSet
from epaxos.node.dropping import DROP_EVERY_S, DROPPED_AT_ONCE, Dropping
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import Phase
from epaxos.storage.leveldb import ended, engine
from epaxos.storage.leveldb.records import RecordFormat
from tests.storage.case import StoreCase
from tests.storage.loop import IDENTITY, batch, proposal, record
from tests.storage.test_epochs import drop, turn

COUNT = 20_000
LOOP_HELD_S = 0.02
"""Nothing may hold up the event loop for longer."""


class EndedCase(StoreCase):
    def fill(self, count: int) -> list[InstanceId]:
        """Epoch 0 has ended with these instances, as a process left them that was killed."""
        self.write(proposal(1), turn(1))
        format = RecordFormat(Epoch.first(3))
        ids = [InstanceId(0, slot) for slot in range(1, count + 1)]
        value, data = record(ids[0], Phase.COMMITTED), batch(1, 50)
        database = engine.DB(str(self.path / "db"))
        with database.write_batch() as writing:
            for id in ids:
                writing.put(format.record_key(id), format.encode_record(value))
                writing.put(format.batch_key(id), format.encode_batch(data))
        database.close()
        return [*ids, InstanceId(1, 1)]


class ThreadTests(EndedCase):
    def test_the_event_loop_does_not_look(self) -> None:
        ids = self.fill(50)
        threads: list[str] = []
        look = ended.ids_held

        def looking(*args: Any) -> list[InstanceId]:
            threads.append(current_thread().name)
            return look(*args)

        self.patch(ended, "ids_held", looking)
        store = self.make()
        store.open(IDENTITY)
        self.assertEqual(self.held_by(store, 0, None, 30), ids[:30])
        self.assertEqual(self.held_by(store, 0, ids[29], 30), ids[30:])
        self.close_store(store)
        self.assertEqual(threads, ["epaxos ended epochs"] * 2)

    def test_the_store_closes_meanwhile(self) -> None:
        """Nobody hears of what was found."""
        self.fill(50)
        store = self.make()
        store.open(IDENTITY)
        found: list[object] = []
        store.held(0, None, 30, found.append)
        self.close_store(store)
        store.held(0, None, 30, found.append)
        self.assertEqual(found, [])

    def test_a_database_that_cannot_be_read(self) -> None:
        """It ends the replica as a write that failed does."""

        def fail(*args: object) -> Iterator[InstanceId]:
            raise engine.Error("a block is damaged")

        self.patch(ended, "ids_held", fail)
        store = self.make()
        store.open(IDENTITY)
        store.held(0, None, 30, self.fail)
        self.loop.run_until(lambda: self.failures)
        (why,) = self.failures
        self.assertEqual(str(why), f"{self.path} cannot be read: a block is damaged")
        self.close_store(store)


class LoopTests(EndedCase):
    def longest(self, count: int) -> float:
        """Delete an epoch of `count` instances, of which half was deleted before; the longest step of the
        event loop, in seconds of its own."""
        ids = self.fill(count)
        half = self.make()
        half.open(IDENTITY)
        for start in range(0, count // 2, 10_000):
            self.write_by(half, drop(0, ids[start : start + 10_000]))
        self.close_store(half)
        store = self.make()
        store.open(IDENTITY)
        dropping = Dropping(store)
        dropping.add(store.held_epochs())
        longest = 0.0
        while dropping.is_busy:
            began = thread_time()
            dropping.step()
            self.loop.run_waiting()
            longest = max(longest, thread_time() - began)
            sleep(DROP_EVERY_S / 20)
        self.write_by(store, WriteSet(sync=True))
        self.assertEqual(store.held_epochs(), [])
        self.close_store(store)
        self.assertEqual(self.failures, [])
        return longest

    def test_nothing_holds_it_up(self) -> None:
        self.assertGreater(COUNT, 10 * DROPPED_AT_ONCE)
        self.assertLess(self.longest(COUNT), LOOP_HELD_S)
