"""Redis connections: answers in order, in the right protocol, within bounds."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred, inlineCallbacks, succeed
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.internet.threads import deferToThread
from twisted.logger import LogEvent, Logger, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer

from epaxos.interfaces import Command, CommandInfo, IClients, Outcome, Ready, Unavailable
from epaxos.net.quiet_log import Complaints
from epaxos.protocol.values.ids import InstanceId
from epaxos.resp.server import RespConnection, RespFactory, RespLimits
from epaxos.statemachines.redis.machine import KeyValueStore


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

    def keys(self) -> int | None:
        return self.store.keys()

    def status(self) -> Deferred[dict[str, Any]]:
        return succeed({})


class Wire(StringTransport):
    """Remembers how often it was written to."""

    writes = 0

    def write(self, data: bytes) -> None:
        self.writes += 1
        super().write(data)


class Server:
    def __init__(self, limits: RespLimits | None = None, settings: dict[str, str] | None = None) -> None:
        self.clock = Clock()
        self.replica = OneReplica()
        self.factory = RespFactory(
            self.replica,
            Complaints(Logger(), self.clock),
            limits,
            settings=settings,
            seconds=self.clock.seconds,
        )

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
                    server = Server()
                    connection, wire = server.connect()
                    for read in reads:
                        if alone:
                            connection.dataReceived(read)
                        else:
                            server.factory.receive([(connection, read)])
                    server.replica.run()
                    self.assertEqual(dict(server.replica.store.entries()), {b"a": b"1"}, f"{commands}")
                    if answers is not None:
                        self.assertEqual(wire.value(), b"".join(answers), f"{commands}")

    def test_it_is_over_with_the_connection(self) -> None:
        server = Server()
        connection, wire = server.connect()
        connection.dataReceived(encode("MULTI", "SET zz 1", "QUIT", "SET zz 2"))
        self.assertTrue(wire.disconnecting)
        other, other_wire = server.connect()
        other.dataReceived(encode("SET a 1"))
        server.replica.run()
        self.assertEqual(other_wire.value(), b"+OK\r\n")
        self.assertEqual(dict(server.replica.store.entries()), {b"a": b"1"})


class AttackTests(SynchronousTestCase):
    """What a browser sends must not run commands."""

    def test_http(self) -> None:
        for data in (
            b"POST / HTTP/1.1\r\nContent-Length: 14\r\n\r\nSET hacked 1\r\n",
            b"post x\r\nSET hacked 1\r\n",
            b"PUT / HTTP/1.1\r\nHost: a\r\n\r\nSET hacked 1\r\n",
            b"HOST:\r\nSET hacked 1\r\n",
            encode("POST /", "SET hacked 1"),
            encode("SET a 1", "hoSt: x", "SET hacked 1"),
            encode("MULTI", "Post /", "EXEC", "SET hacked 1"),
            encode("CLIENT REPLY OFF", "POST", "SET hacked 1"),
        ):
            for cut in (len(data), data.find(b"S" if b"SET a" in data else b"H"), 5):
                server = Server()
                lines: list[LogEvent] = []
                globalLogPublisher.addObserver(lines.append)
                self.addCleanup(globalLogPublisher.removeObserver, lines.append)
                connection, wire = server.connect()
                neighbour, neighbour_wire = server.connect()
                server.factory.receive([(connection, data[:cut]), (neighbour, encode("SET b 1"))])
                if not wire.disconnected and data[cut:]:
                    server.factory.receive([(connection, data[cut:])])
                connection.dataReceived(b"SET hacked 1\r\n")
                server.replica.run()
                globalLogPublisher.removeObserver(lines.append)
                self.assertTrue(wire.disconnected, data)
                stored = dict(server.replica.store.entries())
                self.assertEqual(stored.pop(b"b"), b"1")
                self.assertEqual(neighbour_wire.value(), b"+OK\r\n")
                self.assertLessEqual(stored.keys(), {b"a"}, data)
                self.assertEqual(len(lines), 1)
                self.assertIn("Possible SECURITY ATTACK detected", lines[0]["reason"])

    def test_a_state_machine_that_takes_every_name(self) -> None:
        """It gets neither what is answered here nor what is refused."""
        for command, is_cut_off in (("POST /", True), ("MULTI", False), ("PING", False)):
            server = Server()
            server.replica.is_valid_shape = lambda name, length: True  # type: ignore[method-assign]
            connection, wire = server.connect()
            server.factory.receive([(connection, encode(command))])
            self.assertEqual((server.replica.submitted, wire.disconnected), ([], is_cut_off))


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
                    server.factory.receive([(connection, read)])
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


class FactTests(SynchronousTestCase):
    """What INFO, CLIENT LIST and CONFIG GET show is so."""

    def setUp(self) -> None:
        self.server = Server()
        self.connection, self.wire = self.server.connect()

    def ask(self, *commands: str) -> str:
        self.wire.clear()
        self.connection.dataReceived(encode(*commands))
        self.server.replica.run()
        return self.wire.value().decode()

    def info(self, *sections: str) -> dict[str, str]:
        lines = self.ask(" ".join(["INFO", *sections])).split("\r\n")
        return {name: value for name, _, value in (line.partition(":") for line in lines[1:]) if value}

    def test_counts(self) -> None:
        before = int(self.info()["total_commands_processed"])
        self.ask(*["SET a 1"] * 10, "SET b 2", "NOPE", "PING", "SET")
        self.server.factory.receive([(self.connection, encode("GET a", "GET b"))])
        info = self.info()
        self.assertEqual(int(info["total_commands_processed"]) - before, 11 + 1 + 2 + 1)
        self.assertEqual(info["db0"], "keys=2,expires=0,avg_ttl=0")
        self.assertEqual(info["total_connections_received"], "1")
        self.ask("FLUSHALL", "CONFIG RESETSTAT")
        info = self.info()
        self.assertNotIn("db0", info)
        self.assertEqual(info["total_commands_processed"], "1")
        self.assertEqual(info["total_connections_received"], "0")

    def test_the_process(self) -> None:
        self.server.clock.advance(90_000)
        info = self.info("everything")
        self.assertEqual(info["process_id"], str(os.getpid()))
        self.assertEqual((info["uptime_in_seconds"], info["uptime_in_days"]), ("90000", "1"))
        self.assertRegex(info["run_id"], "^[0-9a-f]{40}$")
        self.assertEqual(info["tcp_port"], str(self.wire.getHost().port))
        resident = int(info["used_memory"])
        value = bytearray(b"x" * 50_000_000)
        self.assertGreater(int(self.info("memory")["used_memory"]), resident + len(value) // 2)
        self.assertGreaterEqual(int(info["used_memory_peak"]), resident)
        times = sum(os.times()[:2])
        self.assertLess(abs(float(info["used_cpu_user"]) + float(info["used_cpu_sys"]) - times), 5)
        for name in ("arch_bits", "cluster_enabled", "blocked_clients", "loading"):
            self.assertTrue(info[name].isdigit(), name)

    def test_sections(self) -> None:
        self.assertEqual(self.ask("INFO cluster"), "$30\r\n# Cluster\r\ncluster_enabled:0\r\n\r\n")
        self.assertEqual(self.ask("INFO nope"), "$0\r\n\r\n")
        self.assertLess(
            self.ask("INFO CPU Cluster").index("# CPU"), self.ask("INFO cluster cpu").index("# Cluster")
        )
        for name in ("", "all", "default", "everything", "nope ALL"):
            self.assertIn("# Server", self.ask(f"INFO {name}"), name)

    def test_machines_without_keys(self) -> None:
        self.ask("SET a 1")
        self.server.replica.keys = lambda: None  # type: ignore[method-assign]
        self.assertIn("# Keyspace\r\n", self.ask("INFO"))
        self.assertNotIn("db0", self.ask("INFO"))

    def test_client_list(self) -> None:
        other, _ = self.server.connect()
        self.server.clock.advance(5)
        other.dataReceived(
            encode("CLIENT SETNAME me", "CLIENT SETINFO LIB-NAME lib", "CLIENT SETINFO lib-ver 1.2")
        )
        other.dataReceived(b"*2\r\n$3\r\nGET\r\n$10\r\nabcd")
        self.server.clock.advance(3)
        self.ask("GET a")
        mine, others = self.ask("CLIENT LIST").strip().split("\n")[1:]
        self.assertIn(" age=8 idle=3 flags=N db=0 sub=0 psub=0 ssub=0 multi=-1 qbuf=7 events=r ", others)
        self.assertTrue(others.startswith("id=2 addr=127.0.0.1:1234 laddr="), others)
        self.assertIn(" name=me ", others)
        self.assertIn(" cmd=client|setinfo user=default redir=-1 resp=2 lib-name=lib lib-ver=1.2", others)
        self.assertIn(" age=8 idle=0 ", mine)
        self.assertIn(" cmd=client|list ", mine)
        other.dataReceived(b"efghij\r\n" + encode("STRLEN b"))
        self.assertIn(" cmd=strlen ", self.ask("CLIENT LIST ID 2"))
        self.assertIn(" name=me ", self.ask("CLIENT LIST ID 7 2"))
        other.dataReceived(encode("CLIENT \u00e9\n"))
        self.assertIn(" cmd=NULL ", self.ask("CLIENT LIST ID 2"))
        self.assertEqual(self.ask("CLIENT LIST ID " + "1 " * 10_001), "-ERR too many client IDs\r\n")
        self.assertEqual(self.ask("CLIENT SETINFO x y"), "-ERR Unrecognized option 'x'\r\n")
        self.assertEqual(
            self.ask("CLIENT SETINFO lib-name \u00e9"),
            "-ERR lib-name cannot contain spaces, newlines or special characters.\r\n",
        )

    def test_addresses(self) -> None:
        for address, shown in (
            (IPv4Address("TCP", "10.0.0.1", 7), "10.0.0.1:7"),
            (IPv6Address("TCP", "::1", 7), "[::1]:7"),
            (UNIXAddress(b"/s"), "unix:0"),
            (None, "unix:0"),
        ):
            self.assertEqual(self.server.factory.buildProtocol(address).address, shown)

    def test_verbatim_strings(self) -> None:
        self.ask("HELLO 3")
        for command in ("INFO cluster", "CLIENT INFO", "CLIENT LIST"):
            self.assertRegex(self.ask(command), r"^=\d+\r\ntxt:")

    def test_config_get(self) -> None:
        for patterns, found in (
            ("MaxMemory", ["MaxMemory", "0"]),
            ("nope", []),
            ("nope save MAXMEMORY maxmemory", ["save", "", "MAXMEMORY", "0"]),
            ("maxm*y MAXMEMORY", ["maxmemory", "0", "maxmemory-policy", "noeviction"]),
            ("[^a-rt-z]ave", ["save", ""]),
        ):
            reply = self.ask(f"CONFIG GET {patterns}").split("\r\n")
            self.assertEqual(reply[2::2], found, patterns)
        self.assertIn("longer than", self.ask("CONFIG GET " + "*" * 1025))
        self.assertIn("longer than", self.ask("CONFIG GET " + "a " * 600))


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

    def test_long_pipelines_of_what_is_answered_here_give_way(self) -> None:
        """Ten thousand INFOs fit into one read.  What comes behind them is answered behind them."""
        server = Server()
        connection, wire = server.connect()
        now_s = [0.0]
        server.factory.seconds = lambda: now_s[0]  # type: ignore[method-assign]

        def keys() -> int:
            now_s[0] += 0.002
            return 0

        def later(*call: Any) -> Any:
            if call[1] == connection._go_on_sorting:
                turns.append(call)
            return Clock.callLater(server.clock, *call)

        turns: list[object] = []
        server.clock.callLater = later  # type: ignore[method-assign]
        server.replica.keys = keys  # type: ignore[method-assign]
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
            self.assertIn(b"EXECABORT", wire.value())
            end = b"-ERR Protocol error: invalid multibulk length\r\n" if error else b"$1\r\n1\r\n"
            self.assertTrue(wire.value().endswith(b"$1\r\nx\r\n" + end), wire.value()[-80:])
            self.assertEqual(wire.disconnecting, bool(error))
            self.assertEqual(connection._paused, False)
            wire.clear()
        self.assertNotIn(b"zz", dict(server.replica.store.entries()))

    def test_answers_that_are_too_much_are_not_gathered(self) -> None:
        """`CLIENT LIST` is as long as there are clients; a read of 64 KB may ask for it 5000 times."""
        server = Server(RespLimits(pipeline_bytes_max=30_000))
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
        server = Server(RespLimits(pipeline_bytes_max=30_000))
        connection, wire = server.connect()
        for _ in range(50):
            server.connect()

        def seconds() -> float:  # each look at the clock is in another turn
            server.clock.rightNow += 1
            return server.clock.rightNow

        self.patch(server.factory, "seconds", seconds)
        connection.dataReceived(b"CLIENT LIST\r\n" * 100)
        for _ in range(100):
            server.clock.advance(0)
        self.assertTrue(wire.disconnected)
        self.assertTrue(30_000 < len(wire.value()) < 90_000, len(wire.value()))


class SocketTests(TestCase):
    @inlineCallbacks
    def test_redis_py(self) -> Any:
        """The client that Python people use, over real sockets, in both protocols."""
        import redis
        from twisted.internet import reactor

        replica = OneReplica(at_once=reactor.callLater)  # type: ignore[attr-defined]
        factory = RespFactory(replica, Complaints(Logger(), Clock()), clock=reactor)  # type: ignore[arg-type]
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
