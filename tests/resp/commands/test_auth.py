"""A password: what runs before it is given, how it is given, and what is bounded until then."""

from __future__ import annotations

from twisted.internet.address import IPv4Address
from twisted.logger import LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from epaxos.net.door import Door
from epaxos.resp.admittance import FAILED_S
from epaxos.resp.connection import STRANGER_COMMANDS_MAX, RespConnection
from epaxos.resp.parser import STRANGER_BYTES_MAX
from tests.resp.lab import Server, Wire, encode, encode_raw
from tests.resp.reference import RealRedis

PASSWORD = "opensesame"
OK = "+OK\r\n"
NOAUTH = "-NOAUTH Authentication required.\r\n"
WRONGPASS = "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
NOAUTH_HELLO = (
    "-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user>"
    " <pass> option can be used to authenticate the client and select the RESP protocol version at the same"
    " time\r\n"
)
SESSIONS = (
    ("GET a", "SET a 1", "PING", "COMMAND", "CLIENT ID", "CLIENT REPLY OFF", "MULTI", "SELECT 0", "ECHO x"),
    (f"AUTH {PASSWORD}", "SET a 1", "GET a", "PING"),
    (f"AUTH default {PASSWORD}", "SET a 1"),
    (f"AUTH other {PASSWORD}", "PING"),
    ("AUTH wrong", "AUTH default wrong", "PING", f"AUTH {PASSWORD}", "AUTH wrong", "PING"),
    ("AUTH", "AUTH a b c", f"auth {PASSWORD}", "PING"),
    ("HELLO", "HELLO 3", "HELLO 2 SETNAME me", "HELLO 4", "HELLO x", "HELLO 3 NOPE", "PING"),
    ("HELLO 3 AUTH default wrong", "PING"),
    (f"HELLO 3 AUTH other {PASSWORD}", "PING"),
    (f"HELLO 3 AUTH default {PASSWORD} NOPE", "PING"),
    (f"AUTH {PASSWORD}", "RESET", "PING", f"AUTH {PASSWORD}", "PING"),
    (f"AUTH {PASSWORD}", "MULTI", "RESET", "EXEC"),
    ("RESET", "PING"),
    ("PING", "QUIT"),
)


class AuthCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.server = Server(door=Door(PASSWORD, is_protected=True))
        self.lines: list[LogEvent] = []
        globalLogPublisher.addObserver(self.lines.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.lines.append)

    def connect(self, host: str = "127.0.0.1") -> tuple[RespConnection, Wire]:
        connection = self.server.factory.buildProtocol(IPv4Address("TCP", host, 1234))
        wire = Wire()
        connection.makeConnection(wire)
        return connection, wire

    def said(self) -> str:
        """The log so far, as somebody could read it."""
        return " ".join(str(line) for line in self.lines)


