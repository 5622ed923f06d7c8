"""What is wrong with a data folder is one clear line, never a silent loss or an empty start."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from random import Random
from shutil import copytree, rmtree
from typing import Any

from epaxos.interfaces import StoreError, WriteSet
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.instance import Value
from epaxos.protocol.values.messages import Phase
from epaxos.storage.leveldb import engine
from epaxos.storage.leveldb import opening as database
from epaxos.storage.leveldb.records import CHECKPOINT_KEY, IDENTITY_KEY, STATE_KEY, RecordFormat, write_key
from tests.storage.case import StoreCase
from tests.storage.loop import IDENTITY, batch, checkpoint, contents, proposal, record

WRITES = 400
FORMAT = RecordFormat(Epoch.first(3))


def flip(path: Path, position: int, length: int = 1) -> None:
    """Invert bytes; a negative position counts from the end."""
    data = bytearray(path.read_bytes())
    start = position % len(data)
    data[start : start + length] = bytes(byte ^ 0xFF for byte in data[start : start + length])
    path.write_bytes(data)


def zero(path: Path, position: int, length: int) -> None:
    data = bytearray(path.read_bytes())
    start = position % len(data)
    data[start : start + length] = bytes(length)
    path.write_bytes(data)


def shorten(path: Path, length: int) -> None:
    os.truncate(path, path.stat().st_size - length)


def contents_of(case: StoreCase) -> dict[str, Any]:
    """What the folder of `case` holds, whether it can be read to the end or not."""
    store = case.make()
    try:
        return contents(store.open(IDENTITY))
    finally:
        case.close_store(store)


class DamageCase(StoreCase):
    def newest(self, pattern: str) -> Path:
        return max((self.path / "db").glob(pattern))

    def refused(self, expected: str) -> None:
        """Opening, or reading what was restored, fails with this; and again when tried again."""
        for _ in range(2):
            store = self.make()
            with self.assertRaises(StoreError) as caught:
                contents(store.open(IDENTITY))
            text = str(caught.exception)
            self.assertRegex(text, f"^{re.escape(str(self.path))}.*{expected}")
            self.assertNotIn("\n", text)
            self.close_store(store)

    def table(self, cases: dict[str, tuple[Callable[[], object], str]], make: Callable[[], object]) -> None:
        """Each case in a copy of the folder that `make` filled."""
        make()
        filled = self.path
        for name, (damage, expected) in cases.items():
            self.path = Path(self.mktemp())
            if filled.exists():
                copytree(filled, self.path)
            damage()
            try:
                self.refused(expected)
            except BaseException:
                print("case:", name)
                raise


class LogTests(DamageCase):
    """Damage to what was written since the last start, all of it synced: it lies in LevelDB's log."""

    def fill(self) -> None:
        self.write(*(proposal(slot, size=200) for slot in range(1, WRITES)))

    def test_refused(self) -> None:
        log = lambda: self.newest("*.log")  # noqa: E731
        self.table(
            {
                "a byte": (lambda: flip(log(), 60_000), "is damaged: Corruption: checksum mismatch"),
                "first byte": (lambda: flip(log(), 0), "is damaged: Corruption"),
                "a length": (lambda: flip(log(), 4, 2), "is damaged: Corruption"),
                "a length in the last block": (lambda: flip(log(), -3000, 300), "is damaged: Corruption"),
                "a block": (lambda: zero(log(), 32768, 32768), "is damaged: Corruption"),
                "half a block": (lambda: zero(log(), 32768, 20000), "is damaged: Corruption"),
                "last write": (lambda: flip(log(), -20), "is damaged: write 400 was synced, and 399"),
                "last write, torn": (lambda: shorten(log(), 9), "is damaged: write 400 was synced, and 399"),
                "cut": (lambda: shorten(log(), 50_000), "is damaged: write 400 was synced"),
                "zero tail": (lambda: zero(log(), -50_000, 50_000), "is damaged: write 400 was synced"),
                "empty": (lambda: os.truncate(log(), 0), "is damaged: write 400 was synced, and 1 is"),
                "gone": (lambda: log().unlink(), "is damaged: write 400 was synced, and 1 is"),
            },
            self.fill,
        )

    def test_torn_end(self) -> None:
        """What was written last and not synced may be torn by a power loss; all before is there."""
        self.fill()
        filled = self.path
        for name, tear, left in (
            ("short", lambda log: shorten(log, 50), WRITES - 1),
            ("header only", lambda log: shorten(log, 40_000), WRITES - 1),
            ("a page is zero", lambda log: zero(log, -20_000, 4096), WRITES - 1),
            ("all but one page is zero", lambda log: zero(log, -30_000, 30_000), WRITES - 1),
            ("a hole over two blocks", lambda log: zero(log, -36_000, 34_000), WRITES - 1),
            ("nothing", lambda log: None, WRITES),
        ):
            self.path = Path(self.mktemp())
            copytree(filled, self.path)
            synced = (self.path / "synced").read_bytes()
            self.write(proposal(WRITES, size=40_000))
            (self.path / "synced").write_bytes(synced)  # as if the power failed before the sync was done
            tear(self.newest("*.log"))
            held = self.restored()
            self.assertEqual([id.slot for id in held["records"]], list(range(1, left + 1)), name)
            self.write(proposal(WRITES + 1))
            self.assertEqual(len(self.restored()["records"]), left + 1)

    def test_torn_end_is_kept(self) -> None:
        self.fill()
        synced = (self.path / "synced").read_bytes()
        self.write(proposal(WRITES, size=10_000))
        (self.path / "synced").write_bytes(synced)
        zero(self.newest("*.log"), -6_000, 4096)
        self.restored()
        (kept,) = self.path.glob("*.torn")
        self.assertGreater(kept.stat().st_size, 10_000)


