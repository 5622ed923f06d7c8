"""The files of the state on a disk that refuses something."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

from twisted.python.monkey import MonkeyPatcher
from twisted.trial.unittest import SynchronousTestCase

from epaxos.storage.state.files import StateFiles
from epaxos.storage.state.manifest import Manifest, StateFile
from tests.storage.small import History, make_small


class FailureTests(SynchronousTestCase):
    """What the disk refuses is an OSError, and no manifest to record come of it."""

    def setUp(self) -> None:
        make_small(self)
        self.new_files()
        self.history = History()
        self.batches = self.history.add(*({b"%d" % key: b"value"} for key in range(1000)))

    def new_files(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.files = StateFiles(self.folder, Manifest(StateFile(0)), sync=True)
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
        manifest = self.files.settle()
        assert manifest is not None
        self.history.check_files(self, self.folder, manifest)

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
