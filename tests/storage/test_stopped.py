"""What lies in a stopped replica's folder is read, checked, and left as it is."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from shutil import copytree, rmtree

from epaxos.interfaces import StoreError, WriteSet
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.instance import Value
from epaxos.protocol.values.messages import Phase
from epaxos.storage.folder import is_in_use
from epaxos.storage.leveldb import engine
from epaxos.storage.leveldb.records import FORMAT, IDENTITY_KEY, UID_KEY
from epaxos.storage.leveldb.stopped import read_stopped
from tests.storage.case import StoreCase
from tests.storage.loop import IDENTITY, checkpoint, proposal, record
from tests.storage.small import make_small
from tests.storage.test_damage import flip, shorten, zero

Snapshot = dict[str, tuple[int, int, bytes]]


def snapshot(folder: Path) -> Snapshot:
    """Every file below the folder: its inode, when it was changed, and its bytes; and every folder."""
    found = {}
    for path in (folder, *sorted(folder.rglob("*"))):
        stat = path.stat()
        found[str(path)] = (stat.st_ino, stat.st_mtime_ns, b"" if path.is_dir() else path.read_bytes())
    return found


class StoppedCase(StoreCase):
    def setUp(self) -> None:
        super().setUp()
        self.temporary = Path(self.mktemp())
        self.temporary.mkdir()
        self.patch(tempfile, "tempdir", str(self.temporary.absolute()))

    def fill(self) -> None:
        """Three instances, of which one is a NOP, and two checkpoints."""
        nop = InstanceId(2, 300)
        self.write(
            proposal(1),
            proposal(2, row=0),
            WriteSet(
                records=[record(nop, Phase.COMMITTED, Value.NOP)], reserved=256, floor=(1, 0, 0), sync=True
            ),
            checkpoint(5, {b"x": b"1", b"y": b"2"}),
            checkpoint(6, {b"x": b"3"}),
        )

    def refused(self, expected: str) -> None:
        """With one line about the folder, which is left as it is, and not locked."""
        before = snapshot(self.path) if self.path.exists() else {}
        error = self.assertRaises(StoreError, read_stopped, self.path)
        self.assertRegex(str(error), f"^{self.path}.*{expected}")
        self.assertNotIn(str(self.temporary), str(error))
        self.assertEqual(snapshot(self.path) if self.path.exists() else {}, before)
        self.assertEqual(list(self.temporary.iterdir()), [])


class WholeTests(StoppedCase):
    def test_what_it_holds(self) -> None:
        self.fill()
        before = snapshot(self.path)
        found = read_stopped(self.path)
        self.assertEqual(snapshot(self.path), before)
        self.assertEqual(list(self.temporary.iterdir()), [])
        self.assertFalse(is_in_use(self.path))

        self.assertEqual((found.path, found.format, found.identity), (self.path, FORMAT, IDENTITY))
        self.assertEqual(found.epoch, 0)
        self.assertEqual((found.reserved, found.floor, found.executed), (256, (1, 0, 0), (6, 6, 0)))
        self.assertEqual((found.executed_beyond, found.records, found.batches), (2, 3, 2))
        self.assertEqual((found.generation, found.base_bytes, found.entries), (0, 0, 0))
        self.assertEqual(
            (found.log_bytes, found.state_batches), (os.stat(self.path / "state/0.log").st_size, 2)
        )
        files = list((self.path / "db").iterdir())
        self.assertEqual(found.database_bytes, sum(path.stat().st_size for path in files))
        self.assertEqual(
            found.database_log_bytes, sum(path.stat().st_size for path in files if path.suffix == ".log")
        )
        self.assertGreater(found.database_log_bytes, 0)
        self.assertGreaterEqual(found.written, found.synced)
        self.assertGreaterEqual(found.synced, 5)
        self.assertEqual(found.torn_bytes, 0)
        self.assertRegex(found.uid or "", r"^[0-9a-f]{16}$")

    def test_what_the_next_start_finds_is_the_same(self) -> None:
        self.fill()
        read_stopped(self.path)
        held = self.restored()
        self.assertEqual((len(held["records"]), held["executed"]), (3, (6, 6, 0)))
        self.assertEqual(held["state"], {b"x": b"3", b"y": b"2"})

    def test_tables_and_bases(self) -> None:
        """Also when LevelDB has made tables of its logs, and the state has a base."""
        make_small(self)
        state = {b"key %d" % number: bytes(40) for number in range(200)}
        store = self.make()
        store.open(IDENTITY)
        for executed in range(1, 60):
            whole = state if store.wants_state else None
            self.write_by(store, checkpoint(executed, dict(list(state.items())[:50]), state=whole))
            self.write_by(store, proposal(executed, size=1000))
            if (self.path / "state" / "2.log").exists():
                break
        self.close_store(store)
        self.write(proposal(executed + 1))
        self.assertNotEqual(list((self.path / "db").glob("*.ldb")), [])
        before = snapshot(self.path)
        found = read_stopped(self.path)
        self.assertEqual(snapshot(self.path), before)
        self.assertEqual((found.records, found.executed), (executed + 1, (executed, executed, 0)))
        self.assertEqual(found.generation, 1)
        self.assertIn(found.entries, (50, 200))
        self.assertEqual(found.base_bytes, os.stat(self.path / "state" / "1.base").st_size)

    def test_a_folder_that_may_only_be_read(self) -> None:
        self.fill()
        paths = [self.path, *self.path.rglob("*")]
        for path in paths:
            path.chmod(0o500 if path.is_dir() else 0o400)
        try:
            self.assertEqual(read_stopped(self.path).records, 3)
        finally:
            for path in paths:
                path.chmod(0o700)

    def test_a_relative_path(self) -> None:
        self.fill()
        self.assertEqual(read_stopped(os.path.relpath(self.path)).records, 3)

    def test_a_torn_log(self) -> None:
        """Its end is what a power failure leaves: the next start cuts it off, this does not."""
        self.fill()
        synced = (self.path / "synced").read_bytes()
        self.write(proposal(3, size=10_000))
        (self.path / "synced").write_bytes(synced)  # as if the power failed before the sync was done
        (log,) = (self.path / "db").glob("*.log")
        zero(log, -6_000, 4096)
        before = snapshot(self.path)
        found = read_stopped(self.path)
        self.assertEqual(snapshot(self.path), before)
        self.assertEqual(found.records, 3)
        self.assertGreater(found.torn_bytes, 10_000)

    def test_a_uid(self) -> None:
        self.fill()
        with engine.DB(str(self.path / "db")) as db:
            db.put(UID_KEY, bytes.fromhex("00ff000000000001"))
        self.assertEqual(read_stopped(self.path).uid, "00ff000000000001")


class RefusedTests(StoppedCase):
    def test_no_folder(self) -> None:
        self.refused("is not a folder")
        self.assertFalse(self.path.exists())
        self.path.write_text("a file")
        self.refused("is not a folder")

    def test_no_data(self) -> None:
        """Nothing is made there."""
        self.path.mkdir()
        self.refused("holds no data")
        (self.path / "db.new").mkdir()
        self.refused("holds no data")

    def test_no_data_folder(self) -> None:
        self.path.mkdir()
        (self.path / "notes").write_text("x")
        self.refused("is not a data folder: it holds notes")

    def test_in_use(self) -> None:
        store = self.make()
        store.open(IDENTITY)
        error = self.assertRaises(StoreError, read_stopped, self.path)
        self.assertEqual(str(error), f"{self.path} is in use by another process")
        self.close_store(store)
        self.assertEqual(read_stopped(self.path).records, 0)

    def test_damage(self) -> None:
        self.fill()
        filled = self.path
        for name, expected in (
            ("synced", "damaged: the file 'synced' is missing"),
            ("db/CURRENT", "damaged"),
            ("state/0.log", "0.log is damaged: it is missing"),
        ):
            self.path = Path(self.mktemp())
            copytree(filled, self.path)
            (self.path / name).unlink()
            self.refused(expected)
        self.path = Path(self.mktemp())
        copytree(filled, self.path)
        rmtree(self.path / "db")
        self.refused("damaged: the database 'db' is missing")

    def test_flipped_and_shortened(self) -> None:
        self.fill()
        filled = self.path
        for damage, pattern, expected in (
            (lambda path: flip(path, 100), "db/*.log", "is damaged"),
            (lambda path: flip(path, -5), "state/0.log", "is damaged: the piece at byte"),
            (lambda path: shorten(path, 3), "state/0.log", "is damaged: it has"),
            (lambda path: path.write_bytes(bytes(600)), "synced", "synced is damaged"),
        ):
            self.path = Path(self.mktemp())
            copytree(filled, self.path)
            (path,) = self.path.glob(pattern)
            damage(path)
            self.refused(expected)

    def test_another_format_and_no_identity(self) -> None:
        self.fill()
        for identity, expected in (
            (b'{"format": 2}', "it is in storage format 2, and this version knows only formats 3 to 6"),
            (b"{", "its identity is damaged"),
            (None, "is not a data folder: its database has no identity"),
        ):
            with engine.DB(str(self.path / "db")) as db:
                if identity is None:
                    db.delete(IDENTITY_KEY)
                else:
                    db.put(IDENTITY_KEY, identity)
            self.refused(expected)

    def test_no_room_for_the_copy(self) -> None:
        self.fill()
        self.patch(tempfile, "tempdir", "/nonexistent")
        error = self.assertRaises(StoreError, read_stopped, self.path)
        self.assertRegex(str(error), f"^{self.path} cannot be read: /nonexistent.*: No such file")
        self.assertFalse(is_in_use(self.path))
