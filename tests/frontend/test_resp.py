"""Redis connections: answers in order, in the right protocol, within bounds."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, inlineCallbacks, succeed
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.internet.threads import deferToThread
from twisted.logger import LogEvent, Logger, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer

from epaxos.complaints import Complaints
from epaxos.frontend.resp import RespConnection, RespFactory, RespLimits
from epaxos.interfaces import Command, CommandInfo, IClients, Outcome, Ready, Unavailable
from epaxos.protocol.ids import InstanceId
from epaxos.statemachines.kv import KeyValueStore


@implementer(IClients)
class OneReplica:
    """Runs what is submitted when `run` is called, or at once; `held` is not run yet."""

    def __init__(self, at_once: Callable[..., Any] | None = None) -> None:
        self.store = KeyValueStore()
        self.held: list[tuple[Sequence[Command], Callable[[Outcome], None]]] = []
        self.submitted: list[int] = []
        self.call_later = at_once

    def check(self, command: Command) -> None:
        self.store.check(command)

    def is_valid_shape(self, name: bytes, length: int) -> bool:
        return self.store.is_valid_shape(name, length)

    def commands(self) -> Sequence[CommandInfo]:
        return self.store.commands()

    def submit(
        self, commands: Sequence[Command], done: Callable[[Outcome], None], size_bytes: int = 0
    ) -> None:
        self.submitted.append(len(commands))
        self.held.append((commands, done))
        if self.call_later is not None:
            self.call_later(0, self.run)

    def run(self, order: Sequence[int] | None = None) -> None:
        held, self.held = self.held, []
        for index in order if order is not None else range(len(held)):
            commands, done = held[index]
            batch = self.store.batch(commands)
            done(self.store.apply([Ready(InstanceId(0, 1), batch, True)])[0])

    def fail(self, unavailable: Unavailable) -> None:
        for _, done in self.held:
            done(unavailable)
        self.held.clear()

    def status(self) -> Deferred[dict[str, Any]]:
        return succeed({})


class Wire(StringTransport):
    """Remembers how often it was written to."""

    writes = 0

    def write(self, data: bytes) -> None:
        self.writes += 1
        super().write(data)


class Server:
    def __init__(self, limits: RespLimits | None = None) -> None:
        self.clock = Clock()
        self.replica = OneReplica()
        self.factory = RespFactory(self.replica, Complaints(Logger(), self.clock), limits)

    def connect(self) -> tuple[RespConnection, Wire]:
        connection = self.factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1234))
        wire = Wire()
        connection.makeConnection(wire)
        return connection, wire


def encode(*commands: str) -> bytes:
    out = []
    for command in commands:
        arguments = command.encode().split()
        out.append(b"*%d\r\n" % len(arguments))
        out += [b"$%d\r\n%s\r\n" % (len(argument), argument) for argument in arguments]
    return b"".join(out)


class ReplyTests(SynchronousTestCase):
    def talk(self, *commands: str, resp: int = 2) -> bytes:
        """What one connection is answered, all commands sent in one piece."""
        server = Server()
        connection, wire = server.connect()
        if resp == 3:
            connection.dataReceived(encode("HELLO 3"))
            wire.clear()
        connection.dataReceived(encode(*commands))
        server.replica.run()
        return wire.value()

    def test_both_protocols(self) -> None:
        for commands, two, three in (
            (["SET a 1"], b"+OK\r\n", None),
            (["SET a 1", "GET a", "GET b"], b"+OK\r\n$1\r\n1\r\n$-1\r\n", b"+OK\r\n$1\r\n1\r\n_\r\n"),
            (["INCR n", "INCR n"], b":1\r\n:2\r\n", None),
            (["MSET a 1", "MGET a b"], b"+OK\r\n*2\r\n$1\r\n1\r\n$-1\r\n", b"+OK\r\n*2\r\n$1\r\n1\r\n_\r\n"),
            (["PING", "PING x", "ECHO y"], b"+PONG\r\n$1\r\nx\r\n$1\r\ny\r\n", None),
            (["CONFIG GET sav*"], b"*2\r\n$4\r\nsave\r\n$0\r\n\r\n", b"%1\r\n$4\r\nsave\r\n$0\r\n\r\n"),
            (
                ["SELECT 0", "SELECT 1", "SELECT x"],
                b"+OK\r\n-ERR DB index is out of range\r\n-ERR value is not an integer or out of range\r\n",
                None,
            ),
            (["CLIENT SETNAME me", "CLIENT GETNAME", "CLIENT ID"], b"+OK\r\n$2\r\nme\r\n:1\r\n", None),
            (["CLIENT SETINFO LIB-NAME x", "CLIENT NO-EVICT on"], b"+OK\r\n+OK\r\n", None),
            (["COMMAND COUNT"], b":31\r\n", None),
            (["RESET"], b"+RESET\r\n", None),
            (["PING a b"], b"-ERR wrong number of arguments for 'ping' command\r\n", None),
            (
                ["AUTH x"],
                b"-ERR AUTH <password> called without any password configured for the default user."
                b" Are you sure your configuration is correct?\r\n",
                None,
            ),
            (["HELLO 4"], b"-NOPROTO unsupported protocol version\r\n", None),
            (["SUBSCRIBE x"], b"-ERR unknown command 'SUBSCRIBE', with args beginning with: 'x' \r\n", None),
            (["CLIENT KILL x"], b"-ERR unknown subcommand 'KILL'. Try CLIENT HELP.\r\n", None),
            (
                ["CONFIG SET a b"],
                b"-ERR CONFIG SET is not served: settings are in the configuration file\r\n",
                None,
            ),
        ):
            self.assertEqual(self.talk(*commands), two, f"{commands}")
            self.assertEqual(self.talk(*commands, resp=3), three or two, f"{commands} in RESP3")

    def test_hello(self) -> None:
        self.assertTrue(self.talk("HELLO 3").startswith(b"%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n"))
        self.assertTrue(self.talk("HELLO").startswith(b"*14\r\n"))
        self.assertIn(b"$5\r\nproto\r\n:3\r\n", self.talk("HELLO 3 SETNAME me"))

    def test_info_and_command(self) -> None:
        info = self.talk("INFO")
        for field in (b"redis_version:", b"connected_clients:1", b"role:master", b"# Server"):
            self.assertIn(field, info)
        self.assertNotIn(b"# Server", self.talk("INFO clients"))
        table = self.talk("COMMAND INFO mset nope")
        self.assertEqual(
            table, b"*2\r\n*6\r\n$4\r\nmset\r\n:-3\r\n*1\r\n+write\r\n:1\r\n:-1\r\n:2\r\n$-1\r\n"
        )

    def test_order(self) -> None:
        """Spans that end out of order, and answers that need no replica, come out in order."""
        server = Server()
        connection, wire = server.connect()
        for command in ("SET a 1", "PING", "SET b 2", "NOPE", "GET a"):
            connection.dataReceived(encode(command))
        self.assertEqual(wire.value(), b"")
        held = server.replica.held
        server.replica.held = held[:1]
        server.replica.run()
        self.assertEqual(wire.value(), b"+OK\r\n+PONG\r\n")
        server.replica.held = held[1:]
        server.replica.run(order=[1, 0])
        self.assertTrue(wire.value().startswith(b"+OK\r\n+PONG\r\n+OK\r\n-ERR unknown"))
        self.assertTrue(wire.value().endswith(b"$1\r\n1\r\n"))

    def test_a_read_is_one_submission_and_one_write(self) -> None:
        server = Server()
        connection, wire = server.connect()
        connection.dataReceived(encode(*[f"SET {k} v" for k in range(500)]))
        self.assertEqual(server.replica.submitted, [500])
        writes = wire.writes
        server.replica.run()
        self.assertEqual(wire.writes, writes + 1)
        connection.dataReceived(encode(*[f"SET {k} v" for k in range(2500)]))
        self.assertEqual(server.replica.submitted[1:], [1000, 1000, 500])

    def test_unavailable(self) -> None:
        server = Server()
        connection, wire = server.connect()
        connection.dataReceived(encode("SET a 1", "GET a"))
        server.replica.fail(Unavailable("CLUSTERDOWN no quorum", True))
        self.assertEqual(wire.value(), b"-CLUSTERDOWN no quorum\r\n" * 2)

    def test_quit(self) -> None:
        server = Server()
        connection, wire = server.connect()
        connection.dataReceived(encode("SET a 1", "QUIT", "SET b 2"))
        self.assertFalse(wire.disconnecting)
        server.replica.run()
        self.assertEqual((wire.value(), wire.disconnecting), (b"+OK\r\n+OK\r\n", True))
        self.assertNotIn(b"b", dict(server.replica.store.entries()))

    def test_protocol_error(self) -> None:
        server = Server()
        connection, wire = server.connect()
        connection.dataReceived(encode("SET a 1") + b"*1\r\n$10000000000\r\n")
        connection.dataReceived(encode("SET b 2"))
        server.replica.run()
        self.assertEqual(wire.value(), b"+OK\r\n-ERR Protocol error: invalid bulk length\r\n")
        self.assertTrue(wire.disconnecting)


class BoundTests(SynchronousTestCase):
    def test_pipelines(self) -> None:
        for limits in (RespLimits(pipeline_commands_max=10), RespLimits(pipeline_bytes_max=200)):
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
        server = Server(RespLimits(clients_max=1))
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
        self.assertGreater(len(server.factory._valid_shapes), 4000)
        self.assertLessEqual(len(server.factory._valid_shapes), 4097)

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

    def test_answers_that_are_too_much_are_not_gathered(self) -> None:
        """`CLIENT LIST` is as long as there are clients; a read of 64 KB may ask for it 5000 times."""
        server = Server(RespLimits(pipeline_bytes_max=10_000))
        connection, wire = server.connect()
        for _ in range(50):
            server.connect()
        connection.dataReceived(b"CLIENT LIST\r\n" * 4)
        self.assertGreater(len(wire.value()), 4 * 50 * 20)
        wire.clear()
        connection.dataReceived(b"GET a\r\n" + b"CLIENT LIST\r\n" * 5000)
        self.assertTrue(wire.disconnected)
        self.assertEqual(wire.value(), b"")
        connection.connectionLost()
        server.replica.run()
        self.assertEqual(wire.value(), b"")


class SocketTests(TestCase):
    @inlineCallbacks
    def test_redis_py(self) -> Any:
        """The client that Python people use, over real sockets, in both protocols."""
        import redis
        from twisted.internet import reactor

        replica = OneReplica(at_once=reactor.callLater)  # type: ignore[attr-defined]
        factory = RespFactory(replica, Complaints(Logger(), Clock()))
        port = yield TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
        self.addCleanup(port.stopListening)

        def use(protocol: int) -> list[object]:
            with redis.Redis(port=port.getHost().port, protocol=protocol) as client:
                pipeline = client.pipeline(transaction=False)
                pipeline.set("a", "1").incr("a").get("a").get("nope").mget("a", "b")
                results = [
                    client.ping(),
                    client.set("k", b"\x00\r\n", nx=True),
                    client.set("k", "w", nx=True),
                    client.get("k"),
                    *pipeline.execute(),
                    client.info()["role"],
                    client.config_get("databases"),
                    client.dbsize(),
                    client.flushdb(),
                ]
                try:
                    client.execute_command("LPUSH", "l", "x")
                except redis.ResponseError as error:
                    results.append(str(error))
                return results

        for protocol in (2, 3):
            results = yield deferToThread(use, protocol)
            self.assertEqual(
                results,
                [
                    True, True, None, b"\x00\r\n", True, 2, b"2", None, [b"2", None],
                    "master", {"databases": "1"} if protocol == 2 else results[10], 2, True,
                    "unknown command 'LPUSH', with args beginning with: 'l' 'x' ",
                ],
            )  # fmt: skip
        deadline = reactor.seconds() + 5  # type: ignore[attr-defined]
        while factory.connections and reactor.seconds() < deadline:  # type: ignore[attr-defined]
            yield deferToThread(lambda: None)
