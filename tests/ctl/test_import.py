"""`epaxosctl import`, from one redis-server to another one, which has the same commands as a replica."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from unittest import SkipTest

import redis
from twisted.trial.unittest import SynchronousTestCase

from epaxos.ctl.commands import import_keys
from epaxos.ctl.errors import AskError
from epaxos.ctl.importing.copying import Importing
from epaxos.ctl.importing.journal import Journal, JournalError
from epaxos.ctl.importing.source import Dumped, Page, Source, parse_url
from tests.applications.servers import OneRedis
from tests.ctl.fake import run
from tests.generated.ctl import IMPORT_FIELDS
from tests.generated.status import names_in


class UrlTests(SynchronousTestCase):
    def test_parts(self) -> None:
        for text, shown, user, password in (
            ("redis://h", "redis://h:6379/0", "", ""),
            ("rediss://h:1/15", "rediss://h:1/15", "", ""),
            ("redis://:p%40ss@h:1/3", "redis://h:1/3", "", "p@ss"),
            ("redis://ada:x@[::1]:7/", "redis://[::1]:7/0", "ada", "x"),
        ):
            url = parse_url(text)
            self.assertEqual((str(url), url.user, url.password), (shown, user, password))

    def test_wrong(self) -> None:
        for text in (
            "h:1",
            "http://h",
            "redis://",
            "redis://h/16",
            "redis://h/x",
            "redis://h?db=1",
            "redis://h:x",
        ):
            self.assertRaises(ValueError, parse_url, text)


class JournalTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())

    def open(self, run_id: str = "run", **what: str) -> Journal:
        return Journal(self.path, what, run_id)

    def test_goes_on(self) -> None:
        with self.open() as journal:
            self.assertEqual((journal.cursor, journal.is_own(b"a")), (b"0", False))
            journal.begin(b"0", [b"a"])
            journal.begin(b"17", [b"b\xff"])
            self.assertTrue(journal.is_own(b"a"))
        with self.open() as again:
            self.assertEqual(again.cursor, b"17")
            self.assertTrue(again.is_own(b"a") and again.is_own(b"b\xff"))
            self.assertFalse(again.is_own(b"c"))

    def test_the_source_has_begun_again(self) -> None:
        with self.open() as journal:
            journal.begin(b"17", [b"a"])
        with self.open("other") as again:
            self.assertEqual((again.cursor, again.is_own(b"a")), (b"0", True))
            again.begin(b"5", [])
        with self.open("other") as third:
            self.assertEqual(third.cursor, b"5")
        with self.open() as fourth:
            self.assertEqual(fourth.cursor, b"0")

    def test_a_torn_line(self) -> None:
        with self.open() as journal:
            journal.begin(b"17", [b"a"])
        self.path.write_text(self.path.read_text() + '{"cursor":"9')
        for _ in range(2):
            with self.open() as again:
                self.assertEqual((again.cursor, again.is_own(b"a")), (b"17", True))

    def test_of_another_import(self) -> None:
        self.open().__exit__()
        self.assertRaises(JournalError, self.open, existing="skip")
        self.path.write_text("a letter\n")
        self.assertRaises(JournalError, self.open)


class ImportCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).resolve()
        self.folder.mkdir()
        self.journal = self.folder / "journal"
        self.source, self.source_port = self.serve()
        self.target, self.target_port = self.serve()

    def serve(self, *options: str, password: str | None = None) -> tuple[redis.Redis, int]:
        server = OneRedis(*options)
        server.__enter__()
        self.addCleanup(server.__exit__, None, None, None)
        client = redis.Redis(port=server.ports[0], password=password)
        self.addCleanup(client.close)
        return client, server.ports[0]

    def run_import(
        self, *options: str, url: str = "", status: int = 0, env: dict[str, str] | None = None
    ) -> str:
        """What it prints, on stdout or stderr."""
        done = run(
            *("--at", f"127.0.0.1:{self.target_port}", "import", "--journal", self.journal),
            *("--from", url or f"redis://127.0.0.1:{self.source_port}", *options),
            env=env,
        )
        self.assertEqual(done.exit_code, status, done.output)
        return done.stdout if not status else done.stderr


class ImportTests(ImportCase):
    def test_everything(self) -> None:
        self.source.mset({f"s{number}": "x" * number for number in range(500)})
        self.source.set(b"\0\xff\r\n", b"\0\xff")
        self.source.hset("hash", mapping={"a": 1, "b": "x" * 100})
        self.source.set("lives", 1, ex=1000)
        self.source.rpush("list", 1, 2)
        document = json.loads(self.run_import("--json"))
        self.assertEqual(document["written"], 504)
        self.assertEqual(names_in(document), set(IMPORT_FIELDS))
        self.assertEqual(self.target.dbsize(), 504)
        self.assertEqual(self.target.get("s499"), b"x" * 499)
        self.assertEqual(self.target.get(b"\0\xff\r\n"), b"\0\xff")
        self.assertEqual(self.target.hgetall("hash"), {b"a": b"1", b"b": b"x" * 100})
        self.assertTrue(900 < self.target.ttl("lives") <= 1000)
        self.assertEqual((self.target.ttl("s1"), self.target.lrange("list", 0, -1)), (-1, [b"1", b"2"]))
        self.assertFalse(self.journal.exists())

    def test_nothing(self) -> None:
        self.assertIn("written  0", self.run_import())

    def test_the_journal_is_that_of_one_target(self) -> None:
        """The keys that it has are those of another cluster."""
        self.source.mset({"a": "new", "b": "new"})
        self.target.set("a", "old")
        self.patch(import_keys, "_name_of", lambda replica: "staging")
        self.run_import(status=1)
        self.patch(import_keys, "_name_of", lambda replica: "production")
        self.assertIn("journal", self.run_import(status=1))
        self.assertEqual(self.target.mget("a", "b"), [b"old", None])

    def test_what_exists(self) -> None:
        self.source.mset({"a": "new", "b": "new"})
        self.target.set("a", "old")
        error = self.run_import(status=1)
        self.assertIn(
            "the key 'a' exists already: --replace takes the key of the source, --skip leaves", error
        )
        self.assertEqual(self.target.mget("a", "b"), [b"old", None])
        self.journal.unlink()
        shown = self.run_import("--skip").split()
        self.assertEqual(shown[-4:], ["written", "1", "skipped", "1"])
        self.assertEqual(self.target.mget("a", "b"), [b"old", b"new"])
        self.run_import("--replace")
        self.assertEqual(self.target.mget("a", "b"), [b"new", b"new"])
        self.run_import("--replace", "--skip", status=2)

    def test_goes_on(self) -> None:
        """The connection breaks in the middle of a page; keys that the import has written do not stop it."""
        self.source.mset({f"s{number}": number for number in range(1000)})
        write = Importing._write
        pages: list[int] = []

        def write_some(importing: Importing, some: Iterable[Dumped]) -> None:
            some = list(some)
            pages.append(len(some))
            if len(pages) == 4:
                write(importing, some[:10])
                raise AskError("it closed the connection")
            write(importing, some)

        self.patch(Importing, "_write", write_some)
        error = self.run_import(status=1)
        self.assertIn("it closed the connection; the same command goes on where it was", error)
        before = self.target.dbsize()
        self.assertTrue(300 < before < 1000, before)
        self.patch(Importing, "_write", write)
        document = json.loads(self.run_import("--json"))
        self.assertLess(document["written"], 1000 - before + 150)
        self.assertEqual(self.target.dbsize(), 1000)
        self.assertFalse(self.journal.exists())

    def test_a_journal_of_another_import(self) -> None:
        self.source.set("a", 1)
        self.target.set("a", 1)
        self.run_import(status=1)
        self.assertIn("is the journal of another import", self.run_import("--skip", status=1))

    def test_another_database(self) -> None:
        other = redis.Redis(port=self.source_port, db=3)
        other.set("a", 1)
        other.close()
        self.run_import(url=f"redis://127.0.0.1:{self.source_port}/3")
        self.assertEqual(self.target.dbsize(), 0)
        target = redis.Redis(port=self.target_port, db=3)
        self.assertEqual(target.get("a"), b"1")
        target.close()

    def test_a_key_that_goes_meanwhile(self) -> None:
        self.source.mset({"a": 1, "b": 2})
        page = Source.page

        def page_and_gone(source: Source, cursor: bytes) -> Page:
            found = page(source, cursor)
            self.source.delete("a")
            self.source.pexpire("b", 1_000_000)
            return found

        self.patch(Source, "page", page_and_gone)
        self.run_import()
        self.assertEqual(self.target.mget("a", "b"), [None, b"2"])
        self.assertGreater(self.target.pttl("b"), 0)

    def test_a_value_that_is_refused(self) -> None:
        self.source.set("a", 1)
        self.target.config_set("maxmemory", 1)
        error = self.run_import(status=1)
        self.assertIn("the key 'a' is refused: OOM", error)

    def test_passwords(self) -> None:
        client, port = self.serve("--requirepass", "s3cret", password="s3cret")
        client.set("a", 1)
        self.assertIn("NOAUTH", self.run_import(url=f"redis://127.0.0.1:{port}", status=1))
        error = self.run_import(url=f"redis://:wrong@127.0.0.1:{port}", status=1)
        self.assertIn("WRONGPASS", error)
        self.assertNotIn("wrong@", error)
        shown = self.run_import(url=f"redis://:s3cret@127.0.0.1:{port}")
        self.assertNotIn("s3cret", shown)
        self.run_import(
            "--replace", url=f"redis://default@127.0.0.1:{port}", env={"EPAXOS_SOURCE_PASSWORD": "s3cret"}
        )

    def test_nobody_is_there(self) -> None:
        error = self.run_import(url="redis://127.0.0.1:1", status=1)
        self.assertIn("127.0.0.1:1: it cannot be reached: Connection refused", error)
        self.assertEqual(len(error.splitlines()), 1)

    def test_wrong_urls(self) -> None:
        self.assertIn("begins with redis://", self.run_import(url="http://h", status=2))


class TlsTests(ImportCase):
    def test_tls(self) -> None:
        """By a certificate that is trusted, and not by any other."""
        openssl = shutil.which("openssl")
        if openssl is None:
            raise SkipTest("openssl is not installed")
        key, certificate = self.folder / "key.pem", self.folder / "cert.pem"
        command = [
            openssl,
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
        ]
        command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
        options = ("--tls-cert-file", str(certificate), "--tls-key-file", str(key))
        port = self.free_port()
        client, _ = self.serve(
            "--tls-port",
            str(port),
            *options,
            "--tls-auth-clients",
            "no",
            "--tls-ca-cert-file",
            str(certificate),
        )
        client.set("a", 1)
        url = f"rediss://127.0.0.1:{port}"
        self.assertIn("certificate verify failed", self.run_import(url=url, status=1))
        self.run_import("--ca", str(certificate), url=url)
        self.assertEqual(self.target.get("a"), b"1")
        self.assertIn(f"{key}: NO_CERT", self.run_import("--ca", str(key), url=url, status=1))

    def free_port(self) -> int:
        return OneRedis().ports[0]
