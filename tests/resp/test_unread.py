"""Long replies, and clients that do not take them: on real sockets."""

from __future__ import annotations

import os
import socket
import tempfile
from typing import Any

from twisted.internet import reactor as the_reactor
from twisted.internet.defer import inlineCallbacks
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.logger import LogEvent, Logger, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import directlyProvides

from epaxos.interfaces import Unavailable
from epaxos.net.eager_write import send_promptly
from epaxos.net.quiet_log import Complaints
from epaxos.resp import server as resp
from epaxos.resp.patience import LEAVE_S
from epaxos.resp.server import SEND_BYTES, RespConnection, RespFactory, RespLimits
from tests.builds import plain_only
from tests.net.test_shared_reader import turns, until
from tests.resp.test_server import OneReplica, Server, Wire, encode

reactor: Any = the_reactor
MEGABYTES = bytes(range(256)) * 20_000
LONG = b"$%d\r\n%b\r\n" % (len(MEGABYTES), MEGABYTES)


class Replica(OneReplica):
    """Answers at once, or when `run` is called; `big` is 5 MB."""

    def __init__(self, at_once: bool = True) -> None:
        super().__init__(reactor.callLater if at_once else None)
        self.store.restore({b"big": MEGABYTES, b"small": b"s"}, [])


class SocketCase(TestCase):
    timeout = 30

    def setUp(self) -> None:
        self.factory: Any = None

    def serve(self, limits: RespLimits | None = None, at_once: bool = True) -> None:
        self.replica = Replica(at_once)
        self.clock = Clock()  # of patience alone
        self.factory = RespFactory(self.replica, Complaints(Logger(), self.clock), limits, clock=reactor)
        self.factory.patience = type(self.factory.patience)(self.clock, self.factory.limits.timeout_s)
        self.port = self.listen()
        self.sockets: list[socket.socket] = []
        self.lines: list[LogEvent] = []
        globalLogPublisher.addObserver(self.lines.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.lines.append)

    def listen(self) -> Any:
        return reactor.listenTCP(0, self.factory, interface="127.0.0.1")

    def dial(self, receive_bytes: int | None) -> socket.socket:
        client = socket.socket()
        if receive_bytes is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        client.settimeout(20)
        client.connect(("127.0.0.1", self.port.getHost().port))
        return client

    @inlineCallbacks
    def tearDown(self) -> Any:
        if self.factory is None:
            return
        for client in self.sockets:
            client.close()
        for connection in self.factory.connections:
            connection._wire.abortConnection()
        yield until(lambda: not self.factory.connections)
        self.assertEqual(self.factory.holdings.total_bytes, 0)
        self.assertEqual(self.factory.holdings._holders, {})
        self.assertEqual(self.clock.getDelayedCalls(), [])
        yield self.port.stopListening()

    @inlineCallbacks
    def connect(self, receive_bytes: int | None = None) -> Any:
        """A connection, and its client, whose kernel takes no more than about `receive_bytes` unread."""
        before = set(self.factory.connections)
        client = self.dial(receive_bytes)
        self.sockets.append(client)
        yield until(lambda: len(self.factory.connections) > len(before))
        (connection,) = set(self.factory.connections) - before
        if receive_bytes is not None:
            connection.transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, receive_bytes)
        return connection, client

    def said(self, text: str) -> int:
        """How many lines of the log say that."""
        return sum(text in str(line.get("reason")) for line in self.lines)


def take(client: socket.socket, *expected: bytes) -> bool:
    """Read exactly these replies, one behind the other; called in a thread."""
    for reply in expected:
        view = memoryview(reply)
        while view:
            data = client.recv(min(len(view), 1 << 20))
            if not data or data != view[: len(data)]:
                return False
            view = view[len(data) :]
    return True


