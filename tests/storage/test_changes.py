"""Epochs with other members than the ones before, in a data folder (docs: reference/files)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from epaxos.interfaces import Checkpoint, EpochRecord, Identity, StoreError, WriteSet, WrongDataError
from epaxos.protocol.values.changes import Add, Change, Move, Nothing, Remove, Replace, changed
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.instance import InstanceRecord, Value
from epaxos.protocol.values.membership import Member, Membership
from epaxos.protocol.values.messages import Phase
from epaxos.storage.leveldb.epoch_record import (
    EPOCH_KEY,
    PAST_MAX,
    decode_epoch_record,
    encode_epoch_record,
)
from epaxos.storage.leveldb.records import FORMAT_OF_CHANGES, FORMAT_OF_EPOCHS, IDENTITY_KEY
from epaxos.storage.leveldb.stopped import read_stopped
from tests.storage.loop import IDENTITY, batch, change, contents
from tests.storage.test_epochs import FIRST, EpochsCase, of
from tests.storage.transfer import SOURCE, TransferCase, transfer_of

JOINS = IDENTITY._replace(replica=1, epoch=Epoch.none())


def member(number: int) -> Member:
    return Member(number, 1000 + number, f"tcp:10.0.0.{number}:7000", f"tcp:10.0.0.{number}:6379")


def after(membership: Membership, wanted: Change, why: str = "", at: int = 0) -> EpochRecord:
    """How the epoch with this change begins; everything of the one before is held."""
    successor = changed(membership, wanted).successor(why, at)
    opened_by = InstanceId(len(membership.members) - 1, 9)
    return EpochRecord(successor, membership, opened_by, (7,) * len(membership.members))


def opening(record: EpochRecord) -> WriteSet:
    rows = (0,) * len(record.membership.members)
    number = record.membership.number
    executed = [(InstanceId(0, 8), change({b"epoch": b"%d" % number}))]
    return WriteSet(checkpoint=Checkpoint(rows, (), executed), sync=True, epoch=number, opened=record)


def instance(rows: int, id: InstanceId) -> WriteSet:
    """An accepted instance of an epoch of so many members."""
    record = InstanceRecord(id, Phase.ACCEPTED, 3, 3, Value.PROPOSED, (0,) * rows, (0,) * rows)
    return WriteSet(batches=[(id, batch(2))], records=[record], sync=True)


CHANGES: tuple[Change, ...] = (
    Add(member(3)),
    Nothing(),
    Add(member(4)),
    Replace(1, member(7)),
    Move(7, "tcp:10.9.9.9:7000"),
    Remove(0),
    Remove(3),
    Remove(4),
    Remove(2),  # one member is left
    Add(member(8)),
)


class RecordTests(EpochsCase):
    def test_round_trip(self) -> None:
        """Whatever number of members the epoch before had."""
        membership = FIRST
        for wanted in CHANGES:
            record = after(membership, wanted, "x, by replica 1", 1_800_000_000)
            self.assertEqual(decode_epoch_record(encode_epoch_record(record), 3), record)
            membership = record.membership

    def test_damage(self) -> None:
        record = after(FIRST, Add(member(3)))
        self.write(opening(record))
        good = encode_epoch_record(record)
        for value in (good[:1], good[:3], good[:-3], b"\xff\xff\xff" + good[3:], b"\xff\x00\x02" + good[3:]):
            self.put(EPOCH_KEY, value)
            store = self.make()
            error = self.assertRaises(WrongDataError, store.open, IDENTITY)
            self.assertRegex(str(error), f"^{self.path} is damaged: .")
            self.close_store(store)


class FolderTests(EpochsCase):
    def test_what_a_restart_finds(self) -> None:
        """Of the present epoch and of the one before, each with its own number of rows."""
        self.fill()
        membership = FIRST
        for wanted in CHANGES:
            record = after(membership, wanted)
            rows = len(record.membership.members)
            number, before = record.membership.number, membership.number
            last = InstanceId(rows - 1, number)
            self.write(opening(record), of(number, instance(rows, last)))
            found = self.restored()
            self.assertEqual((found["opened"], found["founded"]), (record, record.membership))
            self.assertEqual(list(found["records"]), [last])
            self.assertEqual((found["executed"], found["floor"]), ((0,) * rows, (0,) * rows))
            self.assertEqual(found["state"][b"epoch"], b"%d" % number)
            if before:
                rows_before = len(membership.members)
                store = self.make()
                store.open(IDENTITY)
                old = store.find(before, InstanceId(rows_before - 1, before))
                assert old is not None
                self.assertEqual(old[0].deps, (0,) * rows_before)
                self.assertEqual(self.held_by(store, before, None, 9), [InstanceId(rows_before - 1, before)])
                self.close_store(store)
            membership = record.membership

    def test_the_first_members_make_no_difference_any_more(self) -> None:
        """To the check of whose data it is, whatever the configuration says."""
        self.fill()
        self.write(opening(after(FIRST, Add(member(3)))))
        for epoch in (Epoch.first(5), Epoch.first(1), Epoch.none()):
            store = self.make()
            self.assertEqual(len(store.open(IDENTITY._replace(epoch=epoch)).executed), 4)
            self.close_store(store)
        store = self.make()
        error = self.assertRaises(StoreError, store.open, IDENTITY._replace(cluster="other"))
        self.assertIn("belongs to cluster", str(error))
        self.close_store(store)

    def test_the_format(self) -> None:
        """It rises with the first other list, and never falls."""
        self.fill()
        membership, formats = FIRST, []
        for wanted in (Nothing(), Move(1, "tcp:10.0.0.9:7000"), Nothing()):
            record = after(membership, wanted)
            self.write(opening(record))
            formats.append(json.loads(self.keys()[IDENTITY_KEY])["format"])
            membership = record.membership
        self.assertEqual(formats, [FORMAT_OF_EPOCHS, FORMAT_OF_CHANGES, FORMAT_OF_CHANGES])
        found = read_stopped(self.path)
        self.assertEqual((found.format, found.members), (FORMAT_OF_CHANGES, (0, 1, 2)))

    def test_the_history(self) -> None:
        """The lists that began here, the oldest first; there is an end to it."""
        self.fill()
        store = self.make()
        store.open(IDENTITY)
        membership, expected = FIRST, []
        for number in range(PAST_MAX + 20):
            wanted = Nothing() if number % 10 == 3 else Move(1, f"tcp:10.0.0.1:{1000 + number}")
            record = after(membership, wanted, f"move {number}", number)
            self.write_by(store, opening(record))
            membership = record.membership
            expected.append(membership)
        self.close_store(store)
        found = self.restored()["past"]
        self.assertEqual(found, tuple(expected[-PAST_MAX:]))
        self.assertEqual((found[-1].why, found[-1].at), ("move 119", 119))


class JoiningTests(TransferCase):
    """A folder that was made to join takes the state of a member."""

    def open_target(self) -> Any:
        store = self.make()
        self.found = contents(store.open(JOINS))
        return store

    def test_it_waits(self) -> None:
        """Over restarts; it is of no use to a first member, nor the other way round."""
        for _ in range(2):
            self.close_store(self.open_target())
            self.assertTrue(self.found["unfounded"])
            self.assertEqual((self.found["opened"], self.found["founded"]), (None, None))
            self.assertEqual((self.found["executed"], self.found["floor"]), ((), ()))
        first = JOINS._replace(epoch=Epoch.first(3))
        self.refused(first, "waits to join a cluster: start the replica with --join")
        self.assertEqual(read_stopped(self.path).members, ())
        self.path = Path(self.mktemp())
        store = self.make()
        store.open(first)
        self.close_store(store)
        self.refused(JOINS, "a first member of a cluster of 3: start the replica without --join")
        self.assertEqual(read_stopped(self.path).members, (0, 1, 2))

    def refused(self, identity: Identity, why: str) -> None:
        store = self.make()
        error = self.assertRaises(WrongDataError, store.open, identity)
        self.assertIn(why, str(error))
        self.close_store(store)

    def test_it_becomes_a_member(self) -> None:
        source = self.open_source()
        target = self.open_target()
        uid = self.found["uid"]
        record = after(FIRST, Replace(1, Member(3, uid)))
        self.write_by(source, opening(record))
        offer = self.offer(source)
        taken = transfer_of(target).begin(SOURCE)
        self.assertNotIn(False, self.take(target, self.pieces(source, offer.parts, taken)))
        told: list[str] = []
        transfer_of(target).install(offer, told.append)
        self.loop.run_until(lambda: told)
        self.assertEqual(told, [""])
        self.close_store(target)
        self.close_store(source)
        self.assertEqual(read_stopped(self.path).members, (0, 2, 3))
        for epoch in (Epoch.none(), Epoch.first(1)):  # --join may stay in the command line
            store = self.make()
            found = contents(store.open(JOINS._replace(epoch=epoch)))
            self.assertEqual(found["founded"], record.membership)
            self.assertEqual((found["uid"], found["unfounded"]), (uid, False))
            self.assertEqual(found["opened"], record._replace(committed=(0, 0, 0)))
            self.assertEqual(found["past"], (record.membership,))
            self.assertEqual(found["state"], {b"epoch": b"1"})
            self.close_store(store)
