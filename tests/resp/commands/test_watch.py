"""Transactions and WATCH where things go wrong: failures, bounds, hang-ups, and EXEC inside of ONCE."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import Unavailable
from epaxos.interfaces.composites import EXEC, LIVES, UNWATCH, WATCH
from epaxos.resp.commands.transactions import OWN_MAX, QUEUED_MAX
from epaxos.resp.watching import WATCHED_MAX
from tests.defaults import default_limits
from tests.resp.lab import Server, encode, encode_raw

FAILED = Unavailable("CLUSTERDOWN no quorum; the command may still run", True)
QUEUED = b"+QUEUED\r\n"


class WatchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.server = Server()
        self.replica = self.server.replica
        self.connection, self.wire = self.server.connect()

    def told(self, *texts: str, run: bool = True) -> bytes:
        self.wire.clear()
        self.connection.dataReceived(encode(*texts))
        if run:
            self.replica.run()
            self.server.clock.advance(0)
            self.replica.run()
        return bytes(self.wire.value())

    def names(self) -> list[bytes]:
        return [command[0] for commands, _ in self.replica.held for command in commands]

    def test_one_submission(self) -> None:
        """Transactions that come together are one batch, and so are their answers."""
        texts = ["MULTI", "SET a 1", "INCR a", "EXEC"] * 3
        told = self.told(*texts)
        self.assertEqual(self.replica.submitted, [3])
        self.assertEqual(told, (b"+OK\r\n" + QUEUED * 2 + b"*2\r\n+OK\r\n:2\r\n") * 3)

    def test_the_first_watch_of_a_life(self) -> None:
        """Ends the marks of the lives before, until one has been answered."""
        self.told("WATCH a", run=False)
        self.assertEqual(self.names(), [LIVES, WATCH])
        self.replica.fail(FAILED)
        self.told("WATCH b", run=False)
        self.assertEqual(self.names(), [LIVES, WATCH])
        self.replica.run()
        self.told("WATCH c", run=False)
        self.assertEqual(self.names(), [WATCH])

    def test_a_watch_that_failed(self) -> None:
        """EXEC runs nothing, because nobody knows since when the mark stands."""
        self.told("WATCH a", run=False)
        self.replica.fail(FAILED)
        self.assertEqual(self.wire.value(), b"-%b\r\n" % str(FAILED).encode())
        self.assertTrue(self.told("MULTI", "SET a 1", "EXEC").endswith(QUEUED + b"*-1\r\n"))
        self.assertTrue(self.told("MULTI", "SET a 1", "EXEC").endswith(QUEUED + b"*1\r\n+OK\r\n"))

    def test_an_exec_that_failed(self) -> None:
        self.told("MULTI", "SET a 1", "PING", "EXEC", run=False)
        self.replica.fail(FAILED)
        self.assertTrue(self.wire.value().endswith(QUEUED + b"-%b\r\n" % str(FAILED).encode()))
        self.assertEqual(self.told("GET a"), b"$-1\r\n")

    def test_a_client_that_is_gone(self) -> None:
        """Its mark ends, and what it has watched is free for others."""
        self.told("WATCH a b")
        self.assertEqual(self.server.factory.shared.watching.keys, 2)
        self.connection.connectionLost()
        self.assertEqual(self.names(), [UNWATCH])
        self.replica.run()
        self.assertEqual(self.server.factory.shared.watching.keys, 0)
        self.assertTrue(self.replica.store._state.marks.is_empty)

    def test_too_many_keys(self) -> None:
        texts = ["WATCH " + " ".join(f"k{number}" for number in range(WATCHED_MAX)), "WATCH more"]
        told = self.told(*texts)
        self.assertTrue(told.startswith(b"+OK\r\n-ERR too many keys are watched"), told)
        self.assertTrue(self.told("MULTI", "EXEC").endswith(b"*-1\r\n"))
        self.assertEqual(self.told("WATCH more"), b"+OK\r\n")

    def test_too_long_a_transaction(self) -> None:
        """Each row: what it repeats, how often it may, and why no more often."""
        bytes_max = 3_000_000
        for text, most, why in (
            ("SET a v", QUEUED_MAX, f"more than {QUEUED_MAX} commands, or than {bytes_max} bytes"),
            ("SET a " + "v" * 900_000, 3, f"more than {QUEUED_MAX} commands, or than {bytes_max} bytes"),
            ("PING", OWN_MAX, f"more than {OWN_MAX} commands that this replica answers by itself"),
            ("COMMAND", OWN_MAX // 20, f"more than {OWN_MAX} commands that this replica answers by itself"),
            ("CLIENT ID", OWN_MAX // 20, f"more than {OWN_MAX} commands that this replica answers by itself"),
            ("INFO", OWN_MAX // 5, f"more than {OWN_MAX} commands that this replica answers by itself"),
            (
                "CONFIG GET *",
                OWN_MAX // 10,
                f"more than {OWN_MAX} commands that this replica answers by itself",
            ),
            ("SET a v EX 0", OWN_MAX, f"more than {OWN_MAX} commands that this replica answers by itself"),
        ):
            self.server = Server(default_limits(pipeline_bytes_max=bytes_max))
            self.replica = self.server.replica
            self.connection, self.wire = self.server.connect()
            told = b""
            for each in ("MULTI", *[text] * most):
                told += self.told(each)
            self.assertEqual(told, b"+OK\r\n" + QUEUED * most)
            told = self.told("EXEC", "MULTI")
            self.assertTrue(told.startswith(b"*%d\r\n" % most), told[:99])
            for each in [text] * most:
                self.told(each)
            self.assertIn(f"-ERR the transaction is too long: {why}\r\n".encode(), self.told(text))
            self.assertEqual(
                self.told("EXEC"), b"-EXECABORT Transaction discarded because of previous errors.\r\n"
            )

    def test_what_is_queued_counts(self) -> None:
        """In the bytes that all clients together make the replica hold, until EXEC or DISCARD."""
        self.told("MULTI", f"SET a {'v' * 100_000}")
        held = self.connection.pipeline.account.held_bytes
        self.assertGreater(held, 100_000)
        self.told("DISCARD")
        self.assertLess(self.connection.pipeline.account.held_bytes, 1000)

    def test_what_comes_behind_an_exec_that_may_change_the_database(self) -> None:
        """It is looked at once it is known whether the transaction has run."""
        self.told("WATCH a")
        self.told("MULTI", "SELECT 2", "EXEC", "SET b 1", run=False)
        self.assertEqual(self.names(), [EXEC])
        told = self.told("GET b")
        self.assertTrue(told.endswith(b"+OK\r\n$1\r\n1\r\n"), told)
        self.assertTrue(self.told("SELECT 0", "GET b").endswith(b"$-1\r\n"))

    def test_a_database_is_chosen_by_what_has_run_alone(self) -> None:
        """Without WATCH, too."""
        self.told("MULTI", "SELECT 3", "SET a 1", "EXEC", run=False)
        self.replica.fail(Unavailable("CLUSTERDOWN; the command was not run", False))
        self.server.clock.advance(0)
        self.told("SET b 1")
        self.assertEqual(
            self.told("SELECT 3", "GET b", "SELECT 0", "GET b")[5:], b"$-1\r\n+OK\r\n$1\r\n1\r\n"
        )
        self.told("MULTI", "SELECT 3", "SET a 1", "EXEC")
        self.told("SET b 3")
        self.assertEqual(self.told("GET b", "GET a"), b"$1\r\n3\r\n$1\r\n1\r\n")

    def test_the_protocol_changes_inside(self) -> None:
        told = self.told("MULTI", "HELLO 3", "GET nothing", "EXEC", "GET nothing")
        self.assertIn(b"*2\r\n%", told)
        self.assertTrue(told.endswith(b"_\r\n_\r\n"), told)

    def test_a_client_that_is_gone_listens_to_nothing(self) -> None:
        self.told("HELLO 3", "MULTI", "GET a", "SUBSCRIBE +sdown", "EXEC", run=False)
        self.assertEqual(self.names(), [EXEC])
        self.connection.connectionLost()
        self.replica.run()
        self.assertEqual(self.server.clock.getDelayedCalls(), [])

    def leave_a_mark(self) -> None:
        """EXEC is refused, so it does not end the mark."""
        self.told("WATCH a")
        self.told("MULTI", "SET b 1", "EXEC", run=False)
        self.replica.fail(Unavailable("CLUSTERDOWN; the command was not run", False))
        self.assertFalse(self.replica.store._state.marks.is_empty)

    def test_a_mark_that_exec_has_left(self) -> None:
        """It is ended with the next WATCH, with what ends marks, and when the client goes; once."""
        for texts in (["WATCH b"], ["UNWATCH"], ["RESET"], ["MULTI", "DISCARD"]):
            self.setUp()
            self.leave_a_mark()
            self.assertEqual(self.told("MULTI", "SET a 2", "EXEC")[-5:], b"+OK\r\n")  # which has no mark
            self.told(*texts, run=False)
            self.assertEqual(self.names()[:1], [UNWATCH], f"{texts}")
            self.replica.run()
            self.assertEqual(self.told("MULTI", "SET b 2", "EXEC")[-5:], b"+OK\r\n", f"{texts}")
            self.assertTrue(self.replica.store._state.marks.is_empty, f"{texts}")
            self.connection.connectionLost()
            self.assertEqual(self.names(), [])
        self.setUp()
        self.leave_a_mark()
        self.connection.connectionLost()
        self.assertEqual(self.names(), [UNWATCH])
        self.replica.run()
        self.assertTrue(self.replica.store._state.marks.is_empty)

    def test_a_mark_that_unwatch_has_left(self) -> None:
        self.leave_a_mark()
        for text in ("UNWATCH", "WATCH b"):
            self.told(text, run=False)
            self.assertEqual(self.names()[:1], [UNWATCH])
            self.replica.fail(FAILED)
        self.assertEqual(self.told("MULTI", "EXEC")[-5:], b"*-1\r\n")
        self.assertTrue(self.replica.store._state.marks.is_empty)

    def test_an_exec_under_way(self) -> None:
        """What it has left is not known when the next WATCH comes, which another EXEC ends."""
        texts = ["WATCH a", "MULTI", "SET b 1", "EXEC"]
        self.told(*texts, *texts, run=False)
        self.replica.run()
        self.assertEqual(self.wire.value(), (b"+OK\r\n+OK\r\n" + QUEUED + b"*1\r\n+OK\r\n") * 2)
        self.assertTrue(self.replica.store._state.marks.is_empty)
        self.connection.connectionLost()
        self.assertEqual(self.names(), [])

    def test_not_inside(self) -> None:
        for text in ("EPAXOS STATUS", "EPAXOS ONCE 1 2 3 GET a", "CLIENT REPLY OFF"):
            told = self.told("MULTI", text, "EXEC")
            self.assertTrue(told.startswith(b"+OK\r\n-ERR Command not allowed inside a transaction\r\n"))
            self.assertTrue(
                told.endswith(b"-EXECABORT Transaction discarded because of previous errors.\r\n")
            )

    def test_names_that_no_client_may_use(self) -> None:
        for name in (EXEC, WATCH, UNWATCH, LIVES, b"\0IN"):
            for before in ([], ["MULTI"], ["SELECT 3"]):
                self.setUp()
                self.told(*before) if before else None
                self.wire.clear()
                self.connection.dataReceived(encode_raw(name, b"0", b"", b"0", b"0", b"1", b"PING"))
                self.assertTrue(self.wire.value().startswith(b"-ERR unknown command"), self.wire.value())
                self.assertEqual(self.replica.held, [])

    def test_client_list(self) -> None:
        self.told("SELECT 7", "MULTI", "SET a 1")
        other, wire = self.server.connect()
        other.dataReceived(encode("CLIENT LIST"))
        line = next(line for line in wire.value().split(b"\n") if b"multi=1 " in line)
        self.assertIn(b" flags=x db=7 ", line)


class OnceTests(SynchronousTestCase):
    """EPAXOS ONCE session number acked EXEC: the transaction as one number of a session."""

    def test_twice(self) -> None:
        from epaxos.statemachines.once.machine import ExactlyOnce

        server = Server()
        store: Any = server.replica.store
        server.replica.store = ExactlyOnce(store, store, lambda: b"s" * 16, lambda: 0.0)  # type: ignore[assignment]
        connection, wire = server.connect()
        session = (b"s" * 16).hex()
        connection.dataReceived(encode("EPAXOS SESSION"))
        server.replica.run()
        for reply in (b"*2\r\n:1\r\n:2\r\n", b"*2\r\n:1\r\n:2\r\n"):
            wire.clear()
            connection.dataReceived(encode("MULTI", "INCR a", "INCR a", f"EPAXOS ONCE {session} 1 0 EXEC"))
            server.replica.run()
            self.assertTrue(wire.value().endswith(QUEUED + reply), wire.value())
        for more in (["INCR a"] * 3, ["INCR a"]):
            wire.clear()
            connection.dataReceived(encode("MULTI", *more, f"EPAXOS ONCE {session} 1 0 EXEC"))
            server.replica.run()
            self.assertTrue(wire.value().endswith(QUEUED + b"*2\r\n:1\r\n:2\r\n"), wire.value())
        wire.clear()
        connection.dataReceived(encode(f"EPAXOS ONCE {session} 2 0 EXEC"))
        self.assertTrue(wire.value().startswith(b"-ONCEREFUSED"), wire.value())