def take_rest(client: socket.socket) -> bytes:
    """All until the end; called in a thread."""
    data = bytearray()
    while piece := client.recv(1 << 20):
        data += piece
    return bytes(data)


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
            connection.resp = version
            highest = [0]
            taken = deferToThread(take, client, *expected)
            client.send(ask)

            def look(highest: list[int] = highest, connection: RespConnection = connection) -> None:
                wire = connection._wire
                highest[0] = max(highest[0], len(wire.dataBuffer) + wire._tempDataLen)
                self.assertLess(self.factory.holdings.total_bytes, len(MEGABYTES) + 200_000)

            looking: list[Any] = []
            taken.addBoth(lambda result, looking=looking: (looking.append(1), result)[1])
            yield until(lambda look=look, looking=looking: look() or bool(looking))
            self.assertTrue((yield taken))
            self.assertLessEqual(highest[0], 1024)
            yield until(lambda connection=connection: not connection.held_bytes)
            client.send(encode("GET small"))
            self.assertTrue((yield deferToThread(take, client, b"$1\r\ns\r\n")))

    @inlineCallbacks
    def test_answers_of_the_connection_behind_long_replies(self) -> Any:
        """Only they count in what one read may ask a connection itself for."""
        self.serve()
        self.replica.call_later = lambda _, run: run()  # so that all replies are there before the first INFO
        self.assertGreater(20 * len(MEGABYTES), 2 * self.factory.limits.pipeline_bytes_max)
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

        self.patch(resp, "send_promptly", send)
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
        self.assertLess(self.factory.holdings.total_bytes, len(MEGABYTES) + 20 * 100_000)
        self.assertEqual([connection._paused for connection, _ in pairs], [True] * 20)
        lazy, *others = pairs
        expected = (LONG, b"*2\r\n", LONG, b"$1\r\ns\r\n")
        for _, client in others:
            self.assertTrue((yield deferToThread(take, client, *expected)))
        yield until(lambda: not any(connection.held_bytes for connection, _ in others))
        self.assertGreater(lazy[0].held_bytes, len(MEGABYTES))
        self.assertTrue((yield deferToThread(take, lazy[1], *expected)))

    @inlineCallbacks
    def test_in_order(self) -> Any:
        """Long replies wait for a short one that is late, as they are stored; then all come in order."""
        self.serve(at_once=False)
        connection, client = yield self.connect()
        for command in ("INCR n", "MGET big big", "PING", "GET small", "GET big"):
            before = len(self.replica.submitted)
            client.send(encode(command))
            if command != "PING":
                yield until(lambda before=before: len(self.replica.submitted) > before)
        first, *others = self.replica.held
        self.replica.held = others
        self.replica.run()
        yield turns(5)
        self.assertTrue(len(MEGABYTES) < self.factory.holdings.total_bytes < len(MEGABYTES) + 10_000)
        self.assertGreater(connection._bytes, 3 * len(MEGABYTES))
        self.replica.held = [first]
        self.replica.run()
        expected = (b":1\r\n*2\r\n", LONG, LONG, b"+PONG\r\n$1\r\ns\r\n", LONG)
        self.assertTrue((yield deferToThread(take, client, *expected)))

    @inlineCallbacks
    def test_what_is_not_taken_counts_by_its_size(self) -> Any:
        """Beyond the bound no more commands are read, though their replies wait only for their turn."""
        self.serve(RespLimits(pipeline_bytes_max=4 * len(MEGABYTES)), at_once=False)
        connection, client = yield self.connect()
        client.send(encode("INCR n"))
        yield until(lambda: len(self.replica.submitted) == 1)
        client.send(encode("MGET big big big"))
        yield until(lambda: len(self.replica.submitted) == 2)
        first, *others = self.replica.held
        self.replica.held = others
        self.replica.run()
        self.assertFalse(connection._paused)
        client.send(encode("GET big"))
        yield until(lambda: len(self.replica.submitted) == 3)
        self.replica.run()
        self.assertTrue(connection._paused)
        self.replica.held = [first]
        self.replica.run()
        self.assertTrue((yield deferToThread(take, client, b":1\r\n*3\r\n", LONG, LONG, LONG, LONG)))
        yield until(lambda: not connection._paused)

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
        done([[b"v"] * 2000 + [1.5]])  # type: ignore[list-item]
        yield until(lambda: connection not in self.factory.connections)
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)


