"""The names of settings, their values as clients read and write them, and the file with values written in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from epaxos.config.example import example
from epaxos.config.file import load
from epaxos.config.live import NAMES, changed, plain, read, values_of
from epaxos.config.rewrite import rewritten
from epaxos.config.settings import REPLICA, SECTIONS


class NameTests(SynchronousTestCase):
    def setUp(self) -> None:
        path = Path(self.mktemp())
        path.write_text(example())
        self.config = load(path)

    def test_every_setting_has_a_name(self) -> None:
        settings = [each for section in SECTIONS.values() for each in section.settings.values()]
        settings += REPLICA.settings.values()
        self.assertEqual(len(NAMES), sum(not each.is_secret for each in settings))
        self.assertEqual([name for name in NAMES if name != name.lower()], [])

    def test_values(self) -> None:
        values = values_of(replace(self.config), 1)
        self.assertEqual(set(values), set(NAMES))
        for name, value in (
            ("maxclients", "10000"),
            ("limits.request_timeout_s", "5"),
            ("timing.heartbeat_s", "0.2"),
            ("protected-mode", "yes"),
            ("replica.client", "tcp:7101:interface=127.0.0.1"),
            ("log.levels", ""),
        ):
            self.assertEqual(values[name], value, name)

    def test_what_clients_write(self) -> None:
        for name, text, value in (
            ("maxclients", "5", 5),
            ("timeout", "1.5", 1.5),
            ("slowlog-log-slower-than", "-1", -1),
            ("log.levels", "epaxos.node: debug", (("epaxos.node", "debug"),)),
            ("maxclients", "x", "argument couldn't be parsed into an integer"),
            ("timeout", "x", "argument couldn't be parsed into a number of seconds"),
            ("timeout", "nan", "argument must be between 0 and 31536000 inclusive"),
            ("maxclients", "0", "argument must be between 1 and 1000000 inclusive"),
            ("log.levels", "epaxos.nope: debug", "there is no part epaxos.nope"),
        ):
            kind = NAMES[name].setting.kind
            try:
                found = read(kind, text)
            except ValueError as why:
                found = str(why)
            self.assertEqual(found, value, f"{name} {text}")
            if found != str(value):
                self.assertEqual(read(kind, plain(kind, found)), value)

    def test_changed(self) -> None:
        config = changed(self.config, {"maxclients": 7, "timeout": 2.0, "batch.window": 3})
        limits = config.limits
        self.assertEqual((limits.clients_max, limits.client_timeout_s, config.batch.window), (7, 2.0, 3))
        self.assertEqual(limits.keep_bytes, self.config.limits.keep_bytes)


class RewriteTests(SynchronousTestCase):
    def test_table(self) -> None:
        for before, after in (
            ("", "\n[a]\nk = 1\n"),
            ("# x\n[a]\n# k says\n k  = 0  \nj = 2", "# x\n[a]\n# k says\n k  = 1\nj = 2\n"),
            ("[a]\n;k = 0\n;j = 2\n", "[a]\n;k = 0\nk = 1\n;j = 2\n"),
            ("[a]\nj = 2\n\n# of b\n[b]\nk = 0\n", "[a]\nj = 2\n\n# of b\nk = 1\n[b]\nk = 0\n"),
            ("[a]\nj = 2\n\n\n[b]\nk = 0\n", "[a]\nj = 2\nk = 1\n\n\n[b]\nk = 0\n"),
            ("[b]\nk = 0\n", "[b]\nk = 0\n\n[a]\nk = 1\n"),
            ("[a]\r\nk = 0\r\n", "[a]\r\nk = 1\r\n"),
            ("[a]\nkk = 0\n;kk = 0\n", "[a]\nkk = 0\n;kk = 0\nk = 1\n"),
        ):
            self.assertEqual(rewritten(before, {("a", "k"): "1"}), after, before)
            self.assertEqual(rewritten(after, {("a", "k"): "1"}), after, "again")
