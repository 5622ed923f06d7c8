"""LevelDBStore: groups, and what is written in the event loop and what in the thread."""

from __future__ import annotations

from epaxos.interfaces import WriteSet
from epaxos.protocol.values.ids import InstanceId
from epaxos.storage.leveldb import pace
from epaxos.storage.leveldb import store as leveldb
from tests.storage.case import StoreCase
from tests.storage.loop import (
    IDENTITY,
    checkpoint,
    proposal,
)


class GroupTests(StoreCase):
    def test_what_gathers_is_one_write(self) -> None:
        store = self.make()
        store.open(IDENTITY)
        durable: list[int] = []
        self.loop.hold()
        store.write(checkpoint(1, {b"k": b"v"}), lambda: durable.append(1))
        self.loop.wait_until_held()
        for slot in range(2, 102):
            store.write(proposal(slot, sync=slot in (50, 101)), lambda slot=slot: durable.append(slot))
        self.assertEqual(store.counters()["store_queue"], 101)
        self.assertEqual(durable, [])
        self.loop.release()
        self.loop.run_until(lambda: len(durable) == 101)
        self.assertEqual(durable, list(range(1, 102)))
        counters = dict(store.counters())
        self.assertGreater(counters.pop("store_bytes"), 101 * 100)
        self.assertEqual(counters, {"store_writes": 2, "store_syncs": 2, "store_queue": 0})
        self.close_store(store)
        self.assertEqual(len(self.restored()["records"]), 100)

    def test_sync_of_an_empty_set_syncs_what_was_before(self) -> None:
        store = self.make()
        store.open(IDENTITY)
        for write_set, syncs in (
            (proposal(1, sync=False), 0),
            (WriteSet(sync=True), 1),
            (WriteSet(sync=True), 1),
            (WriteSet(), 1),
            (proposal(2, sync=True), 2),
        ):
            self.write_by(store, write_set)
            self.assertEqual(store.counters()["store_syncs"], syncs)
        self.close_store(store)

    def test_what_nobody_waits_for_goes_with_the_next_that_somebody_does(self) -> None:
        store = self.make()
        store.open(IDENTITY)
        durable: list[int] = []
        for slot in range(1, 11):
            store.write(proposal(slot, sync=False), lambda slot=slot: durable.append(slot))
        self.assertEqual(store.counters()["store_queue"], 10)
        self.write_by(store, proposal(11))
        self.assertEqual(durable, list(range(1, 11)))
        self.assertEqual(store.counters()["store_writes"], 1)
        self.close_store(store)
        self.assertEqual(len(self.restored()["records"]), 11)

    def test_so_much_that_nobody_waits_for_is_held_back(self) -> None:
        store = self.make()
        store.open(IDENTITY)
        durable: list[int] = []
        for slot in range(1, leveldb.HELD_BACK_MAX + 2):
            store.write(proposal(slot, sync=False), lambda slot=slot: durable.append(slot))
        self.loop.run_until(lambda: durable)
        self.assertEqual(durable, list(range(1, leveldb.HELD_BACK_MAX + 1)))
        self.assertEqual(store.counters()["store_syncs"], 0)
        self.close_store(store)
        self.assertEqual(len(self.restored()["records"]), leveldb.HELD_BACK_MAX + 1)

    def test_close_syncs(self) -> None:
        self.assertEqual(self.write(proposal(1, sync=False)).counters()["store_syncs"], 1)

    def test_without_sync(self) -> None:
        store = self.write(proposal(1), proposal(2), sync=False)
        self.assertEqual(store.counters()["store_syncs"], 0)
        self.assertEqual(len(self.restored()["records"]), 2)


