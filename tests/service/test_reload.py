"""What a replica follows at SIGHUP: all of its configuration file that needs no restart, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from epaxos.config.example import example
from epaxos.config.file import load
from epaxos.config.model import Config
from epaxos.service.followed import Followed
from epaxos.service.reload import LIVE, Reloading


class ReloadTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.write("")
        self.lines: list[str] = []
        observer: Callable[..., None] = lambda event: self.lines.append(formatEvent(event))  # noqa: E731
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.followed = Followed(load(self.path))
        self.reloading = Reloading(self.followed, 0, lambda: load(self.path))
        self.used: list[Config] = []
        self.refuse = ""
        self.followed.follow(self.prepare, self.judge)

    def write(self, settings: str) -> None:
        self.path.write_text(example(3) + settings)

    def prepare(self, config: Config) -> Callable[[], None]:
        return lambda: self.used.append(config)

    def judge(self, config: Config) -> Callable[[], None]:
        if self.refuse:
            raise config.error(self.refuse)
        return lambda: None

    def reload(self) -> str:
        """The one line that the log has."""
        self.lines.clear()
        self.reloading.reload()
        (line,) = self.lines
        return line

    def test_what_is_followed(self) -> None:
        for settings, said in (
            ("", "no setting is changed"),
            ("[limits]\nclients_max = 7\n", "changed: [limits] clients_max"),
            (
                "[limits]\nclients_max = 7\n[security]\nstatus_token = x\n",
                "changed: [security] status_token",
            ),
            (
                "[limits]\nclients_max = 9\ncommand_bytes_max = 2000\n[batch]\nwindow = 3\n"
                "[storage]\nsync = no\n[state_machine]\na = b\n",
                "changed: [batch] window, [limits] clients_max, [security] status_token;"
                " a restart is needed for: [limits] command_bytes_max, [storage] sync, [state_machine] a",
            ),
        ):
            self.write(settings)
            self.assertEqual(self.reload(), f"reload: {self.path}: {said}")
            self.assertIs(self.used[-1], self.followed.config)
        self.assertEqual(self.followed.config.limits.clients_max, 9)
        self.assertTrue(self.followed.config.storage.sync, "that needs a restart")

    def test_what_is_of_no_use_changes_nothing(self) -> None:
        before = self.followed.config
        for text in ("[limits]\nclients_max = none\n", "[x]\n", "[limits]\nclients_max"):
            self.write(text)
            self.assertTrue(self.reload().startswith(f"reload: nothing is changed: {self.path}: "))
        self.write("[limits]\nclients_max = 7\n")
        self.refuse = "a certificate has expired"
        self.assertEqual(self.reload(), f"reload: nothing is changed: {self.path}: a certificate has expired")
        self.path.unlink()
        self.assertIn("cannot be read", self.reload())
        self.assertEqual((self.used, self.followed.config), ([], before))

    def test_a_replica_without_a_file(self) -> None:
        Reloading(load(self.path), 0, None).reload()
        self.assertEqual(self.lines, [])

    def test_the_settings_exist(self) -> None:
        for section, names in LIVE.items():
            for name in names:
                getattr(getattr(self.followed.config, section), name)
