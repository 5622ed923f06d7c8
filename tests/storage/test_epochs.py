"""The turn of the epoch in a data folder (docs: reference/files)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from shutil import copytree
from typing import Any

from epaxos.interfaces import Checkpoint, EpochRecord, StoreError, WriteSet, WrongDataError
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.instance import Value
from epaxos.protocol.values.membership import FIRST_VERSION, Member, Membership
from epaxos.protocol.values.messages import Phase
from epaxos.storage.leveldb import engine
from epaxos.storage.leveldb.epoch_record import EPOCH_KEY, decode_epoch_record, encode_epoch_record
from epaxos.storage.leveldb.records import (
    FLOOR_KEY,
    FORMAT,
    FORMAT_OF_EPOCHS,
    FOUNDED_KEY,
    IDENTITY_KEY,
    INSTANCE_PREFIX,
    LATER_PREFIX,
    RESERVED_KEY,
    RecordFormat,
    encode_identity,
)
from epaxos.storage.leveldb.stopped import read_stopped
from tests.storage.case import StoreCase
from tests.storage.loop import IDENTITY, batch, change, checkpoint, contents, proposal, record

FIRST = Membership(2**127, 0, FIRST_VERSION, (Member(0, 5), Member(1, 2**63), Member(2, 1)))
NOTHING = (0, 0, 0)


def members(number: int) -> Membership:
    return FIRST._replace(number=number)


def record_of(number: int) -> EpochRecord:
    return EpochRecord(members(number), members(number - 1), InstanceId(2, 9), (300, 2**40, 9))


def turn(number: int, **entries: bytes) -> WriteSet:
    """Epoch `number` begins; the last batch of the epoch before makes these entries."""
    changes = {key.encode(): value for key, value in entries.items()}
    executed = [(InstanceId(0, 8), change(changes))]
    return WriteSet(
        checkpoint=Checkpoint(NOTHING, (), executed),
        sync=True,
        epoch=number,
        opened=record_of(number),
    )


def of(epoch: int, write_set: WriteSet) -> WriteSet:
    write_set.epoch = epoch
    return write_set


def drop(epoch: int, ids: Iterable[InstanceId]) -> WriteSet:
    return WriteSet(epoch=epoch, dropped=list(ids), sync=True)


class EpochsCase(StoreCase):
    def fill(self) -> None:
        """Epoch 0 with three instances, a reservation, a floor and a checkpoint."""
        nop = record(InstanceId(2, 9), Phase.COMMITTED, Value.NOP)
        self.write(
            WriteSet(founded=FIRST, sync=True),
            proposal(2),
            proposal(300, row=0),
            WriteSet(records=[nop], reserved=256, floor=(1, 0, 0), sync=True),
            checkpoint(5, {b"a": b"old", b"b": b"old"}),
        )

    def held(self, epoch: int, after: InstanceId | None = None, limit: int = 100) -> list[InstanceId]:
        """What a new process finds."""
        store = self.make()
        store.open(IDENTITY)
        try:
            return self.held_by(store, epoch, after, limit)
        finally:
            self.close_store(store)

    def keys(self) -> dict[bytes, bytes]:
        database = engine.DB(str(self.path / "db"))
        try:
            return dict(database)
        finally:
            database.close()

    def put(self, key: bytes, value: bytes) -> None:
        database = engine.DB(str(self.path / "db"))
        database.put(key, value)
        database.close()


OLD = [InstanceId(0, 300), InstanceId(1, 2), InstanceId(2, 9)]


class TurnTests(EpochsCase):
    def test_what_a_restart_finds(self) -> None:
        self.fill()
        before = self.restored()
        self.write(turn(1, a=b"new"))
        found = self.restored()
        self.assertEqual(found["opened"], record_of(1))
        self.assertEqual(found["founded"], members(1))
        self.assertEqual(found["uid"], before["uid"])
        self.assertEqual((found["fresh"], found["unfounded"]), (False, False))
        self.assertEqual((found["reserved"], found["floor"]), (0, NOTHING))
        self.assertEqual((found["executed"], found["beyond"]), (NOTHING, ()))
        self.assertEqual(found["records"], {})
        self.assertEqual(found["state"], {b"a": b"new", b"b": b"old"})

    def test_the_keys(self) -> None:
        self.fill()
        before = self.keys()
        self.write(turn(1))
        after = self.keys()
        self.assertEqual(before.keys() - after.keys(), {RESERVED_KEY, FLOOR_KEY})
        self.assertEqual(decode_epoch_record(after[EPOCH_KEY], 3), record_of(1))
        old = {key: value for key, value in before.items() if key.startswith(INSTANCE_PREFIX)}
        self.assertEqual(len(old), 5)
        self.assertEqual({key: after[key] for key in old}, old, "they stay until nobody needs them")

    def test_the_format(self) -> None:
        """Versions that know of no epochs refuse the folder from now on; nothing else of it differs."""
        self.fill()
        before = json.loads(self.keys()[IDENTITY_KEY])
        self.assertEqual(before["format"], FORMAT)
        self.write(turn(1))
        after = json.loads(self.keys()[IDENTITY_KEY])
        self.assertEqual(after, {**before, "format": FORMAT_OF_EPOCHS})
        self.write(turn(2))
        self.assertEqual(json.loads(self.keys()[IDENTITY_KEY]), after)

    def test_a_folder_in_epoch_0(self) -> None:
        """It is as an older version made it, so that one can take it back."""
        self.fill()
        self.write(proposal(301, row=0), checkpoint(6, {b"a": b"v"}))
        keys = self.keys()
        self.assertEqual(keys[IDENTITY_KEY], encode_identity(IDENTITY))
        self.assertEqual(json.loads(keys[IDENTITY_KEY])["format"], 3)
        self.assertNotIn(EPOCH_KEY, keys)
        self.assertEqual([key for key in keys if key >= LATER_PREFIX], [])
        self.assertIsNone(self.restored()["opened"])

    def test_a_folder_without_a_list_of_members(self) -> None:
        """An older version made it: from the first turn on it has one."""
        self.write(proposal(1))
        database = engine.DB(str(self.path / "db"))
        database.delete(FOUNDED_KEY)
        database.close()
        self.write(turn(1))
        self.assertEqual(self.restored()["founded"], members(1))

    def test_whole_or_not_at_all(self) -> None:
        """However much of the write reaches the disk before the host fails."""
        self.fill()
        store = self.make(sync=False)
        store.open(IDENTITY)
        self.write_by(store, WriteSet(reserved=512, sync=True))
        (log,) = (self.path / "db").glob("*.log")
        least = log.stat().st_size
        synced = (self.path / "synced").read_bytes()
        self.write_by(store, turn(1, a=b"new", c=b"new"))
        size = log.stat().st_size
        self.close_store(store)
        whole = self.path
        seen = []
        for length in (*range(least, size, 23), size - 1, size):
            self.path = Path(self.mktemp())
            copytree(whole, self.path)
            with (self.path / "db" / log.name).open("r+b") as file:
                file.truncate(length)
            (self.path / "synced").write_bytes(synced)
            found = self.restored()
            format = json.loads(self.keys()[IDENTITY_KEY])["format"]
            opened = found["opened"]
            seen.append(opened is not None)
            if opened is None:
                self.assertEqual((found["reserved"], found["floor"], format), (512, (1, 0, 0), FORMAT))
                self.assertEqual(list(found["records"]), OLD)
                self.assertEqual(found["executed"], (5, 5, 0))
                self.assertEqual(found["state"], {b"a": b"old", b"b": b"old"})
            else:
                self.assertEqual((found["reserved"], found["floor"], format), (0, NOTHING, FORMAT_OF_EPOCHS))
                self.assertEqual((found["records"], found["executed"]), ({}, NOTHING))
                self.assertEqual(found["state"], {b"a": b"new", b"b": b"old", b"c": b"new"})
        self.assertEqual(seen, [False] * (len(seen) - 1) + [True])
        self.assertGreater(len(seen), 10)

    def test_together_with_its_neighbours(self) -> None:
        """What is held back of the epoch before is written before it; what follows belongs to the next."""
        store = self.make()
        store.open(IDENTITY)
        durable: list[str] = []
        for name, write_set in (
            ("before", proposal(7, sync=False)),
            ("turn", turn(1)),
            ("behind", of(1, proposal(1, sync=False))),
            ("last", of(1, proposal(2))),
        ):
            store.write(write_set, lambda name=name: durable.append(name))
        self.loop.run_until(lambda: len(durable) == 4)
        self.assertEqual(durable, ["before", "turn", "behind", "last"])
        self.assertEqual(self.held_by(store, 0, None, 9), [InstanceId(1, 7)])
        self.close_store(store)
        self.assertEqual(list(self.restored()["records"]), [InstanceId(1, 1), InstanceId(1, 2)])
        self.assertEqual(self.held(0), [InstanceId(1, 7)])

    def test_work_in_the_new_epoch(self) -> None:
        """Over restarts; instances of two epochs with the same id are two."""
        self.fill()
        self.write(turn(1, a=b"1"))
        self.write(
            of(1, proposal(2, size=20)),
            of(1, WriteSet(reserved=64, floor=(0, 1, 0), sync=True)),
            of(1, checkpoint(3, {b"c": b"1"})),
        )
        found = self.restored()
        id = InstanceId(1, 2)
        self.assertEqual(found["records"], {id: (record(id), batch(2, 20))})
        self.assertEqual((found["reserved"], found["floor"], found["executed"]), (64, (0, 1, 0), (3, 3, 0)))
        self.assertEqual(found["state"], {b"a": b"1", b"b": b"old", b"c": b"1"})
        self.assertEqual(found["opened"], record_of(1))
        store = self.make()
        store.open(IDENTITY)
        self.assertEqual(store.find(0, id), (record(id), batch(2)))
        self.assertEqual(store.find(1, id), (record(id), batch(2, 20)))
        self.close_store(store)

    def test_what_the_operator_sees(self) -> None:
        self.fill()
        self.write(turn(1), of(1, proposal(1)), of(1, WriteSet(reserved=64, sync=True)))
        found = read_stopped(self.path)
        self.assertEqual((found.format, found.identity), (FORMAT_OF_EPOCHS, IDENTITY))
        self.assertEqual((found.reserved, found.floor, found.executed), (64, NOTHING, NOTHING))
        self.assertEqual((found.epoch, found.records), (1, 1))


class ClosedTests(EpochsCase):
    def setUp(self) -> None:
        super().setUp()
        self.fill()
        self.write(turn(1))

    def test_found_after_a_restart(self) -> None:
        store = self.make()
        store.open(IDENTITY)
        nop = InstanceId(2, 9)
        self.assertEqual(store.find(0, OLD[1]), (record(OLD[1]), batch(2)))
        self.assertEqual(store.find(0, OLD[0]), (record(OLD[0]), batch(300)))
        self.assertEqual(store.find(0, nop), (record(nop, Phase.COMMITTED, Value.NOP), None))
        for epoch, id in ((0, InstanceId(0, 299)), (1, OLD[1]), (2, OLD[1])):
            self.assertIsNone(store.find(epoch, id))
        self.close_store(store)

    def test_found_by_the_process_that_closed_it(self) -> None:
        store = self.make()
        store.open(IDENTITY)
        self.write_by(store, of(1, proposal(4)))
        self.write_by(store, turn(2))
        self.assertEqual(store.find(1, InstanceId(1, 4)), (record(InstanceId(1, 4)), batch(4)))
        self.assertEqual(self.held_by(store, 1, None, 9), [InstanceId(1, 4)])
        self.assertEqual(self.held_by(store, 0, None, 9), OLD)
        self.close_store(store)

    def test_held_in_parts(self) -> None:
        self.assertEqual(self.held(0), OLD)
        self.assertEqual(self.held(0, limit=2), OLD[:2])
        self.assertEqual(self.held(0, OLD[0]), OLD[1:])
        self.assertEqual(self.held(0, InstanceId(1, 1), 1), [OLD[1]], "the mark itself need not be there")
        self.assertEqual(self.held(0, OLD[-1]), [])

    def test_other_epochs_are_not_touched(self) -> None:
        """Also those whose numbers begin with the same bytes."""
        self.write(of(1, proposal(4)), turn(2), of(2, proposal(5)), turn(3), of(3, proposal(6)))
        for epoch, expected in ((0, OLD), (1, [InstanceId(1, 4)]), (2, [InstanceId(1, 5)]), (256, [])):
            self.assertEqual(self.held(epoch), expected)
        self.write(drop(1, [InstanceId(1, 4)]))
        for epoch, expected in ((0, OLD), (1, []), (2, [InstanceId(1, 5)])):
            self.assertEqual(self.held(epoch), expected)
        self.assertEqual(list(self.restored()["records"]), [InstanceId(1, 6)])

    def test_dropped(self) -> None:
        """In parts, over restarts, with the batches; instances of the present epoch stay."""
        self.write(of(1, proposal(2, size=20)), drop(0, OLD[:2]))
        self.assertEqual(self.held(0), OLD[2:])
        self.write(drop(0, OLD[2:]))
        self.assertEqual(self.held(0), [])
        self.assertEqual([key for key in self.keys() if key.startswith(INSTANCE_PREFIX)], [])
        found = self.restored()
        self.assertEqual(found["records"], {OLD[1]: (record(OLD[1]), batch(2, 20))})
        self.assertEqual(found["opened"], record_of(1))
        self.assertEqual(found["state"], {b"a": b"old", b"b": b"old"})

    def test_damage(self) -> None:
        """What cannot be read is said in one line, and never taken for what is not held."""
        format = RecordFormat(IDENTITY.epoch)
        for key in (format.record_key(OLD[1]), format.batch_key(OLD[1])):
            whole = self.keys()[key]
            self.put(key, b"\xff")
            store = self.make()
            store.open(IDENTITY)
            error = self.assertRaises(StoreError, store.find, 0, OLD[1])
            self.assertIn(f"{self.path} cannot be read: the ", str(error))
            self.close_store(store)
            self.put(key, whole)
        self.put(INSTANCE_PREFIX + b"\xff", b"")
        error = self.assertRaises(StoreError, self.held, 0)
        self.assertIn("an instance key of 2 bytes", str(error))


class EpochKeyTests(EpochsCase):
    def test_round_trip(self) -> None:
        for number in (1, 2, 2**40):
            encoded = encode_epoch_record(record_of(number))
            self.assertEqual(decode_epoch_record(encoded, 3), record_of(number))

    def test_damage(self) -> None:
        """A replica that does not know its epoch must not start in another one."""
        good = encode_epoch_record(record_of(1))
        vector, told = good[:24], good[24:]
        skipped = encode_epoch_record(record_of(1)._replace(membership=members(2)))
        fewer = members(0)._replace(members=FIRST.members[:2])
        shrunk = encode_epoch_record(record_of(1)._replace(previous=fewer, committed=(1, 1)))
        for name, value in (
            ("empty", b""),
            ("no members", vector),
            ("cut", good[:-3]),
            ("shifted", good[8:]),
            ("huge slots", b"\xff" * 24 + told),
            ("a gap", skipped),
            ("other members", shrunk),
            ("noise", vector + b"\xff\xff"),
        ):
            self.path = Path(self.mktemp())
            self.fill()
            self.write(turn(1))
            self.put(EPOCH_KEY, value)
            error = self.assertRaises(WrongDataError, self.open)
            self.assertRegex(str(error), f"^{self.path} is damaged: .", name)

    def open(self) -> dict[str, Any]:
        store = self.make()
        try:
            return contents(store.open(IDENTITY))
        finally:
            self.close_store(store)
