"""Writing at once, on real sockets."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import reactor
from twisted.internet.protocol import Protocol
from twisted.internet.tcp import Server
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from epaxos.net.eager_write import push, write_promptly


class WriteTests(SynchronousTestCase):
    def setUp(self) -> None:
        ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(self.theirs.close)
        self.addCleanup(ours.close)
        ours.setblocking(False)
        self.theirs.setblocking(False)
        self.server: Any = Server(ours, Protocol(), ("peer", 1), None, 1, reactor)
        self.addCleanup(self.server.stopReading)
        self.addCleanup(self.server.stopWriting)

    def received(self) -> bytes:
        try:
            return self.theirs.recv(1 << 24)
        except BlockingIOError:
            return b""

    def test_at_once(self) -> None:
        """The other side has it before the reactor runs."""
        write_promptly(self.server, b"now")
        self.assertEqual(self.received(), b"now")
        self.assertEqual((self.server.dataBuffer, self.server._tempDataBuffer), (b"", []))

    def test_what_the_socket_does_not_take_follows_in_order(self) -> None:
        parts = [bytes([part]) * 300_000 for part in range(8)]
        for part in parts:
            write_promptly(self.server, part)
        self.assertNotEqual(self.server._tempDataBuffer, [])
        got = bytearray()
        while len(got) < 8 * 300_000:
            got += self.received()
            self.assertIsNone(self.server.doWrite())
        self.assertEqual(bytes(got), b"".join(parts))

    def test_a_lost_connection_is_found_by_the_reactor(self) -> None:
        self.theirs.close()
        write_promptly(self.server, b"into the void")
        self.assertIsInstance(self.server.doWrite(), Exception)

    def test_not_on_a_connection_that_closes(self) -> None:
        self.server.disconnecting = True
        write_promptly(self.server, b"late")
        self.assertEqual(self.received(), b"")

    def test_other_transports(self) -> None:
        transport = StringTransport()
        write_promptly(transport, b"data")
        self.assertEqual(transport.value(), b"data")


class PushTests(WriteTests):
    """What `write` has kept, in the same situations."""

    def test_at_once(self) -> None:
        self.server.write(b"n")
        self.server.write(b"ow")
        self.assertEqual(self.received(), b"")
        push(self.server)
        self.assertEqual(self.received(), b"now")
        self.assertEqual((self.server.dataBuffer, self.server._tempDataBuffer), (b"", []))
        self.assertNotIn(self.server, reactor.getWriters())
        push(self.server)
        self.assertEqual(self.received(), b"")

    def test_what_the_socket_does_not_take_follows_in_order(self) -> None:
        parts = [bytes([part]) * 300_000 for part in range(8)]
        for part in parts:
            self.server.write(part)
            push(self.server)
        self.assertIn(self.server, reactor.getWriters())
        got = bytearray()
        while len(got) < 8 * 300_000:
            got += self.received()
            push(self.server)
        self.assertEqual(bytes(got), b"".join(parts))

    def test_a_lost_connection_is_found_by_the_reactor(self) -> None:
        self.theirs.close()
        self.server.write(b"into the void")
        push(self.server)
        self.assertIn(self.server, reactor.getWriters())
        self.assertIsInstance(self.server.doWrite(), Exception)

    def test_not_on_a_connection_that_closes(self) -> None:
        self.server.write(b"last words")
        self.server.loseConnection()
        push(self.server)
        self.assertEqual(self.received(), b"")
        self.assertIn(self.server, reactor.getWriters())

    def test_other_transports(self) -> None:
        transport = StringTransport()
        transport.write(b"data")
        push(transport)
        self.assertEqual(transport.value(), b"data")
