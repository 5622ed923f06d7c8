"""Which writes survive on a virtual disk."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from epaxos.interfaces import Checkpoint, Identity, IStore, StoreError, WriteSet
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import Batch
from epaxos.verify.simulation.clock import SECOND, Process, VirtualTime
from epaxos.verify.simulation.dice import Dice
from epaxos.verify.simulation.disk import LOG_BATCHES_MIN, Disk, DiskSettings, VirtualStore
from tests.storage.loop import merged

IDENTITY = Identity("simulated", 0, Epoch.first(3), "kv")
SLOW = DiskSettings(sync_us=1000, write_us=100)


def executed(slot: int) -> tuple[InstanceId, Batch]:
    return InstanceId(0, slot), Batch((b"k",), (), b"%d" % slot, 1)


class Lab(SynchronousTestCase):
    def build(self, settings: DiskSettings = SLOW, seed: int = 0) -> None:
        self.time = VirtualTime()
        self.disk = Disk(settings, Dice(seed, "disk"))
        self.written: list[WriteSet] = []
        self.durable: list[int] = []
        self.failures: list[str] = []
        self.store = self.start()

    def start(self) -> VirtualStore:
        """A process opens the disk."""
        self.process = Process(self.time)
        store = VirtualStore(self.disk, self.process, self.failures.append, self.written.append)
        self.restored = store.open(IDENTITY)
        return store

    def reserve(self, slot: int, sync: bool = True) -> None:
        self.store.write(WriteSet(reserved=slot, sync=sync), lambda: self.durable.append(slot))

    def run_for(self, duration: int) -> None:
        self.time.run(self.time.now + duration, 10_000)

    def crash(self, power: bool) -> int:
        """Crash, and return how many write sets were lost."""
        self.process.kill()
        return self.disk.crash(power)

    @property
    def reserved(self) -> int:
        """The reservation that a process that starts now finds."""
        self.start()
        return self.restored.reserved


class StoreTests(Lab):
    def test_interface(self) -> None:
        self.build()
        verifyObject(IStore, self.store)

    def test_fresh_and_then_not(self) -> None:
        self.build()
        self.assertTrue(self.restored.fresh)
        self.assertEqual((self.restored.reserved, self.restored.executed), (0, (0, 0, 0)))
        self.assertEqual((merged(self.restored.base), list(self.restored.batches)), ({}, []))
        self.start()
        self.assertFalse(self.restored.fresh)

    def test_another_identity_is_refused(self) -> None:
        self.build()
        store = VirtualStore(self.disk, self.process, self.failures.append, self.written.append)
        self.assertRaises(StoreError, store.open, IDENTITY._replace(replica=1))

    def test_durable_when_the_disk_is_done(self) -> None:
        self.build()
        self.reserve(1)
        self.run_for(400)
        self.assertEqual(self.durable, [])
        self.run_for(1200)
        self.assertEqual(self.durable, [1])

    def test_what_waits_is_written_together(self) -> None:
        self.build()
        for slot in (1, 2, 3):
            self.reserve(slot)
        self.run_for(SECOND)
        self.assertEqual(self.durable, [1, 2, 3])
        self.assertEqual(self.store.counters()["store_writes"], 2)

    def test_one_by_one_when_the_disk_does_not_group(self) -> None:
        self.build(DiskSettings(1000, 100, grouped=False))
        for slot in (1, 2, 3):
            self.reserve(slot)
        self.run_for(SECOND)
        self.assertEqual((self.durable, self.store.counters()["store_writes"]), ([1, 2, 3], 3))

    def test_at_once_when_the_disk_takes_no_time(self) -> None:
        self.build(DiskSettings(0, 0))
        self.reserve(1)
        self.assertEqual(self.durable, [1])

    def test_what_a_writer_does_to_its_lists_later_is_not_written(self) -> None:
        self.build()
        batches = [(InstanceId(0, 1), Batch((b"k",), (), b"", 1))]
        self.store.write(WriteSet(batches=batches, sync=True), lambda: None)
        batches.clear()
        self.run_for(SECOND)
        self.assertEqual(len(self.disk.contents.batches), 1)

    def checkpoint(self, slot: int, *slots: int, state: dict[bytes, bytes] | None = None) -> None:
        """A checkpoint up to `slot`, with the batches of `slots`."""
        batches = [executed(each) for each in slots]
        whole = None if state is None else state.items()
        checkpoint = Checkpoint((slot, 0, 0), (), batches, whole)
        self.store.write(WriteSet(checkpoint=checkpoint, sync=True), lambda: None)

    def test_checkpoints_bring_batches_until_one_brings_the_state(self) -> None:
        self.build(DiskSettings(0, 0))
        self.checkpoint(2, 2, 1)
        self.checkpoint(3, 3)
        self.checkpoint(4)
        self.start()
        self.assertEqual((self.restored.executed, merged(self.restored.base)), ((4, 0, 0), {}))
        self.assertEqual(list(self.restored.batches), [executed(2), executed(1), executed(3)])
        self.checkpoint(5, 5, state={b"k": b"v"})
        self.checkpoint(6, 6)
        self.start()
        self.assertEqual((self.restored.executed, merged(self.restored.base)), ((6, 0, 0), {b"k": b"v"}))
        self.assertEqual(list(self.restored.batches), [executed(6)])
        self.checkpoint(7, 7, state={})
        self.start()
        self.assertEqual((merged(self.restored.base), list(self.restored.batches)), ({}, []))

    def test_a_state_is_wanted_when_the_log_is_long(self) -> None:
        self.build(DiskSettings(0, 0))
        for slot in range(1, LOG_BATCHES_MIN + 1):
            self.assertFalse(self.store.wants_state)
            self.checkpoint(slot, slot)
        self.assertTrue(self.store.wants_state)
        self.assertTrue(self.start().wants_state)
        self.checkpoint(slot, state={b"k": b"v"})
        self.assertFalse(self.store.wants_state)

    def test_close_waits_for_what_is_being_written(self) -> None:
        self.build()
        self.reserve(1)
        closed = self.store.close()
        self.assertNoResult(closed)
        self.run_for(SECOND)
        self.assertIsNone(self.successResultOf(closed))
        self.assertEqual(self.durable, [1])


class CrashTests(Lab):
    def test_a_killed_process_loses_what_is_on_its_way(self) -> None:
        found = set()
        for seed in range(20):
            self.build(seed=seed)
            self.reserve(1)
            self.run_for(SECOND)
            self.reserve(2)
            self.crash(power=False)
            self.run_for(SECOND)
            self.assertEqual(self.durable, [1], "a dead process hears nothing")
            found.add(self.reserved)
        self.assertEqual(found, {1, 2}, "by chance it had reached the disk, or not")

    def test_a_killed_process_leaves_what_was_written_and_not_synced(self) -> None:
        for seed in range(20):
            self.build(seed=seed)
            self.reserve(1, sync=False)
            self.run_for(SECOND)
            self.assertEqual(self.crash(power=False), 0)
            self.assertEqual(self.reserved, 1)

    def test_without_power_any_prefix_of_what_was_not_synced_is_left(self) -> None:
        found = set()
        for seed in range(60):
            self.build(seed=seed)
            self.reserve(1)
            self.run_for(SECOND)
            for slot in (2, 3, 4):
                self.reserve(slot, sync=False)
                self.run_for(SECOND)
            lost = self.crash(power=True)
            self.assertEqual(self.reserved, 4 - lost)
            found.add(self.reserved)
        self.assertEqual(found, {1, 2, 3, 4})

    def test_a_forgetful_disk_keeps_nothing_that_is_not_synced(self) -> None:
        for seed in range(20):
            self.build(DiskSettings(1000, 100, forgetful=True), seed)
            self.reserve(1)
            self.run_for(SECOND)
            self.reserve(2, sync=False)
            self.run_for(SECOND)
            self.assertEqual((self.crash(power=True), self.reserved), (1, 1))

    def test_what_is_synced_survives_everything(self) -> None:
        for seed in range(20):
            self.build(seed=seed)
            self.reserve(1, sync=False)
            self.reserve(2)
            self.run_for(SECOND)
            self.assertEqual(self.crash(power=True), 0)
            self.assertEqual(self.reserved, 2)

    def test_a_process_that_dies_when_it_writes_has_written_nothing(self) -> None:
        self.build()
        self.store = VirtualStore(
            self.disk, self.process, self.failures.append, lambda write_set: self.process.kill()
        )
        self.store.open(IDENTITY)
        self.reserve(1)
        self.run_for(SECOND)
        self.assertEqual((self.durable, self.reserved), ([], 0))


class FullDiskTests(Lab):
    def test_a_full_disk_is_told_once_and_nothing_is_written(self) -> None:
        self.build()
        self.disk.full = True
        self.reserve(1)
        self.reserve(2)
        self.run_for(SECOND)
        self.reserve(3)
        self.run_for(SECOND)
        self.assertEqual((self.failures, self.durable), (["the disk is full"], []))
        self.disk.full = False
        self.assertEqual(self.reserved, 0)

    def test_slow_disk(self) -> None:
        self.build()
        self.disk.slowness = 100
        self.reserve(1)
        self.run_for(40_000)
        self.assertEqual(self.durable, [])
        self.run_for(SECOND)
        self.assertEqual(self.durable, [1])
