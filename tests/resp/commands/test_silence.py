"""CLIENT REPLY."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import Unavailable
from tests.resp.lab import (
    Server,
    encode,
)


class SilenceTests(SynchronousTestCase):
    def test_client_reply(self) -> None:
        """As Redis: data commands run, too, and only what they give is not sent."""
        for commands, answers in (
            (
                ["CLIENT REPLY OFF", "SET a 1", "PING", "NOPE", "CLIENT REPLY ON", "GET a"],
                b"+OK\r\n$1\r\n1\r\n",
            ),
            (["CLIENT REPLY SKIP", "SET a 1", "GET a"], b"$1\r\n1\r\n"),
            (["CLIENT REPLY SKIP", "CLIENT REPLY SKIP", "SET a 1", "GET a"], b"$1\r\n1\r\n"),
            (["SET a 1", "CLIENT REPLY OFF", "GET a", "RESET", "GET a"], b"+OK\r\n+RESET\r\n$1\r\n1\r\n"),
            (["SET a 1", "GET a", "CLIENT REPLY SKIP", "NOPE", "GET a"], b"+OK\r\n" + b"$1\r\n1\r\n" * 2),
            (["SET a 1", "CLIENT REPLY x"], b"+OK\r\n-ERR syntax error\r\n"),
        ):
            for reads in ([encode(*commands)], [encode(command) for command in commands]):
                server = Server()
                connection, wire = server.connect()
                for read in reads:
                    server.factory.shared.receive([(connection, read)])
                    server.replica.run()
                self.assertEqual(wire.value(), answers, f"{commands}")
                self.assertEqual(dict(server.replica.store.entries()), {b"a": b"1"}, f"{commands}")

    def test_unavailable(self) -> None:
        server = Server()
        connection, wire = server.connect()
        connection.dataReceived(encode("CLIENT REPLY OFF", "GET a", "CLIENT REPLY ON"))
        server.replica.fail(Unavailable("CLUSTERDOWN no quorum", True))
        self.assertEqual(wire.value(), b"+OK\r\n")

    def test_it_closes(self) -> None:
        for last in (encode("QUIT"), b"*x\r\n"):
            connection, wire = Server().connect()
            connection.dataReceived(encode("CLIENT REPLY OFF") + last)
            self.assertEqual((wire.value(), wire.disconnecting), (b"", True))
