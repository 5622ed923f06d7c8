"""A state is installed while the process dies, or the disk refuses something."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from shutil import copytree
from typing import Any

from epaxos.storage.leveldb import transfer
from epaxos.storage.leveldb.writer import GroupWriter
from epaxos.storage.state import files as state_files
from epaxos.storage.state import incoming
from tests.builds import plain_only
from tests.storage.loop import checkpoint
from tests.storage.test_epochs import OLD
from tests.storage.transfer import SOURCE, TransferCase, transfer_of

STEPS = [
    (os, "rename"),
    (state_files, "sync_folder"),
    (GroupWriter, "_write"),
    (transfer.shutil, "rmtree"),
]
"""What an install does, in its order."""


class FailureCase(TransferCase):
    def setUp(self) -> None:
        super().setUp()
        self.source = self.new_source()
        self.grow(self.source, Random(1), 60)
        self.wanted = self.offer(self.source)
        self.assertGreater(len(self.wanted.parts), 1)
        self.fill_target()
        self.target = self.open_target()

    def tearDown(self) -> None:
        self.close_store(self.source)

    def before(self, holder: Any, name: str, do: Callable[[], object]) -> None:
        """Call `do` before each call of the function."""
        real = getattr(holder, name)

        def wrapped(*arguments: Any, **options: Any) -> Any:
            do()
            return real(*arguments, **options)

        self.patch(holder, name, wrapped)

    def is_new(self) -> bool:
        """Whether the folder holds the state that was offered; else it is the one before, in all of it."""
        found = self.restored()
        if found["opened"] is None:
            self.assertEqual((found["reserved"], found["floor"]), (256, (1, 0, 0)))
            self.assertEqual((found["executed"], found["state"]), ((5, 5, 0), {b"old": b"old"}))
            self.assertEqual(list(found["records"]), OLD[1:2])
            return False
        self.check_installed(self.wanted)
        self.assertEqual(found["state"], self.history.state)
        return True


@plain_only
class KilledTests(FailureCase):
    def test_at_every_step(self) -> None:
        """The old state or the new one is there; what is left over goes, and a transfer can be repeated."""
        copies: list[Path] = []

        def copy() -> None:
            copies.append(Path(self.mktemp()))
            copytree(self.path, copies[-1])

        self.take_all(self.source, self.target, self.wanted)
        for holder, name in STEPS:
            self.before(holder, name, copy)
        self.assertEqual(self.install(self.target, self.wanted), "")
        copy()
        self.close_store(self.target)
        self.assertEqual(len(copies), len(self.wanted.parts) + 4)
        seen = []
        for self.path in list(copies):  # what follows is copied, too
            seen.append(self.is_new())
            target = self.open_target()
            if not seen[-1]:
                self.write_by(target, checkpoint(6, {b"old": b"old"}))
                self.write_by(target, checkpoint(7, {b"old": b"old"}))
                self.assertEqual([path.name for path in (self.path / "state").iterdir()], ["0.log"])
                self.take_all(self.source, target, self.wanted)
                self.assertEqual(self.install(target, self.wanted), "")
            self.close_store(target)
            self.assertTrue(self.is_new())
        self.assertEqual(seen, [False] * (len(seen) - 2) + [True] * 2)

    def test_given_up_too_late(self) -> None:
        """An install that has begun to write is not given up in the middle."""
        self.take_all(self.source, self.target, self.wanted)
        transfer = transfer_of(self.target)
        began: list[object] = []
        self.before(os, "rename", lambda: began.append((transfer.give_up(), transfer.begin(99))))
        self.assertEqual(self.install(self.target, self.wanted), "")
        self.assertEqual(set(began), {(None, ())})
        self.close_store(self.target)
        self.assertTrue(self.is_new())

    def test_while_it_is_taken(self) -> None:
        """Whatever is there, the next process goes on from a place that is good."""
        self.patch(incoming, "TAKEN_SYNC_BYTES", 3000)
        copies: list[Path] = []

        def copy() -> None:
            copies.append(Path(self.mktemp()))
            copytree(self.path, copies[-1])

        for holder, name in ((os, "pwrite"), (os, "fdatasync"), (Path, "replace")):
            self.before(holder, name, copy)
        taken = transfer_of(self.target).begin(SOURCE)
        self.take(self.target, self.pieces(self.source, self.wanted.parts, taken))
        self.close_store(self.target)
        progress = []
        for self.path in list(copies[:: max(1, len(copies) // 12)]):
            target = self.open_target()
            taken = transfer_of(target).begin(SOURCE)
            progress.append(sum(part.length for part in taken))
            self.take(target, self.pieces(self.source, self.wanted.parts, taken))
            self.assertEqual(self.install(target, self.wanted), "")
            self.close_store(target)
            self.assertTrue(self.is_new())
        self.assertEqual(progress, sorted(progress))
        self.assertGreater(len(set(progress)), 3)


@plain_only
class RefusingDiskTests(FailureCase):
    def fail_at(self, holder: Any, name: str, number: int = 1) -> None:
        calls = [0]

        def failing() -> None:
            calls[0] += 1
            if calls[0] >= number:
                raise OSError(errno.ENOSPC, "No space left on device")

        self.before(holder, name, failing)

    def failed(self) -> None:
        """Once, in words for the operator; nothing is written any more."""
        self.close_store(self.target)
        (failure,) = self.failures
        self.assertEqual(str(failure), f"{self.path} cannot be written: [Errno 28] No space left on device")

    def test_install(self) -> None:
        for (holder, name), number in ((STEPS[0], 1), (STEPS[0], 2), (STEPS[1], 1), (STEPS[2], 1)):
            with self.subTest(f"{name} {number}"):
                self.take_all(self.source, self.target, self.wanted)
                patched = self.patches()
                self.fail_at(holder, name, number)
                self.assertIsNone(self.install(self.target, self.wanted))
                self.target.write(checkpoint(9, {b"old": b"late"}), self.fail)
                self.failed()
                patched()
                self.failures.clear()
                self.assertFalse(self.is_new())
                self.target = self.open_target()
        self.close_store(self.target)

    def patches(self) -> Callable[[], None]:
        """What takes back the patches that are made from now on."""
        held = [(holder, name, getattr(holder, name)) for holder, name in STEPS]

        def restore() -> None:
            for holder, name, real in held:
                setattr(holder, name, real)

        return restore

    def test_full_while_it_is_taken(self) -> None:
        self.fail_at(os, "pwrite", 3)
        transfer_of(self.target).begin(SOURCE)
        told = self.take(self.target, self.pieces(self.source, self.wanted.parts))
        self.assertEqual(told, [True, True])
        self.failed()

    def test_a_sync_that_fails(self) -> None:
        self.patch(incoming, "TAKEN_SYNC_BYTES", 1000)
        self.fail_at(os, "fdatasync")
        transfer_of(self.target).begin(SOURCE)
        self.take(self.target, self.pieces(self.source, self.wanted.parts))
        self.failed()

    def test_partial_writes(self) -> None:
        """The system may take less than it is given."""
        real = os.pwrite
        self.patch(os, "pwrite", lambda descriptor, data, offset: real(descriptor, data[:7], offset))
        self.take_all(self.source, self.target, self.wanted)
        self.assertEqual(self.install(self.target, self.wanted), "")
        self.close_store(self.target)
        self.assertTrue(self.is_new())

    def test_what_is_left_over_cannot_be_removed(self) -> None:
        """The new state counts all the same, and the next start removes it."""
        real = shutil.rmtree
        self.patch(transfer.shutil, "rmtree", lambda *arguments, **options: None)
        self.take_all(self.source, self.target, self.wanted)
        self.assertEqual(self.install(self.target, self.wanted), "")
        self.close_store(self.target)
        self.assertTrue((self.path / "incoming").exists())
        self.patch(shutil, "rmtree", real)
        self.assertTrue(self.is_new())
