"""A connection to the Redis port of a replica."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from epaxos.client.connection import Connection, connect
from epaxos.client.errors import LostError, ReplyError


class ConnectionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.connection = Connection()
        self.transport = StringTransport()
        self.connection.makeConnection(self.transport)

    def test_what_is_asked_and_answered(self) -> None:
        for command, asked, answer, reply in (
            (("GET", "a"), b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n", b"$1\r\nb\r\n", b"b"),
            (("GET", b"\xff"), b"*2\r\n$3\r\nGET\r\n$1\r\n\xff\r\n", b"$-1\r\n", None),
            (("PING",), b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n", b"PONG"),
            (("INCR", "n"), b"*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n", b":7\r\n", 7),
            (("MGET", "a"), b"*2\r\n$4\r\nMGET\r\n$1\r\na\r\n", b"*2\r\n$-1\r\n:1\r\n", [None, 1]),
        ):
            self.transport.clear()
            replied = self.connection.ask(*command)
            self.assertEqual(self.transport.value(), asked)
            self.assertNoResult(replied)
            for piece in (answer[:3], answer[3:]):
                self.connection.dataReceived(piece)
            self.assertEqual(self.successResultOf(replied), reply)

    def test_several_are_answered_in_order(self) -> None:
        first, second = self.connection.ask("GET", "a"), self.connection.ask("GET", "b")
        self.connection.dataReceived(b":1\r\n:2\r\n")
        self.assertEqual([self.successResultOf(reply) for reply in (first, second)], [1, 2])

    def test_an_error_is_a_failure(self) -> None:
        replied = self.connection.ask("NONSENSE")
        self.connection.dataReceived(b"-ERR unknown command\r\n")
        self.assertEqual(str(self.failureResultOf(replied, ReplyError).value), "ERR unknown command")

    def test_who_answers_unasked_is_left(self) -> None:
        """Else each reply would be taken for that of the command after."""
        for unasked, why in (
            (b"+OK\r\n", "it answers unasked"),
            (b"-ERR too many clients\r\n", "ERR too many"),
        ):
            connection, transport = Connection(), StringTransport()
            connection.makeConnection(transport)
            replied = connection.ask("GET", "a")
            connection.dataReceived(b":1\r\n" + unasked)
            self.assertEqual(self.successResultOf(replied), 1)
            self.assertTrue(transport.disconnected)
            connection.connectionLost(Failure(ConnectionDone()))
            self.assertIn(why, str(self.failureResultOf(connection.ask("GET", "b"), LostError).value))

    def test_when_it_is_lost_all_who_wait_are_told(self) -> None:
        waiting = [self.connection.ask("GET", key) for key in "ab"]
        self.connection.close()
        self.assertTrue(self.transport.disconnecting)
        self.assertNoResult(self.connection.closed)
        self.connection.connectionLost(Failure(ConnectionDone()))
        for replied in waiting:
            self.failureResultOf(replied, LostError)
        self.successResultOf(self.connection.closed)


class ConnectTests(SynchronousTestCase):
    """Connecting to a replica with a password, and to one without."""

    def setUp(self) -> None:
        self.connection = Connection()
        self.transport = StringTransport()
        self.connection.makeConnection(self.transport)
        self.endpoint: Any = SimpleNamespace(connect=lambda factory: succeed(self.connection))

    def test_without_a_password(self) -> None:
        self.assertIs(self.successResultOf(connect(self.endpoint)), self.connection)
        self.assertEqual(self.transport.value(), b"")

    def test_the_password_is_given_first(self) -> None:
        connected = connect(self.endpoint, "pw")
        self.assertEqual(self.transport.value(), b"*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n")
        self.assertNoResult(connected)
        self.connection.dataReceived(b"+OK\r\n")
        self.assertIs(self.successResultOf(connected), self.connection)
        self.assertFalse(self.transport.disconnecting)

    def test_a_password_that_is_refused(self) -> None:
        connected = connect(self.endpoint, "pw")
        self.connection.dataReceived(b"-WRONGPASS no\r\n")
        self.assertNoResult(connected)
        self.assertTrue(self.transport.disconnecting)
        self.connection.connectionLost(Failure(ConnectionDone()))
        self.failureResultOf(connected, ReplyError)
