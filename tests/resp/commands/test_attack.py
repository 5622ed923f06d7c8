"""What a browser sends must not run commands."""

from __future__ import annotations

from twisted.logger import LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from tests.resp.lab import (
    Server,
    encode,
)


class AttackTests(SynchronousTestCase):
    """What a browser sends must not run commands."""

    def test_http(self) -> None:
        for data in (
            b"POST / HTTP/1.1\r\nContent-Length: 14\r\n\r\nSET hacked 1\r\n",
            b"post x\r\nSET hacked 1\r\n",
            b"PUT / HTTP/1.1\r\nHost: a\r\n\r\nSET hacked 1\r\n",
            b"HOST:\r\nSET hacked 1\r\n",
            encode("POST /", "SET hacked 1"),
            encode("SET a 1", "hoSt: x", "SET hacked 1"),
            encode("MULTI", "Post /", "EXEC", "SET hacked 1"),
            encode("CLIENT REPLY OFF", "POST", "SET hacked 1"),
        ):
            for cut in (len(data), data.find(b"S" if b"SET a" in data else b"H"), 5):
                server = Server()
                lines: list[LogEvent] = []
                globalLogPublisher.addObserver(lines.append)
                self.addCleanup(globalLogPublisher.removeObserver, lines.append)
                connection, wire = server.connect()
                neighbour, neighbour_wire = server.connect()
                server.factory.shared.receive([(connection, data[:cut]), (neighbour, encode("SET b 1"))])
                if not wire.disconnected and data[cut:]:
                    server.factory.shared.receive([(connection, data[cut:])])
                connection.dataReceived(b"SET hacked 1\r\n")
                server.replica.run()
                globalLogPublisher.removeObserver(lines.append)
                self.assertTrue(wire.disconnected, data)
                stored = dict(server.replica.store.entries())
                self.assertEqual(stored.pop(b"b"), b"1")
                self.assertEqual(neighbour_wire.value(), b"+OK\r\n")
                self.assertLessEqual(stored.keys(), {b"a"}, data)
                self.assertEqual(len(lines), 1)
                self.assertIn("Possible SECURITY ATTACK detected", lines[0]["reason"])

    def test_a_state_machine_that_takes_every_name(self) -> None:
        """It gets neither what is answered here nor what is refused."""
        for command, is_cut_off in (("POST /", True), ("MULTI", False), ("PING", False)):
            server = Server()
            server.replica.is_valid_shape = lambda name, length: True  # type: ignore[method-assign]
            connection, wire = server.connect()
            server.factory.shared.receive([(connection, encode(command))])
            self.assertEqual((server.replica.submitted, wire.disconnected), ([], is_cut_off))
