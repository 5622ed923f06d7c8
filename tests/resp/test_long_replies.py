"""Long replies, on real sockets: written in steps, held once."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor as the_reactor
from twisted.internet.defer import inlineCallbacks
from twisted.internet.threads import deferToThread

from epaxos.interfaces import Unavailable
from epaxos.net.eager_write import send_promptly
from epaxos.resp import pipeline
from epaxos.resp.connection import RespConnection
from epaxos.resp.pipeline import SEND_BYTES
from tests.builds import plain_only
from tests.defaults import default_limits
from tests.net.lab import turns, until
from tests.resp.lab import (
    LONG,
    MEGABYTES,
    SocketCase,
    encode,
    held_bytes,
    take,
    take_rest,
)

reactor: Any = the_reactor


class LongReplyTests(SocketCase):
    @inlineCallbacks
    def test_one_read_for_much(self) -> Any:
        """8 KB that ask for gigabytes: all comes, in order, and next to nothing is held for it."""
        self.serve()
        array = b"*100\r\n"
        for version, ask, expected in (
            (2, encode(*["GET big"] * 100), [LONG] * 100),
            (3, encode("MGET" + " big" * 100), [array, *[LONG] * 100]),
            (2, encode("GET small", "MGET big small no big", "GET small"), [
                b"$1\r\ns\r\n*4\r\n", LONG, b"$1\r\ns\r\n$-1\r\n", LONG, b"$1\r\ns\r\n"
            ]),
            (3, encode("MGET big no", "PING", "GET big", "PING"), [
                b"*2\r\n", LONG, b"_\r\n", b"+PONG\r\n", LONG, b"+PONG\r\n"
            ]),
        ):  # fmt: skip
            connection, client = yield self.connect()
            connection.session.resp = version
            highest = [0]
            taken = deferToThread(take, client, *expected)
            client.send(ask)

            def look(highest: list[int] = highest, connection: RespConnection = connection) -> None:
                wire = connection.transport
                highest[0] = max(highest[0], len(wire.dataBuffer) + wire._tempDataLen)
                self.assertLess(self.holdings.total_bytes, len(MEGABYTES) + 200_000)

            looking: list[Any] = []
            taken.addBoth(lambda result, looking=looking: (looking.append(1), result)[1])
            yield until(lambda look=look, looking=looking: look() or bool(looking))
            self.assertTrue((yield taken))
            self.assertLessEqual(highest[0], 1024)
            yield until(lambda connection=connection: not held_bytes(connection))
            client.send(encode("GET small"))
            self.assertTrue((yield deferToThread(take, client, b"$1\r\ns\r\n")))

    @inlineCallbacks
    def test_answers_of_the_connection_behind_long_replies(self) -> Any:
        """Only they count in what one read may ask a connection itself for."""
        self.serve()
        self.replica.call_later = lambda _, run: run()  # so that all replies are there before the first INFO
        self.assertGreater(20 * len(MEGABYTES), 2 * self.factory.shared.limits.pipeline_bytes_max)
        connection, client = yield self.connect()
        client.sendall(encode(*["GET big"] * 20, *["INFO"] * 50, "PING"))
        self.assertTrue((yield deferToThread(take, client, *[LONG] * 20)))

        def take_information() -> int:
            data = b""
            while not data.endswith(b"+PONG\r\n"):
                piece = client.recv(1 << 20)
                if not piece:
                    break
                data += piece
            return data.count(b"# Server")

        self.assertEqual((yield deferToThread(take_information)), 50)
        self.assertIn(connection, self.factory.connections)

    @plain_only
    @inlineCallbacks
    def test_a_step_is_short(self) -> Any:
        """Also where the kernel would take a whole long value."""
        sizes: list[int] = []

        def send(transport: Any, data: bytes | memoryview) -> int:
            sizes.append(len(data))
            return send_promptly(transport, data)

        self.patch(pipeline, "send_promptly", send)
        self.serve()
        _, client = yield self.connect()
        client.send(encode("GET big", "MGET big big"))
        self.assertTrue((yield deferToThread(take, client, LONG, b"*2\r\n", LONG, LONG)))
        self.assertEqual(max(sizes), SEND_BYTES)

    @inlineCallbacks
    def test_many_clients_in_one_turn(self) -> Any:
        """`Together` answers them; one that takes nothing keeps nobody waiting."""
        self.serve(at_once=False)
        pairs = []
        for _ in range(20):
            pairs.append((yield self.connect(20_000)))
        for _, client in pairs:
            client.send(encode("GET big", "MGET big small"))
        yield until(lambda: sum(self.replica.submitted) == 40)
        self.replica.run()
        yield turns(10)
        self.assertLess(self.holdings.total_bytes, len(MEGABYTES) + 20 * 100_000)
        self.assertEqual([connection.pipeline.is_paused for connection, _ in pairs], [True] * 20)
        lazy, *others = pairs
        expected = (LONG, b"*2\r\n", LONG, b"$1\r\ns\r\n")
        for _, client in others:
            self.assertTrue((yield deferToThread(take, client, *expected)))
        yield until(lambda: not any(held_bytes(connection) for connection, _ in others))
        self.assertGreater(held_bytes(lazy[0]), len(MEGABYTES))
        self.assertTrue((yield deferToThread(take, lazy[1], *expected)))

    @inlineCallbacks
    def test_in_order(self) -> Any:
        """Long replies wait for a short one that is late, as they are stored; then all come in order."""
        self.serve(at_once=False)
        connection, client = yield self.connect()
        for command in ("GET small", "GET big", "PING", "GET small", "GET big"):
            before = len(self.replica.submitted)
            client.send(encode(command))
            if command != "PING":
                yield until(lambda before=before: len(self.replica.submitted) > before)
        first, *others = self.replica.held
        self.replica.held = others
        self.replica.run()
        yield turns(5)
        self.assertTrue(len(MEGABYTES) < self.holdings.total_bytes < len(MEGABYTES) + 10_000)
        self.assertGreater(connection.pipeline._bytes, 2 * len(MEGABYTES))
        self.replica.held = [first]
        self.replica.run()
        expected = (b"$1\r\ns\r\n", LONG, b"+PONG\r\n$1\r\ns\r\n", LONG)
        self.assertTrue((yield deferToThread(take, client, *expected)))

    @inlineCallbacks
    def test_what_is_not_taken_counts_by_its_size(self) -> Any:
        """Beyond the bound no more commands are read, though their replies wait only for their turn."""
        self.serve(default_limits(pipeline_bytes_max=4 * len(MEGABYTES)), at_once=False)
        connection, client = yield self.connect()
        client.send(encode("GET small"))
        yield until(lambda: len(self.replica.submitted) == 1)
        client.send(encode("GET big", "GET big", "GET big"))
        yield until(lambda: len(self.replica.submitted) == 2)
        first, *others = self.replica.held
        self.replica.held = others
        self.replica.run()
        self.assertFalse(connection.pipeline.is_paused)
        client.send(encode("GET big"))
        yield until(lambda: len(self.replica.submitted) == 3)
        self.replica.run()
        self.assertTrue(connection.pipeline.is_paused)
        self.replica.held = [first]
        self.replica.run()
        self.assertTrue((yield deferToThread(take, client, b"$1\r\ns\r\n", LONG, LONG, LONG, LONG)))
        yield until(lambda: not connection.pipeline.is_paused)

    @inlineCallbacks
    def test_a_failure_of_many(self) -> Any:
        """Says so to each command, also where the text is long."""
        self.serve(at_once=False)
        _, client = yield self.connect()
        client.send(encode(*["GET a"] * 1000))
        yield until(lambda: sum(self.replica.submitted) == 1000)
        self.replica.fail(Unavailable("CLUSTERDOWN " + "x" * 1000, True))
        self.assertTrue(
            (yield deferToThread(take, client, (b"-CLUSTERDOWN " + b"x" * 1000 + b"\r\n") * 1000))
        )

    @inlineCallbacks
    def test_a_reply_that_is_none(self) -> Any:
        """A bug of the state machine costs the connections that ask for it."""
        self.serve(at_once=False)
        connection, client = yield self.connect()
        client.send(encode("GET a"))
        yield until(lambda: len(self.replica.submitted) == 1)
        ((_, done),) = self.replica.held
        self.replica.held = []
        done([[b"v"] * 2000 + [1j]])  # type: ignore[list-item]
        yield until(lambda: connection not in self.factory.connections)
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)


class TogetherBoundTests(SocketCase):
    @inlineCallbacks
    def test_the_one_that_holds_most_is_cut_off(self) -> Any:
        """Values that only unread replies keep alive add up; a value that several wait for counts once."""
        self.serve(default_limits(clients_bytes_max=30_000_000))
        pairs = []
        for number in range(6):
            pairs.append((yield self.connect(20_000)))
            pairs[-1][1].send(encode("GET big"))
            yield until(lambda number=number: len(self.replica.submitted) == number + 1)
            yield until(lambda: not self.replica.held)
        yield turns(5)
        self.assertLess(self.holdings.total_bytes, len(MEGABYTES) + 600_000)
        greedy, client = yield self.connect(20_000)
        for number in range(8):
            self.replica.store._state.data[b"big%d" % number] = bytes(4_000_000)
        client.send(encode("MGET big0 big1 big2 big3"))
        yield until(lambda: held_bytes(greedy) > 16_000_000)
        second, other = yield self.connect(20_000)
        other.send(encode("MGET big4 big5 big6"))
        yield until(lambda: greedy not in self.factory.connections)
        self.assertEqual(
            self.said("it holds 15 MiB, and all clients together more than clients_bytes_max"), 1
        )
        self.assertRaises(ConnectionError, take_rest, client)
        self.assertIn(second, self.factory.connections)
        for _, client in pairs:
            self.assertTrue((yield deferToThread(take, client, LONG)))

    @inlineCallbacks
    def test_one_reply_that_is_too_much(self) -> Any:
        """Cuts off the client that asks for it; its own connection is the one that holds the most."""
        self.serve(default_limits(clients_bytes_max=4_000_000))
        _, other = yield self.connect()
        connection, client = yield self.connect()
        client.send(encode("GET big"))
        yield until(lambda: connection not in self.factory.connections)
        self.assertRaises(ConnectionError, take_rest, client)
        other.send(encode("PING"))
        self.assertTrue((yield deferToThread(take, other, b"+PONG\r\n")))

    @inlineCallbacks
    def test_commands_that_come(self) -> Any:
        """Long ones count as well, and no more once they are answered."""
        self.serve(default_limits(clients_bytes_max=10_000_000), at_once=False)
        first, client = yield self.connect()
        client.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$4000000\r\n" + bytes(3_900_000))
        yield until(lambda: held_bytes(first) > 3_900_000)
        client.sendall(bytes(100_000) + b"\r\n")
        yield until(lambda: len(self.replica.submitted) == 1)
        self.assertGreater(held_bytes(first), 4_000_000)
        self.replica.run()
        self.assertEqual((held_bytes(first), self.holdings.total_bytes), (0, 0))
        self.assertTrue((yield deferToThread(take, client, b"+OK\r\n")))
        second, other = yield self.connect()
        for sender in (client, other):
            yield deferToThread(
                sender.sendall, b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$8000000\r\n" + bytes(4_000_000)
            )
        yield until(lambda: self.holdings.total_bytes > 7_900_000)
        yield deferToThread(other.sendall, bytes(3_000_000))
        yield until(lambda: second not in self.factory.connections)
        self.assertIn(first, self.factory.connections)
