"""Unix sockets, options of sockets, and who is let in."""

from __future__ import annotations

import os
import socket
import tempfile
from typing import Any

from twisted.internet import reactor as the_reactor
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import inlineCallbacks
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.threads import deferToThread
from twisted.logger import LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides

from epaxos.net.door import Door
from epaxos.resp.connection import DENIAL
from tests.defaults import default_limits
from tests.net.lab import turns, until
from tests.resp.lab import (
    LONG,
    MEGABYTES,
    Server,
    SocketCase,
    Wire,
    encode,
    held_bytes,
    take,
    take_rest,
)

reactor: Any = the_reactor


class UnixTests(SocketCase):
    """Clients of a Unix socket, with TCP's keepalive on, as it is by default."""

    def listen(self) -> Any:
        self.folder = tempfile.TemporaryDirectory()  # a socket's path is short
        self.path = os.path.join(self.folder.name, "client")
        return self.successResultOf(serverFromString(reactor, f"unix:{self.path}").listen(self.factory))

    def dial(self, receive_bytes: int | None) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(20)
        client.connect(self.path)
        return client

    @inlineCallbacks
    def tearDown(self) -> Any:
        yield super().tearDown()
        self.folder.cleanup()

    @inlineCallbacks
    def test_replies_that_are_not_taken(self) -> Any:
        """Are not encoded, and no more commands are read; all come in the end."""
        self.serve()
        self.assertGreater(self.factory.shared.limits.keepalive_s, 0)
        connection, client = yield self.connect(20_000)
        client.sendall(encode(*["GET big"] * 20))
        yield until(lambda: sum(self.replica.submitted) == 20 and not self.replica.held)
        yield turns(20)
        self.assertTrue(connection.pipeline.is_paused)
        self.assertLess(self.holdings.total_bytes, len(MEGABYTES) + 200_000)
        wire = connection.transport
        self.assertLessEqual(len(wire.dataBuffer) + wire._tempDataLen, 1024)
        client.sendall(encode("GET small"))
        yield turns(20)
        self.assertEqual(sum(self.replica.submitted), 20)
        self.assertTrue((yield deferToThread(take, client, *[LONG] * 20, b"$1\r\ns\r\n")))
        yield until(lambda: not held_bytes(connection))
        client.send(encode("GET small", "PING"))
        client.shutdown(socket.SHUT_WR)
        self.assertEqual((yield deferToThread(take_rest, client)), b"$1\r\ns\r\n+PONG\r\n")
        self.assertEqual(self.flushLoggedErrors(), [])

    @inlineCallbacks
    def test_read_with_the_others(self) -> Any:
        """Commands of several clients are submitted together, as those of TCP are."""
        self.serve(at_once=False)
        pairs = []
        for _ in range(3):
            pairs.append((yield self.connect()))
        for _, client in pairs:
            client.send(encode("GET small"))
        yield until(lambda: sum(self.replica.submitted) == 3)
        self.assertEqual(self.replica.submitted, [3])
        self.replica.run()
        for _, client in pairs:
            self.assertTrue((yield deferToThread(take, client, b"$1\r\ns\r\n")))
        self.assertEqual(self.flushLoggedErrors(), [])


