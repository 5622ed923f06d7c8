"""Broken configuration files, and the line that each gets."""

from __future__ import annotations

import os

from epaxos.config.example import example
from epaxos.config.file import load
from epaxos.config.model import ConfigError
from tests.config.case import ConfigCase


class BrokenTests(ConfigCase):
    """What is wrong with the file, a section, or a setting."""

    def test_files(self) -> None:
        known = (
            "cluster, timing, batch, limits, storage, security, log, slow, state_machine, users, replica 0"
        )
        for text, expected in (
            ("", "is empty; conf/cluster.ini is an example"),
            ("# nothing\n\n", "is empty; conf/cluster.ini is an example"),
            (b"[cluster]\nname = \xff\xfe\n", "is not UTF-8 text (byte 17)"),
            ("name = x\n", "line 1: is neither [SECTION] nor KEY = VALUE"),
            ("[cluster]\nname\n", "line 2: is neither [SECTION] nor KEY = VALUE"),
            ("[cluster]\nname = a\n[cluster]\n", "line 3: [cluster] is there twice"),
            ("[cluster]\nname = a\nname = b\n", "line 3: [cluster] name: is there twice"),
            ("[cluster]\nname = a\n", "the section [replica 0] is missing"),
            (example(3).replace("[cluster]\nname = example\n", ""), "the section [cluster] is missing"),
            (
                example(3).replace("[replica 1]", "[replica 3]"),
                "the section [replica 1] is missing; replicas are 0, 1, 2 … without a gap",
            ),
            ("[clutser]\nname = x\n", "[clutser]: unknown section; did you mean 'cluster'?"),
            ("[replica 00]\n", "[replica 00]: unknown section; did you mean 'replica 0'?"),
            ("[DEFAULT]\nname = x\n", f"[DEFAULT]: unknown section; known are {known}"),
            ("[replica 2147483648]\n", "[replica 2147483648]: the highest number of a replica is 2147483647"),
            (f"[replica {10**99}]\n", f"[replica {10**99}]: the highest number of a replica is 2147483647"),
            ("[xyz]\n" + example(1), f"[xyz]: unknown section; known are {known}"),
        ):
            self.refused(text, expected)

    def test_a_secret_is_not_in_an_error(self) -> None:
        allowed = "none, or 1 to 512 printable characters"
        for secret in ("opensesame\x07", "opensesame" * 52):
            text = f"[security]\nrequirepass = {secret}\n{example(1)}"
            self.refused(text, f"[security] requirepass: is not a password; allowed: {allowed}")
        twice = "[security]\nrequirepass = opensesame\n"
        self.refused(
            f"{twice}requirepass = x\n{example(1)}", "line 3: [security] requirepass: is there twice"
        )
        self.refused(
            f"{twice} more\n{example(1)}",
            "[security] requirepass: goes on in an indented line; give it in one line",
        )
        self.refused(
            f"[security]\nprotected_mode = opensesame\n{example(1)}",
            "[security] protected_mode = opensesame: is not known; allowed: yes, no",
        )

    def test_unreadable(self) -> None:
        missing = self.mktemp()
        folder = self.mktemp()
        os.mkdir(folder)
        for path, why in ((missing, "No such file or directory"), (folder, "Is a directory")):
            with self.assertRaises(ConfigError) as caught:
                load(path)
            self.assertEqual(str(caught.exception), f"{path}: cannot be read: {why}")

    def test_values(self) -> None:
        """A line added to a section, and what is said of it."""
        for section, line, expected in (
            ("cluster", "nmae = x", "nmae: unknown key; did you mean 'name'?"),
            ("cluster", "zzz = x", "zzz: unknown key; known are name, state_machine, transport"),
            ("cluster", "transport = ip", "transport = ip: is not known; allowed: tcp, udp"),
            (
                "cluster",
                "state_machine = a b",
                "state_machine = a b: is not a name; allowed: 1 to 64 of the characters A-Z a-z 0-9 _ . -",
            ),
            ("timing", "Heartbeat_s = 1", "Heartbeat_s: unknown key; did you mean 'heartbeat_s'?"),
            (
                "timing",
                "heartbeat_s = fast",
                "heartbeat_s = fast: is not a number of seconds; allowed: 0.01 to 60",
            ),
            ("timing", "heartbeat_s = 0", "heartbeat_s = 0: is out of range; allowed: 0.01 to 60"),
            ("timing", "heartbeat_s = nan", "heartbeat_s = nan: is out of range; allowed: 0.01 to 60"),
            ("timing", "resend_s = inf", "resend_s = inf: is out of range; allowed: 0.01 to 60"),
            ("timing", "heartbeat_s =", "heartbeat_s = : is not a number of seconds; allowed: 0.01 to 60"),
            (
                "timing",
                "heartbeat_s = 0.5",
                "suspect_after_s = 1: must be more than twice heartbeat_s = 0.5",
            ),
            (
                "timing",
                "heartbeat_s = 1\n  2",
                "heartbeat_s: goes on in an indented line; give it in one line",
            ),
            ("batch", "window = 1.5", "window = 1.5: is not a whole number; allowed: 1 to 10_000"),
            ("batch", "window = 0", "window = 0: is out of range; allowed: 1 to 10_000"),
            (
                "limits",
                "clients_max = " + 400 * "9",
                f"clients_max = {400 * '9'}: is out of range; allowed: 1 to 1_000_000",
            ),
            ("storage", "engine = disk", "engine = disk: is not known; allowed: leveldb, memory"),
            ("security", "peer_tls = on", "peer_tls = on: is not known; allowed: yes, no"),
            ("security", "ca =", "ca = : is not a file"),
            ("security", "key = a\0b", "key = a\0b: is not a file"),
            ("log", "format = xml", "format = xml: is not known; allowed: text, json"),
            (
                "log",
                "levels = warn",
                "levels = warn: the level of warn is not known; allowed: debug, info, warn, error, critical",
            ),
            (
                "log",
                "levels = epaxos.node: loud",
                "levels = epaxos.node: loud: the level of epaxos.node is not known;"
                " allowed: debug, info, warn, error, critical",
            ),
            (
                "log",
                "levels = epaxos.nodes: info",
                "levels = epaxos.nodes: info: there is no part epaxos.nodes",
            ),
            (
                "log",
                "levels = a..b: info",
                "levels = a..b: info: is not PART: LEVEL, …; a valid one is epaxos.transport: warn,"
                " twisted: error",
            ),
            (
                "log",
                "levels = a: info,",
                "levels = a: info,: is not PART: LEVEL, …; a valid one is epaxos.transport: warn,"
                " twisted: error",
            ),
            ("log", "levels = a: info, a: warn", "levels = a: info, a: warn: a part is there twice"),
            ("storage", "sync = true", "sync = true: is not known; allowed: yes, no"),
        ):
            text = example(1)
            if section == "cluster":
                text = text.replace("[cluster]\n", f"[cluster]\n{line}\n")
            else:
                text += f"\n[{section}]\n{line}\n"
            self.refused(text, f"[{section}] {expected}")

    def test_names(self) -> None:
        for name in ("", "a b", "ä", 65 * "x", "a/b"):
            self.refused(
                example(1).replace("name = example", f"name = {name}"),
                f"[cluster] name = {name}: is not a name;"
                " allowed: 1 to 64 of the characters A-Z a-z 0-9 _ . -",
            )
        self.assertEqual(self.load(example(1).replace("= example", "= " + 64 * "x")).cluster.name, 64 * "x")
