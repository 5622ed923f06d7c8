"""`epaxosctl inspect`: what is read is printed; `tests/storage/test_stopped.py` has what is read."""

from __future__ import annotations

import json
import os

from epaxos.storage.leveldb.records import FORMAT
from tests.ctl.fake import run
from tests.generated.ctl import INSPECT_FIELDS
from tests.generated.status import names_in
from tests.storage.case import StoreCase
from tests.storage.loop import IDENTITY, checkpoint, proposal


class InspectTests(StoreCase):
    def fill(self) -> None:
        self.write(proposal(1), proposal(2), checkpoint(5, {b"x": b"1"}))

    def test_lines(self) -> None:
        self.fill()
        done = run("inspect", self.path)
        self.assertEqual((done.exit_code, done.stderr), (0, ""))
        lines = dict(map(str.strip, line.split("  ", 1)) for line in done.stdout.splitlines())
        self.assertEqual(lines["format"], str(FORMAT))
        self.assertEqual(lines["cluster"], "test")
        self.assertEqual((lines["replica"], lines["members"]), ("1", "0 1 2"))
        self.assertRegex(lines["uid"], "^[0-9a-f]{16}$")
        self.assertEqual(lines["executed"], "5 5 0, and 2 instances beyond")
        self.assertEqual(lines["epoch"], "0")
        self.assertEqual(lines["records"], "2 of this epoch, 2 of them with a batch")
        self.assertEqual(lines["base of the state"], "0 B, 0 entries")

    def test_one_document(self) -> None:
        """Its fields are those of docs: reference/epaxosctl."""
        self.fill()
        done = run("--json", "inspect", self.path)
        document = json.loads(done.stdout)
        self.assertEqual(names_in(document), set(INSPECT_FIELDS))
        self.assertEqual((document["replica"], document["executed"], document["records"]), (1, [5, 5, 0], 2))
        self.assertEqual(document["epoch"], 0)
        self.assertEqual(document["state"]["log_bytes"], os.stat(self.path / "state" / "0.log").st_size)

    def test_what_was_taken_of_a_state(self) -> None:
        self.fill()
        self.assertNotIn("unfinished", run("inspect", self.path).stdout)
        incoming = self.path / "incoming"
        incoming.mkdir()
        (incoming / "0.base").write_bytes(bytes(1_400_000))
        (incoming / "0.log").write_bytes(bytes(100_000))
        done = run("inspect", self.path)
        self.assertEqual((done.exit_code, done.stderr), (0, ""))
        self.assertRegex(
            done.stdout, r"\nunfinished transfer +1\.5 MB of another member's state, without effect"
        )
        document = json.loads(run("--json", "inspect", self.path).stdout)
        self.assertEqual(document["incoming_bytes"], 1_500_000)
        self.assertEqual(sorted(path.name for path in incoming.iterdir()), ["0.base", "0.log"])

    def test_what_is_refused(self) -> None:
        """One line, status 1, nothing on stdout, and nothing is made."""
        store = self.make()
        store.open(IDENTITY)
        for path, why in (
            (self.path, f"{self.path} is in use by another process"),
            ("/nonexistent", "/nonexistent is not a folder"),
            ("/", r"/ is not a data folder: it holds "),
        ):
            for options in ([], ["--json"]):
                done = run("inspect", path, *options)
                self.assertEqual((done.exit_code, done.stdout), (1, ""))
                self.assertTrue(done.stderr.startswith(f"epaxosctl: {why}"), done.stderr)
                self.assertEqual(len(done.stderr.splitlines()), 1)
        self.close_store(store)
