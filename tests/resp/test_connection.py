"""Connections: answers in order, in the right protocol."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import inlineCallbacks
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase, TestCase

from epaxos.interfaces import Unavailable
from epaxos.net.quiet_log import Complaints
from epaxos.resp.commands.table import SERVED
from epaxos.resp.server import RespFactory
from epaxos.statemachines.redis.machine import KeyValueStore
from tests.defaults import default_limits
from tests.resp.lab import (
    OneReplica,
    Server,
    encode,
)


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
                ["SELECT 0", "SELECT 16", "SELECT x"],
                b"+OK\r\n-ERR DB index is out of range\r\n-ERR value is not an integer or out of range\r\n",
                None,
            ),
            (["CLIENT SETNAME me", "CLIENT GETNAME", "CLIENT ID"], b"+OK\r\n$2\r\nme\r\n:1\r\n", None),
            (["CLIENT SETINFO LIB-NAME x", "CLIENT NO-EVICT on"], b"+OK\r\n+OK\r\n", None),
            (["COMMAND COUNT"], b":%d\r\n" % (len(KeyValueStore().commands()) + len(SERVED)), None),
            (["RESET"], b"+RESET\r\n", None),
            (["PING a b"], b"-ERR wrong number of arguments for 'ping' command\r\n", None),
            (
                ["AUTH x"],
                b"-ERR AUTH <password> called without any password configured for the default user."
                b" Are you sure your configuration is correct?\r\n",
                None,
            ),
            (["HELLO 4"], b"-NOPROTO unsupported protocol version\r\n", None),
            (
                ["PUBLISHED x y"],
                b"-ERR unknown command 'PUBLISHED', with args beginning with: 'x' 'y' \r\n",
                None,
            ),
            (["CLIENT NOPE x"], b"-ERR unknown subcommand 'NOPE'. Try CLIENT HELP.\r\n", None),
            (
                ["CONFIG SET databases 5"],
                b"-ERR CONFIG SET failed (possibly related to argument 'databases') - can't set immutable"
                b" config: it needs a restart\r\n",
                None,
            ),
        ):
            self.assertEqual(self.talk(*commands), two, f"{commands}")
            self.assertEqual(self.talk(*commands, resp=3), three or two, f"{commands} in RESP3")

    def test_what_errors_show(self) -> None:
        """128 bytes in all, as they came, up to a NUL byte; line ends are spaces.  So does Redis."""
        head = b"-ERR unknown command '%s', with args beginning with: %s\r\n"
        for command, answer in (
            ([b"n" * 200], head % (b"n" * 128, b"")),
            ([b"NOPE", b"a" * 200, b"b"], head % (b"NOPE", b"'%s' " % (b"a" * 128))),
            ([b"NOPE", b"a" * 124, b"bcd", b"e"], head % (b"NOPE", b"'%s' 'b' " % (b"a" * 124))),
            ([b"NOPE", b"a" * 125, b"b"], head % (b"NOPE", b"'%s' " % (b"a" * 125))),
            ([b"NOPE", *[b"x"] * 50], head % (b"NOPE", b"'x' " * 32)),
            ([b"\xff\r\n", b"\xfe\0x", b"\0"], head % (b"\xff  ", b"'\xfe' '' ")),
            (
                [b"CLIENT", b"\xff" * 200],
                b"-ERR unknown subcommand '%s'. Try CLIENT HELP.\r\n" % (b"\xff" * 128),
            ),
            ([b"HELLO", b"3", b"\xff\n"], b"-ERR Syntax error in HELLO option '\xff '\r\n"),
        ):
            connection, wire = Server().connect()
            data = b"".join([b"$%d\r\n%s\r\n" % (len(word), word) for word in command])
            connection.dataReceived(b"*%d\r\n" % len(command) + data)
            self.assertEqual(wire.value(), answer)

    def test_help(self) -> None:
        for name in ("CLIENT", "CONFIG", "COMMAND"):
            lines = self.talk(f"{name} HELP").split(b"\r\n")
            self.assertEqual(lines[0], b"*%d" % (len(lines) - 2))
            self.assertEqual(
                lines[1], b"+%s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:" % name.encode()
            )
            arity = f"-ERR wrong number of arguments for '{name.lower()}|help' command\r\n"
            self.assertEqual(self.talk(f"{name} HELP x"), arity.encode())

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
            table,
            b"*2\r\n*10\r\n$4\r\nmset\r\n:-3\r\n*2\r\n+write\r\n+denyoom\r\n:1\r\n:-1\r\n:2\r\n"
            b"*3\r\n+@write\r\n+@string\r\n+@slow\r\n*0\r\n*0\r\n*0\r\n$-1\r\n",
        )

    def test_order(self) -> None:
        """Spans that end out of order, and answers that need no replica, come out in order."""
        server = Server()
        connection, wire = server.connect()
        server.replica.store.restore({b"a": b"1"}, [])
        for command in ("GET a", "PING", "STRLEN b", "NOPE", "GET a"):
            connection.dataReceived(encode(command))
        self.assertEqual(wire.value(), b"")
        held = server.replica.held
        server.replica.held = held[:1]
        server.replica.run()
        self.assertEqual(wire.value(), b"$1\r\n1\r\n+PONG\r\n")
        server.replica.held = held[1:]
        server.replica.run(order=[1, 0])
        self.assertTrue(wire.value().startswith(b"$1\r\n1\r\n+PONG\r\n:0\r\n-ERR unknown"))
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
        self.assertEqual(server.replica.submitted[1:], [1000])
        server.replica.run()
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


class SocketTests(TestCase):
    @inlineCallbacks
    def test_redis_py(self) -> Any:
        """The client that Python people use, over real sockets, in both protocols."""
        import redis
        from twisted.internet import reactor

        replica = OneReplica(at_once=reactor.callLater)  # type: ignore[attr-defined]
        factory = RespFactory(replica, Complaints(Logger(), Clock()), default_limits(), clock=reactor)  # type: ignore[arg-type]
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
                    client.execute_command("NOPE", "l", "x")
                except redis.ResponseError as error:
                    results.append(str(error))
                return results

        for protocol in (2, 3):
            results = yield deferToThread(use, protocol)
            self.assertEqual(
                results,
                [
                    True, True, None, b"\x00\r\n", True, 2, b"2", None, [b"2", None],
                    "master", {"databases": "16"} if protocol == 2 else results[10], 2, True,
                    "unknown command 'NOPE', with args beginning with: 'l' 'x' ",
                ],
            )  # fmt: skip
        deadline = reactor.seconds() + 5  # type: ignore[attr-defined]
        while factory.connections and reactor.seconds() < deadline:  # type: ignore[attr-defined]
            yield deferToThread(lambda: None)
