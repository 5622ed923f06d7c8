"""Settings that change while a replica runs: all together or none, and the file that gets them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from epaxos.config.example import example
from epaxos.config.file import load
from epaxos.config.model import Config, ConfigError
from epaxos.interfaces import Refusal
from epaxos.resp.interfaces import SettingError
from epaxos.service.followed import Followed
from epaxos.service.live_settings import LiveSettings, write_into
from tests.resp.lab import Server, encode


class LiveCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = self.folder / "cluster.ini"
        self.path.write_text(f"# mine\n{example()}")
        self.followed = Followed(load(self.path))
        self.live = LiveSettings(self.followed, 0, Clock())


class LiveSettingsTests(LiveCase):
    def setUp(self) -> None:
        super().setUp()
        self.kept: list[int] = []
        self.followed.follow(self.follow)
        self.server = Server(live=self.live)
        self.connection, self.wire = self.server.connect()

    def follow(self, config: Config) -> Callable[[], None]:
        if config.limits.keep_instances == 1234:
            raise ConfigError("not that one")
        return lambda: self.kept.append(config.limits.keep_instances)

    def ask(self, command: str) -> str:
        self.wire.clear()
        self.connection.dataReceived(encode(command))
        self.server.replica.run()
        return self.wire.value().decode().strip()

    def test_config_set(self) -> None:
        failed = "-ERR CONFIG SET failed (possibly related to argument '{}') - {}".format
        immutable = "can't set immutable config: it needs a restart"
        for command, reply in (
            ("CONFIG SET limits.keep_instances 2000", "+OK"),
            ("CONFIG SET LIMITS.keep_instances 3000 batch.window 4", "+OK"),
            ("CONFIG SET limits.keep_instances 4000 maxmemory 100", "+OK"),
            ("CONFIG SET limits.keep_instances 5000 maxmemory abc",
             failed("maxmemory", "argument must be a memory value")),
            ("CONFIG SET limits.keep_instances 5000 storage.sync no", failed("storage.sync", immutable)),
            ("CONFIG SET limits.keep_instances 5000 databases 3", failed("databases", immutable)),
            ("CONFIG SET limits.keep_instances 1234", failed("limits.keep_instances", "not that one")),
            ("CONFIG SET maxmemory 5 batch.window 0",
             failed("batch.window", "argument must be between 1 and 10000 inclusive")),
            ("CONFIG SET batch.window 5 batch.window 6", failed("batch.window", "duplicate parameter")),
            ("CONFIG SET batch.window 5 nope 6",
             "-ERR Unknown option or number of arguments for CONFIG SET - 'nope'"),
            ("CONFIG SET batch.window 5 batch.window",
             "-ERR wrong number of arguments for 'config|set' command"),
        ):  # fmt: skip
            self.assertEqual(self.ask(command), reply, command)
        self.assertEqual(self.kept, [2000, 3000, 4000])
        self.assertEqual(
            (self.followed.config.limits.keep_instances, self.followed.config.batch.window), (4000, 4)
        )
        self.assertIn("maxmemory\r\n$3\r\n100", self.ask("CONFIG GET maxmemory"))
        self.assertIn("4000", self.ask("CONFIG GET limits.keep_inst*"))

    def test_passwords_are_not_shown(self) -> None:
        self.assertNotIn("requirepass", self.ask("CONFIG GET *"))
        with self.assertRaises(SettingError):
            self.live.read({"security.requirepass": "x"})

    def test_without_a_file(self) -> None:
        connection, wire = Server().connect()
        connection.dataReceived(encode("CONFIG REWRITE"))
        self.assertEqual(wire.value(), b"-ERR The server is running without a config file\r\n")


class FileTests(LiveCase):
    def why_not(self, values: dict[tuple[str, str], str]) -> str:
        before = self.path.read_bytes() if self.path.exists() else None
        why = str(self.assertRaises(Refusal, write_into, self.path, values))
        self.assertEqual(self.path.read_bytes() if self.path.exists() else None, before)
        self.assertEqual(set(os.listdir(self.folder)) - {"cluster.ini"}, set())
        return why

    def test_the_file_is_replaced(self) -> None:
        self.path.chmod(0o640)
        write_into(self.path, {("limits", "clients_max"): "77"})
        self.assertEqual(load(self.path).limits.clients_max, 77)
        self.assertTrue(self.path.read_text().startswith("# mine\n"))
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o640)
        self.assertEqual(os.listdir(self.folder), ["cluster.ini"])

    def test_a_link_stays_one(self) -> None:
        link = self.folder / "link.ini"
        link.symlink_to(self.path.resolve())
        write_into(link, {("limits", "clients_max"): "78"})
        self.assertTrue(link.is_symlink())
        self.assertEqual(load(self.path).limits.clients_max, 78)

    def test_a_file_that_would_be_of_no_use_stays(self) -> None:
        self.path.write_text("[limits]\nnope = 3\n")
        self.assertIn("would be of no use", self.why_not({("limits", "clients_max"): "77"}))

    def test_a_file_that_is_gone(self) -> None:
        self.path.unlink()
        self.assertIn("No such file", self.why_not({("limits", "clients_max"): "77"}))
