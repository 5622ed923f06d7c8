"""`epaxosctl backup` and `restore`: what they print and refuse; `tests/cluster/test_backup.py` has real
clusters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from epaxos.storage.backup.manifest import MANIFEST
from tests.ctl.fake import Fake, run
from tests.generated.ctl import BACKUP_FIELDS, RESTORE_FIELDS
from tests.generated.status import names_in
from tests.storage.test_backups import BackupCase
from tests.storage.test_damage import flip


class BackedUp(dict[str, Any]):
    """The answers of a replica that has one backup, in the folder `source`, whatever it is called.

    `cut`: so many reads are answered before the connection breaks.  `damage`: the offset of a byte to change.
    `deletes`: whether the connection lives when a backup is to be deleted.
    """

    def __init__(self, source: Path) -> None:
        super().__init__()
        self.source = source
        self.document = json.loads((source / MANIFEST).read_bytes())
        self.name: str | None = None
        self.cut = 1000
        self.damage: int | None = None
        self.deletes = True
        self.deleted: list[str] = []

    def get(self, command: str, default: Any = None) -> Any:
        words = command.split()[1:]
        if words[0] == "BACKUPS":
            return json.dumps([] if self.name is None else [{"name": self.name, **self.document}])
        if words[0] == "BACKUP":
            self.name = words[1]
            return json.dumps({"name": self.name, **self.document})
        if words[0] == "BACKUP-DELETE":
            if not self.deletes:
                raise OSError("the connection breaks")
            self.deleted.append(words[1])
            return "OK"
        if words[0] == "BACKUP-READ" and words[1] == self.name:
            return self.read(words[2], int(words[3]), int(words[4]))
        return default

    def read(self, file: str, offset: int, size: int) -> bytes:
        self.cut -= 1
        if self.cut < 0:
            raise OSError("the connection breaks")
        data = bytearray((self.source / file).read_bytes()[offset : offset + min(size, 1000)])
        if self.damage is not None and offset <= self.damage < offset + len(data):
            data[self.damage - offset] ^= 1
        return bytes(data)


class CtlCase(BackupCase):
    def setUp(self) -> None:
        super().setUp()
        store = self.opened()
        self.back_up(store, a=b"x" * 3000, b=b"y" * 3000)
        self.close_store(store)
        self.source = self.path / "backups" / "one"
        self.target = Path(self.mktemp())

    def fake(self) -> tuple[Fake, BackedUp]:
        replies = BackedUp(self.source)
        fake = Fake({})
        fake.replies = replies
        return fake, replies

    def refused(self, *words: object) -> str:
        done = run(*words)
        self.assertEqual((done.exit_code, done.stdout), (1, ""))
        return done.stderr


class BackupTests(CtlCase):
    def same(self) -> None:
        for path in self.source.iterdir():
            self.assertEqual((self.target / path.name).read_bytes(), path.read_bytes())
        self.assertEqual(len(list(self.target.iterdir())), len(list(self.source.iterdir())))

    def test_lines(self) -> None:
        fake, replies = self.fake()
        with fake:
            done = run("--at", fake.at, "backup", self.target)
        self.assertEqual((done.exit_code, done.stderr), (0, ""))
        lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
        self.assertEqual(list(lines), ["backup", "cluster", "made", "epoch", "size", "digest"])
        self.assertEqual((lines["cluster"], lines["epoch"]), ("test", "1, with 3 members"))
        self.assertTrue(lines["made"].endswith(", by replica 1"))
        self.same()
        self.assertEqual(replies.deleted, [replies.name])

    def test_one_document(self) -> None:
        """Its fields are those of docs: reference/epaxosctl."""
        fake, replies = self.fake()
        with fake:
            done = run("--at", fake.at, "--json", "backup", self.target, "--keep")
        self.assertEqual(names_in(json.loads(done.stdout)), set(BACKUP_FIELDS))
        self.assertEqual(replies.deleted, [])

    def test_it_goes_on_where_it_was(self) -> None:
        fake, replies = self.fake()
        replies.cut = 4
        with fake:
            text = self.refused("--at", fake.at, "backup", self.target)
            self.assertIn("the same command goes on where it was", text)
            name, replies.cut = replies.name, 1000
            fake.asked.clear()
            self.assertEqual(run("--at", fake.at, "backup", self.target).exit_code, 0)
        self.assertEqual(replies.name, name)
        offsets = [int(command.split()[4]) for command in fake.asked if "BACKUP-READ" in command]
        self.assertEqual(offsets, sorted(offsets))
        self.same()

    def test_complete_here_and_perhaps_still_there(self) -> None:
        fake, replies = self.fake()
        replies.deletes = False
        with fake:
            text = self.refused("--at", fake.at, "backup", self.target)
        self.assertIn(
            f"{self.target} is complete, and the replica may still have its backup {replies.name},", text
        )
        self.same()

    def test_a_replica_that_has_it_no_more(self) -> None:
        """It makes another one, and nothing of the first counts."""
        fake, replies = self.fake()
        replies.cut = 4
        with fake:
            self.refused("--at", fake.at, "backup", self.target)
            (self.target / "9.log").write_bytes(b"of another replica")
            replies.name, replies.cut = None, 1000
            fake.asked.clear()
            self.assertEqual(run("--at", fake.at, "backup", self.target).exit_code, 0)
        self.assertIn("EPAXOS BACKUP-READ " + str(replies.name) + " 0.log 0 ", " ".join(fake.asked))
        self.same()

    def test_wrong_bytes(self) -> None:
        """Wherever they are; what is good before them is kept."""
        size = (self.source / "0.log").stat().st_size
        for position in (0, 7, 20, size // 2, size - 1):
            fake, replies = self.fake()
            replies.damage = position
            self.target = Path(self.mktemp())
            with fake:
                text = self.refused("--at", fake.at, "backup", self.target)
                self.assertRegex(text, "what came of 0.log behind byte .* is damaged|does not give|manifest")
                self.assertFalse((self.target / MANIFEST).exists())
                replies.damage = None
                self.assertEqual(run("--at", fake.at, "backup", self.target).exit_code, 0)
            self.same()

    def test_what_is_damaged_here(self) -> None:
        """Between two attempts: it is taken anew from the last good piece on."""
        fake, replies = self.fake()
        replies.cut = 6
        with fake:
            self.refused("--at", fake.at, "backup", self.target)
            flip(self.target / "0.log", 100)
            replies.cut = 1000
            self.assertEqual(run("--at", fake.at, "backup", self.target).exit_code, 0)
        self.same()

    def test_refused(self) -> None:
        fake, _ = self.fake()
        with fake:
            self.assertIn(
                "holds a complete backup already", self.refused("--at", fake.at, "backup", self.source)
            )
            text = self.refused("--at", fake.at, "backup", self.path)
            self.assertIn("is not empty, and holds no unfinished backup", text)
            self.target.mkdir()
            for wrong in ("", "[]", '{"name": "../x"}', '{"name": 5}'):
                (self.target / "unfinished.json").write_text(wrong)
                self.assertIn("is damaged: remove", self.refused("--at", fake.at, "backup", self.target))
        with Fake({"EPAXOS BACKUPS": "[]"}) as fake:
            (self.target / "unfinished.json").write_text('{"name": "one"}')
            fake.replies["EPAXOS BACKUP one"] = ValueError("ERR no majority of the members is connected")
            text = self.refused("--at", fake.at, "backup", self.target)
            self.assertIn("it refused: ERR no majority of the members is connected", text)
            for wrong in ("no JSON", "[]", "{}", json.dumps({"name": "one", "format": 1, "checksum": ""})):
                fake.replies["EPAXOS BACKUP one"] = wrong
                text = self.refused("--at", fake.at, "backup", self.target)
                self.assertIn("cannot be", text)


class RestoreTests(CtlCase):
    def restore(self, *sources: object, older: bool = False) -> Any:
        words: list[object] = ["restore", "--name", "new", "--data", self.target / "0"]
        for source in sources:
            words += ["--from", source]
        return [*words, *(["--older"] if older else [])]

    def test_lines(self) -> None:
        done = run(*self.restore(self.source), "--data", self.target / "1")
        self.assertEqual((done.exit_code, done.stderr), (0, ""))
        head, _, ini = done.stdout.partition("\n\nFor its configuration:\n\n")
        self.assertEqual(
            [line.split("  ")[0] for line in head.splitlines()],
            ["source", "taken", "digest", "may be missing", "new cluster"],
        )
        self.assertIn("everything that was acknowledged after the backup was made, at 20", head)
        folder = self.target.absolute()
        self.assertEqual(
            ini,
            "[cluster]\nname = new\nstate_machine = kv\n\n"
            f"[replica 0]\ndata = {folder}/0\n\n[replica 1]\ndata = {folder}/1\n",
        )

    def test_one_document(self) -> None:
        """Its fields are those of docs: reference/epaxosctl."""
        document = json.loads(run("--json", *self.restore(self.source, self.path)).stdout)
        self.assertEqual(names_in(document), set(RESTORE_FIELDS))
        self.assertEqual([each["path"] for each in document["sources"]], [str(self.source), str(self.path)])
        self.assertEqual(document["digest"], "ab")

    def test_a_folder_that_was_left_behind(self) -> None:
        (self.path / "incoming").mkdir()
        text = self.refused(*self.restore(self.path))
        self.assertIn("is older than what its cluster had", text)
        done = run(*self.restore(self.path, older=True))
        self.assertEqual(done.exit_code, 0, done.stderr)
        self.assertIn("what was acknowledged after the last checkpoint of", done.stdout)

    def test_refused(self) -> None:
        text = self.refused("restore", "--name", "a/b", "--data", self.target, "--from", self.source)
        self.assertIn("--name a/b: ", text)
        same = ("--data", self.target / "0")
        self.assertIn("a folder is named twice by --data", self.refused(*self.restore(self.source), *same))
        flip(self.source / "0.log", 50)
        self.assertIn("0.log is damaged: a piece of it is not", self.refused(*self.restore(self.source)))
        other = Path(self.mktemp())
        other.mkdir()
        document = json.loads((self.source / MANIFEST).read_bytes())
        self.assertEqual(document["cluster"], "test")
        (other / MANIFEST).write_text(json.dumps(document).replace('"test"', '"other"'))
        self.assertIn("its checksum is wrong", self.refused(*self.restore(other)))


class InspectTests(CtlCase):
    def test_a_backup(self) -> None:
        """All of it is read."""
        done = run("inspect", self.source)
        self.assertEqual((done.exit_code, done.stderr), (0, ""))
        self.assertRegex(done.stdout, f"^backup   {self.source}\ncluster  test\nmade ")
        document = json.loads(run("--json", "inspect", self.source).stdout)
        self.assertEqual(names_in(document), set(BACKUP_FIELDS))
        size = (self.source / "0.log").stat().st_size
        for position in (0, 50, size - 1):
            flip(self.source / "0.log", position)
            self.assertIn("0.log is damaged: ", self.refused("inspect", self.source))
            flip(self.source / "0.log", position)
        self.assertEqual(run("inspect", self.source).exit_code, 0)