class DoorTests(SynchronousTestCase):
    """Who is let in, by the number of clients and of open files; and what clients may ask about it."""

    def test_descriptors(self) -> None:
        server = Server(default_limits(descriptor_max=900))
        lines: list[LogEvent] = []
        globalLogPublisher.addObserver(lines.append)
        self.addCleanup(globalLogPublisher.removeObserver, lines.append)
        for descriptor, refused in ((899, False), (900, True), (1000, True)):
            connection = server.factory.buildProtocol(None)
            wire = Wire()
            wire.fileno = lambda descriptor=descriptor: descriptor  # type: ignore[attr-defined]
            connection.makeConnection(wire)
            self.assertEqual(wire.value(), b"-ERR max number of clients reached\r\n" if refused else b"")
            self.assertEqual(wire.disconnecting, refused)
        (line,) = lines  # one a minute, however many are refused
        self.assertIn("only 900 of the open files", str(line["reason"]))

    def test_protected_mode(self) -> None:
        """Redis' rule and error: without a password only clients of this host are let in."""
        for door, address, is_refused in (
            (Door(is_protected=True), IPv4Address("TCP", "127.0.0.1", 1), False),
            (Door(is_protected=True), IPv6Address("TCP", "::1", 1), False),
            (Door(is_protected=True), UNIXAddress(b"/s"), False),
            (Door(is_protected=True), IPv4Address("TCP", "10.0.0.9", 1), True),
            (Door(is_protected=True), IPv6Address("TCP", "fe80::9", 1), True),
            (Door(is_protected=True), None, True),
            (Door("x", is_protected=True), IPv4Address("TCP", "10.0.0.9", 1), False),
            (Door(is_protected=False), IPv4Address("TCP", "10.0.0.9", 1), False),
        ):
            server = Server(door=door)
            connection, wire = server.factory.buildProtocol(address), Wire()
            connection.makeConnection(wire)
            self.assertEqual(wire.value(), DENIAL if is_refused else b"", str(address))
            self.assertEqual(wire.disconnecting, is_refused)
            self.assertEqual(len(server.factory.connections), not is_refused)
            self.assertEqual(server.factory.shared.traffic.connections_rejected, is_refused)
            connection.dataReceived(encode("SET a 1"))
            self.assertEqual(len(server.replica.held), not (is_refused or door.has_password))
            connection.connectionLost()
        self.assertTrue(DENIAL.startswith(b"-DENIED "))
        self.assertEqual(DENIAL.count(b"\n"), 1)

    def test_protected_mode_is_logged(self) -> None:
        lines: list[LogEvent] = []
        globalLogPublisher.addObserver(lines.append)
        self.addCleanup(globalLogPublisher.removeObserver, lines.append)
        server = Server(door=Door(is_protected=True))
        for port in range(3):
            connection = server.factory.buildProtocol(IPv4Address("TCP", "10.0.0.9", port))
            connection.makeConnection(Wire())
        (line,) = lines
        self.assertEqual(line["subject"], "client 10.0.0.9")
        self.assertIn("protected mode", str(line["reason"]))

    def test_socket_options_that_are_refused(self) -> None:
        """The bounds hold even so: they are there before."""

        class Refusing(Wire):
            def setTcpNoDelay(self, enabled: bool) -> None:
                raise OSError(95, "Operation not supported")

        connection, wire = Server().factory.buildProtocol(None), Refusing()
        directlyProvides(wire, ITCPTransport)
        self.assertRaises(OSError, connection.makeConnection, wire)
        self.assertIs(wire.producer, connection)
        self.assertIsNotNone(connection.pipeline.source)

    def test_clients(self) -> None:
        server = Server(default_limits(clients_max=1, descriptor_max=900))
        lines: list[LogEvent] = []
        globalLogPublisher.addObserver(lines.append)
        self.addCleanup(globalLogPublisher.removeObserver, lines.append)
        for _ in range(3):
            server.connect()
        (line,) = lines
        self.assertIn("1 clients are connected", str(line["reason"]))

    def test_what_config_shows(self) -> None:
        for limits, keepalive, timeout in (
            (None, b"300", b"0"),
            (default_limits(keepalive_s=0, timeout_s=0.5), b"0", b"0.5"),
            (default_limits(keepalive_s=60, timeout_s=3600.0), b"60", b"3600"),
        ):
            connection, wire = Server(limits).connect()
            connection.dataReceived(encode("CONFIG GET tcp-keepalive", "CONFIG GET timeout"))
            for name, value in ((b"tcp-keepalive", keepalive), (b"timeout", timeout)):
                self.assertIn(b"%b\r\n$%d\r\n%b\r\n" % (name, len(value), value), wire.value())