class TogetherBoundTests(SocketCase):
    @inlineCallbacks
    def test_the_one_that_holds_most_is_cut_off(self) -> Any:
        """Values that only unread replies keep alive add up; a value that several wait for counts once."""
        self.serve(RespLimits(clients_bytes_max=30_000_000))
        pairs = []
        for number in range(6):
            pairs.append((yield self.connect(20_000)))
            pairs[-1][1].send(encode("GET big"))
            yield until(lambda number=number: len(self.replica.submitted) == number + 1)
            yield until(lambda: not self.replica.held)
        yield turns(5)
        self.assertLess(self.factory.holdings.total_bytes, len(MEGABYTES) + 600_000)
        greedy, client = yield self.connect(20_000)
        for number in range(8):
            self.replica.store._state.data[b"big%d" % number] = bytes(4_000_000)
        client.send(encode("MGET big0 big1 big2 big3"))
        yield until(lambda: greedy.held_bytes > 16_000_000)
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
        self.serve(RespLimits(clients_bytes_max=4_000_000))
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
        self.serve(RespLimits(clients_bytes_max=10_000_000), at_once=False)
        first, client = yield self.connect()
        client.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$4000000\r\n" + bytes(3_900_000))
        yield until(lambda: first.held_bytes > 3_900_000)
        client.sendall(bytes(100_000) + b"\r\n")
        yield until(lambda: len(self.replica.submitted) == 1)
        self.assertGreater(first.held_bytes, 4_000_000)
        self.replica.run()
        self.assertEqual((first.held_bytes, self.factory.holdings.total_bytes), (0, 0))
        self.assertTrue((yield deferToThread(take, client, b"+OK\r\n")))
        second, other = yield self.connect()
        for sender in (client, other):
            yield deferToThread(
                sender.sendall, b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$8000000\r\n" + bytes(4_000_000)
            )
        yield until(lambda: self.factory.holdings.total_bytes > 7_900_000)
        yield deferToThread(other.sendall, bytes(3_000_000))
        yield until(lambda: second not in self.factory.connections)
        self.assertIn(first, self.factory.connections)


