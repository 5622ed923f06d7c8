"""Folders of clusters at a later version than the first one."""

from __future__ import annotations

import json

from epaxos.interfaces import OutdatedError, WriteSet
from epaxos.protocol.values.changes import Nothing
from epaxos.protocol.values.membership import FIRST_VERSION, VERSION
from epaxos.storage.leveldb.epoch_record import EPOCH_KEY, encode_epoch_record
from epaxos.storage.leveldb.records import (
    FORMAT,
    FORMAT_OF_EPOCHS,
    FORMAT_OF_VERSIONS,
    FORMATS,
    IDENTITY_KEY,
)
from tests.storage.test_changes import after, opening
from tests.storage.test_epochs import FIRST, IDENTITY, EpochsCase


class FormatTests(EpochsCase):
    """A program of the first version refuses a folder from the write on that brings a later one."""

    def format(self) -> int:
        return int(json.loads(self.keys()[IDENTITY_KEY])["format"])

    def test_founded_at_it(self) -> None:
        for version, format in ((FIRST_VERSION, FORMAT), (VERSION, FORMAT_OF_VERSIONS)):
            self.path = self.path.with_name(f"founded{version}")
            self.write(WriteSet(founded=FIRST._replace(version=version), sync=True))
            self.assertEqual(self.format(), format)

    def test_raised_by_a_turn(self) -> None:
        self.fill()
        first = after(FIRST, Nothing())
        self.write(opening(first))
        self.assertEqual(self.format(), FORMAT_OF_EPOCHS)
        self.write(opening(after(first.membership._replace(version=VERSION), Nothing())))
        self.assertEqual(self.format(), FORMAT_OF_VERSIONS)

    def test_beyond_this_program(self) -> None:
        self.fill()
        record = after(FIRST._replace(version=VERSION + 1), Nothing())
        self.write(opening(after(FIRST, Nothing())))
        self.put(EPOCH_KEY, encode_epoch_record(record))
        error = self.assertRaises(OutdatedError, self.make().open, IDENTITY)
        self.assertIn(f"is of version {VERSION + 1}, and this program knows version {VERSION}", str(error))

    def test_a_format_of_a_later_program(self) -> None:
        self.fill()
        identity = json.loads(self.keys()[IDENTITY_KEY])
        self.put(IDENTITY_KEY, json.dumps({**identity, "format": FORMATS[-1] + 1}).encode())
        error = self.assertRaises(OutdatedError, self.make().open, IDENTITY)
        self.assertIn("storage format 7, and this program knows only formats 3 to 6", str(error))