class AuthTests(AuthCase):
    def talk(self, *commands: str, alone: bool = False) -> str:
        """The replies to the commands of one client, sent together or one by one."""
        connection, wire = self.connect()
        for data in [encode(command) for command in commands] if alone else [encode(*commands)]:
            self.server.factory.shared.receive([(connection, data)])
            self.server.replica.run()
            self.server.clock.advance(FAILED_S)
        return wire.value().decode()

    def test_before_and_after(self) -> None:
        for commands, expected in (
            (SESSIONS[0], NOAUTH * 9),
            (SESSIONS[1], OK + OK + "$1\r\n1\r\n" + "+PONG\r\n"),
            (SESSIONS[2], OK + OK),
            (SESSIONS[3], WRONGPASS + NOAUTH),
            (SESSIONS[4], WRONGPASS + WRONGPASS + NOAUTH + OK + WRONGPASS + "+PONG\r\n"),
            (("HELLO 3", "HELLO 2", "GET a"), NOAUTH_HELLO + NOAUTH_HELLO + NOAUTH),
            (("HELLO 3 AUTH default wrong", "PING"), WRONGPASS + NOAUTH),
            ((f"AUTH {PASSWORD}", "RESET", "GET a"), OK + "+RESET\r\n" + NOAUTH),
            (("NOPE", "GET", "MSET a"), NOAUTH * 3),
            (
                ("MULTI", "SET a 1", "EXEC"),
                NOAUTH * 2
                + "-EXECABORT Transaction discarded because of: NOAUTH Authentication required.\r\n",
            ),
            (("EPAXOS STATUS", "EPAXOS MEMBERS"), NOAUTH * 2),
        ):
            for alone in (False, True):
                self.assertEqual(self.talk(*commands, alone=alone), expected, f"{commands} {alone}")

    def test_hello_lets_in_and_switches(self) -> None:
        replies = self.talk(f"HELLO 3 AUTH default {PASSWORD} SETNAME me", "CLIENT GETNAME", "GET none")
        self.assertTrue(replies.startswith("%7\r\n"), replies)
        self.assertTrue(replies.endswith("$2\r\nme\r\n_\r\n"), replies)

    def test_a_hello_without_the_password_switches_nothing(self) -> None:
        self.assertEqual(self.talk("HELLO 3", f"AUTH {PASSWORD}", "GET none"), NOAUTH_HELLO + OK + "$-1\r\n")

    def test_nothing_runs_before(self) -> None:
        connection, wire = self.connect()
        connection.dataReceived(encode("SET a 1", "MULTI", "SET a 2", "DISCARD"))
        self.assertEqual(self.server.replica.held, [])
        connection.dataReceived(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n3")
        connection.dataReceived(b"\r\n")
        self.assertEqual(self.server.replica.held, [])
        self.assertEqual(wire.value().decode(), NOAUTH * 5)

    def test_commands_behind_the_password_are_of_any_size(self) -> None:
        """Also in the same slice of input, however it is cut."""
        big = b"x" * (STRANGER_BYTES_MAX + 1)
        data = encode(f"AUTH {PASSWORD}") + encode_raw(b"MSET", *[b"k%d" % n for n in range(20)])
        data += encode_raw(b"SET", b"big", big) + encode("STRLEN big")
        expected = f"{OK}{OK}{OK}:{len(big)}\r\n"
        for cut in (*range(1, 60), len(data) - 30, len(data)):
            connection, wire = self.connect()
            for piece in filter(None, (data[:cut], data[cut:])):
                connection.dataReceived(piece)
            self.server.replica.run()
            self.assertEqual(wire.value().decode(), expected, cut)

    def test_without_a_password(self) -> None:
        """Any is right for the user `default`, and RESET changes nothing."""
        self.server = Server()
        expected = (
            "-ERR AUTH <password> called without any password configured for the default user."
            " Are you sure your configuration is correct?\r\n"
        )
        self.assertEqual(
            self.talk("AUTH x", "AUTH default x", "AUTH x x", "RESET", "PING"),
            expected + OK + WRONGPASS + "+RESET\r\n+PONG\r\n",
        )

    def test_nobody_is_shown_the_password(self) -> None:
        replies = self.talk(
            *(f"AUTH {PASSWORD}x", f"AUTH {PASSWORD}", "CONFIG GET *", "CONFIG GET requirepass", "INFO"),
            *("CLIENT LIST", "COMMAND INFO auth"),
        )
        self.assertIn("maxclients", replies)
        self.assertNotIn(PASSWORD, replies + self.said())

    def test_a_wrong_password_is_logged(self) -> None:
        self.talk("AUTH wrong")
        self.assertIn("a wrong password", self.said())
        self.assertIn("client 127.0.0.1", self.said())

    def test_a_web_page_is_still_cut_off(self) -> None:
        for command in ("POST / HTTP/1.1", "Host: x"):
            connection, wire = self.connect()
            connection.dataReceived(f"{command}\r\nSET a 1\r\n".encode())
            self.assertTrue(wire.disconnected or wire.disconnecting, command)
            self.assertEqual(wire.value(), b"")


class StrangerTests(AuthCase):
    """What a client may send that has not given the password."""

    def refused(self, data: bytes, error: str) -> None:
        for size in (len(data), 7, 1):
            connection, wire = self.connect()
            for start in range(0, len(data), size):
                if not wire.disconnecting:
                    connection.dataReceived(data[start : start + size])
            self.assertEqual(wire.value().decode(), f"-ERR Protocol error: {error}\r\n", size)
            self.assertTrue(wire.disconnecting)

    def taken(self, data: bytes, reply: str = NOAUTH) -> None:
        connection, wire = self.connect()
        connection.dataReceived(data)
        self.server.clock.advance(FAILED_S)
        self.assertEqual(wire.value().decode(), reply)
        self.assertFalse(wire.disconnecting)

    def test_many_arguments(self) -> None:
        self.taken(encode_raw(*[b"a"] * 10))
        self.refused(encode_raw(*[b"a"] * 11), "unauthenticated multibulk length")
        self.refused(b"*1048577\r\n", "unauthenticated multibulk length")
        self.refused(b"*x\r\n", "invalid multibulk length")

    def test_long_arguments(self) -> None:
        self.taken(encode_raw(b"ECHO", b"a" * STRANGER_BYTES_MAX))
        self.refused(b"*2\r\n$4\r\nECHO\r\n$16385\r\n", "unauthenticated bulk length")
        self.refused(b"*2\r\n$4\r\nECHO\r\n$16000001\r\n", "invalid bulk length")

    def test_a_password_of_any_length(self) -> None:
        self.taken(encode_raw(b"AUTH", b"\xff" * STRANGER_BYTES_MAX), WRONGPASS)

    def test_empty_commands_are_no_commands(self) -> None:
        self.taken(b"\r\n*0\r\n\n*-1\r\n" + encode(f"AUTH {PASSWORD}"), OK)

    def test_the_bounds_come_back_with_reset(self) -> None:
        connection, wire = self.connect()
        connection.dataReceived(encode(f"AUTH {PASSWORD}", "RESET"))
        connection.dataReceived(encode_raw(*[b"a"] * 11))
        self.assertTrue(wire.value().endswith(b"unauthenticated multibulk length\r\n"))
        self.assertTrue(wire.disconnecting)

    def test_many_commands_at_a_time(self) -> None:
        """The client is told so often, and then hung up, so that it cannot make the replica hold replies."""
        connection, wire = self.connect()
        connection.dataReceived(encode(*["PING"] * STRANGER_COMMANDS_MAX))
        connection.dataReceived(encode(*["PING"] * STRANGER_COMMANDS_MAX))
        self.assertFalse(wire.disconnecting)
        wire.clear()
        connection.dataReceived(encode(*["PING"] * (STRANGER_COMMANDS_MAX + 1)))
        self.assertTrue(wire.disconnecting)
        self.assertEqual(wire.value().decode(), NOAUTH * STRANGER_COMMANDS_MAX)
        self.assertIn("commands instead of the password", self.said())

    def test_many_empty_commands_at_a_time(self) -> None:
        """They cost as much as others.  Empty lines count as one, because they are skipped at once."""
        for data in (b"*0\r\n", b"*-1\r\n", b" \n"):
            connection, wire = self.connect()
            connection.dataReceived(data * STRANGER_COMMANDS_MAX)
            self.assertFalse(wire.disconnecting, data)
            connection.dataReceived(data * (STRANGER_COMMANDS_MAX + 1))
            self.assertTrue(wire.disconnecting, data)
            self.assertEqual(wire.value(), b"")
        self.taken(b"\n" * 65536 + encode(f"AUTH {PASSWORD}"), OK)

    def test_the_password_may_be_the_last_of_many(self) -> None:
        connection, wire = self.connect()
        connection.dataReceived(encode(*["PING"] * (STRANGER_COMMANDS_MAX - 1), f"AUTH {PASSWORD}", "PING"))
        self.assertFalse(wire.disconnecting)
        self.assertTrue(wire.value().endswith(b"+OK\r\n+PONG\r\n"))

    def test_what_waits_is_counted(self) -> None:
        """Of a command that has not come whole, as of one of any other client."""
        connection, wire = self.connect()
        connection.dataReceived(b"*10\r\n" + b"$16384\r\n%b\r\n" % (b"a" * 16384) * 9)
        held = connection.pipeline.account.held_bytes
        self.assertGreater(held, 9 * 16384 - 1)
        connection.dataReceived(b"$1\r\na\r\n")
        self.assertEqual(wire.value().decode(), NOAUTH)
        self.assertEqual(connection.pipeline.account.held_bytes, 0)


class DifferentialTests(AuthCase):
    """The same sessions to a real Redis with the same password."""

    def test_as_redis_does(self) -> None:
        with RealRedis("--requirepass", PASSWORD) as redis:
            for commands in SESSIONS:
                real, (ours, wire) = redis.connect(), self.connect()
                for command in commands:
                    if command in ("HELLO", "COMMAND") and NOAUTH not in wire.value().decode():
                        continue
                    wire.clear()
                    ours.dataReceived(encode(command))
                    self.server.replica.run()
                    self.server.clock.advance(FAILED_S)
                    expected = real.send(encode(command))
                    if command == "MULTI" and expected == b"+OK\r\n":
                        continue  # transactions are not served
                    self.assertEqual(wire.value(), expected, f"{command} of {commands}")
                    self.assertEqual(wire.disconnecting, real.is_closed, f"{command} of {commands}")
                real.close()
            for data in (
                encode_raw(*[b"a"] * 11),
                encode_raw(b"PING", b"a" * 16384),
                encode_raw(b"PING", b"a" * 16385),
                b"*1048577\r\n",
                b"*x\r\n",
            ):
                real, (ours, wire) = redis.connect(), self.connect()
                ours.dataReceived(data)
                self.assertEqual(wire.value(), real.send(data), data[:40])
                self.assertEqual(wire.disconnecting, real.is_closed, data[:40])
                real.close()