class HalfCloseTests(SocketCase):
    @inlineCallbacks
    def test_answers_then_the_end(self) -> Any:
        """Everything that came before the end is answered: short or long, whole or not, many or none."""
        self.serve()
        for ask, expected in (
            (b"", b""),
            (b"GET small\r\n", b"$1\r\ns\r\n"),
            (b"GET small\r\nGET sm", b"$1\r\ns\r\n"),
            (b"PING\r\n", b"+PONG\r\n"),
            (encode("GET small", "PING", "NOPE"), None),
            (encode(*["INCR n"] * 30_000), None),
            (encode(*["GET big"] * 5), LONG * 5),
            (encode("SET x 1", "QUIT"), b"+OK\r\n+OK\r\n"),
            (encode("GET small") + b"*1\r\n*1\r\n", None),
        ):
            connection, client = yield self.connect()

            def talk(client: socket.socket = client, ask: bytes = ask) -> bytes:
                client.sendall(ask)
                client.shutdown(socket.SHUT_WR)
                return take_rest(client)

            got = yield deferToThread(talk)
            if expected is not None:
                self.assertEqual(got, expected)
            elif b"INCR" in ask:
                self.assertEqual(got, b"".join([b":%d\r\n" % (n + 1) for n in range(30_000)]))
            else:
                self.assertTrue(got.startswith(b"$1\r\ns\r\n") and b"-ERR" in got)
            yield until(lambda connection=connection: connection not in self.factory.connections)

    @inlineCallbacks
    def test_a_slow_quorum(self) -> Any:
        """The end comes long before the answers, which come out of order."""
        self.serve(at_once=False)
        connection, client = yield self.connect()
        for number in range(3):
            client.send(encode(f"SET k{number} v", f"GET k{number}"))
            yield until(lambda number=number: len(self.replica.submitted) == number + 1)
        client.shutdown(socket.SHUT_WR)
        yield until(lambda: connection._leaving)
        yield turns(5)
        held = self.replica.held
        self.clock.advance(LEAVE_S * 5)
        self.assertIn(connection, self.factory.connections)
        for number in (2, 0, 1):
            self.replica.held = [held[number]]
            self.replica.run()
            yield turns()
        self.assertEqual((yield deferToThread(take_rest, client)), b"+OK\r\n$1\r\nv\r\n" * 3)

    @inlineCallbacks
    def test_in_a_turn_of_many(self) -> Any:
        self.serve()
        pairs = []
        for _ in range(10):
            pairs.append((yield self.connect()))
        for _, client in pairs:
            client.send(encode("GET small"))
            client.shutdown(socket.SHUT_WR)
        for _, client in pairs:
            self.assertEqual((yield deferToThread(take_rest, client)), b"$1\r\ns\r\n")
        yield until(lambda: not self.factory.connections)

    @inlineCallbacks
    def test_with_more_than_may_be_under_way(self) -> Any:
        """Reading pauses, and goes on to the end."""
        self.serve(RespLimits(pipeline_commands_max=10))
        _, client = yield self.connect()

        def talk() -> bytes:
            client.sendall(b"GET small\r\n" * 20_000)
            client.shutdown(socket.SHUT_WR)
            return take_rest(client)

        self.assertEqual((yield deferToThread(talk)), b"$1\r\ns\r\n" * 20_000)

    @inlineCallbacks
    def test_one_that_never_takes_its_answers(self) -> Any:
        """Is cut off, whatever it is that it leaves by; one that takes them, if slowly, is not."""
        self.serve()
        for how in ("half close", "QUIT", "error"):
            lazy, client = yield self.connect(20_000)
            slow, other = yield self.connect(20_000)
            for sender in (client, other):
                ends = {"half close": b"", "QUIT": b"QUIT\r\n", "error": b"*1\r\n*1\r\n"}
                sender.send(b"GET big\r\n" + ends[how])
                if how == "half close":
                    sender.shutdown(socket.SHUT_WR)
            yield until(lambda lazy=lazy, slow=slow: lazy.is_leaving and slow.is_leaving)
            yield turns(10)
            self.assertGreater(lazy.held_bytes, 1_000_000)
            for _ in range(40):
                self.assertTrue((yield deferToThread(other.recv, 100_000)))
                yield turns(5)
                self.clock.advance(LEAVE_S / 20)
            yield until(lambda lazy=lazy: lazy not in self.factory.connections)
            self.assertIn(slow, self.factory.connections)
            self.assertGreater(self.said("cut off: it takes no replies"), 0)
            rest = yield deferToThread(take_rest, other)
            self.assertTrue(LONG.endswith(rest[-1000:]) or how != "half close")
            yield until(lambda slow=slow: slow not in self.factory.connections)


