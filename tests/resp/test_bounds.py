"""What one client, and all together, may make the server hold or do."""

from __future__ import annotations

import itertools
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from tests.defaults import default_limits
from tests.resp.lab import (
    Server,
    encode,
)


class BoundTests(SynchronousTestCase):
    def test_pipelines(self) -> None:
        for limits in (default_limits(pipeline_commands_max=10), default_limits(pipeline_bytes_max=200)):
            server = Server(limits)
            connection, wire = server.connect()
            connection.dataReceived(encode(*["SET a 1"] * 10))
            self.assertEqual(wire.producerState, "paused")
            server.replica.run()
            self.assertEqual(wire.producerState, "producing")

    def test_a_client_that_does_not_read(self) -> None:
        connection, wire = Server().connect()
        connection.pauseProducing()
        self.assertEqual(wire.producerState, "paused")
        connection.resumeProducing()
        self.assertEqual(wire.producerState, "producing")

    def test_number_of_clients(self) -> None:
        server = Server(default_limits(clients_max=1))
        connection, _wire = server.connect()
        refused, refused_wire = server.connect()
        self.assertEqual(refused_wire.value(), b"-ERR max number of clients reached\r\n")
        self.assertTrue(refused_wire.disconnecting)
        refused.dataReceived(encode("SET a 1"))
        self.assertEqual(server.replica.submitted, [])
        connection.connectionLost()
        self.assertEqual(server.connect()[1].value(), b"")

    def test_a_client_that_left(self) -> None:
        server = Server()
        connection, wire = server.connect()
        connection.dataReceived(encode("SET a 1"))
        connection.connectionLost()
        server.replica.run()
        self.assertEqual(wire.value(), b"")
        self.assertEqual(dict(server.replica.store.entries()), {b"a": b"1"})

    def test_shapes_do_not_pile_up(self) -> None:
        server = Server()
        connection, _ = server.connect()
        for name, length in itertools.product(
            map("".join, itertools.product("Mm", "Gg", "Ee", "Tt")), range(1, 270)
        ):
            connection.dataReceived(encode(name + " x" * length))
            server.replica.held.clear()
        self.assertGreater(len(server.factory.shared.shapes._valid), 4000)
        self.assertLessEqual(len(server.factory.shared.shapes._valid), 4097)

    def test_complaints_are_bounded(self) -> None:
        """What clients do wrong is up to them: the log does not grow with it."""
        server = Server()
        lines: list[LogEvent] = []
        globalLogPublisher.addObserver(lines.append)
        self.addCleanup(globalLogPublisher.removeObserver, lines.append)
        for _ in range(500):
            connection, wire = server.connect()
            connection.dataReceived(b"*1\r\n*1\r\n")
            self.assertIn(b"-ERR", wire.value())
            connection.connectionLost()
        self.assertEqual(len(lines), 1)

    def test_long_pipelines_of_what_is_answered_here_give_way(self) -> None:
        """Ten thousand INFOs fit into one read.  What comes behind them is answered behind them."""
        server = Server()
        connection, wire = server.connect()
        now_s = [0.0]
        server.factory.shared.seconds = lambda: now_s[0]  # type: ignore[method-assign]

        def keyspace() -> dict[int, tuple[int, int]]:
            now_s[0] += 0.002
            return {}

        def later(*call: Any) -> Any:
            if call[1] == connection._sorter._go_on:
                turns.append(call)
            return Clock.callLater(server.clock, *call)

        turns: list[object] = []
        server.clock.callLater = later  # type: ignore[method-assign]
        server.replica.keyspace = keyspace  # type: ignore[method-assign]
        pipeline = encode("SET a 1", *["INFO cluster"] * 10, "SET b 1", "MULTI", "SET zz 1", "EXEC", "ECHO x")
        for error in (b"", b"*x\r\n"):
            connection.dataReceived(pipeline + error)
            server.replica.run()
            self.assertEqual(wire.value().count(b"# Cluster"), 3)
            self.assertEqual(wire.producerState, "paused")
            if not error:
                connection.dataReceived(encode("GET b"))  # that was on its way
            server.clock.advance(0)
            server.replica.run()
            self.assertEqual(wire.value().count(b"# Cluster"), 10)
            self.assertEqual(len(turns), 3, "after each three of them")
            turns.clear()
            self.assertIn(b"+QUEUED\r\n*1\r\n+OK\r\n", wire.value())
            end = b"-ERR Protocol error: invalid multibulk length\r\n" if error else b"$1\r\n1\r\n"
            self.assertTrue(wire.value().endswith(b"$1\r\nx\r\n" + end), wire.value()[-80:])
            self.assertEqual(wire.disconnecting, bool(error))
            self.assertEqual(connection.pipeline.is_paused, False)
            wire.clear()
        self.assertEqual(dict(server.replica.store.entries())[b"zz"], b"1")

    def test_answers_that_are_too_much_are_not_gathered(self) -> None:
        """`CLIENT LIST` is as long as there are clients; a read of 64 KB may ask for it 5000 times."""
        server = Server(default_limits(pipeline_bytes_max=30_000))
        connection, wire = server.connect()
        for _ in range(50):
            server.connect()
        for _ in range(10):  # each read for itself
            connection.dataReceived(b"CLIENT LIST\r\n" * 4)
        self.assertFalse(wire.disconnected)
        self.assertGreater(len(wire.value()), 10 * 4 * 50 * 20)
        self.assertGreater(len(wire.value()), 2 * 30_000)
        wire.clear()
        connection.dataReceived(b"GET a\r\n" + b"CLIENT LIST\r\n" * 5000)
        self.assertTrue(wire.disconnected)
        self.assertEqual(wire.value(), b"")
        connection.connectionLost()
        server.replica.run()
        self.assertEqual(wire.value(), b"")

    def test_answers_that_are_too_much_in_many_turns(self) -> None:
        """All turns that one read takes count together, whatever the client takes in between."""
        server = Server(default_limits(pipeline_bytes_max=30_000))
        connection, wire = server.connect()
        for _ in range(50):
            server.connect()

        def seconds() -> float:  # each look at the clock is in another turn
            server.clock.rightNow += 1
            return server.clock.rightNow

        self.patch(server.factory.shared, "seconds", seconds)
        connection.dataReceived(b"CLIENT LIST\r\n" * 100)
        for _ in range(100):
            server.clock.advance(0)
        self.assertTrue(wire.disconnected)
        self.assertTrue(30_000 < len(wire.value()) < 90_000, len(wire.value()))
