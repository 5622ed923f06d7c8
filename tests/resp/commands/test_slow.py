"""SLOWLOG and LATENCY: beside redis-server, and what they keep."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces.composites import Transaction, in_database, transaction
from epaxos.interfaces.instruments import SAMPLES_MAX, LatencyMonitor, Took
from epaxos.interfaces.users import AS, DELETE, SET, USERS
from epaxos.resp.slowlog import shown
from tests.resp.lab import Server, encode, encode_raw
from tests.resp.reference import RealRedis


class SlowCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.server = Server()
        self.connection, self.wire = self.server.connect()
        self.slow = self.server.factory.shared.slow
        self.latency = self.server.factory.shared.latency

    def ask(self, *command: bytes) -> bytes:
        self.wire.clear()
        self.connection.dataReceived(encode_raw(*command))
        self.server.replica.run()
        return self.wire.value()

    def run_for(self, us: int, began: float, *commands: str) -> None:
        """Run these commands as one batch that takes so long."""
        self.connection.dataReceived(encode(*commands))
        self.server.clock.advance(us / 1e6)
        self.server.replica.took_now = Took(0.0, 0.0, us / 1e6, began)
        self.server.replica.run()

    @property
    def kept(self) -> list[tuple[int, int, bytes]]:
        return [(entry.id, entry.us, b" ".join(entry.words)) for entry in self.slow.entries]


class SlowlogTests(SlowCase):
    def test_like_redis(self) -> None:
        real = RealRedis()
        self.addCleanup(real.close)
        theirs = real.connect()
        self.addCleanup(theirs.close)
        for line in (
            "SLOWLOG", "SLOWLOG LEN", "SLOWLOG LEN x", "SLOWLOG GET", "SLOWLOG GET 0", "SLOWLOG GET -1",
            "SLOWLOG GET -2", "SLOWLOG GET x", "SLOWLOG GET 1 2", "SLOWLOG RESET", "SLOWLOG RESET x",
            "SLOWLOG NOPE", "LATENCY", "LATENCY LATEST", "LATENCY HISTORY nope", "LATENCY HISTORY",
            "LATENCY RESET", "LATENCY RESET a b", "LATENCY NOPE",
        ):  # fmt: skip
            words = line.encode().split()
            self.assertEqual(self.ask(*words), theirs.send(encode_raw(*words)), line)

    def test_secrets_and_what_is_made_of_commands(self) -> None:
        for command, words in (
            ([b"ACL", b"SETUSER", b"bob", b">p"], b"ACL SETUSER (redacted) (redacted)"),
            ([USERS, SET, b"bob", b"#12"], b"ACL SETUSER (redacted) (redacted)"),
            ([USERS, DELETE, b"bob"], b"ACL DELUSER bob"),
            ([b"EPAXOS", b"ONCE", b"id", b"1", b"0", b"GET", b"a"], b"EPAXOS ONCE (redacted) 1 0 GET a"),
            ([b"EPAXOS", b"TRACE", b"GET", b"a"], b"EPAXOS TRACE GET a"),
            ([AS, b"bob on ~a +@all", b"EVAL", b"return", b"0"], b"EVAL return 0"),
        ):
            self.assertEqual(b" ".join(shown(command)), words)

    def test_what_is_kept(self) -> None:
        self.slow.use(10_000, 3)
        self.connection.session.client_name = b"me"
        self.run_for(9_999, 1.0, "SET a 1")
        self.assertEqual(self.kept, [])
        self.run_for(10_000, 2.0, "SET a 1")
        (entry,) = self.slow.entries
        self.assertEqual((entry.id, entry.us, entry.words), (0, 10_000, [b"SET", b"a", b"1"]))
        self.assertEqual((entry.address, entry.client_name), ("127.0.0.1:1234", b"me"))
        for number in range(3):
            self.run_for(20_000, 3.0 + number, f"GET k{number}")
        self.assertEqual([id for id, _, _ in self.kept], [1, 2, 3])
        reply = self.ask(b"SLOWLOG", b"GET", b"1")
        self.assertTrue(reply.startswith(b"*1\r\n*6\r\n:3\r\n:"), reply)
        self.assertIn(
            b":20000\r\n*2\r\n$3\r\nGET\r\n$2\r\nk2\r\n$14\r\n127.0.0.1:1234\r\n$2\r\nme\r\n", reply
        )
        self.slow.use(10_000, 1)
        self.assertEqual(self.ask(b"SLOWLOG", b"LEN"), b":1\r\n")
        self.ask(b"SLOWLOG", b"RESET")
        self.assertEqual(self.kept, [])
        self.slow.use(-1, 3)
        self.run_for(20_000, 9.0, "SET a 1")
        self.assertEqual(self.kept, [])

    def test_a_slow_batch_has_one_entry(self) -> None:
        """That of the command that costs most by its kind; of several submissions, too."""
        self.slow.use(10_000, 10)
        self.run_for(10_000, 1.0, "GET " + "k" * 100, "SET k " + "v" * 50, "KEYS *", "GET b")
        self.assertEqual(self.kept, [(0, 10_000, b"KEYS *")])
        other, _ = self.server.connect()
        other.dataReceived(encode("GET a"))
        self.run_for(30_000, 2.0, "KEYS a*")
        self.assertEqual(self.kept[1:], [(1, 30_000, b"KEYS a*")])

    def test_commands_of_a_turn(self) -> None:
        """Of several clients together: the client whose command it is."""
        self.slow.use(0, 10)
        other, _ = self.server.connect()
        other.session.client_name = b"other"
        self.server.factory.shared.receive(
            [(self.connection, encode("GET a", "GET b")), (other, encode("LRANGE l 0 1"))]
        )
        self.server.replica.took_now = Took(0.0, 0.0, 0.5, 1.0)
        self.server.replica.run()
        self.assertEqual([entry.client_name for entry in self.slow.entries], [b"other"])

    def test_what_a_connection_answers(self) -> None:
        self.slow.use(0, 10)
        self.ask(b"CLIENT", b"ID")
        self.ask(b"AUTH", b"secret")
        self.assertEqual([words for _, _, words in self.kept], [b"CLIENT ID"])

    def test_what_is_shown(self) -> None:
        long = [b"MSET", *[b"%d" % number for number in range(40)]]
        for command, words in (
            ([b"SET", b"k", b"v" * 128], [b"SET", b"k", b"v" * 128]),
            ([b"SET", b"k", b"v" * 130], [b"SET", b"k", b"v" * 128 + b"... (2 more bytes)"]),
            (long[:32], long[:32]),
            (long[:33], [*long[:31], b"... (2 more arguments)"]),
            (in_database(3, [b"GET", b"a"]), [b"GET", b"a"]),
            (
                transaction(Transaction(None, [(0, b"w")], [(0, [b"GET", b"a"]), (1, [b"DEL", b"b"])])),
                [b"EXEC", b"GET", b"a", b"DEL", b"b"],
            ),
        ):
            self.assertEqual(shown(command), words)


class LatencyTests(SlowCase):
    def test_secrets_and_what_is_made_of_commands(self) -> None:
        for command, words in (
            ([b"ACL", b"SETUSER", b"bob", b">p"], b"ACL SETUSER (redacted) (redacted)"),
            ([USERS, SET, b"bob", b"#12"], b"ACL SETUSER (redacted) (redacted)"),
            ([USERS, DELETE, b"bob"], b"ACL DELUSER bob"),
            ([b"EPAXOS", b"ONCE", b"id", b"1", b"0", b"GET", b"a"], b"EPAXOS ONCE (redacted) 1 0 GET a"),
            ([b"EPAXOS", b"TRACE", b"GET", b"a"], b"EPAXOS TRACE GET a"),
            ([AS, b"bob on ~a +@all", b"EVAL", b"return", b"0"], b"EVAL return 0"),
        ):
            self.assertEqual(b" ".join(shown(command)), words)

    def test_what_is_kept(self) -> None:
        now = [100.2]
        monitor = LatencyMonitor(lambda: now[0])
        self.assertGreater(monitor.after_s, 1e9)
        monitor.set_after_ms(5)
        self.assertEqual(monitor.after_s, 0.005)
        for moment, seconds in ((100.2, 0.009), (100.9, 0.02), (100.95, 0.006), (102.0, 0.007)):
            now[0] = moment
            monitor.add("sync", seconds)
        self.assertEqual(monitor.history("sync"), [(100, 20), (102, 7)])
        self.assertEqual(monitor.latest(), [("sync", 102, 7, 20)])
        for second in range(SAMPLES_MAX + 5):
            now[0] = 200.0 + second
            monitor.add("loop", 1.0)
        self.assertEqual([len(monitor.history("loop")), monitor.history("loop")[0][0]], [SAMPLES_MAX, 205])
        self.assertEqual([monitor.forget(["loop", "x"]), monitor.forget([]), monitor.latest()], [1, 1, []])

    def test_commands(self) -> None:
        self.latency.set_after_ms(5)
        self.slow.use(-1, 10)
        self.run_for(4_000, 1.0, "SET a 1")
        self.assertEqual(self.ask(b"LATENCY", b"LATEST"), b"*0\r\n")
        self.run_for(7_500, 2.0, "SET a 1")
        reply = self.ask(b"LATENCY", b"LATEST")
        self.assertTrue(reply.startswith(b"*1\r\n*4\r\n$7\r\ncommand\r\n:"), reply)
        self.assertTrue(reply.endswith(b":7\r\n:7\r\n"), reply)
        self.assertTrue(self.ask(b"LATENCY", b"HISTORY", b"command").startswith(b"*1\r\n*2\r\n:"))
        self.assertEqual(self.ask(b"LATENCY", b"RESET"), b":1\r\n")
