"""The files of the state against what was executed: random histories, backups, restarts, losses of power."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import EpochRecord, WriteSet
from epaxos.protocol.values.epoch import Epoch
from epaxos.storage.backup.folder import BackupFolder
from epaxos.storage.leveldb.records import IDENTITY_KEY, STATE_KEY, RecordFormat, encode_identity
from epaxos.storage.leveldb.sequence import WriteSequence
from epaxos.storage.leveldb.writer import GroupWriter
from epaxos.storage.state import files as state_files
from epaxos.storage.state import piece_file
from epaxos.storage.state.files import StateFiles
from epaxos.storage.state.manifest import Manifest, StateFile, decode_manifest, parts_of
from epaxos.storage.state.names import links_of
from epaxos.storage.state.reading import read_base, read_logs
from epaxos.storage.state.removing import remove_in_steps
from tests.storage.loop import IDENTITY, Executed, checkpoint_of, merged, run
from tests.storage.small import LOG_BYTES_MIN, History, make_small, size_of, some_batches
from tests.storage.test_epochs import record_of
from tests.storage.test_writer import FakeDB


class SyncedFiles:
    """Knows what of the files in a folder is synced, and can take the rest away."""

    def __init__(self, case: SynchronousTestCase, folder: Path) -> None:
        self.folder = folder
        self.lengths: dict[str, int] = {}
        self.names: set[str] = set()

        def fdatasync(descriptor: int) -> None:
            path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
            self.lengths[path.name] = os.fstat(descriptor).st_size

        def sync_folder(path: Path) -> None:
            assert path == self.folder
            self.names = set(os.listdir(path))

        case.patch(os, "fdatasync", fdatasync)
        case.patch(piece_file, "sync_folder", sync_folder)

    def lose(self, random: Random) -> None:
        """The power fails: what was not synced is there, or not, or was never written where it is."""
        for path in filter(Path.is_file, self.folder.iterdir()):
            size = path.stat().st_size
            synced = min(size, self.lengths.get(path.name, 0))
            if path.name not in self.names and random.random() < 0.7:
                path.unlink()
                continue
            left = random.randint(synced, size)
            os.truncate(path, left)
            if random.random() < 0.5:
                os.truncate(path, random.randint(synced, left))
                os.truncate(path, left)  # a hole


class HistoryDB(FakeDB):
    """Remembers what it held since it was last synced, and how many batches had been executed then."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[tuple[dict[bytes, bytes], int]] = [({}, 0)]

    def remember(self, executed: int) -> None:
        """A write was done when so many had been."""
        if self.syncs[-1]:
            self.kept.clear()
        self.kept.append((dict(self.held), executed))

    def lose(self, random: Random) -> int:
        self.held, executed = random.choice(self.kept)
        self.kept = [(dict(self.held), executed)]
        return executed

    def close(self) -> None:
        pass


