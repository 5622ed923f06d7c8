"""The parts of the LevelDB store, each alone: numbers of writes, groups, the torn end of a log."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import WriteSet
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import InstanceId
from epaxos.storage import gil as pauses
from epaxos.storage.leveldb import engine, writer
from epaxos.storage.leveldb.records import RecordFormat, encode_number, write_key
from epaxos.storage.leveldb.sequence import WriteSequence
from epaxos.storage.leveldb.torn_log import end_of_whole_records
from epaxos.storage.leveldb.writer import CHUNK, GroupWriter
from epaxos.storage.state.files import StateFiles
from epaxos.storage.state.manifest import Manifest, StateFile
from tests.storage.loop import batch, checkpoint_of, proposal


class FakeDB:
    """A database in a dict, with the few methods of LevelDB's that a writer uses."""

    def __init__(self) -> None:
        self.held: dict[bytes, bytes] = {}
        self.syncs: list[bool] = []

    def get(self, key: bytes) -> bytes | None:
        return self.held.get(key)

    def write_batch(self, sync: bool) -> FakeBatch:
        return FakeBatch(self, sync)


class FakeBatch:
    def __init__(self, db: FakeDB, sync: bool) -> None:
        self._db = db
        self._sync = sync
        self._changes: list[tuple[bytes, bytes | None]] = []

    def put(self, key: bytes, value: bytes) -> None:
        self._changes.append((key, value))

    def delete(self, key: bytes) -> None:
        self._changes.append((key, None))

    def approximate_size(self) -> int:
        return sum(len(key) + len(value or b"") for key, value in self._changes)

    def write(self) -> None:
        self._db.syncs.append(self._sync)
        for key, value in self._changes:
            if value is None:
                self._db.held.pop(key, None)
            else:
                self._db.held[key] = value


class SequenceTests(SynchronousTestCase):
    def test_bounded_and_whole(self) -> None:
        """Numbers of old writes go, a few with each write; what is left can always be restored."""
        db, random = FakeDB(), Random(1)
        sequence = WriteSequence(1, 0, 10_000)
        for number in range(1, 2500):
            batch = db.write_batch(False)
            sequence.add_to(batch)
            batch.write()
            sequence.on_written(random.choice((30, 200, 5000)) if number < 2000 else 100)
            if number % 100 == 0 and number < 2100:
                sequence = WriteSequence.restore(sorted(db.held.items()), 10_000)
            self.assertEqual(sequence.last, number)
            self.assertEqual(len(db.held), sequence.last - sequence.first + 1)
        self.assertTrue(95 <= len(db.held) <= 10_000 / 100 + 10, len(db.held))

    def test_many_restarts(self) -> None:
        """Also a replica that never writes enough between two starts does not gather numbers."""
        db = FakeDB()
        sequence = WriteSequence(1, 0, 10**9, kept_writes=300)
        for number in range(1, 1000):
            batch = db.write_batch(False)
            sequence.add_to(batch)
            batch.write()
            sequence.on_written(10)
            if number % 50 == 0:
                sequence = WriteSequence.restore(sorted(db.held.items()), 10**9, kept_writes=300)
        self.assertEqual(len(db.held), 300)

    def test_holes(self) -> None:
        def held(*numbers: int, first: int) -> list[tuple[bytes, bytes]]:
            return [(write_key(number), encode_number(first)) for number in numbers]

        restored = WriteSequence.restore(held(3, 4, 5, first=3), 100)
        self.assertEqual((restored.first, restored.last), (3, 5))
        for numbers, first in (((3, 5), 3), ((4, 5), 3), ((5,), 3), ((2, 3, 4), 3)):
            with self.assertRaisesRegex(ValueError, "not all are there"):
                WriteSequence.restore(held(*numbers, first=first), 100)
        with self.assertRaisesRegex(ValueError, "not show a single write"):
            WriteSequence.restore([], 100)
        with self.assertRaises(ValueError):
            WriteSequence.restore([(b"\x02abc", b"12345678")], 100)


class GroupWriterTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.db = FakeDB()
        self.synced: list[str] = []
        self.pauses: list[float] = []
        self.patch(writer.os, "fsync", lambda fd: self.synced.append(os.readlink(f"/proc/self/fd/{fd}")))
        self.patch(pauses.time, "sleep", self.pauses.append)

    def writer(self, sync: bool = True) -> GroupWriter:
        sequence = WriteSequence(1, 0, 1 << 20)
        state = StateFiles(self.folder, Manifest(StateFile(0)), sync=sync)
        self.addCleanup(state.close)
        return GroupWriter(self.db, self.folder, RecordFormat(Epoch.first(3)), sequence, state, sync=sync)

    def test_older_logs(self) -> None:
        """A sync of LevelDB reaches only its newest log; what was not synced may be in the one before."""
        group = self.writer()
        group.write([proposal(1)], sync=True)
        for name in ("000007.log", "000012.log", "000103.log", "000104.ldb"):
            (self.folder / name).touch()
        group.write([proposal(2)], sync=True)
        self.assertEqual(self.synced, [])
        self.assertFalse(group.write([proposal(3)], sync=False))
        self.assertEqual(self.synced, [])
        self.assertTrue(group.write([proposal(4)], sync=True))
        self.assertEqual([Path(path).name for path in self.synced], ["000007.log", "000012.log"])
        self.assertEqual(self.db.syncs, [True, True, False, True])

    def test_nothing_to_write(self) -> None:
        group = self.writer()
        self.assertTrue(group.write([WriteSet(), WriteSet(sync=True)], sync=True))
        self.assertEqual(self.db.syncs, [])

    def test_without_sync(self) -> None:
        """What the operating system has is all that is asked for."""
        group = self.writer(sync=False)
        self.assertTrue(group.write([proposal(1)], sync=True))
        self.assertTrue(group.write([WriteSet(sync=True)], sync=True))
        self.assertEqual(self.db.syncs, [False])

    def test_pauses(self) -> None:
        """Big writes let the event loop run every CHUNK records and PIECE_BYTES of batches; small ones lose
        no time."""
        group = self.writer()
        group.write([proposal(slot) for slot in range(1, 50)], sync=True)
        self.assertEqual(len(self.pauses), 0)
        batches = [(InstanceId(1, slot), batch(slot, 700)) for slot in range(1, 20 * 90)]
        group.write([checkpoint_of(1, batches)], sync=True)
        self.assertEqual(len(self.pauses), 20)
        self.pauses.clear()
        group.write([proposal(slot) for slot in range(1, 2 * CHUNK)], sync=True)
        self.assertEqual(len(self.pauses), 3)


class TornTests(SynchronousTestCase):
    """The end of the whole records, of logs that LevelDB itself wrote."""

    def log(self, *sizes: int) -> tuple[bytes, list[int]]:
        """A log with a record of each size (of its value), and where each ends."""
        path = Path(self.mktemp())
        ends = []
        db = engine.DB(str(path), create_if_missing=True)
        (file,) = path.glob("*.log")
        for number, size in enumerate(sizes):
            db.put(b"%d" % number, Random(number).randbytes(size))
            ends.append(file.stat().st_size)
        log = file.read_bytes()
        db.close()
        return log, ends

    def check(self, log: bytes, expected: int | None, **where: Any) -> None:
        self.assertEqual(end_of_whole_records(log), expected, where)

    def test_whole(self) -> None:
        for sizes in ((), (10,), (10, 100_000, 10), (32_768 - 7 - 20, 5, 40_000)):
            self.check(self.log(*sizes)[0], None, sizes=sizes)

    def test_damage_in_the_last_record(self) -> None:
        for sizes in ((100,), (10, 20, 100), (30_000, 100), (100, 2000, 70_000), (32_700, 60, 9000)):
            log, ends = self.log(*sizes)
            start = ends[-2] if len(ends) > 1 else 0
            for position in (start, start + 5, start + 8, (start + len(log)) // 2, len(log) - 1):
                damaged = bytearray(log)
                damaged[position] ^= 0x40
                self.check(bytes(damaged), start, sizes=sizes, position=position)
            self.check(log[:start] + bytes(len(log) - start), start, sizes=sizes)

    def test_damage_before_the_last_record(self) -> None:
        """Whatever it hits, also a length: what is behind it shows that it was synced."""
        for sizes in ((100, 100), (10, 20, 30, 40), (40_000, 100), (100, 33_000, 33_000), (50, 70_000)):
            log, ends = self.log(*sizes)
            for position in (0, 4, 5, 6, 9, ends[-2] // 2, ends[-2] - 1):
                damaged = bytearray(log)
                damaged[position] ^= 0x40
                self.check(bytes(damaged), None, sizes=sizes, position=position)
            for size in (ends[-2] // 2, ends[-2]):
                self.check(bytes(size) + log[size:], None, sizes=sizes, size=size)