class LoopTests(StoreCase):
    """What is written in the event loop, before `write` returns, and what in the thread."""

    def setUp(self) -> None:
        super().setUp()
        self.seconds = 0.0
        self.now = 0.0
        self.patch(leveldb, "monotonic", self.clock)
        self.store = self.make()
        self.store.open(IDENTITY)
        self.addCleanup(self.close_store, self.store)
        self.durable: list[int] = []

    def clock(self) -> float:
        """Every write takes `seconds`."""
        self.now += self.seconds
        return self.now

    def is_brief(self, write_set: WriteSet) -> bool:
        """Whether it is durable at once; it is, sooner or later."""
        count = len(self.durable)
        self.store.write(write_set, lambda: self.durable.append(count))
        brief = len(self.durable) > count
        self.loop.run_until(lambda: len(self.durable) > count)
        return brief

    def wait_for_thread(self) -> None:
        """Until it has nothing more to do: it keeps the writer a little longer than it takes to write."""
        with self.store._shared.lock:
            pass

    def test_what_a_turn_promises_is_brief(self) -> None:
        for write_set in (proposal(1), WriteSet(sync=True), WriteSet(reserved=256, sync=True)):
            self.assertTrue(self.is_brief(write_set))
        for slot in range(2, 9):
            self.store.write(proposal(slot, sync=False), lambda: None)
        self.assertTrue(self.is_brief(proposal(9)))
        self.assertEqual(self.store.counters()["store_syncs"], 3)

    def test_checkpoints_and_large_batches_are_not(self) -> None:
        self.assertFalse(self.is_brief(checkpoint(1, {b"k": b"v"})))
        self.wait_for_thread()
        self.assertTrue(self.is_brief(proposal(2, size=pace.BRIEF_BYTES_MAX)))
        self.assertFalse(self.is_brief(proposal(3, size=pace.BRIEF_BYTES_MAX + 1)))
        self.wait_for_thread()
        self.store.write(proposal(4, size=pace.BRIEF_BYTES_MAX, sync=False), lambda: None)
        self.assertFalse(self.is_brief(proposal(5)), "together they are too large")

    def test_many_deletions_go_to_the_thread(self) -> None:
        """Of one write set, or of several that nobody waited for."""
        ids = [InstanceId(0, slot) for slot in range(1, pace.BRIEF_DROPPED_MAX + 2)]
        self.assertTrue(self.is_brief(WriteSet(dropped=ids[1:], sync=True)))
        self.assertFalse(self.is_brief(WriteSet(dropped=ids, sync=True)))
        self.wait_for_thread()
        self.store.write(WriteSet(dropped=ids[1:]), lambda: None)
        self.assertFalse(self.is_brief(WriteSet(dropped=ids[:1], sync=True)))
        self.wait_for_thread()

    def test_what_comes_while_the_thread_writes_comes_after_it(self) -> None:
        self.loop.hold()
        self.store.write(checkpoint(1, {b"k": b"v"}), lambda: self.durable.append(1))
        self.loop.wait_until_held()
        for number in (2, 3, 4):
            self.store.write(proposal(number), lambda number=number: self.durable.append(number))
        self.assertEqual(self.durable, [])
        self.loop.release()
        self.loop.run_until(lambda: len(self.durable) == 4)
        self.assertEqual(self.durable, [1, 2, 3, 4])
        self.wait_for_thread()
        self.assertTrue(self.is_brief(proposal(5)))

    def test_while_the_thread_makes_a_base(self) -> None:
        """Nobody else touches the files, and nobody waits for it."""
        with self.store._shared.lock:
            self.store.write(proposal(1), lambda: self.durable.append(1))
            self.assertEqual(self.durable, [])
        self.loop.run_until(lambda: self.durable)
        self.wait_for_thread()
        self.assertTrue(self.is_brief(proposal(2)))

    def test_a_slow_disk_is_left_to_the_thread(self) -> None:
        self.seconds = pace.BRIEF_S
        brief = []
        for slot in range(1, pace.SLOW_WRITES + pace.SLOW_GROUPS + 3):
            brief.append(self.is_brief(proposal(slot)))
            self.wait_for_thread()
        tries = [number for number, was_brief in enumerate(brief) if was_brief]
        first = list(range(pace.SLOW_WRITES))
        self.assertEqual(tries, [*first, first[-1] + pace.SLOW_GROUPS])

    def test_a_stall_alone_shows_a_slow_disk(self) -> None:
        self.seconds = pace.STALL_S
        self.assertTrue(self.is_brief(proposal(1)))
        self.assertFalse(self.is_brief(proposal(2)))

    def test_one_that_is_quick_shows_a_fast_disk(self) -> None:
        for slot in range(1, 5 * pace.SLOW_WRITES):
            self.seconds = 0.0 if slot % pace.SLOW_WRITES == 0 else 2 * pace.BRIEF_S
            self.assertTrue(self.is_brief(proposal(slot)))