class ModelTests(SynchronousTestCase):
    """A writer over a database that is a dict, files that know what is synced, and a history as the model."""

    def setUp(self) -> None:
        make_small(self)
        self.patch(state_files, "REMOVED_BYTES", 1000)
        self.seen: Counter[str] = Counter()

    def start(self, random: Random, sync: bool = True) -> None:
        self.random = random
        self.sync = sync
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.synced = SyncedFiles(self, self.folder)
        self.db = HistoryDB()
        self.db.held[IDENTITY_KEY] = encode_identity(IDENTITY)
        self.db.kept = [(dict(self.db.held), 0)]
        self.history = History()
        self.most = 0
        self.turns = 0
        self.backups: dict[str, tuple[Manifest, dict[bytes, bytes]]] = {}
        self.sizes: dict[Path, int] = {}  # of their files, when they were made
        self.open()

    def manifest(self) -> Manifest:
        held = self.db.held.get(STATE_KEY)
        return Manifest(StateFile(0)) if held is None else decode_manifest(held)

    def check(self) -> None:
        self.history.check_files(self, self.folder, self.manifest())
        for name, (files, state) in self.backups.items():
            folder = self.folder / name
            self.assertEqual(run(merged(read_base(folder, files)), read_logs(folder, files)), state, name)
            for path in folder.iterdir():
                self.assertLessEqual(path.stat().st_size, self.sizes[path], "nothing is appended to it")

    def open(self) -> None:
        self.check()
        state = StateFiles(self.folder, self.manifest(), sync=self.sync)
        sequence = WriteSequence(1, 0, 1 << 20)
        self.writer = GroupWriter(
            *(self.db, self.folder, RecordFormat(Epoch.first(3)), sequence, state),
            sync=self.sync,
            take_backup=self.take_backup,
        )
        self.wants_state = self.writer.wants_state

    def write(self, *write_sets: WriteSet, sync: bool) -> None:
        self.writer.write(write_sets, sync=sync)
        self.wants_state = self.writer.wants_state
        self.db.remember(len(self.history.batches))
        while self.writer.go_on() and self.random.random() < 0.97:  # else something comes between
            pass

    def checkpoint(self, random: Random, clearing: float = 0.0) -> WriteSet:
        batches = self.history.add(*some_batches(random, clearing))
        self.most = max(self.most, *(size_of(state) for state in self.history.states[-1 - len(batches) :]))
        self.seen["wanted"] += self.wants_state
        self.seen["several"] += len(batches) > 1
        return self.checkpoint_with(batches, self.wants_state and random.random() < 0.9)

    def checkpoint_with(self, batches: list[Executed], whole: bool) -> WriteSet:
        return checkpoint_of(1, batches, state=self.history.state if whole else None)

    def take_backup(self, name: str, opened: EpochRecord, files: Manifest) -> None:
        """Links in a folder of their own.  The state is that of the history when the write set was made."""
        BackupFolder(self.folder, sync=False).prepare("one")
        BackupFolder(self.folder, sync=False).link(self.folder, parts_of(files))
        (self.folder / ".new").rename(self.folder / name)
        self.backups[name] = files, self.taken
        self.sizes.update((path, path.stat().st_size) for path in (self.folder / name).iterdir())
        self.seen["linked twice"] += any(links_of(path) > 2 for path in (self.folder / name).iterdir())
        self.seen["a base under way"] += bool(self.bases() - self.recorded_bases())

    def back_up(self) -> None:
        """An epoch begins, and a backup is made; other write sets may share its write."""
        self.turns += 1
        before = [self.checkpoint(self.random)] if self.random.random() < 0.3 else []
        opening = self.checkpoint(self.random)
        opening.opened, opening.backup = record_of(self.turns), f"backup {self.turns}"
        self.taken = dict(self.history.state)
        after = []
        if self.random.random() < 0.5:
            after = [self.checkpoint_with(self.history.add(*some_batches(self.random)), False)]
        self.write(*before, opening, *after, sync=True)
        if len(self.backups) > 3:
            gone = self.random.choice(list(self.backups))
            del self.backups[gone]
            for path in (self.folder / gone).iterdir():
                remove_in_steps(path)
            (self.folder / gone).rmdir()

    def step(self) -> None:
        random = self.random
        what = random.random()
        sync = random.random() < 0.7
        if what < 0.07:
            self.back_up()
        elif what < 0.63:
            self.write(self.checkpoint(random, 0.05), sync=sync)
        elif what < 0.70:
            group = [self.checkpoint(random, 0.05) for _ in range(3)]
            self.write(*group, sync=sync)
        elif what < 0.90:
            self.write(WriteSet(reserved=7), sync=sync)
        elif what < 0.92:
            self.write(WriteSet(reserved=8), sync=True)
            self.restart("stopped")
        elif what < 0.95:
            self.restart("killed")
        else:
            self.restart("power")

    def restart(self, how: str) -> None:
        self.seen[how] += 1
        self.writer.close()
        if how == "power":
            self.history.cut(self.db.lose(self.random))
            self.synced.lose(self.random)
        self.seen["given up"] += bool(self.bases() - self.recorded_bases())
        self.seen["several generations"] += len(self.manifest().logs) > 1
        self.open()

    def bases(self) -> set[str]:
        return {path.name for path in self.folder.glob("*.base")}

    def recorded_bases(self) -> set[str]:
        base = self.manifest().base
        return {f"{base.generation}.base"} if base.length else set()

    def size(self) -> int:
        return sum(path.stat().st_size for path in self.folder.iterdir() if path.is_file())

    def test_random(self) -> None:
        for seed in range(16):
            try:
                self.start(Random(seed))
                for _ in range(150):
                    before = self.recorded_bases()
                    self.step()
                    self.seen["finished"] += len(self.recorded_bases() - before)
                    self.check()
                    self.assertLess(self.size(), 6 * max(self.most, LOG_BYTES_MIN))
                self.seen["cleared"] += sum(batch.barrier for _, batch in self.history.batches)
                self.writer.close()
            except BaseException:
                print("seed", seed)
                raise
        for what in (
            "finished", "cleared", "several", "several generations", "given up", "stopped", "killed", "power",
            "linked twice", "a base under way",
        ):  # fmt: skip
            self.assertGreater(self.seen[what], 15, self.seen)

    def test_without_sync(self) -> None:
        """Nothing is synced, and the process may still die at any time."""
        self.patch(SyncedFiles, "lose", lambda self, random: None)
        self.patch(HistoryDB, "lose", lambda db, random: db.kept[-1][1])
        for seed in range(5):
            self.start(Random(seed), sync=False)
            for _ in range(100):
                self.step()
            self.writer.close()
        self.assertEqual((self.synced.lengths, self.synced.names), ({}, set()))
        self.assertNotIn(True, self.db.syncs)

    def test_short_lives(self) -> None:
        """A base is finished however often the process dies before: what was owed then is owed still."""
        self.start(Random(1))
        state = {b"%d" % number: bytes(50) for number in range(200)}
        self.most = size_of(state)
        self.write(self.checkpoint_with(self.history.add(state), False), sync=True)
        finished = 0
        for _ in range(60):
            before = self.recorded_bases()
            for _ in range(2):
                self.write(self.checkpoint(Random(7)), sync=True)
                self.write(WriteSet(reserved=7), sync=True)
            finished += len(self.recorded_bases() - before)
            self.restart("killed")
            self.assertLess(self.size(), 6 * self.most)
        self.assertGreater(self.seen["given up"], 5)
        self.assertGreaterEqual(finished, 2)

    def test_space(self) -> None:
        """Without restarts: the base, as much of log, a new base, and the log meanwhile."""
        self.start(Random(1))
        random, keys = Random(2), 1000
        for number in range(1000):
            chosen = range(keys) if number == 0 else random.sample(range(keys), 5)
            batches = self.history.add({b"%04d" % key: random.randbytes(20) for key in chosen})
            before = self.recorded_bases()
            self.write(self.checkpoint_with(batches, self.wants_state), sync=True)
            self.seen["finished"] += len(self.recorded_bases() - before)
            self.assertLess(self.size(), 4.2 * size_of(self.history.state))
        self.writer.close()
        self.assertTrue(3 <= self.seen["finished"] <= 6, self.seen)
