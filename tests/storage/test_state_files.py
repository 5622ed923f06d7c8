"""The files of the state: generations step by step."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from weakref import ref

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import StoreError
from epaxos.storage.state import files as state_files
from epaxos.storage.state.files import OWED_SHARE, PACE, StateFiles
from epaxos.storage.state.manifest import Manifest, StateFile
from epaxos.storage.state.piece_file import PieceFile
from epaxos.storage.state.pieces import encode_batches, encode_entries
from epaxos.storage.state.reading import read_base, read_logs
from tests.storage.loop import (
    Executed,
)
from tests.storage.small import LOG_BYTES_MIN, PIECE_BYTES, History, make_small
from tests.storage.test_damage import flip

PIECE_SIZE_MAX = 2 * PIECE_BYTES
"""What a piece of the base takes in a file, with the lengths that it begins with."""


class StepTests(SynchronousTestCase):
    """Generations, one step at a time."""

    def setUp(self) -> None:
        make_small(self)
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.history = History()
        self.files = StateFiles(self.folder, Manifest(StateFile(0)), sync=True)

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    def add(self, count: int = 100, state: bool = False, first: int = 0) -> None:
        """About 20 bytes for each key; two batches, some keys being in both."""
        keys = [b"%04d" % key for key in range(first, first + count)]
        entries = dict.fromkeys(keys[: count // 2 + 1], b"0123456789")
        later = dict.fromkeys(keys[count // 2 :], b"abcdefghij")
        batches = self.history.add(*filter(None, (entries, later)))
        self.files.add(batches, self.history.state.items() if state else None)

    def settle(self) -> Manifest:
        manifest = self.files.settle()
        assert manifest is not None
        self.history.check_files(self, self.folder, manifest)
        return manifest

    def reopen(self, manifest: Manifest) -> None:
        self.files.close()
        self.files = StateFiles(self.folder, manifest, sync=True)

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
        self.assertEqual([file.generation for file in self.settle().logs], [0])
        steps = 0
        while self.size("1.base") < 3200:
            self.add(1, first=300 + steps)
            self.assertEqual([file.generation for file in self.settle().logs], [0, 1])
            self.go_on()
            owed = PACE * (self.size("0.log") + self.size("1.log") - LOG_BYTES_MIN)
            self.assertTrue(owed <= self.size("1.base") < owed + PIECE_SIZE_MAX)
            self.files.remove_unneeded()
            steps += 1
        self.assertGreater(steps, 3)
        self.finish()
        manifest = self.settle()
        self.assertEqual(manifest.base.generation, 1)
        self.assertEqual([file.generation for file in manifest.logs], [1])
        self.assertEqual(self.names(), ["0.log", "1.base", "1.log"])
        self.files.remove_unneeded()
        self.assertEqual(self.names(), ["1.base", "1.log"])
        self.history.check_files(self, self.folder, manifest)

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
        manifest = self.settle()
        sizes = [sum(self.size(name) for name in self.names())]
        more = True
        while more:
            more = self.files.remove_unneeded()
            sizes.append(sum(self.size(name) for name in self.names()))
            self.history.check_files(self, self.folder, manifest)
            if len(sizes) == 4:
                self.assertIn("0.log", self.names())
                self.reopen(manifest)
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
        self.assertEqual([file.generation for file in self.settle().logs], [0, 1, 2])
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
        manifest = self.settle()
        self.assertEqual((manifest.base, self.names()), (StateFile(1), ["0.log", "1.log"]))
        self.reopen(manifest)
        self.files.remove_unneeded()
        self.assertEqual(self.names(), ["1.log"])

    def test_nothing_changed(self) -> None:
        """No file, and still something to record: how far execution is goes with it."""
        self.assertIsNone(self.files.settle())
        self.add(0)
        self.assertEqual(self.settle(), Manifest(StateFile(0)))
        self.assertIsNone(self.files.settle())
        self.assertEqual(self.names(), [])

    def test_left_over(self) -> None:
        """Own files that nothing refers to go, those of others stay; a number is not used twice."""
        self.add(5)
        manifest = self.settle()
        for name in ("7.base", "9.log", "0.base", "notes.txt", "07.base", "1.base.copy"):
            (self.folder / name).write_bytes(b"x")
        self.reopen(manifest)
        self.files.remove_unneeded()
        self.assertEqual(self.names(), ["0.log", "07.base", "1.base.copy", "notes.txt"])
        self.add(400)
        self.add(1, state=True)
        self.add(1)
        self.assertEqual([file.generation for file in self.settle().logs], [0, 10])

    def test_what_lies_behind_is_cut_off(self) -> None:
        """Whatever it is: it was never referred to."""
        for behind in (b"x", bytes(5000), (b"\\xff" * 70)):
            self.add(10)
            manifest = self.settle()
            with (self.folder / "0.log").open("ab") as file:
                file.write(behind)
            self.history.check_files(self, self.folder, manifest)
            self.reopen(manifest)
            self.add(10, first=500)
            manifest = self.settle()
            self.assertEqual((self.folder / "0.log").stat().st_size, manifest.logs[0].length)

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
        self.assertEqual(before, Manifest(StateFile(1)))
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
        manifest = self.settle()
        kept, executed = manifest.logs[0].length, len(self.history.batches)
        self.add(30)
        self.settle()
        self.history.cut(executed)
        path = self.folder / "0.log"
        for length in range(path.stat().st_size, -1, -1):
            os.truncate(path, length)
            if length >= kept:
                self.history.check_files(self, self.folder, manifest)
            else:
                with self.assertRaisesRegex(StoreError, rf"^{path} is damaged: it has {length} of {kept} b"):
                    list(read_logs(self.folder, manifest))

    def test_whole_and_impossible(self) -> None:
        """The checksum is right, and nobody wrote this; also behind something that is good."""
        for good in (False, True):
            for name, read in (
                ("0.base", lambda *where: list(read_base(*where))),
                ("0.log", lambda *where: list(read_logs(*where))),
            ):
                path = self.folder / name
                path.unlink(missing_ok=True)
                file = PieceFile(path, StateFile(0), True)
                self.addCleanup(file.close)
                if good:
                    payloads = encode_entries([(b"k", b"v")]) if "base" in name else self.some_payloads()
                    for payload in payloads:
                        file.append(payload)
                file.append(b"\xff" * 20)
                manifest = Manifest(file.counts) if "base" in name else Manifest(StateFile(0), (file.counts,))
                with self.assertRaisesRegex(StoreError, rf"^{path} is damaged: a piece of 20 bytes with"):
                    read(self.folder, manifest)

    def some_payloads(self) -> list[bytes]:
        return list(encode_batches(self.history.add({b"k": b"v"}, {b"k": None})))

    def test_several_generations(self) -> None:
        """All batches come in order; of a file whose beginning is damaged none does, and none after it."""
        for _ in range(3):
            self.begin()
            manifest = self.settle_again()
            self.reopen(manifest)
        self.assertEqual([file.generation for file in manifest.logs], [0, 1, 2, 3])
        before = list(read_logs(self.folder, manifest._replace(logs=manifest.logs[:2])))
        flip(self.folder / "2.log", 0)
        found: list[Executed] = []
        with self.assertRaisesRegex(StoreError, r"2\.log is damaged"):
            for executed in read_logs(self.folder, manifest):
                found.append(executed)
        self.assertEqual(found, before)
        self.assertEqual(found, self.history.batches[: len(found)])

    def settle_again(self) -> Manifest:
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
