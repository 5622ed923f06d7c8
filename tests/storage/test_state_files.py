"""The files of the state: generations step by step, errors, order, damage."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from random import Random
from shutil import copytree, rmtree
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import Changes, StoreError, WriteSet
from epaxos.storage import piece_file, state_files
from epaxos.storage.leveldb import LevelDBStore
from epaxos.storage.records import Part, StateParts
from epaxos.storage.state_files import StateFiles, read_state
from epaxos.storage.writer import GroupWriter
from tests.storage.loop import IDENTITY, checkpoint, proposal
from tests.storage.small import PIECE_BYTES, State, apply, make_small, some_changes
from tests.storage.test_damage import DamageCase, flip, shorten, zero
from tests.storage.test_leveldb import StoreCase


class StepTests(SynchronousTestCase):
    """Generations, one step at a time."""

    def setUp(self) -> None:
        make_small(self)
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.model: State = {}
        self.files = StateFiles(self.folder, StateParts(Part(0)), sync=True)

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    def add(self, count: int = 100, state: bool = False, cleared: bool = False, first: int = 0) -> None:
        """About 20 bytes for each key."""
        changes = Changes(cleared, {b"%04d" % key: b"12345678" for key in range(first, first + count)})
        apply(self.model, changes)
        self.files.add(changes, self.model.copy().items() if state else None)

    def settle(self) -> StateParts:
        parts = self.files.settle()
        assert parts is not None
        self.assertEqual(read_state(self.folder, parts), self.model)
        return parts

    def reopen(self, parts: StateParts) -> None:
        self.files.close()
        self.files = StateFiles(self.folder, parts, sync=True)

    def test_a_new_base(self) -> None:
        """It is wanted, begun, written in proportion, and then replaces what was before."""
        self.assertFalse(self.files.wants_state)
        self.add(100)
        self.assertFalse(self.files.wants_state)
        self.add(50, first=100)
        self.assertTrue(self.files.wants_state)
        self.files.go_on()
        self.assertEqual(self.names(), ["0.changes"])
        self.add(10, state=True, first=150)
        self.assertFalse(self.files.wants_state)
        self.files.go_on()
        self.assertEqual(self.names(), ["0.changes", "1.base"])
        self.assertEqual([part.generation for part in self.settle().changes], [0])
        steps = 0
        while (self.folder / "1.base").stat().st_size < 3200:
            self.add(10, first=300 + steps)
            self.assertEqual([part.generation for part in self.settle().changes], [0, 1])
            before = self.files.bytes
            self.files.go_on()
            self.assertLess(self.files.bytes - before, 2 * PIECE_BYTES)
            self.files.remove_unneeded()
            steps += 1
        self.assertTrue(12 <= steps <= 15, steps)
        self.finish()
        parts = self.settle()
        self.assertEqual(parts.base.generation, 1)
        self.assertEqual([part.generation for part in parts.changes], [1])
        self.assertEqual(self.names(), ["0.changes", "1.base", "1.changes"])
        self.files.remove_unneeded()
        self.assertEqual(self.names(), ["1.base", "1.changes"])
        self.assertEqual(read_state(self.folder, parts), self.model)

    def finish(self) -> None:
        """The base in the making becomes whole."""
        while self.files._new_base is not None:
            self.add(10)
            self.settle()
            self.files.go_on()

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
        self.assertEqual(self.names(), ["1.base", "1.changes"])

    def test_given_up(self) -> None:
        """The next base has another generation, and the changes of all three count."""
        self.begin()
        self.assertEqual(self.names(), ["0.changes", "1.base", "1.changes"])
        self.add(5)
        self.reopen(self.settle())
        self.assertTrue(self.files.wants_state)
        self.add(1)
        self.files.settle()
        self.files.remove_unneeded()
        self.assertEqual(self.names(), ["0.changes", "1.changes"])
        self.begin()
        self.assertEqual(self.names(), ["0.changes", "1.changes", "2.base", "2.changes"])
        self.add(1)
        self.assertEqual([part.generation for part in self.settle().changes], [0, 1, 2])
        self.finish()
        self.settle()
        self.files.remove_unneeded()
        self.assertEqual(self.names(), ["2.base", "2.changes"])

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

    def test_cleared(self) -> None:
        """At once a generation with an empty base; what was in the making is given up."""
        self.begin()
        self.add(3, cleared=True, state=True)
        parts = self.settle()
        self.assertEqual((parts.base, [part.generation for part in parts.changes]), (Part(2), [2]))
        self.assertEqual(self.names(), ["0.changes", "1.base", "1.changes", "2.changes"])
        self.files.remove_unneeded()
        self.assertEqual(self.names(), ["2.changes"])
        self.add(0, cleared=True)
        parts = self.settle()
        self.files.remove_unneeded()
        self.assertEqual((parts, self.names()), (StateParts(Part(3)), []))
        self.reopen(parts)
        self.add(3)
        self.assertEqual([part.generation for part in self.settle().changes], [3])

    def test_a_state_that_became_empty(self) -> None:
        """Its base is no file at all."""
        self.add(300)
        changes = Changes(False, dict.fromkeys(self.model))
        self.model.clear()
        self.files.add(changes, self.model.copy().items())
        self.settle()
        self.add(1)
        self.settle()
        self.files.go_on()
        parts = self.settle()
        self.assertEqual((parts.base, self.names()), (Part(1), ["0.changes", "1.changes"]))
        self.reopen(parts)
        self.files.remove_unneeded()
        self.assertEqual(self.names(), ["1.changes"])

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
        for name in ("7.base", "9.changes", "0.base", "notes.txt", "07.base", "1.base.copy"):
            (self.folder / name).write_bytes(b"x")
        self.reopen(parts)
        self.files.remove_unneeded()
        self.assertEqual(self.names(), ["0.changes", "07.base", "1.base.copy", "notes.txt"])
        self.add(400)
        self.add(1, state=True)
        self.add(1)
        self.assertEqual([part.generation for part in self.settle().changes], [0, 10])

    def test_what_lies_behind_is_cut_off(self) -> None:
        """Whatever it is: it was never referred to."""
        for behind in (b"x", bytes(5000), (b"\\xff" * 70)):
            self.add(10)
            parts = self.settle()
            with (self.folder / "0.changes").open("ab") as file:
                file.write(behind)
            self.assertEqual(read_state(self.folder, parts), self.model)
            self.reopen(parts)
            self.add(10, first=500)
            parts = self.settle()
            self.assertEqual((self.folder / "0.changes").stat().st_size, parts.changes[0].length)

    def test_newest_record_lost(self) -> None:
        """The one before refers to less; what is appended then takes the place of what was lost."""
        self.add(10)
        before, model = self.settle(), dict(self.model)
        self.add(200, first=50)
        self.settle()
        self.model = model
        self.reopen(before)
        self.add(3, first=900)
        self.settle()
        self.assertEqual(len(self.model), 13)

    def test_the_last_record_of_a_cleared_state_lost(self) -> None:
        """A file is then there of which nothing counts, and which is the next to be written."""
        self.add(0, cleared=True)
        before = self.settle()
        self.add(100)
        self.settle()
        self.model.clear()
        self.reopen(before)
        self.files.remove_unneeded()
        self.add(2)
        self.assertEqual(self.settle().changes[0].generation, 1)
        self.assertEqual(len(self.model), 2)

    def test_every_length(self) -> None:
        """A file that is cut in what counts is refused, one that is cut behind it is not."""
        self.add(20)
        parts = self.settle()
        kept, model = parts.changes[0].length, dict(self.model)
        self.add(30)
        self.settle()
        path = self.folder / "0.changes"
        for length in range(path.stat().st_size, -1, -1):
            os.truncate(path, length)
            if length >= kept:
                self.assertEqual(read_state(self.folder, parts), model)
            else:
                with self.assertRaisesRegex(StoreError, rf"^{path} is damaged: it has {length} of {kept} b"):
                    read_state(self.folder, parts)

    def test_pace(self) -> None:
        """A group pays two pieces at most, unless so much is owed that this would never do."""
        self.patch(state_files, "CHANGES_BYTES_MIN", 5000)
        self.add(2000)  # 41 000 bytes with what is around them, of which 36 000 are owed
        self.add(1, state=True)
        self.add(400)  # 8 000 more, so that the whole base is owed
        sizes = []
        while self.files._new_base is not None and len(sizes) < 100:
            before = self.files.bytes
            self.files.go_on()
            sizes.append(self.files.bytes - before)
        self.assertTrue(4 <= len(sizes) <= 20, sizes)
        self.assertTrue(44_000 / 4 <= sizes[0] < 44_000 / 4 + 2 * PIECE_BYTES, sizes)
        self.assertEqual(max(sizes), sizes[0])


class FailureTests(SynchronousTestCase):
    """What the disk refuses is an OSError, and no parts to record come of it."""

    def setUp(self) -> None:
        make_small(self)
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.files = StateFiles(self.folder, StateParts(Part(0)), sync=True)
        self.addCleanup(self.files.close)
        self.state: dict[bytes, bytes | None] = {b"%d" % key: b"value" for key in range(1000)}

    def fail(self, name: str, after: int = 0) -> None:  # type: ignore[override]
        """The function of `os` fails from now on, or later."""
        real, calls = getattr(os, name), [0]

        def failing(*arguments: Any) -> Any:
            calls[0] += 1
            if calls[0] > after:
                raise OSError(errno.EIO, "Input/output error")
            return real(*arguments)

        self.patch(os, name, failing)

    def test_append(self) -> None:
        self.fail("write", after=3)
        self.assertRaises(OSError, self.files.add, Changes(False, self.state), None)

    def test_partial_writes(self) -> None:
        """The system may take less than it is given."""
        real = os.write
        self.patch(os, "write", lambda descriptor, data: real(descriptor, data[:7]))
        self.files.add(Changes(False, self.state), None)
        parts = self.files.settle()
        assert parts is not None
        self.assertEqual(read_state(self.folder, parts), self.state)

    def test_sync(self) -> None:
        for name in ("fdatasync", "fsync"):  # of the file, of the folder
            with self.subTest(name):
                self.files.add(Changes(True, self.state), None)
                self.fail(name)
                self.assertRaises(OSError, self.files.settle)

    def test_base(self) -> None:
        whole = {key: value for key, value in self.state.items() if value is not None}
        self.files.add(Changes(False, self.state), whole.items())
        self.files.add(Changes(False, self.state), None)
        self.files.settle()
        self.fail("fdatasync")

        def go_on() -> None:
            while self.files._new_base is not None:
                self.files.go_on()

        self.assertRaises(OSError, go_on)
        self.assertIsNone(self.files.settle())


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
        first = events.index("unlink 0.changes")
        finished = max(n for n, event in enumerate(events[:first]) if event == "sync 1.base")
        self.assertLess(events.index("sync 1.changes"), first)
        self.assertIn("write", events[finished:first])
        self.assertEqual(events[first - 1 : first + 2], ["write", "unlink 0.changes", "unlink 0.base"])
        self.assertEqual(self.restored()["entries"], state)


class StoreTests(StoreCase):
    """The real store against a dict; a copy of its folder at any time is what kill -9 leaves."""

    def setUp(self) -> None:
        super().setUp()
        make_small(self)

    def copied(self, store: LevelDBStore) -> dict[bytes, bytes]:
        """What a store restores out of a copy of the folder."""
        for _ in (1, 2):  # when the second is written, what was not needed any more is removed
            self.write_by(store, WriteSet(sync=True))
        path = self.path
        self.path = Path(self.mktemp())
        try:
            copytree(path, self.path)
            entries: dict[bytes, bytes] = self.restored()["entries"]
            rmtree(self.path)
            return entries
        finally:
            self.path = path

    def test_random(self) -> None:
        unfinished = 0
        for seed in range(8):
            random, model = Random(seed), dict[bytes, bytes]()
            self.path = Path(self.mktemp())
            for life in range(3):  # LevelDB rewrites nothing yet, which a copy would not like
                store = self.make(sync=life > 0)
                self.assertEqual(store.open(IDENTITY).entries, model)
                for number in range(25):
                    changes = Changes(random.random() < 0.05, some_changes(random))
                    apply(model, changes)
                    state = model if store.wants_state else None
                    self.write_by(
                        store, checkpoint(number, dict(changes.entries), changes.cleared, state=state)
                    )
                    self.write_by(store, proposal(number + 1))
                    if number % 5 == 0:
                        self.assertEqual(self.copied(store), model)
                self.close_store(store)
                unfinished += len(list(self.path.glob("state/*.base"))) > 1
            self.assertEqual(self.failures, [])
        self.assertGreater(unfinished, 0)

    def test_bytes_are_counted(self) -> None:
        store = self.write(checkpoint(1, {b"k": bytes(100_000)}))
        self.assertTrue(100_000 < store.counters()["store_bytes"] < 102_000, store.counters())

    def test_only_the_owner_reads_it(self) -> None:
        self.write(checkpoint(1, {b"k": b"v"}))
        for path in (self.path / "state", self.path / "state" / "0.changes"):
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
        self.assertEqual(self.restored()["entries"], state)


class DamageTests(DamageCase):
    """Of what is referred to nothing may be missing or changed."""

    def setUp(self) -> None:
        super().setUp()
        make_small(self)

    def fill(self) -> None:
        """A base, its changes, and those of a generation whose base was given up."""
        store = self.make()
        store.open(IDENTITY)
        self.model = {b"%04d" % key: bytes(20) for key in range(300)}
        self.write_by(store, checkpoint(1, dict(self.model)))
        for number in range(2, 60):
            if self.names() == ["1.base", "1.changes", "2.base", "2.changes"]:
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
                "changes gone": (lambda: state("1.changes").unlink(), "1.changes is damaged: it is missing"),
                "newest changes gone": (lambda: state("2.changes").unlink(), "2.changes is damaged: it is m"),
                "folder gone": (lambda: rmtree(state("")), "1.base is damaged: it is missing"),
                "base shorter": (lambda: shorten(state("1.base"), 1), "1.base is damaged: it has [0-9]+ of"),
                "changes shorter": (lambda: shorten(state("1.changes"), 1), "1.changes is damaged: it has"),
                "newest shorter": (lambda: shorten(state("2.changes"), 9), "2.changes is damaged: it has"),
                "empty": (lambda: os.truncate(state("1.base"), 0), "1.base is damaged: it has 0 of"),
                "a bit": (lambda: flip(state("1.base"), 5000), f"1.base {changed}"),
                "last byte": (lambda: flip(state("1.changes"), -1), f"1.changes {changed}"),
                "first byte": (lambda: flip(state("2.changes"), 0), f"2.changes {changed}"),
                "zeroed": (lambda: zero(state("1.base"), 1000, 512), f"1.base {changed}"),
                "zeroed end": (lambda: zero(state("1.changes"), -600, 600), f"1.changes {changed}"),
                "swapped": (lambda: swap("1.changes", "2.changes"), "[12].changes is damaged"),
                "base and changes": (lambda: swap("1.base", "1.changes"), "1.base is damaged"),
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
        self.assertEqual(self.names(), ["1.base", "1.changes", "2.base", "2.changes"])
        flip(self.path / "state" / "2.base", 10, 20)
        for name in ("1.base", "1.changes", "2.changes"):
            with (self.path / "state" / name).open("ab") as file:
                file.write(bytes(100))
        self.assertEqual(self.restored()["entries"], self.model)
        self.assertEqual(self.names(), ["1.base", "1.changes", "2.changes"])

    def test_refused_is_left_as_it_was(self) -> None:
        """What an operator may still want to look at."""
        self.fill()
        names = self.names()
        flip(self.path / "state" / "1.base", 100)
        self.refused("1.base is damaged")
        self.assertEqual(self.names(), names)

    def test_no_folder_yet(self) -> None:
        """A store that died before it wrote a state."""
        self.write(proposal(1))
        rmtree(self.path / "state")
        self.assertEqual(len(self.restored()["records"]), 1)