class IdleTests(SocketCase):
    @inlineCallbacks
    def test_timeout(self) -> Any:
        """An idle client, and one that takes nothing, have to go; one that waits or talks stays."""
        self.serve(RespLimits(timeout_s=100), at_once=False)
        idle, _ = yield self.connect()
        talking, client = yield self.connect()
        waiting, other = yield self.connect()
        lazy, last = yield self.connect(20_000)
        last.send(encode("GET big"))
        yield until(lambda: len(self.replica.submitted) == 1)
        self.replica.run()
        other.send(encode("GET small"))
        yield until(lambda: len(self.replica.submitted) == 2)
        yield turns(10)
        for _ in range(16):
            client.send(b"PING\r\n")
            self.assertTrue((yield deferToThread(take, client, b"+PONG\r\n")))
            self.clock.advance(10)
        yield until(lambda: len(self.factory.connections) == 2)
        self.assertCountEqual(self.factory.connections, [talking, waiting])
        self.replica.run()
        self.assertTrue((yield deferToThread(take, other, b"$1\r\ns\r\n")))
        self.assertTrue(idle.is_leaving and lazy.is_leaving)

    @inlineCallbacks
    def test_one_that_only_sends(self) -> Any:
        """Is not idle: a long command that comes slowly, and commands whose replies are not wanted."""
        self.serve(RespLimits(timeout_s=100))
        slow, client = yield self.connect()
        silent, other = yield self.connect()
        idle, _ = yield self.connect()
        self.clock.advance(80)
        client.send(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$16000\r\n")
        other.send(encode("CLIENT REPLY OFF"))
        yield until(lambda: slow._read > 0 and silent._last_name != b"")
        self.clock.pump([10] * 8)
        yield until(lambda: idle not in self.factory.connections)
        self.assertCountEqual(self.factory.connections, [slow, silent])
        for _ in range(16):
            before = slow._read, self.factory.commands_processed
            client.send(bytes(1000))
            other.send(encode("PING"))
            yield until(
                lambda before=before: slow._read > before[0] and self.factory.commands_processed > before[1]
            )
            self.clock.advance(10)
        self.assertFalse(slow.is_leaving or silent.is_leaving)
        client.send(b"\r\n")
        other.send(encode("CLIENT REPLY ON"))
        for sender in (client, other):
            self.assertTrue((yield deferToThread(take, sender, b"+OK\r\n")))
        self.clock.pump([10] * 15)
        yield until(lambda: not self.factory.connections)

    @inlineCallbacks
    def test_keepalive(self) -> Any:
        for keepalive_s, expected in ((300, (1, 300, 100, 3)), (1, (1, 1, 1, 3)), (0, (0,))):
            self.serve(RespLimits(keepalive_s=keepalive_s))
            connection, _ = yield self.connect()
            wire = connection.transport.socket
            found = [wire.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)]
            if keepalive_s:
                found += [
                    wire.getsockopt(socket.IPPROTO_TCP, option)
                    for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
                ]
            self.assertEqual(tuple(found), expected)
            if keepalive_s:
                yield self.tearDown()


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
        self.assertGreater(self.factory.limits.keepalive_s, 0)
        connection, client = yield self.connect(20_000)
        client.sendall(encode(*["GET big"] * 20))
        yield until(lambda: sum(self.replica.submitted) == 20 and not self.replica.held)
        yield turns(20)
        self.assertTrue(connection._paused)
        self.assertLess(self.factory.holdings.total_bytes, len(MEGABYTES) + 200_000)
        wire = connection.transport
        self.assertLessEqual(len(wire.dataBuffer) + wire._tempDataLen, 1024)
        client.sendall(encode("GET small"))
        yield turns(20)
        self.assertEqual(sum(self.replica.submitted), 20)
        self.assertTrue((yield deferToThread(take, client, *[LONG] * 20, b"$1\r\ns\r\n")))
        yield until(lambda: not connection.held_bytes)
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
        server = Server(RespLimits(descriptor_max=900))
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
        self.assertIn("900 open files", str(line["reason"]))

    def test_socket_options_that_are_refused(self) -> None:
        """The bounds hold even so: they are there before."""

        class Refusing(Wire):
            def setTcpNoDelay(self, enabled: bool) -> None:
                raise OSError(95, "Operation not supported")

        connection, wire = Server().factory.buildProtocol(None), Refusing()
        directlyProvides(wire, ITCPTransport)
        self.assertRaises(OSError, connection.makeConnection, wire)
        self.assertIs(wire.producer, connection)
        self.assertIsNotNone(connection._source)

    def test_clients(self) -> None:
        server = Server(RespLimits(clients_max=1, descriptor_max=900))
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
            (RespLimits(keepalive_s=0, timeout_s=0.5), b"0", b"0.5"),
            (RespLimits(keepalive_s=60, timeout_s=3600.0), b"60", b"3600"),
        ):
            connection, wire = Server(limits).connect()
            connection.dataReceived(encode("CONFIG GET tcp-keepalive", "CONFIG GET timeout"))
            for name, value in ((b"tcp-keepalive", keepalive), (b"timeout", timeout)):
                self.assertIn(b"%b\r\n$%d\r\n%b\r\n" % (name, len(value), value), wire.value())