class FileTests(DamageCase):
    """Damage to tables, manifest and the other files."""

    def fill(self) -> None:
        """Two tables and a log."""
        for first in (1, 101, 201):
            sets = [proposal(slot, size=200) for slot in range(first, first + 100)]
            self.write(*sets, checkpoint(first, {b"%d %d" % (first, key): b"v" * 50 for key in range(500)}))

    def tables(self) -> list[Path]:
        return sorted((self.path / "db").glob("*.ldb"))

    def test_refused(self) -> None:
        db = lambda name: self.path / "db" / name  # noqa: E731
        manifest = lambda: self.newest("MANIFEST*")  # noqa: E731
        self.table(
            {
                "records": (lambda: flip(self.tables()[-1], 2000), "is damaged: Corruption: block checksum"),
                "an older table": (lambda: flip(self.tables()[0], 50), "is damaged: Corruption"),
                "index": (lambda: flip(self.tables()[-1], -150), "is damaged: Corruption"),
                "footer": (lambda: flip(self.tables()[-1], -3), "is damaged: Corruption: not an sstable"),
                "short table": (
                    lambda: shorten(self.tables()[-1], 500),
                    r"is damaged: (Corruption|IO error: .*\.ldb: Invalid argument: it is empty, or cut)",
                ),
                "empty table": (
                    lambda: os.truncate(self.tables()[-1], 0),
                    r"is damaged: (Corruption|IO error: .*\.ldb: Invalid argument: it is empty, or cut)",
                ),
                "a table gone": (lambda: self.tables()[0].unlink(), "is damaged: Corruption: 1 missing"),
                "manifest": (lambda: flip(manifest(), 20), "is damaged: Corruption: checksum mismatch"),
                "empty manifest": (lambda: os.truncate(manifest(), 0), "is damaged: Corruption"),
                "manifest gone": (lambda: manifest().unlink(), "is damaged: Corruption: CURRENT points"),
                "CURRENT gone": (lambda: db("CURRENT").unlink(), "is damaged: .*does not exist"),
                "empty CURRENT": (lambda: os.truncate(db("CURRENT"), 0), "is damaged: Corruption: CURRENT"),
                "db gone": (lambda: rmtree(db("")), "is damaged: the database 'db' is missing"),
                "db and synced gone": (
                    lambda: (rmtree(db("")), (self.path / "synced").unlink()),
                    "is damaged: the database 'db' is missing",
                ),
                "db empty": (lambda: [path.unlink() for path in db("").iterdir()], "is damaged"),
                "synced gone": (
                    lambda: (self.path / "synced").unlink(),
                    "is damaged: the file 'synced' is missing",
                ),
                "synced": (lambda: zero(self.path / "synced", 0, 600), "synced is damaged"),
                "empty synced": (lambda: os.truncate(self.path / "synced", 0), "synced is damaged"),
            },
            self.fill,
        )

    def test_half_of_synced_torn(self) -> None:
        """Its two halves are written in turns, so one is always whole."""
        self.fill()
        for position in (0, 512):
            flip(self.path / "synced", position, 12)
            self.assertEqual(len(self.restored()["records"]), 300)
            self.write(proposal(300), proposal(300))

    def lost(self, damages: Iterable[Callable[[], object]]) -> int:
        """Damage copies of the folder: how many do not open.  In those that do, nothing may be missing."""
        filled = self.path
        expected: dict[str, Any] | None = None
        lost = 0
        for damage in (lambda: None, *damages):
            self.path = Path(self.mktemp())
            copytree(filled, self.path)
            damage()
            try:
                held = contents_of(self)
            except StoreError:
                lost += 1
                continue
            expected = expected or held
            self.assertEqual(held, expected)
        self.assertIsNotNone(expected)
        return lost

    def test_lost_end_of_manifest(self) -> None:
        """LevelDB forgets its newest tables then; the log behind them alone must not hide that."""
        self.patch(database, "WRITE_BUFFER_BYTES", 64 << 10)
        self.write(*(proposal(slot, size=2000) for slot in range(1, WRITES)))
        cuts = [partial(self.cut_manifest, length) for length in range(8, 400, 24)]
        self.assertGreater(self.lost(cuts), 10)

    def cut_manifest(self, length: int) -> None:
        manifest = self.newest("MANIFEST*")
        shorten(manifest, min(length, manifest.stat().st_size))

    def test_any_damage(self) -> None:
        """Flipped, zeroed, cut or removed: an error, or nothing is missing."""
        self.patch(database, "WRITE_BUFFER_BYTES", 64 << 10)
        self.write(*(proposal(slot, size=1000) for slot in range(1, WRITES)))
        self.write(*(proposal(slot, size=500) for slot in range(WRITES, 2 * WRITES)))
        damages = [partial(self.damage_anything, Random(seed)) for seed in range(100)]
        self.assertGreater(self.lost(damages), 70)

    def damage_anything(self, random: Random) -> None:
        pattern = random.choice(("*.ldb", "*.log", "MANIFEST*", "CURRENT"))
        path = random.choice(sorted((self.path / "db").glob(pattern)))
        size = path.stat().st_size
        position = random.randrange(size)
        random.choice(
            (
                lambda: flip(path, position),
                lambda: flip(path, position, 100),
                lambda: zero(path, position, 4096),
                lambda: zero(path, position // 32768 * 32768, 32768),
                lambda: shorten(path, size - position),
                lambda: path.unlink(),
            )
        )()

    def test_what_only_we_can_see(self) -> None:
        """Whole for LevelDB, and not what we wrote."""
        id = InstanceId(1, 7)

        def change(*changes: tuple[bytes, bytes | None]) -> Callable[[], None]:
            def damage() -> None:
                db = engine.DB(str(self.path / "db"))
                for key, value in changes:
                    if value is None:
                        db.delete(key)
                    else:
                        db.put(key, value)
                db.close()

            return damage

        self.table(
            {
                "record": (
                    change((FORMAT.record_key(id), b"x" * 66)),
                    "is damaged: the record of instance 1.7",
                ),
                "no record": (
                    change((FORMAT.record_key(id), None)),
                    "is damaged: the record of instance 1.7",
                ),
                "batch": (
                    change((FORMAT.batch_key(id), b"\xff" * 9)),
                    "is damaged: the batch of instance 1.7",
                ),
                "no batch": (change((FORMAT.batch_key(id), None)), "is damaged: the batch of instance 1.7"),
                "no batch at the end": (
                    change((FORMAT.batch_key(InstanceId(1, 300)), None)),
                    "is damaged: the batch of instance 1.300 is missing",
                ),
                "key": (change((b"\x03key", b"")), "is damaged: an instance key of 4 bytes"),
                "floor": (change((b"\x01floor", b"1")), "is damaged: a vector of 1 bytes"),
                "reserved": (change((b"\x01reserved", b"1")), "is damaged: a number of 1 bytes"),
                "checkpoint": (change((CHECKPOINT_KEY, b"1")), "is damaged: a vector of 1 bytes"),
                "no checkpoint": (change((CHECKPOINT_KEY, None)), "is damaged: it knows its state and not"),
                "state": (change((STATE_KEY, b"1")), "is damaged: a list of the files .* of 1 bytes"),
                "no state": (change((STATE_KEY, None)), "is damaged: it knows its state and not"),
                "a write": (change((write_key(100), None)), "is damaged: of the writes 1 to 304 not all"),
                "identity": (change((IDENTITY_KEY, b"{}")), "cannot be used: its identity is damaged"),
                "no identity": (change((IDENTITY_KEY, None)), "is not a data folder: its database has no"),
            },
            self.fill,
        )

    def test_no_false_alarm(self) -> None:
        """Long after the first writes, their numbers are gone, and that is no damage."""
        self.patch(database, "WRITE_BUFFER_BYTES", 64 << 10)
        self.patch(database, "KEPT_BYTES", 256 << 10)
        for first in (1, 300, 600):
            self.write(*(proposal(slot, size=2000) for slot in range(first, first + 300)))
        self.assertEqual(len(self.restored()["records"]), 899)
        db = engine.DB(str(self.path / "db"))
        self.addCleanup(db.close)
        self.assertLess(len(list(db.iterator(prefix=b"\x02"))), 500)


class FolderTests(DamageCase):
    """A folder that is not, or not only, ours."""

    def test_identity(self) -> None:
        self.write(proposal(1))
        for change, text in (
            ({"cluster": "other"}, "cannot be used: it belongs to cluster 'test', not to 'other'"),
            ({"replica": 0}, "cannot be used: it belongs to replica 1, not to replica 0"),
            ({"epoch": Epoch.first(5)}, "cannot be used: it belongs to a cluster of 3, not of 5"),
            ({"state_machine": "printer"}, "cannot be used: it holds the state of the state machine 'kv'"),
        ):
            with self.assertRaises(StoreError) as caught:
                self.make().open(IDENTITY._replace(**change))
            self.assertIn(f"{self.path} {text}", str(caught.exception))
        self.assertEqual(len(self.restored()["records"]), 1)

    def test_format(self) -> None:
        self.write(proposal(1))
        db = engine.DB(str(self.path / "db"))
        db.put(IDENTITY_KEY, db.get(IDENTITY_KEY).replace(b'"format": 3', b'"format": 2'))
        db.close()
        self.refused("storage format 2, and this version knows only formats 3 to 6")

    def test_foreign_folder(self) -> None:
        def foreign_leveldb() -> None:
            engine.DB(str(self.path), create_if_missing=True).close()

        def foreign_leveldb_inside() -> None:
            self.path.mkdir()
            engine.DB(str(self.path / "db"), create_if_missing=True).close()

        def notes() -> None:
            self.path.mkdir()
            (self.path / "notes.txt").write_text("mine")

        self.table(
            {
                "file": (lambda: self.path.write_text("x"), "is not a folder"),
                "notes": (notes, r"is not a data folder: it holds notes\.txt"),
                "LevelDB": (foreign_leveldb, "is not a data folder: it holds .*CURRENT"),
                "LevelDB inside": (foreign_leveldb_inside, "is damaged: the file 'synced' is missing"),
            },
            lambda: None,
        )

    def test_inside_a_file(self) -> None:
        file = Path(self.mktemp())
        file.write_text("x")
        self.path = file / "data"
        self.refused("cannot be opened: Not a directory")

    def test_nobody_may(self) -> None:
        """The folder may not be made."""
        parent = Path(self.mktemp()).absolute()
        parent.mkdir()
        self.path = parent / "data"
        self.addCleanup(parent.chmod, 0o755)
        parent.chmod(0o555)
        if os.geteuid() == 0:
            self.addCleanup(os.seteuid, 0)
            os.seteuid(65534)
        self.refused("Permission denied")

    def test_open_twice_in_a_process(self) -> None:
        first = self.make()
        first.open(IDENTITY)
        self.refused("is in use by another process")
        self.close_store(first)
        self.assertEqual(self.restored()["records"], {})

    def test_somebody_has_the_database_itself(self) -> None:
        self.write(proposal(1))
        db = engine.DB(str(self.path / "db"))
        self.refused("is in use by another process")
        db.close()
        self.assertEqual(len(self.restored()["records"]), 1)

    def test_existing_empty_folder(self) -> None:
        self.path.mkdir()
        (self.path / "lost+found").mkdir()
        self.assertTrue(self.restored()["fresh"])

    def test_unfinished_creation(self) -> None:
        """A crash at any step of making the database leaves a folder that can be used."""
        for name, leave in (
            ("made", lambda: None),
            ("begun", lambda: (self.path / "db.new").mkdir()),
            ("filled", lambda: engine.DB(str(self.path / "db.new"), create_if_missing=True).close()),
            (
                "all but renamed",
                lambda: ((self.path / "db.new").mkdir(), (self.path / "synced").write_bytes(b"\0" * 9)),
            ),
        ):
            self.path = Path(self.mktemp())
            self.path.mkdir()
            leave()
            self.assertTrue(self.restored()["fresh"], name)
            self.write(proposal(1))
            self.assertEqual(len(self.restored()["records"]), 1)

    def test_failed_open_leaves_no_lock(self) -> None:
        self.write(proposal(1))
        self.assertRaises(StoreError, self.make().open, IDENTITY._replace(cluster="other"))
        self.assertEqual(self.restored()["records"], {InstanceId(1, 1): (record(InstanceId(1, 1)), batch(1))})

    def test_record_without_batch_needs_none(self) -> None:
        id = InstanceId(0, 4)
        known = record(id, Phase.INITIAL, Value.UNKNOWN)
        self.write(WriteSet(records=[known], sync=True))
        self.assertEqual(self.restored()["records"], {id: (known, None)})
