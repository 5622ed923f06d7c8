"""A connection to the Redis port of a replica."""

from __future__ import annotations

from hiredis import ReplyError
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from epaxos.tools.redis_client import Connection


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

    def test_when_it_is_lost_all_who_wait_are_told(self) -> None:
        waiting = [self.connection.ask("GET", key) for key in "ab"]
        self.connection.close()
        self.assertTrue(self.transport.disconnecting)
        self.assertNoResult(self.connection.closed)
        self.connection.connectionLost(Failure(ConnectionDone()))
        for replied in waiting:
            self.failureResultOf(replied, ConnectionDone)
        self.successResultOf(self.connection.closed)
