"""Sockets that a service manager opened for the ports of a replica."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.defer import inlineCallbacks
from twisted.internet.endpoints import _SystemdParser
from twisted.internet.protocol import Factory
from twisted.logger import LogLevel, formatEvent, globalLogPublisher
from twisted.python.systemd import ListenFDs
from twisted.trial.unittest import TestCase

from epaxos.config.example import example
from epaxos.config.file import load
from epaxos.config.model import Config, ConfigError
from epaxos.service.endpoints import listening, udp_listening
from epaxos.service.passed_sockets import Passed, passed_sockets
from epaxos.transport.udp_address import UdpPassed

CLIENT = "tcp:7100:interface=127.0.0.1"


class PassedSocketTests(TestCase):
    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor = reactor
        self.events: list[Any] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)

    def config(self, client: str = CLIENT) -> Config:
        path = Path(self.mktemp())
        path.write_text(example(1).replace(CLIENT, client))
        return load(path)

    def passed(self, there: socket.socket, namesakes: int = 1) -> Passed:
        self.addCleanup(there.close)
        return Passed(there.fileno(), namesakes)

    def test_which_are_for_ports(self) -> None:
        """Those with their names; other ones are for endpoints that name them."""
        names = ["status", "connection", "client"]
        self.patch(_SystemdParser, "_sddaemon", ListenFDs([3, 4, 5], names))
        found = passed_sockets(self.reactor, {"LISTEN_FDNAMES": ":".join(names)})
        self.assertEqual(found, {"status": Passed(3), "client": Passed(5)})
        self.patch(_SystemdParser, "_sddaemon", ListenFDs([3, 4], ["peer", "peer"]))
        self.assertEqual(passed_sockets(self.reactor, {"LISTEN_FDNAMES": "peer:peer"})["peer"].namesakes, 2)
        self.patch(_SystemdParser, "_sddaemon", ListenFDs([], []))
        self.assertEqual(passed_sockets(self.reactor, {}), {})

    @inlineCallbacks
    def test_more_than_one_life(self) -> Any:
        """The socket, and the file of a Unix socket, stay when the replica stops listening."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        unix = socket.socket(socket.AF_UNIX)
        unix.bind(str(Path(folder.name, "client")))
        unix.listen()
        for there in (unix, socket.create_server(("127.0.0.1", 0))):
            passed = self.passed(there)
            for _ in range(2):
                endpoint = listening(self.config(), 0, "client", self.reactor, passed)
                port = yield endpoint.listen(Factory())
                yield port.stopListening()
                with socket.socket(there.family) as client:
                    client.connect(there.getsockname())  # it waits for the next life

    def test_what_is_refused(self) -> None:
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        deaf = socket.socket()
        good = socket.create_server(("127.0.0.1", 0))
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        for client, passed, text in (
            (CLIENT, self.passed(udp), "does not listen"),
            (CLIENT, self.passed(deaf), "does not listen"),
            (CLIENT, Passed(reader), "is no socket"),
            (CLIENT, Passed(99_999), "is no socket: Bad file descriptor"),
            (CLIENT, self.passed(good, 2), "2 sockets are passed for it"),
            ("ssl:7100:privateKey=k", self.passed(good), "only tcp, tcp6 and unix go with one"),
        ):
            with self.assertRaisesRegex(ConfigError, text):
                listening(self.config(client=client), 0, "client", self.reactor, passed)

    def test_others_are_told_what_the_file_says(self) -> None:
        """A port that is another one is worth a warning."""
        good = socket.create_server(("127.0.0.1", 0))
        port = good.getsockname()[1]
        for client, warns in ((CLIENT, True), (f"tcp:{port}", False), ("unix:/run/x", False)):
            self.events.clear()
            listening(self.config(client=client), 0, "client", self.reactor, self.passed(good))
            said = [formatEvent(event) for event in self.events]
            self.assertIn(f"at 127.0.0.1:{port} is used; others are told {client}", said[-1])
            self.assertEqual(LogLevel.warn in [event["log_level"] for event in self.events], warns)

    def test_over_udp(self) -> None:
        path = Path(self.mktemp())
        path.write_text(example(1, transport="udp"))
        config = load(path)
        there = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        there.bind(("127.0.0.1", 0))
        address = udp_listening(config, 0, self.passed(there))
        self.assertIsInstance(address, UdpPassed)
        self.assertEqual(str(address), "127.0.0.1:7000")
        self.assertFalse(os.get_blocking(there.fileno()))
        with self.assertRaisesRegex(ConfigError, "is none of UDP"):
            udp_listening(config, 0, self.passed(socket.create_server(("127.0.0.1", 0))))
