"""The room of instances that were deleted: it is given back, a little at a time."""

from __future__ import annotations

import contextlib
from random import Random
from time import monotonic, sleep

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import WriteSet
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.instance import InstanceRecord, Value
from epaxos.protocol.values.messages import Batch, Phase
from epaxos.storage.leveldb import compaction, ended
from epaxos.storage.leveldb.compaction import key_ranges
from epaxos.storage.leveldb.ended import EndedEpochs
from tests.storage.case import StoreCase
from tests.storage.loop import IDENTITY, PATIENCE_S
from tests.storage.test_epochs import drop, turn

VALUE_BYTES = 25_000


def instance(epoch: int, slot: int, random: Random) -> WriteSet:
    id = InstanceId(1, slot)
    record = InstanceRecord(id, Phase.COMMITTED, 0, 0, Value.PROPOSED, (0, 0, 0), None)
    return WriteSet(
        batches=[(id, Batch((b"k",), (), random.randbytes(VALUE_BYTES), 1))], records=[record], epoch=epoch
    )


def fail(*args: object) -> None:
    raise AssertionError(args)


class Tables:
    """A database with these tables; each is as long as its place, and what is compacted is noted."""

    def __init__(self, *keys: bytes) -> None:
        self.keys = keys
        self.compacted: list[tuple[bytes, bytes]] = []

    def approximate_size(self, start: bytes, stop: bytes) -> int:
        return sum(5 << 20 for key in self.keys if start <= key.ljust(24, b"\0") < stop)

    def compact_range(self, start: bytes, stop: bytes) -> None:
        self.compacted.append((start, stop))


class PartsTests(SynchronousTestCase):
    def test_every_key_is_in_one_part(self) -> None:
        """And none is in a part with much else, nor is a part where there is nothing."""
        random = Random(1)
        keys = sorted(bytes([4]) + random.randbytes(random.choice((9, 18))) for _ in range(200))
        tables = Tables(*keys)
        parts = list(key_ranges(tables, b"\x03", b"\x05"))
        self.assertEqual(parts, sorted(parts))
        for start, stop in parts:
            self.assertTrue(0 < tables.approximate_size(start, stop) <= compaction.PART_BYTES)
        whole = sum(tables.approximate_size(start, stop) for start, stop in parts)
        self.assertEqual(whole, tables.approximate_size(b"\x03", b"\x05"))

    def test_nothing(self) -> None:
        self.assertEqual(list(key_ranges(Tables(b"\x02a", b"\x05a"), b"\x03", b"\x05")), [])

    def test_one_long_value(self) -> None:
        """It is compacted, whatever its size."""
        self.patch(compaction, "PART_BYTES", 1)
        parts = list(key_ranges(Tables(b"\x04a"), b"\x03", b"\x05"))
        self.assertEqual(len(parts), 1)

    def test_it_stops_in_the_middle(self) -> None:
        self.patch(ended, "PAUSE_S", 60)
        tables = Tables(*(bytes([4, key]) for key in range(100)))
        working = EndedEpochs(tables, fail, fail)
        working.give_back(1 << 50)
        ends = monotonic() + PATIENCE_S
        while not tables.compacted:
            self.assertLess(monotonic(), ends)
            sleep(0.01)
        working.stop()
        self.assertEqual(len(tables.compacted), 1)
        working.give_back(3)
        working.stop()


class RoomTests(StoreCase):
    def database_bytes(self) -> int:
        """LevelDB may remove a file meanwhile."""
        size = 0
        for path in (self.path / "db").iterdir():
            with contextlib.suppress(FileNotFoundError):
                size += path.stat().st_size
        return size

    def test_the_room_of_ended_epochs(self) -> None:
        """Large batches, which LevelDB would keep for many epochs."""
        random, count = Random(3), 1200  # 30 MB in each epoch
        store = self.make()
        store.open(IDENTITY)
        for epoch in range(4):
            for slot in range(1, count + 1):
                self.write_by(store, instance(epoch, slot, random))
            self.write_by(store, turn(epoch + 1))
            if epoch:
                self.write_by(store, drop(epoch - 1, (InstanceId(1, slot) for slot in range(1, count + 1))))
        self.assertGreater(self.database_bytes(), 90_000_000)
        store.give_back(2)
        ends = monotonic() + PATIENCE_S
        while self.database_bytes() > 50_000_000:
            self.assertLess(monotonic(), ends, self.database_bytes())
            sleep(0.05)
        self.assertEqual(len(self.held_by(store, 3, None, 10_000)), count)
        self.assertEqual(store.held_epochs(), [3])
        store.give_back(2)
        self.close_store(store)
        self.assertEqual(self.failures, [])

    def test_nothing_begins_while_the_store_closes(self) -> None:
        """The writer's thread waits for what it finds, and must not find a thread that is being started."""
        begun: list[int] = []
        self.patch(EndedEpochs, "give_back", lambda _, epoch: begun.append(epoch))
        store = self.make()
        store.open(IDENTITY)
        store.give_back(1)
        closed: list[object] = []
        store.close().addCallback(closed.append)
        store.give_back(2)
        self.loop.run_until(lambda: closed)
        self.assertEqual(begun, [1])
