"""The uid of a folder, and the list of the first members: they stay, whatever version opened it before."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import StoreError, WriteSet, WrongDataError
from epaxos.protocol.values.membership import UID_LIMIT, UUID_LIMIT, Member, Membership
from epaxos.storage.leveldb import engine
from epaxos.storage.leveldb.records import (
    FOUNDED_KEY,
    UID_KEY,
    decode_founded,
    decode_uid,
    encode_founded,
    encode_uid,
)
from epaxos.storage.leveldb.store import LevelDBStore
from epaxos.storage.memory import MemoryStore
from tests.storage.loop import IDENTITY, Loop, checkpoint, proposal

FIRST = Membership(UUID_LIMIT - 1, 0, 1, (Member(0, 5), Member(1, UID_LIMIT - 1), Member(7, 1)))


class FolderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = self.mktemp()
        self.loop = Loop()

    def store(self) -> LevelDBStore:
        def failed(error: StoreError) -> None:
            raise AssertionError(error)

        return LevelDBStore(self.path, call_from_thread=self.loop.call_from_thread, failed=failed)

    def close(self, store: LevelDBStore) -> None:
        closed = store.close()
        self.loop.run_until(lambda: closed.called)

    def write(self, store: LevelDBStore, write_set: WriteSet) -> None:
        durable: list[int] = []
        store.write(write_set, lambda: durable.append(1))
        self.loop.run_until(lambda: durable)

    def opened(self, *write_sets: WriteSet) -> tuple[int, Membership | None, bool]:
        """What the folder says of itself; then write these sets, and close it."""
        store = self.store()
        restored = store.open(IDENTITY)
        for write_set in write_sets:
            self.write(store, write_set)
        self.close(store)
        return restored.uid, restored.founded, restored.unfounded

    def database(self) -> engine.DB:
        return engine.DB(f"{self.path}/db")

    def test_a_uid_is_made_once(self) -> None:
        uid, founded, unfounded = self.opened()
        self.assertEqual((founded, unfounded), (None, True))
        for _ in range(3):
            self.assertEqual(self.opened(), (uid, None, True))
        self.path = self.mktemp()
        self.assertNotEqual(self.opened()[0], uid)

    def test_the_list_stays(self) -> None:
        uid, _, _ = self.opened(WriteSet(founded=FIRST, sync=True))
        self.assertEqual(self.opened(proposal(1)), (uid, FIRST, False))
        self.assertEqual(self.opened(), (uid, FIRST, False))

    def test_a_folder_of_a_version_without_uids(self) -> None:
        """It gets a uid when it is opened, and waits for no list; the next write follows without a gap."""
        self.opened(proposal(1))
        with_uid = self.database()
        with_uid.delete(UID_KEY)
        with_uid.delete(FOUNDED_KEY)
        with_uid.close()
        uid, founded, unfounded = self.opened()
        self.assertGreater(uid, 0)
        self.assertEqual((founded, unfounded), (None, False))
        self.assertEqual(self.opened(proposal(2)), (uid, None, False))
        self.assertEqual(self.opened(), (uid, None, False))

    def test_a_new_folder_in_which_another_version_has_voted(self) -> None:
        """It does not wait for the first list any more, because something was promised."""
        for write_set in (proposal(1), WriteSet(reserved=256, sync=True), checkpoint(1, {b"k": b"v"})):
            self.path = self.mktemp()
            uid, _, unfounded = self.opened(write_set)
            self.assertTrue(unfounded)
            self.assertEqual(self.opened(), (uid, None, False))

    def test_damage(self) -> None:
        for key, value in ((UID_KEY, b"short"), (UID_KEY, bytes(8)), (FOUNDED_KEY, b"\xff")):
            self.path = self.mktemp()
            self.opened()
            database = self.database()
            database.put(key, value)
            database.close()
            error = self.assertRaises(WrongDataError, self.store().open, IDENTITY)
            self.assertIn("is damaged", str(error))

    def test_the_number_of_the_newest_durable_write(self) -> None:
        """It never falls, over restarts as well."""
        store = self.store()
        self.assertEqual(store.written, 0)
        store.open(IDENTITY)
        first = store.written
        self.assertGreater(first, 0)
        for slot in range(1, 6):
            self.write(store, proposal(slot))
            self.assertEqual(store.written, first + slot)
        store.write(proposal(6, sync=False), lambda: None)
        self.assertEqual(store.written, first + 5, "it is not synced")
        self.close(store)
        last = store.written
        self.assertEqual(last, first + 6)
        store = self.store()
        store.open(IDENTITY)
        self.assertEqual(store.written, last)
        self.close(store)


class ValueTests(SynchronousTestCase):
    def test_round_trip(self) -> None:
        for uid in (1, UID_LIMIT - 1):
            self.assertEqual(decode_uid(encode_uid(uid)), uid)
        for founded in (None, FIRST):
            self.assertEqual(decode_founded(encode_founded(founded)), founded)

    def test_in_memory_each_process_has_its_own(self) -> None:
        stores = [MemoryStore().open(IDENTITY) for _ in range(10)]
        self.assertEqual(len({restored.uid for restored in stores} - {0}), 10)
        self.assertTrue(all(restored.unfounded for restored in stores))
