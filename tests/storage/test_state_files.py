"""The files of the state: generations step by step, errors, order, damage."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from random import Random
from shutil import copytree, rmtree
from typing import Any
from weakref import ref

from twisted.python.monkey import MonkeyPatcher
from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import Checkpoint, StoreError, WriteSet
from epaxos.protocol.values.ids import InstanceId
from epaxos.storage.leveldb import store as leveldb
from epaxos.storage.leveldb.records import Part, StateParts
from epaxos.storage.leveldb.store import LevelDBStore
from epaxos.storage.leveldb.writer import GroupWriter
from epaxos.storage.state import files as state_files
from epaxos.storage.state import piece_file
from epaxos.storage.state.files import OWED_SHARE, PACE, StateFiles, read_base, read_logs
from epaxos.storage.state.piece_file import PieceFile
from epaxos.storage.state.pieces import encode_batches, encode_entries
from tests.builds import plain_only
from tests.storage.loop import (
    IDENTITY,
    PATIENCE_S,
    Executed,
    change,
    checkpoint,
    checkpoint_of,
    merged,
    proposal,
)
from tests.storage.small import LOG_BYTES_MIN, PIECE_BYTES, History, make_small, some_batches
from tests.storage.test_damage import DamageCase, flip, shorten, zero
from tests.storage.test_leveldb import StoreCase

PIECE_SIZE_MAX = 2 * PIECE_BYTES
"""What a piece of the base takes in a file, with the lengths that it begins with."""


class StepTests(SynchronousTestCase):
    """Generations, one step at a time."""

    def setUp(self) -> None:
        make_small(self)
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.history = History()
        self.files = StateFiles(self.folder, StateParts(Part(0)), sync=True)

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    def add(self, count: int = 100, state: bool = False, first: int = 0) -> None:
        """About 20 bytes for each key; two batches, some keys being in both."""
        keys = [b"%04d" % key for key in range(first, first + count)]
        entries = dict.fromkeys(keys[: count // 2 + 1], b"0123456789")
        later = dict.fromkeys(keys[count // 2 :], b"abcdefghij")
        batches = self.history.add(*filter(None, (entries, later)))
        self.files.add(batches, self.history.state.items() if state else None)

    def settle(self) -> StateParts:
        parts = self.files.settle()
        assert parts is not None
        self.history.check_files(self, self.folder, parts)
        return parts

    def reopen(self, parts: StateParts) -> None:
        self.files.close()
        self.files = StateFiles(self.folder, parts, sync=True)

    def size(self, name: str) -> int:
        return (self.folder / name).stat().st_size

    def go_on(self) -> int:
        """All that is owed of a new base is written, a piece at a time; how many pieces."""
        pieces, more = 0, True
        while more:
            before, new = self.files.bytes, self.files._new_base
            share = 0 if new is None else self.files._owed(new) // OWED_SHARE
            more = self.files.go_on()
            self.assertLess(self.files.bytes - before, max(0, share) + PIECE_SIZE_MAX)
            pieces += self.files.bytes > before
        return pieces

    def test_a_new_base(self) -> None:
        """It is wanted, begun, written in proportion, and then replaces what was before."""
        self.assertFalse(self.files.wants_state)
        self.add(100)
        self.assertFalse(self.files.wants_state)
        self.add(50, first=100)
        self.assertTrue(self.files.wants_state)
        self.files.go_on()
        self.assertEqual(self.names(), ["0.log"])
        self.add(10, state=True, first=150)
        self.assertFalse(self.files.wants_state)
        self.go_on()
        self.assertEqual(self.names(), ["0.log", "1.base"])
        self.assertEqual([part.generation for part in self.settle().logs], [0])
        steps = 0
        while self.size("1.base") < 3200:
            self.add(1, first=300 + steps)
            self.assertEqual([part.generation for part in self.settle().logs], [0, 1])
            self.go_on()
            owed = PACE * (self.size("0.log") + self.size("1.log") - LOG_BYTES_MIN)
            self.assertTrue(owed <= self.size("1.base") < owed + PIECE_SIZE_MAX)
            self.files.remove_unneeded()
            steps += 1
        self.assertGreater(steps, 3)
        self.finish()
        parts = self.settle()
        self.assertEqual(parts.base.generation, 1)
        self.assertEqual([part.generation for part in parts.logs], [1])
        self.assertEqual(self.names(), ["0.log", "1.base", "1.log"])
        self.files.remove_unneeded()
        self.assertEqual(self.names(), ["1.base", "1.log"])
        self.history.check_files(self, self.folder, parts)

    def finish(self) -> None:
        """The base in the making becomes whole."""
        while self.files._new_base is not None:
            self.add(10)
            self.settle()
            self.go_on()

    def begin(self) -> None:
        """A base is in the making, and some of it is written."""
        self.add(400)
        self.add(1, state=True)
        self.add(40)
        self.settle()
        self.files.go_on()

    def test_files_go_only_when_that_is_recorded(self) -> None:
        self.begin()
        self.finish()
        everything = self.names()
        self.files.remove_unneeded()
        self.assertEqual(self.names(), everything, "the record still refers to them")
        self.settle()
        self.assertEqual(self.names(), everything, "the record is not durable")
        self.files.remove_unneeded()
        self.assertEqual(self.names(), ["1.base", "1.log"])

    def test_long_files_go_bit_by_bit(self) -> None:
        """What is not needed may be long; what counts is read all the same, after a restart too."""
        self.patch(state_files, "REMOVED_BYTES", 1000)
        self.begin()
        self.finish()
        parts = self.settle()
        sizes = [sum(self.size(name) for name in self.names())]
        more = True
        while more:
            more = self.files.remove_unneeded()
            sizes.append(sum(self.size(name) for name in self.names()))
            self.history.check_files(self, self.folder, parts)
            if len(sizes) == 4:
                self.assertIn("0.log", self.names())
                self.reopen(parts)
        self.assertEqual(self.names(), ["1.base", "1.log"])
        steps = [before - after for before, after in pairwise(sizes)]
        self.assertLessEqual(max(steps), 1000)
        self.assertGreater(len(steps), 6)
        self.assertFalse(self.files.remove_unneeded())

    def test_given_up(self) -> None:
        """The next base has another generation, and the batches of all three count."""
        self.begin()
        self.assertEqual(self.names(), ["0.log", "1.base", "1.log"])
        self.add(5)
        self.reopen(self.settle())
        self.assertTrue(self.files.wants_state)
        self.add(1)
        self.files.settle()
        self.files.remove_unneeded()
        self.assertEqual(self.names(), ["0.log", "1.log"])
        self.begin()
        self.assertEqual(self.names(), ["0.log", "1.log", "2.base", "2.log"])
        self.add(1)
        self.assertEqual([part.generation for part in self.settle().logs], [0, 1, 2])
        self.finish()
        self.settle()
        self.files.remove_unneeded()
        self.assertEqual(self.names(), ["2.base", "2.log"])

    def test_one_at_a_time(self) -> None:
        """A state that nobody asked for changes nothing while another one is written."""
        self.begin()
        names = self.names()
        self.add(1, state=True)
        self.add(1)
        self.settle()
        self.assertEqual(self.names(), names)
        self.finish()
        self.assertEqual(self.settle().base.generation, 1)

    def test_a_state_that_became_empty(self) -> None:
        """Its base is no file at all."""
        self.add(300)
        self.files.add(self.history.add(None), self.history.state.items())
        self.settle()
        self.add(1)
        self.settle()
        self.files.go_on()
        parts = self.settle()
        self.assertEqual((parts.base, self.names()), (Part(1), ["0.log", "1.log"]))
        self.reopen(parts)
        self.files.remove_unneeded()
        self.assertEqual(self.names(), ["1.log"])

    def test_nothing_changed(self) -> None:
        """No file, and still something to record: how far execution is goes with it."""
        self.assertIsNone(self.files.settle())
        self.add(0)
        self.assertEqual(self.settle(), StateParts(Part(0)))
        self.assertIsNone(self.files.settle())
        self.assertEqual(self.names(), [])

    def test_left_over(self) -> None:
        """Own files that nothing refers to go, those of others stay; a number is not used twice."""
        self.add(5)
        parts = self.settle()
        for name in ("7.base", "9.log", "0.base", "notes.txt", "07.base", "1.base.copy"):
            (self.folder / name).write_bytes(b"x")
        self.reopen(parts)
        self.files.remove_unneeded()
        self.assertEqual(self.names(), ["0.log", "07.base", "1.base.copy", "notes.txt"])
        self.add(400)
        self.add(1, state=True)
        self.add(1)
        self.assertEqual([part.generation for part in self.settle().logs], [0, 10])

    def test_what_lies_behind_is_cut_off(self) -> None:
        """Whatever it is: it was never referred to."""
        for behind in (b"x", bytes(5000), (b"\\xff" * 70)):
            self.add(10)
            parts = self.settle()
            with (self.folder / "0.log").open("ab") as file:
                file.write(behind)
            self.history.check_files(self, self.folder, parts)
            self.reopen(parts)
            self.add(10, first=500)
            parts = self.settle()
            self.assertEqual((self.folder / "0.log").stat().st_size, parts.logs[0].length)

    def test_newest_record_lost(self) -> None:
        """The one before refers to less; what is appended then takes the place of what was lost."""
        self.add(10)
        before, executed = self.settle(), len(self.history.batches)
        self.add(200, first=50)
        self.settle()
        self.history.cut(executed)
        self.reopen(before)
        self.add(3, first=900)
        self.settle()
        self.assertEqual(len(self.history.state), 13)

    def test_the_last_record_of_a_generation_lost(self) -> None:
        """A file is then there of which nothing counts, and which is the next to be written."""
        self.add(400)
        self.files.add(self.history.add(None), self.history.state.items())
        self.files.go_on()
        before, executed = self.settle(), len(self.history.batches)
        self.assertEqual(before, StateParts(Part(1)))
        self.add(100)
        self.settle()
        self.history.cut(executed)
        self.reopen(before)
        self.files.remove_unneeded()
        self.assertEqual(self.names(), ["1.log"])
        self.add(2)
        self.assertEqual(self.settle().logs[0].generation, 1)
        self.assertEqual(len(self.history.state), 2)

    def test_every_length(self) -> None:
        """A file that is cut in what counts is refused, one that is cut behind it is not."""
        self.add(20)
        parts = self.settle()
        kept, executed = parts.logs[0].length, len(self.history.batches)
        self.add(30)
        self.settle()
        self.history.cut(executed)
        path = self.folder / "0.log"
        for length in range(path.stat().st_size, -1, -1):
            os.truncate(path, length)
            if length >= kept:
                self.history.check_files(self, self.folder, parts)
            else:
                with self.assertRaisesRegex(StoreError, rf"^{path} is damaged: it has {length} of {kept} b"):
                    list(read_logs(self.folder, parts))

    def test_whole_and_impossible(self) -> None:
        """The checksum is right, and nobody wrote this; also behind something that is good."""
        for good in (False, True):
            for name, read in (
                ("0.base", lambda *where: list(read_base(*where))),
                ("0.log", lambda *where: list(read_logs(*where))),
            ):
                path = self.folder / name
                path.unlink(missing_ok=True)
                file = PieceFile(path, Part(0), True)
                self.addCleanup(file.close)
                if good:
                    payloads = encode_entries([(b"k", b"v")]) if "base" in name else self.some_payloads()
                    for payload in payloads:
                        file.append(payload)
                file.append(b"\xff" * 20)
                parts = StateParts(file.part) if "base" in name else StateParts(Part(0), (file.part,))
                with self.assertRaisesRegex(StoreError, rf"^{path} is damaged: a piece of 20 bytes with"):
                    read(self.folder, parts)

    def some_payloads(self) -> list[bytes]:
        return list(encode_batches(self.history.add({b"k": b"v"}, {b"k": None})))

    def test_several_generations(self) -> None:
        """All batches come in order; of a file whose beginning is damaged none does, and none after it."""
        for _ in range(3):
            self.begin()
            parts = self.settle_again()
            self.reopen(parts)
        self.assertEqual([part.generation for part in parts.logs], [0, 1, 2, 3])
        before = list(read_logs(self.folder, parts._replace(logs=parts.logs[:2])))
        flip(self.folder / "2.log", 0)
        found: list[Executed] = []
        with self.assertRaisesRegex(StoreError, r"2\.log is damaged"):
            for executed in read_logs(self.folder, parts):
                found.append(executed)
        self.assertEqual(found, before)
        self.assertEqual(found, self.history.batches[: len(found)])

    def settle_again(self) -> StateParts:
        self.add(0)
        return self.settle()

    def test_pace(self) -> None:
        """However much is owed, what is to be written comes between two pieces; and all of it is paid."""
        self.patch(state_files, "PACE", 1)
        self.assertFalse(self.files.go_on(), "there is no base in the making")
        self.add(500)  # 10 000 bytes, of which 7 000 are owed
        self.assertFalse(self.files.go_on())
        self.add(1, state=True)
        self.assertGreater(self.go_on(), 15)
        self.assertLess(self.size("1.base"), 8000)
        self.assertFalse(self.files.go_on(), "nothing is owed any more")
        self.add(250)  # 5 000 more, so that the whole base is owed
        self.assertGreater(self.go_on(), 4)
        self.assertEqual(self.settle().base.generation, 1)
        self.assertFalse(self.files.go_on())

    def test_at_rest(self) -> None:
        """So much is written though nothing is owed, the snapshot is freed, and the base counts."""
        self.patch(state_files, "LOG_BYTES_MIN", 1 << 20)
        self.add(400)
        snapshot = (entry for entry in list(self.history.state.items()))
        freed = ref(snapshot)
        self.settle()
        self.assertFalse(self.files.unfinished)
        self.files.add([], snapshot)
        del snapshot
        self.settle()
        self.go_on()
        for least in (1, 1000, 1000, 1, 100_000):
            self.assertTrue(self.files.unfinished)
            self.assertIsNotNone(freed())
            before = self.files.bytes
            self.assertFalse(self.files.go_on(least))
            self.assertGreaterEqual(self.files.bytes - before, min(least, 1000))
            if least <= 1000:
                self.assertLess(self.files.bytes - before, least + PIECE_SIZE_MAX)
        self.assertIsNone(freed())
        self.assertTrue(self.files.unfinished, "it is not recorded")
        self.assertEqual(self.settle().base.generation, 1)
        self.assertFalse(self.files.unfinished)
        self.files.remove_unneeded()
        self.assertEqual(self.names(), ["1.base"])


class FailureTests(SynchronousTestCase):
    """What the disk refuses is an OSError, and no parts to record come of it."""

    def setUp(self) -> None:
        make_small(self)
        self.new_files()
        self.history = History()
        self.batches = self.history.add(*({b"%d" % key: b"value"} for key in range(1000)))

    def new_files(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.files = StateFiles(self.folder, StateParts(Part(0)), sync=True)
        self.addCleanup(self.files.close)

    def fail(self, name: str, after: int = 0) -> MonkeyPatcher:  # type: ignore[override]
        """The function of `os` fails from now on, or later, until it is restored."""
        real, calls = getattr(os, name), [0]

        def failing(*arguments: Any) -> Any:
            calls[0] += 1
            if calls[0] > after:
                raise OSError(errno.EIO, "Input/output error")
            return real(*arguments)

        return self.patch(os, name, failing)

    def test_append(self) -> None:
        self.fail("write", after=3)
        self.assertRaises(OSError, self.files.add, self.batches, None)

    def test_partial_writes(self) -> None:
        """The system may take less than it is given."""
        real = os.write
        self.patch(os, "write", lambda descriptor, data: real(descriptor, data[:7]))
        self.files.add(self.batches, None)
        parts = self.files.settle()
        assert parts is not None
        self.history.check_files(self, self.folder, parts)

    def test_sync(self) -> None:
        for name in ("fdatasync", "fsync"):  # of the file, of the folder
            with self.subTest(name):
                self.new_files()
                self.files.add(self.batches, None)
                failing = self.fail(name)
                self.assertRaises(OSError, self.files.settle)
                failing.restore()

    def test_base(self) -> None:
        self.files.add(self.batches, self.history.state.items())
        self.files.add(self.batches, None)
        self.files.settle()
        self.fail("fdatasync")

        with self.assertRaises(OSError):
            while self.files.go_on():
                pass
        self.assertIsNone(self.files.settle())


@plain_only
class OrderTests(StoreCase):
    """In the real store: files are synced, then LevelDB is, and only then do old files go."""

    def test_order(self) -> None:
        make_small(self)
        events: list[str] = []
        real = {"fdatasync": os.fdatasync, "unlink": Path.unlink, "write": GroupWriter.write}

        def fdatasync(descriptor: int) -> None:
            real["fdatasync"](descriptor)
            events.append(f"sync {Path(os.readlink(f'/proc/self/fd/{descriptor}')).name}")

        def unlink(path: Path, missing_ok: bool = False) -> None:
            events.append(f"unlink {path.name}")
            real["unlink"](path, missing_ok)

        def write(writer: GroupWriter, *arguments: Any, **options: Any) -> bool:
            synced: bool = real["write"](writer, *arguments, **options)
            events.append("write")
            return synced

        self.patch(os, "fdatasync", fdatasync)
        self.patch(Path, "unlink", unlink)
        self.patch(GroupWriter, "write", write)
        store = self.make()
        store.open(IDENTITY)
        state = {b"%d" % key: b"12345678" for key in range(300)}
        self.write_by(store, checkpoint(1, dict(state)))
        self.assertTrue(store.wants_state)
        self.write_by(store, checkpoint(2, dict(state), state=state))
        self.assertFalse(store.wants_state)
        for number in range(20):
            self.write_by(store, checkpoint(3 + number, dict(state)))
        self.close_store(store)
        first = events.index("unlink 0.log")
        finished = max(n for n, event in enumerate(events[:first]) if event == "sync 1.base")
        self.assertLess(events.index("sync 1.log"), first)
        self.assertIn("write", events[finished:first])
        self.assertEqual(events[first - 1 : first + 1], ["write", "unlink 0.log"])
        self.assertEqual(self.restored()["state"], state)


@plain_only
class RestTests(StoreCase):
    """A base is under way, and no checkpoint comes."""

    def setUp(self) -> None:
        super().setUp()
        make_small(self)
        self.state = {b"%d" % key: bytes(50) for key in range(300)}
        self.logged = {b"%d" % key: bytes(50) for key in range(55)}
        self.wrote: list[int] = []
        self.writes_come = self.disk_fails = False
        case = self

        class Watched(GroupWriter):
            @property
            def unfinished(self) -> bool:
                self.writes += case.writes_come  # while the thread waits
                return super().unfinished

            def go_on(self, least: int = 0) -> bool:
                if least:
                    case.wrote.append(least)
                    if case.disk_fails:
                        case.patch(os, "fdatasync", case.failing)
                return super().go_on(least)

        self.patch(leveldb, "GroupWriter", Watched)

    @staticmethod
    def failing(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    def begin(self, unfinished_s: float, sync: bool = True) -> LevelDBStore:
        self.patch(leveldb, "UNFINISHED_S", unfinished_s)
        self.patch(leveldb, "QUIET_BYTES", 5000)
        store = self.make(sync=sync)
        store.open(IDENTITY)
        snapshot = (entry for entry in list(self.state.items()))
        self.snapshot = ref(snapshot)
        changes = [(InstanceId(1, 1), change(self.logged))]  # a little more than makes a base due
        for_base = Checkpoint((1, 1, 0), (), changes, snapshot)
        self.write_by(store, WriteSet(checkpoint=for_base, sync=True))
        return store

    def names(self) -> list[str]:
        return sorted(path.name for path in (self.path / "state").iterdir())

    def wait_until(self, condition: Callable[[], object]) -> None:
        ends = time.monotonic() + PATIENCE_S
        while not condition():
            self.assertLess(time.monotonic(), ends)
            time.sleep(0.005)

    def test_it_ends(self) -> None:
        """It is recorded, and older files go; then there is nothing to do.  With `sync` or without."""
        for sync in (True, False):
            self.path = Path(self.mktemp())
            self.wrote.clear()
            store = self.begin(0.01, sync)
            self.wait_until(lambda: self.names() == ["1.base"])
            assert store._writer is not None
            self.assertFalse(store._writer.unfinished)
            self.assertIsNone(self.snapshot())
            self.assertEqual(set(self.wrote), {5000})
            self.assertTrue(3 <= len(self.wrote) <= 6, self.wrote)
            self.loop.run_until(lambda: store.counters()["store_writes"] == 2)  # noqa: B023
            self.close_store(store)
            held = self.restored()
            self.assertEqual((held["base"], held["batches"]), (self.state, []))

    def test_while_other_writes_come(self) -> None:
        """A piece at a time."""
        self.writes_come = True
        store = self.begin(0.01)
        self.wait_until(lambda: self.names() == ["1.base"])
        self.assertEqual(set(self.wrote), {leveldb.BUSY_BYTES})
        self.close_store(store)
        self.assertEqual(self.restored()["base"], self.state)

    def test_closing_does_not_wait_for_it(self) -> None:
        store = self.begin(100 * PATIENCE_S)
        self.close_store(store)
        self.assertEqual(self.names(), ["0.log", "1.base"])
        self.assertEqual(self.wrote, [])
        self.assertEqual(self.restored()["state"], self.logged)

    def test_a_failure(self) -> None:
        self.disk_fails = True
        store = self.begin(0.01)
        self.loop.run_until(lambda: self.failures)
        self.close_store(store)
        self.assertEqual(len(self.failures), 1)
        self.assertIn("Input/output error", str(self.failures[0]))

    def test_a_failure_in_the_event_loop(self) -> None:
        """Nothing more is written, even if the thread was about to."""
        store = self.begin(0.3)
        with store._writer_lock:
            time.sleep(0.6)
            wrote, names = list(self.wrote), self.names()
            store._on_failed("the disk is gone")
        self.close_store(store)
        self.assertEqual((self.wrote, self.names()), (wrote, names))


class StoreTests(StoreCase):
    """The real store against a history; a copy of its folder at any time is what kill -9 leaves."""

    def setUp(self) -> None:
        super().setUp()
        make_small(self)

    def check_copy(self, store: LevelDBStore, history: History) -> None:
        """What a store restores out of a copy of the folder is what was executed."""
        path = self.path
        self.path = Path(self.mktemp())
        try:
            with store._writer_lock:  # else files may be removed while they are copied
                copytree(path, self.path)
            held = self.restored()
            history.check(self, held["base"], held["batches"])
            rmtree(self.path)
        finally:
            self.path = path

    def test_random(self) -> None:
        unfinished = 0
        for seed in range(8):
            random, history = Random(seed), History()
            self.path = Path(self.mktemp())
            for life in range(3):  # LevelDB rewrites nothing yet, which a copy would not like
                store = self.make(sync=life > 0)
                restored = store.open(IDENTITY)
                history.check(self, merged(restored.base), restored.batches)
                for number in range(25):
                    batches = history.add(*some_batches(random, clearing=0.05))
                    state = history.state if store.wants_state else None
                    self.write_by(store, checkpoint_of(number, batches, state=state))
                    self.write_by(store, proposal(number + 1))
                    if number % 5 == 0:
                        self.check_copy(store, history)
                self.close_store(store)
                unfinished += len(list(self.path.glob("state/*.base"))) > 1
            self.assertEqual(self.failures, [])
        self.assertGreater(unfinished, 0)

    def test_bytes_are_counted(self) -> None:
        store = self.write(checkpoint(1, {b"k": bytes(100_000)}))
        self.assertTrue(100_000 < store.counters()["store_bytes"] < 102_000, store.counters())

    def test_only_the_owner_reads_it(self) -> None:
        self.write(checkpoint(1, {b"k": b"v"}))
        for path in (self.path / "state", self.path / "state" / "0.log"):
            self.assertEqual(path.stat().st_mode & 0o077, 0)

    def test_a_failure_stops_the_replica(self) -> None:
        """In the middle of a base, when nobody waits for anything: nothing is durable after it."""
        store = self.make()
        store.open(IDENTITY)
        state = {b"%d" % key: bytes(50) for key in range(300)}
        self.write_by(store, checkpoint(1, dict(state)))
        self.write_by(store, checkpoint(2, {}, state=state))

        def failing(path: Path) -> None:
            raise OSError(errno.EIO, "Input/output error")

        self.patch(piece_file, "sync_folder", failing)
        durable: list[int] = []
        store.write(checkpoint(3, dict(state)), lambda: durable.append(1))
        self.loop.run_until(lambda: self.failures)
        store.write(proposal(1), lambda: durable.append(2))
        self.close_store(store)
        self.assertEqual(durable, [])
        self.assertEqual(
            [str(failure) for failure in self.failures],
            [f"{self.path} cannot be written: [Errno 5] Input/output error"],
        )
        self.assertEqual(self.restored()["executed"], (2, 2, 0))
        self.assertEqual(self.restored()["state"], state)


class DamageTests(DamageCase):
    """Of what is referred to nothing may be missing or changed."""

    def setUp(self) -> None:
        super().setUp()
        make_small(self)

    def fill(self) -> None:
        """A base, its log, and that of a generation whose base was given up."""
        store = self.make()
        store.open(IDENTITY)
        self.model = {b"%04d" % key: bytes(20) for key in range(300)}
        self.write_by(store, checkpoint(1, dict(self.model)))
        for number in range(2, 60):
            if self.names() == ["1.base", "1.log", "2.base", "2.log"]:
                break
            state = self.model if store.wants_state else None
            self.write_by(store, checkpoint(number, dict(list(self.model.items())[:150]), state=state))
        self.close_store(store)

    def names(self) -> list[str]:
        return sorted(path.name for path in self.path.glob("state/*"))

    def test_refused(self) -> None:
        state = lambda name: self.path / "state" / name  # noqa: E731

        def swap(one: str, other: str) -> None:
            data = state(one).read_bytes()
            state(one).write_bytes(state(other).read_bytes())
            state(other).write_bytes(data)

        changed = "is damaged: the piece at byte [0-9]+ is not what was written there"
        self.table(
            {
                "base gone": (lambda: state("1.base").unlink(), "1.base is damaged: it is missing"),
                "log gone": (lambda: state("1.log").unlink(), "1.log is damaged: it is missing"),
                "newest log gone": (lambda: state("2.log").unlink(), "2.log is damaged: it is m"),
                "folder gone": (lambda: rmtree(state("")), "1.base is damaged: it is missing"),
                "base shorter": (lambda: shorten(state("1.base"), 1), "1.base is damaged: it has [0-9]+ of"),
                "log shorter": (lambda: shorten(state("1.log"), 1), "1.log is damaged: it has"),
                "newest shorter": (lambda: shorten(state("2.log"), 9), "2.log is damaged: it has"),
                "empty": (lambda: os.truncate(state("1.base"), 0), "1.base is damaged: it has 0 of"),
                "a bit": (lambda: flip(state("1.base"), 5000), f"1.base {changed}"),
                "last byte": (lambda: flip(state("1.log"), -1), f"1.log {changed}"),
                "first byte": (lambda: flip(state("2.log"), 0), f"2.log {changed}"),
                "zeroed": (lambda: zero(state("1.base"), 1000, 512), f"1.base {changed}"),
                "zeroed end": (lambda: zero(state("1.log"), -600, 600), f"1.log {changed}"),
                "swapped": (lambda: swap("1.log", "2.log"), "[12].log is damaged"),
                "base and log": (lambda: swap("1.base", "1.log"), "1.base is damaged"),
                "a folder": (
                    lambda: (state("1.base").unlink(), state("1.base").mkdir()),
                    "1.base cannot be read: Is a directory",
                ),
            },
            self.fill,
        )

    def test_not_referred_to(self) -> None:
        """Damage to the base that was given up, and behind what counts, is none; the file is removed."""
        self.fill()
        self.assertEqual(self.names(), ["1.base", "1.log", "2.base", "2.log"])
        flip(self.path / "state" / "2.base", 10, 20)
        for name in ("1.base", "1.log", "2.log"):
            with (self.path / "state" / name).open("ab") as file:
                file.write(bytes(100))
        self.assertEqual(self.restored()["state"], self.model)
        self.assertEqual(self.names(), ["1.base", "1.log", "2.base", "2.log"], "nothing was written yet")
        self.write(proposal(1))
        self.assertEqual(self.names(), ["1.base", "1.log", "2.log"])

    def test_refused_is_left_as_it_was(self) -> None:
        """What an operator may still want to look at."""
        self.fill()
        names = self.names()
        for name in ("1.log", "1.base"):
            flip(self.path / "state" / name, 100)
            self.refused(f"{name} is damaged")
            self.assertEqual(self.names(), names)

    def test_no_folder_yet(self) -> None:
        """A store that died before it wrote a state."""
        self.write(proposal(1))
        rmtree(self.path / "state")
        self.assertEqual(len(self.restored()["records"]), 1)
