"""What the ports for clients are told of the configuration."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from epaxos.config.example import example
from epaxos.config.file import load
from epaxos.config.model import Config, ConfigError
from epaxos.service.clients import door, shown_settings, users_of
from epaxos.service.machines import machine_of
from epaxos.service.passed_sockets import Passed

LOCAL = "client = tcp:7100:interface=127.0.0.1"


class ClientsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.lines: list[LogEvent] = []
        globalLogPublisher.addObserver(self.lines.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.lines.append)

    def config(self, security: str = "", client: str = LOCAL) -> Config:
        path = Path(self.mktemp())
        path.write_text(example(3).replace(LOCAL, client) + f"[security]\n{security}\n")
        return load(path)

    def warned(self, security: str, client: str) -> list[str]:
        del self.lines[:]
        door(self.config(security, client), 0)
        return [str(formatEvent(line)) for line in self.lines]

    def test_the_rule(self) -> None:
        for security, has_password, is_for_this_host in (
            ("", False, True),
            ("protected_mode = no", False, False),
            ("requirepass = opensesame", True, False),
            ("protected_mode = no\nrequirepass = opensesame", True, False),
        ):
            made = door(self.config(security), 0)
            self.assertEqual((made.has_password, made.is_for_this_host), (has_password, is_for_this_host))
            self.assertEqual(made.opens_to(b"opensesame"), has_password)

    def test_rules_of_users_that_name_nothing(self) -> None:
        """A misspelt rule that takes something away would else give it."""
        infos = machine_of(self.config()).commands()
        for rules, why in (
            ("+@all -@dangerus", "Unknown command or category name in ACL"),
            ("+@all -flushal", "Unknown command or category name in ACL"),
            ("+set|nothing", "Unknown command or category name in ACL"),
            ("on secret", "Syntax error"),
        ):
            with self.assertRaises(ConfigError) as raised:
                users_of(self.config(f"[users]\nalice = on >opensesame {rules}"), infos)
            self.assertIn(why, str(raised.exception))
            self.assertNotIn("opensesame", str(raised.exception))
        users, digest = users_of(self.config("[users]\nalice = on >p +@all -config|get -acl"), infos)
        self.assertEqual((list(users), len(digest)), ([b"alice"], 64))

    def test_a_socket_that_is_passed_counts_over_the_file(self) -> None:
        """Its address is what others reach."""
        unix = socket.socket(socket.AF_UNIX)
        unix.bind(f"\0{self.id()}-{os.getpid()}")
        for there, client, is_reachable in (
            (socket.create_server(("127.0.0.1", 0)), "client = tcp:7100", False),
            (socket.create_server(("::1", 0), family=socket.AF_INET6), "client = tcp:7100", False),
            (unix, "client = tcp:7100", False),
            (socket.create_server(("0.0.0.0", 0)), LOCAL, True),
        ):
            self.addCleanup(there.close)
            del self.lines[:]
            door(self.config("", client), 0, {"client": Passed(there.fileno())})
            self.assertEqual(len(self.lines), is_reachable, client)

    def test_ports_that_others_reach_are_named_in_the_log(self) -> None:
        for client, is_reachable in (
            (LOCAL, False),
            ("client = tcp:7100:interface=127.0.0.9", False),
            (r"client = tcp6:7100:interface=\:\:1", False),
            ("client = tcp:7100:interface=localhost", False),
            ("client = unix:/run/epaxos", False),
            ("client = tcp:7100", True),
            ("client = tcp:7100:interface=10.0.0.1", True),
            ("client = systemd:domain=INET:index=0", True),
        ):
            for security, text in (("", "protected mode refuses"), ("protected_mode = no", "is served")):
                lines = self.warned(security, client)
                self.assertEqual(len(lines), is_reachable, f"{client} {security}")
                for line in lines:
                    self.assertIn(text, line)
                    self.assertIn(f"client port {client.partition(' = ')[2]}: ", line)
            self.assertEqual(self.warned("requirepass = opensesame", client), [])

    def test_what_config_get_shows(self) -> None:
        shown = shown_settings(self.config("requirepass = opensesame"), 0)
        expected = {"appendonly": "yes", "appendfsync": "always", "protected-mode": "yes"}
        self.assertEqual(shown, {**expected, "tls-auth-clients": "yes", "tls-port": "0"})
        self.assertEqual(shown_settings(self.config("protected_mode = no"), 0)["protected-mode"], "no")
        tls = self.config("tls_auth_clients = no", f"{LOCAL}\nclient_tls = tcp:7443")
        shown = shown_settings(tls, 0)
        self.assertEqual((shown["tls-auth-clients"], shown["tls-port"]), ("no", "7443"))
