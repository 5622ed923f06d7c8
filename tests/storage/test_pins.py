"""Files that other replicas read are kept for a while."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from epaxos.storage.state import files as state_files
from epaxos.storage.state.files import StateFiles
from epaxos.storage.state.manifest import Manifest, StateFile
from epaxos.storage.state.pins import PINNED_S, Pins
from tests.storage.small import History, make_small


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


class PinsTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        self.now = 1000.0
        self.pins = Pins(lambda: self.now)
        self.paths = [folder / name for name in ("1.base", "1.log", "2.log", "3.base")]
        for path in self.paths:
            path.write_bytes(path.name.encode() * 10)

    def pin(self, *numbers: int, length: int = 50) -> None:
        self.pins.pin({self.paths[number]: length for number in numbers})

    def pinned(self) -> list[int]:
        found = self.pins.pinned(self.paths)
        return [number for number, path in enumerate(self.paths) if path in found]

    def test_time(self) -> None:
        """A pin ends PINNED_S after the last offer or read, all files of it at once."""
        self.assertEqual((self.pinned(), self.pins.next_end_s()), ([], 0))
        self.pin(0, 1)
        self.assertEqual(self.pins.next_end_s(), PINNED_S)
        self.now += PINNED_S - 1
        self.assertEqual(self.pinned(), [0, 1])
        self.assertEqual(self.pins.read(self.paths[1], 0, 5), b"1.log")
        self.now += PINNED_S - 1
        self.assertEqual((self.pinned(), self.pins.next_end_s()), ([0, 1], 1))
        self.pin(0, 1)
        self.now += PINNED_S - 1
        self.assertEqual(self.pinned(), [0, 1])
        self.now += 1
        self.assertEqual(self.pinned(), [])
        self.assertEqual(self.pins.read(self.paths[1], 0, 5), b"")

    def test_offers_of_different_files(self) -> None:
        """Each ends for itself; a file stays while it is in one of them."""
        self.pin(0, 1)
        self.now += 30
        self.pin(1, 2)
        self.pin(3)
        self.now += 30
        self.assertEqual(self.pinned(), [1, 2, 3])
        self.pins.read(self.paths[2], 0, 1)
        self.now += 30
        self.assertEqual(self.pinned(), [1, 2])
        self.pin(3)
        self.pins.release([self.paths[1]])
        self.assertEqual(self.pinned(), [3])

    def test_the_length_that_was_offered(self) -> None:
        """The longest one."""
        path = self.paths[0]
        for length, expected in ((10, 10), (30, 30), (20, 30)):
            self.pin(0, length=length)
            self.assertEqual(len(self.pins.read(path, 0, 99)), expected)
        self.now += PINNED_S
        self.pin(0, length=20)
        self.assertEqual(len(self.pins.read(path, 0, 99)), 20)

    def test_a_file_that_has_become_shorter(self) -> None:
        """What was offered is not there: that is damage, and not the end of the file."""
        path = self.paths[0]
        self.pin(0, length=10)
        path.write_bytes(b"12345")
        self.assertEqual(self.pins.read(path, 0, 5), b"12345")
        for offset, size in ((0, 6), (4, 2), (7, 1)):
            self.assertRaises(OSError, self.pins.read, path, offset, size)

    def test_descriptors(self) -> None:
        """A file is opened once, and closed with the pin."""
        before = open_files()
        self.pin(0, 1)
        for _ in range(5):
            self.pins.read(self.paths[0], 0, 1)
        self.assertEqual(open_files(), before + 1)
        self.paths[0].unlink()
        self.assertEqual(self.pins.read(self.paths[0], 0, 6), b"1.base")
        self.now += PINNED_S
        self.pinned()
        self.assertEqual(open_files(), before)
        self.pin(0, 1)
        self.assertRaises(OSError, self.pins.read, self.paths[0], 0, 1)
        self.pins.read(self.paths[1], 0, 1)
        self.pins.close()
        self.assertEqual((open_files(), self.pinned()), (before, []))


class PinnedFilesTests(SynchronousTestCase):
    """A new base has replaced files of the state that are pinned."""

    def setUp(self) -> None:
        make_small(self)
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.now = 0.0
        self.pins = Pins(lambda: self.now)
        self.files = StateFiles(self.folder, Manifest(StateFile(0)), sync=True, pins=self.pins)
        self.addCleanup(self.files.close)
        self.history = History()
        self.new_base()

    def new_base(self) -> Manifest:
        random = Random(1)
        state = {b"%d" % key: random.randbytes(40) for key in range(200)}
        batches = self.history.add(state)
        self.files.add(batches, self.history.state.items())
        self.files.settle()
        while self.files.unfinished:
            self.files.go_on(1000)
            self.files.settle()
        manifest = self.files.settle()
        self.files.add([], None)
        manifest = self.files.settle()
        assert manifest is not None
        return manifest

    def names(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()}

    def pin_all(self) -> set[str]:
        self.files.remove_unneeded()
        pinned = self.names()
        self.pins.pin({path: path.stat().st_size for path in self.folder.iterdir()})
        return pinned

    def test_they_stay_whole(self) -> None:
        """As long as they are pinned, then they go, in steps as ever."""
        self.patch(state_files, "REMOVED_BYTES", 1000)
        while self.files.remove_unneeded():
            pass
        pinned = self.pin_all()
        sizes = {name: (self.folder / name).stat().st_size for name in pinned}
        self.assertIsNone(self.files.pinned_s)
        self.new_base()
        self.new_base()
        while self.files.remove_unneeded():
            pass
        self.assertGreaterEqual(self.names(), pinned)
        self.assertEqual({name: (self.folder / name).stat().st_size for name in pinned}, sizes)
        self.assertEqual(self.files.pinned_s, PINNED_S)
        self.assertEqual(len(self.names() - pinned), 1, "what is not pinned goes")
        self.now += PINNED_S
        steps = 1
        while self.files.remove_unneeded():
            steps += 1
        self.assertGreater(steps, 3)
        self.assertEqual(self.names() & pinned, set())
        self.assertIsNone(self.files.pinned_s)

    def test_too_much_is_kept(self) -> None:
        """Then the pins end before their time: twice the base, and PINNED_BYTES_MAX."""
        for most, stays in ((1 << 20, True), (-10_000, False)):
            self.patch(state_files, "PINNED_BYTES_MAX", most)
            pinned = self.pin_all()
            self.new_base()
            self.files.remove_unneeded()
            self.assertEqual(self.names() >= pinned, stays)
            self.assertEqual(self.files.pinned_s is not None, stays)
