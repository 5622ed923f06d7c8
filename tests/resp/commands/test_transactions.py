"""With a state machine that has no transactions, MULTI, EXEC and DISCARD are refused."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.resp.lab import (
    Server,
    encode,
)


class Without(Server):
    """A server whose state machine has no transactions."""

    def __init__(self) -> None:
        super().__init__()
        self.replica.databases = lambda: 0  # type: ignore[method-assign]


class TransactionTests(SynchronousTestCase):
    """MULTI is not served: nothing that was meant for a transaction runs outside of one."""

    MULTI = b"-ERR unknown command 'MULTI': transactions are not served; nothing runs up to EXEC\r\n"
    NOT_RUN = b"-ERR not run: MULTI was refused, and nothing runs up to EXEC, DISCARD or RESET\r\n"
    EXEC = b"-EXECABORT Transaction discarded because of previous errors.\r\n"
    DISCARD = b"-ERR DISCARD without MULTI\r\n"

    def test_nothing_runs(self) -> None:
        for commands, answers in (
            (["MULTI", "SET zz 1", "EXEC", "SET a 1"], [self.MULTI, self.NOT_RUN, self.EXEC, b"+OK\r\n"]),
            (
                ["multi", "SET zz 1", "Discard", "SET a 1"],
                [self.MULTI, self.NOT_RUN, self.DISCARD, b"+OK\r\n"],
            ),
            (["MULTI", "GET zz", "RESET", "SET a 1"], [self.MULTI, self.NOT_RUN, b"+RESET\r\n", b"+OK\r\n"]),
            (
                [
                    "MULTI",
                    "PING",
                    "NOPE",
                    "SET zz",
                    "MULTI",
                    "WATCH zz",
                    "CLIENT REPLY OFF",
                    "EXEC",
                    "SET a 1",
                ],
                [self.MULTI, *[self.NOT_RUN] * 6, self.EXEC, b"+OK\r\n"],
            ),
            (["MULTI", "DISCARD x", "SET zz 1", "EXEC", "SET a 1"], None),
            (["MULTI", "EXEC x", "SET a 1"], None),
            (["MULTI x", "SET a 1"], [b"-ERR wrong number of arguments for 'multi' command\r\n", b"+OK\r\n"]),
            (["EXEC", "SET a 1"], [b"-ERR EXEC without MULTI\r\n", b"+OK\r\n"]),
        ):
            for reads in ([encode(*commands)], [encode(command) for command in commands]):
                for alone in (False, True):
                    server = Without()
                    connection, wire = server.connect()
                    for read in reads:
                        if alone:
                            connection.dataReceived(read)
                        else:
                            server.factory.shared.receive([(connection, read)])
                    server.replica.run()
                    self.assertEqual(dict(server.replica.store.entries()), {b"a": b"1"}, f"{commands}")
                    if answers is not None:
                        self.assertEqual(wire.value(), b"".join(answers), f"{commands}")

    def test_it_is_over_with_the_connection(self) -> None:
        server = Without()
        connection, wire = server.connect()
        connection.dataReceived(encode("MULTI", "SET zz 1", "QUIT", "SET zz 2"))
        self.assertTrue(wire.disconnecting)
        other, other_wire = server.connect()
        other.dataReceived(encode("SET a 1"))
        server.replica.run()
        self.assertEqual(other_wire.value(), b"+OK\r\n")
        self.assertEqual(dict(server.replica.store.entries()), {b"a": b"1"})
