"""Backups of a store, and new data folders made of them."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from epaxos.interfaces import IBackups, Identity, Refusal, StoreError
from epaxos.protocol.values.epoch import Epoch
from epaxos.storage.backup import folder as backup_folder
from epaxos.storage.backup.folder import BACKUPS_MAX
from epaxos.storage.backup.manifest import MANIFEST, decode_backup, encode_backup, name_of
from epaxos.storage.leveldb.backups import LevelDBBackups
from epaxos.storage.leveldb.restoring import open_source, restore_folders
from epaxos.storage.leveldb.stopped import read_stopped
from epaxos.storage.leveldb.store import LevelDBStore
from epaxos.storage.state import pieces
from epaxos.storage.state.manifest import manifest_of
from epaxos.storage.state.reading import read_base, read_logs
from tests.storage.case import StoreCase
from tests.storage.loop import IDENTITY, checkpoint, contents, merged, proposal, run
from tests.storage.small import History, make_small, some_batches
from tests.storage.test_damage import flip
from tests.storage.test_epochs import FIRST, of, turn

ONE = "one"
NO_BACKUP = "there is no backup one"


class BackupCase(StoreCase):
    def opened(self) -> LevelDBStore:
        store = self.make()
        store.open(IDENTITY)
        return store

    def backups(self, store: LevelDBStore) -> LevelDBBackups:
        assert store.backups is not None
        return store.backups

    def result(self, done: Deferred[Any]) -> Any:
        """What it fires with; a refusal as its text."""
        results: list[Any] = []
        done.addBoth(results.append)
        self.loop.run_until(lambda: results)
        if isinstance(results[0], Failure):
            return str(results[0].trap(Refusal) and results[0].value)
        return results[0]

    def back_up(self, store: LevelDBStore, number: int = 1, name: str = ONE, **entries: bytes) -> Any:
        """Epoch `number` begins, and a backup is made."""
        kept = self.backups(store)
        self.assertIsNone(self.result(kept.prepare(name)))
        opening = turn(number, **entries)
        opening.backup = name
        self.write_by(store, opening)
        return self.result(kept.finish(name, "ab"))

    def state_in(self, folder: Path) -> dict[bytes, bytes]:
        parts = manifest_of(decode_backup((folder / MANIFEST).read_bytes()).parts)
        return run(merged(read_base(folder, parts)), read_logs(folder, parts))


class MakingTests(BackupCase):
    def test_what_it_holds(self) -> None:
        store = self.opened()
        verifyObject(IBackups, store.backups)
        self.write_by(store, checkpoint(1, {b"a": b"1"}))
        made = self.back_up(store, b=b"2")
        folder = self.path / "backups" / ONE
        self.assertEqual(self.state_in(folder), {b"a": b"1", b"b": b"2"})
        self.assertEqual(sorted(path.name for path in folder.iterdir()), ["0.log", MANIFEST])
        self.assertEqual(os.stat(folder / "0.log").st_nlink, 2)
        manifest = decode_backup((folder / MANIFEST).read_bytes())
        self.assertEqual(
            (manifest.cluster, manifest.replica, manifest.state_machine, manifest.digest),
            ("test", 1, "kv", "ab"),
        )
        self.assertEqual((manifest.uuid, manifest.epoch, manifest.version), (FIRST.uuid, 1, FIRST.version))
        self.assertEqual(manifest.members, FIRST.members)
        self.assertEqual(manifest.bytes, (folder / "0.log").stat().st_size)
        self.assertEqual(made, {"name": ONE, **json.loads((folder / MANIFEST).read_bytes())})
        self.assertEqual(self.result(self.backups(store).listing()), [made])
        self.close_store(store)

    def test_exactly_the_beginning_of_the_epoch(self) -> None:
        """Also when later write sets share its write."""
        store = self.opened()
        self.result(self.backups(store).prepare(ONE))
        opening = turn(1, a=b"1")
        opening.backup, opening.sync = ONE, False
        durable: list[int] = []
        store.write(opening, lambda: durable.append(1))
        store.write(of(1, checkpoint(1, {b"a": b"2", b"b": b"3"})), lambda: durable.append(2))
        self.loop.run_until(lambda: len(durable) == 2)
        self.assertEqual(store.counters()["store_writes"], 1)
        self.result(self.backups(store).finish(ONE, "ab"))
        self.assertEqual(self.state_in(self.path / "backups" / ONE), {b"a": b"1"})
        self.close_store(store)
        self.assertEqual(self.restored()["state"], {b"a": b"2", b"b": b"3"})

    def test_it_stays_as_it_is(self) -> None:
        """Over bases that replace its files, and restarts."""
        make_small(self)
        random, history, store = Random(3), History(), self.opened()
        states: dict[str, dict[bytes, bytes]] = {}
        bases: set[str] = set()
        number = 0
        while number < 8 or len(bases) <= 2:  # how many bases there are depends on the writer's thread
            number += 1
            self.assertLessEqual(number, BACKUPS_MAX)
            for _ in range(random.randrange(12)):
                batches = history.add(*some_batches(random))
                state = history.state if store.wants_state else None
                write_set = of(number - 1, checkpoint(1, {}))
                assert write_set.checkpoint is not None
                write_set.checkpoint = write_set.checkpoint._replace(
                    batches=batches, state=None if state is None else dict(state).items()
                )
                self.write_by(store, write_set)
            changes = {b"turn": b"%d" % number}
            history.add(changes)
            self.back_up(store, number, f"b{number}", turn=b"%d" % number)
            states[f"b{number}"] = dict(history.state)
            if random.random() < 0.5:
                self.close_store(store)
                store = self.opened()
            for name, expected in states.items():
                self.assertEqual(self.state_in(self.path / "backups" / name), expected, name)
            bases = {path.name for path in self.path.glob("backups/*/*.base")}
        self.assertGreater(len(bases), 2)
        for name in list(states):
            self.assertIsNone(self.result(self.backups(store).delete(name)))
        self.close_store(store)
        self.assertEqual(self.restored()["state"], history.state)
        self.assertEqual(list((self.path / "backups").iterdir()), [])

    def test_refused(self) -> None:
        store = self.opened()
        kept = self.backups(store)
        rule = "the name of a backup is 1 to 64 letters, digits, and _ . -, the first a letter or digit"
        for name in ("", ".", "..", ".new", "a/b", "../x", "a b", "é", "x" * 65, "a\n", "-x", "a\0"):
            self.assertEqual(self.result(kept.prepare(name)), rule, name)
            self.assertEqual(self.result(kept.read(name, "0.log", 0, 10)), rule, name)
            self.assertEqual(self.result(kept.delete(name)), rule, name)
        self.assertEqual(self.result(kept.delete(ONE)), NO_BACKUP)
        self.assertEqual(self.result(kept.read(ONE, "0.log", 0, 10)), NO_BACKUP)
        self.assertEqual(self.result(kept.finish(ONE, "")), "the state was not taken for the backup one")
        self.back_up(store, 1, "x" * 64)
        self.assertEqual(self.result(kept.prepare("x" * 64)), f"there is a backup {'x' * 64} already")
        for number in range(2, BACKUPS_MAX + 1):
            self.back_up(store, number, str(number))
        full = f"there are {BACKUPS_MAX} backups already: delete one first"
        self.assertEqual(self.result(kept.prepare("more")), full)
        self.close_store(store)

    def test_read(self) -> None:
        store = self.opened()
        self.back_up(store, a=b"x" * 5000)
        kept = self.backups(store)
        whole = (self.path / "backups" / ONE / "0.log").read_bytes()
        self.assertEqual(self.result(kept.read(ONE, "0.log", 0, 10**9)), whole)
        self.assertEqual(self.result(kept.read(ONE, "0.log", 100, 7)), whole[100:107])
        self.assertEqual(self.result(kept.read(ONE, "0.log", len(whole), 7)), b"")
        self.patch(backup_folder, "READ_BYTES_MAX", 1000)
        self.assertEqual(self.result(kept.read(ONE, "0.log", 100, 10**9)), whole[100:1100])
        for file in ("1.log", "../../synced", MANIFEST, ""):
            self.assertEqual(self.result(kept.read(ONE, file, 0, 9)), "the backup one has no such file")
        with (self.path / "backups" / ONE / "0.log").open("ab") as file:
            file.write(b"what does not count")
        self.assertEqual(self.result(kept.read(ONE, "0.log", len(whole) - 3, 100)), whole[-3:])
        self.close_store(store)

    def test_what_was_not_finished_is_removed(self) -> None:
        store = self.opened()
        self.result(self.backups(store).prepare(ONE))
        opening = turn(1, a=b"1")
        opening.backup = ONE
        self.write_by(store, opening)
        self.close_store(store)  # as after a death
        self.assertTrue((self.path / "backups" / ".new" / "0.log").exists())
        store = self.opened()
        self.assertEqual(self.result(self.backups(store).listing()), [])
        self.assertEqual(list((self.path / "backups").iterdir()), [])
        self.backups(store).give_up()
        self.back_up(store, 2)
        self.close_store(store)
        self.assertEqual(self.restored()["state"], {b"a": b"1"})

    def test_a_disk_that_refuses_links(self) -> None:
        """The epoch begins as ever, and the operator is told."""

        def link(*_: object) -> None:
            raise OSError(errno.EXDEV, "Invalid cross-device link")

        self.patch(os, "link", link)
        store = self.opened()
        self.assertEqual(self.back_up(store), "the backups cannot be used: Invalid cross-device link")
        self.close_store(store)
        self.assertEqual(self.failures, [])
        self.assertEqual(self.restored()["opened"].membership.number, 1)

    def test_a_damaged_manifest(self) -> None:
        store = self.opened()
        self.back_up(store)
        (self.path / "backups" / ONE / MANIFEST).write_bytes(b"{}")
        text = "the backup one cannot be used: its manifest is damaged"
        self.assertEqual(self.result(self.backups(store).read(ONE, "0.log", 0, 9)), text)
        self.assertEqual(self.result(self.backups(store).listing()), [{"name": ONE, "error": text}])
        self.result(self.backups(store).delete(ONE))
        self.assertEqual(self.result(self.backups(store).listing()), [])
        self.close_store(store)


class ManifestTests(BackupCase):
    def test_every_byte_counts(self) -> None:
        """A document that is read says what was written, whatever byte of it was changed."""
        store = self.opened()
        self.back_up(store, a=b"1")
        self.close_store(store)
        data = (self.path / "backups" / ONE / MANIFEST).read_bytes()
        whole = decode_backup(data)
        self.assertEqual(encode_backup(whole), data)
        for position in range(len(data)):
            for byte in (data[position] ^ 1, data[position] ^ 64, 32):
                changed = data[:position] + bytes([byte]) + data[position + 1 :]
                try:
                    self.assertEqual(decode_backup(changed), whole)
                except ValueError as why:
                    self.assertIn("backup" if "backup" in str(why) else "manifest", str(why))

    def test_a_later_format(self) -> None:
        text = json.dumps({"format": 2, "checksum": ""}).encode()
        with self.assertRaisesRegex(ValueError, "it is a backup of format 2, and this version knows only"):
            decode_backup(text)


class RestoreTests(BackupCase):
    def make_backup(self) -> Path:
        """A backup with a base and several logs."""
        make_small(self)
        self.patch(pieces, "PIECE_BYTES", 300)
        random, self.history, store = Random(5), History(), self.opened()
        for number in range(1, 5):
            for _ in range(6):
                batches = self.history.add(*some_batches(random))
                write_set = of(number - 1, checkpoint(1, {}))
                assert write_set.checkpoint is not None
                state = dict(self.history.state).items() if store.wants_state else None
                write_set.checkpoint = write_set.checkpoint._replace(batches=batches, state=state)
                self.write_by(store, write_set)
            self.history.add({b"turn": b"%d" % number})
            self.back_up(store, number, f"b{number}", turn=b"%d" % number)
        self.write_by(store, of(4, proposal(3)))
        self.close_store(store)
        return self.path / "backups" / "b4"

    def restore(self, source: Path, count: int) -> list[Path]:
        top = Path(self.mktemp())
        paths = [top / str(number) for number in range(count)]
        with open_source(source) as found:
            self.membership = restore_folders(found, "new", paths, lambda count: None)
        return paths

    def test_new_clusters(self) -> None:
        backup = self.make_backup()
        self.assertGreater(len(list(backup.iterdir())), 2)
        for source in (backup, self.path):
            for count in (1, 3):
                paths = self.restore(source, count)
                self.assertEqual(len({member.uid for member in self.membership.members}), count)
                for number, path in enumerate(paths):
                    self.check(path, number, count)

    def check(self, path: Path, number: int, count: int) -> None:
        nothing = (0,) * count
        self.path = path
        store = self.make()
        held = contents(store.open(Identity("new", number, Epoch.first(count), "kv")))
        self.assertEqual(held["state"], self.history.state)
        self.assertEqual((held["executed"], held["floor"], held["beyond"]), (nothing, nothing, ()))
        self.assertEqual((held["records"], held["reserved"], held["opened"]), ({}, 0, None))
        self.assertEqual((held["fresh"], held["unfounded"]), (False, False))
        self.assertEqual(held["founded"], self.membership)
        self.assertEqual(held["uid"], self.membership.members[number].uid)
        self.close_store(store)

    def test_refused_targets(self) -> None:
        backup = self.make_backup()
        top = Path(self.mktemp())
        (top / "1").mkdir(parents=True)
        (top / "1" / "x").touch()
        refused = self.assertRaisesRegex(StoreError, "1 is not empty: restore makes new data folders only")
        with open_source(backup) as found, refused:
            restore_folders(found, "new", [top / "0", top / "1"], lambda count: None)
        self.assertFalse((top / "0").exists(), "it is looked at first")

    def test_a_damaged_file(self) -> None:
        """Whichever byte is wrong: no folder is left that a replica could start from."""
        backup = self.make_backup()
        manifest = decode_backup((backup / MANIFEST).read_bytes())
        for part in manifest.parts:
            path = backup / name_of(part)
            data = path.read_bytes()
            for position in (0, 5, 9, part.length // 2, part.length - 1):
                path.unlink()  # it is a link
                path.write_bytes(data)
                flip(path, position)
                with self.assertRaisesRegex(StoreError, "is damaged: "):
                    self.restore(backup, 2)
            path.write_bytes(data[:-1])
            with self.assertRaisesRegex(StoreError, f"is damaged: it has {part.length - 1} of {part.length}"):
                self.restore(backup, 1)
            path.unlink()
            with self.assertRaisesRegex(StoreError, "is damaged: it is missing"):
                self.restore(backup, 1)
            path.write_bytes(data)
        self.restore(backup, 1)

    def test_not_a_source(self) -> None:
        nothing = Path(self.mktemp())
        nothing.mkdir()
        with self.assertRaisesRegex(StoreError, "holds no data"):
            self.restore(nothing, 1)
        store = self.opened()
        with self.assertRaisesRegex(StoreError, "is in use by another process"):
            self.restore(self.path, 1)
        self.close_store(store)
        with self.assertRaisesRegex(StoreError, "its replica has never been part of a cluster"):
            self.restore(self.path, 1)

    def test_what_a_stopped_folder_lacks(self) -> None:
        self.make_backup()
        found = read_stopped(self.path)
        self.assertEqual((found.records, found.unexecuted), (1, 1))
