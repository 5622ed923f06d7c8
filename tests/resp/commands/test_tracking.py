"""CLIENT TRACKING: who is told of what, behind which replies, and what is never missed."""

from __future__ import annotations

import re
from contextlib import closing
from random import Random
from typing import Any
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from epaxos.interfaces import IExecuted, IObserver, Unavailable
from epaxos.resp.interfaces import ITracking
from epaxos.resp.tracking import tracking
from tests.resp.lab import Server, encode, encode_raw
from tests.resp.reference import RealRedis

FORGET_ALL = b">2\r\n$10\r\ninvalidate\r\n_\r\n"


def forget(*keys: bytes) -> bytes:
    shown = b"".join([b"$%d\r\n%b\r\n" % (len(key), key) for key in keys])
    return b">2\r\n$10\r\ninvalidate\r\n*%d\r\n%b" % (len(keys), shown)


class Case(SynchronousTestCase):
    def setUp(self) -> None:
        self.server = Server()
        self.replica = self.server.replica
        self.tracking = self.server.factory.shared.tracking
        self.reader, self.wire = self.server.connect()
        self.other, self.other_wire = self.server.connect()

    def say(self, connection: Any, *commands: str, raw: bytes = b"") -> bytes:
        """What the client gets when it sends commands, with what is pushed behind them."""
        connection.dataReceived(encode(*commands) + raw)
        return self.run_on(connection)

    def run_on(self, connection: Any) -> bytes:
        self.replica.run()
        self.server.clock.advance(0)
        self.replica.run()
        wire = self.wire if connection is self.reader else self.other_wire
        answer = wire.value()
        wire.clear()
        return answer

    def read(self, *commands: str) -> bytes:
        return self.say(self.reader, *commands)

    def write(self, *commands: str) -> bytes:
        """What the reader is told when another client sends commands."""
        self.say(self.other, *commands)
        return self.run_on(self.reader)

    def noted(self, *commands: str) -> list[bytes]:
        """The keys that are noted while the reader sends commands."""
        noted: list[bytes] = []
        add = self.tracking.table.add

        def note(client: int, names: list[bytes]) -> None:
            noted.extend(names)
            add(client, names)

        with patch.object(self.tracking.table, "add", note):
            self.read(*commands)
        return noted

    def track(self, options: str = "") -> None:
        answer = self.read("HELLO 3", f"CLIENT TRACKING ON {options}")
        self.assertTrue(answer.endswith(b"+OK\r\n"), answer)


class TellingTests(Case):
    def test_interfaces(self) -> None:
        verifyObject(IObserver, self.tracking)
        verifyObject(ITracking, self.tracking)
        verifyObject(IExecuted, self.replica.executed)

    def test_once_and_then_forgotten(self) -> None:
        self.track()
        self.assertEqual(self.read("GET a"), b"_\r\n")
        self.assertEqual(self.write("SET b 1"), b"")
        self.assertEqual(self.write("SET a 1"), forget(b"a"))
        self.assertEqual(self.write("SET a 2"), b"")
        self.assertEqual(self.read("GET a"), b"$1\r\n2\r\n")
        self.assertEqual(self.write("DEL a"), forget(b"a"))

    def test_what_is_noted(self) -> None:
        """What Redis calls readonly, the keys of scripts, and what EXEC reads."""
        for commands, keys in (
            (["GET a"], [b"a"]),
            (["MGET a b a"], [b"a", b"b"]),
            (["EXISTS b"], [b"b"]),
            (["HGETALL a", "LRANGE b 0 -1"], [b"a", b"b"]),
            (["SINTERCARD 2 a b"], [b"a", b"b"]),
            (["OBJECT ENCODING a"], [b"a"]),
            (["XREAD STREAMS a b 0 0"], [b"a", b"b"]),
            (["MULTI", "GET a", "SET x 1", "GET b", "EXEC"], [b"a", b"b"]),
            (["MULTI", "SELECT 0", "GET a", "EXEC"], [b"a"]),
            (["MULTI", "GET a", "DISCARD"], []),
            (["EVAL return{} 0 a b"], []),
            (["EVAL return{} 2 a b"], [b"a", b"b"]),
            (["EVAL_RO return{} 1 a"], [b"a"]),
            (["GETEX a"], []),
            (["GETDEL a"], []),
            (["SET a 1 GET"], []),
            (["PUBLISH a b"], []),
            (["NOPE a", "GET", "PING a", "KEYS *", "DBSIZE"], []),
            (["XREAD BLOCK 1 STREAMS a 0"], [b"a"]),
            (["BLPOP a 0.001"], []),
        ):
            self.setUp()
            self.track()
            self.assertEqual(list(dict.fromkeys(self.noted(*commands))), keys, commands)

    def test_one_message_for_what_is_written_together(self) -> None:
        self.track()
        self.read("MGET a b c")
        self.assertEqual(self.write("MSET c 1 x 1 a 1"), forget(b"c", b"a"))

    def test_own_writes_are_told_behind_their_reply(self) -> None:
        self.track()
        self.assertEqual(self.read("GET a", "SET a 1"), b"_\r\n+OK\r\n" + forget(b"a"))
        self.assertTrue(self.read("MULTI", "GET a", "SET a 2", "EXEC").endswith(b"+OK\r\n" + forget(b"a")))

    def test_a_write_between_the_read_and_its_reply(self) -> None:
        """Whichever of them runs first, what the client is told comes behind the reply."""
        for order, value in (([0, 1], b"_\r\n"), ([1, 0], b"$1\r\n1\r\n")):
            self.setUp()
            self.track()
            self.reader.dataReceived(encode("GET a"))
            self.other.dataReceived(encode("SET a 1"))
            self.replica.run(order)
            self.assertEqual(self.run_on(self.reader), value + forget(b"a"))

    def test_a_write_that_is_told_while_the_read_is_under_way(self) -> None:
        self.track()
        self.reader.dataReceived(encode("GET a"))
        held, self.replica.held = self.replica.held, []
        self.assertEqual(self.write("SET a 1"), b"")
        self.replica.held = held
        self.assertEqual(self.run_on(self.reader), b"$1\r\n1\r\n" + forget(b"a"))
        self.assertEqual(len(self.tracking.table), 0)

    def test_who_waits_for_elements_is_told_before(self) -> None:
        self.track()
        self.read("GET a")
        self.assertEqual(self.read("BLPOP l 0"), b"")
        self.assertEqual(self.write("SET a 1"), forget(b"a"))
        self.assertEqual(self.write("FLUSHALL"), FORGET_ALL)
        self.assertEqual(self.write("RPUSH l x"), b"*2\r\n$1\r\nl\r\n$1\r\nx\r\n")

    def test_who_waits_for_entries_that_it_may_keep_is_told_behind_them(self) -> None:
        self.track()
        self.assertEqual(self.read("XREAD BLOCK 0 STREAMS s 0"), b"")
        answer = self.write("XADD s 1-1 f v")
        self.assertTrue(answer.endswith(forget(b"s")) and b"1-1" in answer, answer)

    def test_databases(self) -> None:
        """The name of the key alone is told; another database is another key."""
        self.track()
        self.read("SELECT 3", "GET a", "SELECT 0")
        self.assertEqual(self.write("SET a 1"), b"")
        self.assertIn(forget(b"a")[-9:], self.write("SELECT 3", "SET a 1"))
        self.assertEqual(self.noted("MULTI", "SELECT 3", "GET b", "EXEC"), [b"\x003\0b"])

    def test_barriers(self) -> None:
        for command in ("FLUSHALL", "FLUSHDB", "SWAPDB 0 1"):
            self.setUp()
            self.track()
            self.read("GET a")
            self.assertEqual(self.write(command), FORGET_ALL)
            self.assertEqual(len(self.tracking.table), 0)
            self.assertEqual(self.write("SET a 1"), b"")

    def test_resp2_is_told_nothing(self) -> None:
        self.assertEqual(self.read("CLIENT TRACKING ON", "GET a"), b"+OK\r\n$-1\r\n")
        self.assertEqual(self.write("SET a 1", "FLUSHALL"), b"")

    def test_replies_that_nobody_wants(self) -> None:
        self.track()
        self.read("CLIENT REPLY OFF", "GET a")
        self.assertEqual(self.write("SET a 1"), forget(b"a"))

    def test_who_has_gone(self) -> None:
        self.track()
        self.read("GET a")
        self.reader.connectionLost()
        self.assertEqual(len(self.tracking), 0)
        self.assertNotIn(self.server.factory.shared.tracking, self.replica.executed.all)
        self.say(self.other, "SET a 1")
        self.assertEqual(len(self.tracking.table), 0)

    def test_one_of_two_has_gone(self) -> None:
        self.track()
        self.say(self.other, "HELLO 3", "CLIENT TRACKING ON", "GET a")
        self.read("GET a")
        self.assertEqual(self.tracking.table.places, 2)
        self.reader.connectionLost()
        self.assertEqual(self.say(self.other, "SET a 1"), b"+OK\r\n" + forget(b"a"))
        self.assertEqual(self.tracking.table.places, 0)

    def test_off_and_reset(self) -> None:
        for command in ("CLIENT TRACKING OFF", "RESET"):
            self.setUp()
            self.track()
            self.read("GET a", command)
            self.assertEqual(self.write("SET a 1"), b"")
            self.assertTrue(self.reader._sorter.is_plain)

    def test_without_a_quorum_and_at_the_end(self) -> None:
        self.track()
        self.read("GET a")
        self.tracking.on_quorum(False)
        self.assertEqual(self.run_on(self.reader), FORGET_ALL)
        self.tracking.on_quorum(True)
        self.assertEqual(self.run_on(self.reader), b"")
        self.read("GET a")
        self.replica.executed.end("it stops")
        self.assertEqual(self.wire.value(), FORGET_ALL, "before the connection is closed")

    def test_a_read_that_fails(self) -> None:
        self.track()
        self.reader.dataReceived(encode("GET a", "SET b 1"))
        self.replica.fail(Unavailable("CLUSTERDOWN no quorum", True))
        self.assertEqual(self.run_on(self.reader).count(b"-CLUSTERDOWN"), 2)
        self.assertEqual(self.write("SET a 1"), forget(b"a"))


class ModeTests(Case):
    def test_opt_in(self) -> None:
        self.track("OPTIN")
        for commands, keys in (
            (["GET a", "CLIENT CACHING YES", "CLIENT ID", "GET b", "GET c"], [b"b"]),
            (["CLIENT CACHING YES", "MULTI", "GET d", "CLIENT ID", "GET e", "EXEC", "GET f"], [b"d", b"e"]),
            (["CLIENT CACHING YES", "PING", "GET g", "CLIENT CACHING YES", "NOPE", "GET h"], []),
        ):
            self.assertEqual(self.noted(*commands), keys)

    def test_opt_out(self) -> None:
        self.track("OPTOUT")
        for commands, keys in (
            (["GET a", "CLIENT CACHING NO", "GET b", "GET c"], [b"a", b"c"]),
            (["CLIENT CACHING NO", "SELECT 0", "GET d"], [b"d"]),
            (["CLIENT CACHING NO", "MULTI", "GET e", "EXEC", "GET f"], [b"f"]),
        ):
            self.assertEqual(self.noted(*commands), keys)

    def test_prefixes(self) -> None:
        self.track("BCAST PREFIX user: PREFIX obj")
        self.read("GET user:1")
        self.assertEqual(len(self.tracking.table), 0)
        self.assertEqual(self.write("SET user:1 1"), forget(b"user:1"))
        self.assertEqual(self.write("SET user:1 1"), forget(b"user:1"))
        self.assertEqual(self.write("MSET user: 1 use 1 a 1"), forget(b"user:"))
        self.assertEqual(
            self.write("MSET user:2 1 obj 1 user:3 1"), forget(b"user:2", b"user:3") + forget(b"obj")
        )
        self.assertEqual(self.write("FLUSHALL"), FORGET_ALL)
        self.assertEqual(self.read("CLIENT TRACKING OFF"), b"+OK\r\n")
        self.assertEqual(self.write("SET user:1 1"), b"")
        self.assertEqual(len(self.tracking.prefixes), 0)

    def test_every_key_in_every_database(self) -> None:
        self.track("BCAST")
        self.assertEqual(self.write("SET a 1"), forget(b"a"))
        self.assertIn(b"$1\r\na\r\n", self.write("SELECT 2", "SET a 1"))

    def test_own_writes_without_loop(self) -> None:
        for options in ("NOLOOP", "NOLOOP BCAST"):
            self.setUp()
            self.track(options)
            self.read("GET a")
            self.assertEqual(self.read("SET a 1"), b"+OK\r\n")
            self.assertEqual(self.read("MULTI", "SET a 2", "EXEC")[-5:], b"+OK\r\n")
            self.read("GET a")
            self.assertEqual(self.write("SET a 3"), forget(b"a"))
            self.read("GET a")
            self.assertEqual(self.read("SET a 4"), b"+OK\r\n")
            self.assertEqual(self.write("SET a 5"), forget(b"a"))

    def test_a_batch_with_others_is_told(self) -> None:
        """Also where the reply came long before, to another command."""
        for options in ("NOLOOP", "NOLOOP BCAST"):
            self.setUp()
            self.track(options)
            self.read("GET a")
            self.read("SET b 1", "GET b")
            self.tracking.on_own_write(self.reader)
            batch = self.replica.store.batch([[b"SET", b"a", b"1"]])
            self.replica.executed.applied += 1
            self.replica.executed.on_applied(batch, True)
            self.assertEqual(self.run_on(self.reader), forget(b"a"), "a later batch")
            self.read("GET a")
            self.tracking.on_own_write(self.reader)
            self.replica.executed.on_applied(batch, False)
            self.assertEqual(self.run_on(self.reader), forget(b"a"), "with others")

    def test_the_read_of_what_was_written_without_loop_is_not_lost(self) -> None:
        """It came before the write was looked up."""
        self.track("NOLOOP")
        self.read("GET a")
        self.reader.dataReceived(encode("SET a 1"))
        self.replica.run()
        self.reader.dataReceived(encode("GET a"))
        self.assertEqual(self.run_on(self.reader), b"+OK\r\n$1\r\n1\r\n")
        self.assertEqual(self.write("SET a 2"), forget(b"a"))

    def test_facts(self) -> None:
        self.track("BCAST PREFIX b PREFIX a NOLOOP")
        info = self.read("CLIENT TRACKINGINFO")
        self.assertTrue(
            info.startswith(b"%3\r\n$5\r\nflags\r\n~3\r\n$2\r\non\r\n$5\r\nbcast\r\n$6\r\nnoloop\r\n")
        )
        self.assertTrue(info.endswith(b"*2\r\n$1\r\na\r\n$1\r\nb\r\n"), info)
        listed = self.read("CLIENT LIST")
        self.assertIn(b" flags=tB ", listed)
        self.assertIn(b" redir=0 ", listed)
        shown = self.read("INFO")
        for field in (b"tracking_clients:1", b"tracking_total_keys:0", b"tracking_total_prefixes:2"):
            self.assertIn(field + b"\r\n", shown)
        self.assertIn(b"1000000", self.read("CONFIG GET tracking-table-max-keys"))

    def test_what_is_refused(self) -> None:
        for commands, error in (
            (["CLIENT TRACKING ON REDIRECT 1"], b"-ERR REDIRECT is not served"),
            (["CLIENT TRACKING ON REDIRECT x"], b"-ERR value is not an integer"),
            (["MULTI", "CLIENT TRACKING ON", "EXEC"], b"-ERR Command not allowed inside a transaction"),
            (["MULTI", "CLIENT CACHING YES", "EXEC"], b"-ERR Command not allowed inside a transaction"),
            (
                ["CLIENT TRACKING ON BCAST " + " ".join(f"PREFIX {n:04}" for n in range(101))],
                b"-ERR a client",
            ),
            (["CLIENT TRACKING ON BCAST PREFIX " + 257 * "x"], b"-ERR a prefix may have"),
        ):
            self.assertIn(error, self.read(*commands), commands)


class BoundTests(Case):
    def test_the_oldest_keys_go(self) -> None:
        self.track()
        with patch.object(tracking, "KEYS_MAX", 5), patch.object(tracking, "ROUND_NAMES", 2):
            self.read("MGET a b c d e")
            self.assertEqual(self.tracking.table.places, 5)
            self.assertEqual(
                self.read("MGET f g h"), b"*3\r\n_\r\n_\r\n_\r\n" + forget(b"a", b"b") + forget(b"c", b"d")
            )
        self.assertEqual(list(self.tracking.table.names), [b"e", b"f", b"g", b"h"])

    def test_long_keys_are_not_kept(self) -> None:
        self.track()
        key = b"k" * (tracking.KEY_BYTES_MAX + 1)
        self.assertEqual(self.say(self.reader, raw=encode_raw(b"GET", key)), b"_\r\n" + FORGET_ALL)
        self.assertEqual(len(self.tracking.table), 0)
        self.read("CLIENT TRACKING OFF", "CLIENT TRACKING ON BCAST PREFIX k")
        self.say(self.other, raw=encode_raw(b"SET", key, b"1"))
        self.assertEqual(self.run_on(self.reader), FORGET_ALL)

    def test_too_much_at_a_time(self) -> None:
        self.track()
        self.read("GET a")
        with patch.object(tracking, "WAITING_NAMES_MAX", 3):
            self.tracking.on_written((b"a", b"b", b"c", b"d"), False)
        self.assertEqual(self.run_on(self.reader), FORGET_ALL)

    def test_steps(self) -> None:
        """Many clients are told in more than one step."""
        wires = []
        for _ in range(50):
            connection, wire = self.server.connect()
            connection.dataReceived(encode("HELLO 3", "CLIENT TRACKING ON", "GET a"))
            wires.append(wire)
        self.replica.run()
        for wire in wires:
            wire.clear()
        seconds = iter(range(10_000))
        with patch.object(self.tracking, "_seconds", lambda: next(seconds)):
            self.other.dataReceived(encode("SET a 1"))
            self.replica.run()
            step = self.tracking._step
            with patch.object(self.tracking, "_step", side_effect=step) as steps:
                self.tracking._wake()
                self.server.clock.advance(0)
                self.assertGreater(steps.call_count, 40)
        self.assertEqual({wire.value() for wire in wires}, {forget(b"a")})

    def test_the_table_is_freed_in_steps(self) -> None:
        self.tracking.table.add(1, [b"%d" % number for number in range(5000)])
        steps = self.tracking.table.clear()
        self.assertEqual((len(self.tracking.table), self.tracking.table.places), (0, 0))
        self.assertEqual(len(list(steps)), 5)

    def test_who_takes_nothing_is_cut_off(self) -> None:
        self.track("BCAST")
        self.reader.pipeline.set_full(True)
        bytes_max = self.server.factory.shared.limits.pipeline_bytes_max
        with patch("epaxos.resp.pipeline.send_promptly", lambda wire, data: 0):
            for _ in range(bytes_max // 20_000):
                self.tracking.on_written([b"%0100d" % number for number in range(1000)], False)
                self.server.clock.advance(0)
                if self.reader.pipeline.is_gone:
                    break
        self.assertTrue(self.reader.pipeline.is_gone)


MODES = ["", "OPTIN", "OPTOUT", "BCAST", "BCAST PREFIX a", "BCAST PREFIX a PREFIX b", "NOLOOP"]
WRONG = [
    "OFF", "ON PREFIX a", "ON BCAST OPTIN", "ON OPTIN OPTOUT", "ON BCAST PREFIX aa", "ON BCAST PREFIX", "x",
    "ON x", "ON BCAST", "ON", "ON OPTIN", "ON OPTOUT", "ON BCAST PREFIX c PREFIX cc", "OFF PREFIX",
    "ON OPTIN BCAST NOLOOP", "ON BCAST PREFIX d PREFIX d", "OFF OPTIN OPTOUT",
]  # fmt: skip
READS = [
    "GET {}", "MGET {} {}", "STRLEN {}", "EXISTS {} {}", "TYPE {}",
    "GETRANGE {} 0 1", "CLIENT CACHING YES|GET {}",
    "CLIENT CACHING NO|MGET {} {}",
]  # fmt: skip
WRITES = ["SET {} 1", "MSET {} 1 {} 2", "APPEND {} x", "MULTI|SET {} 1|APPEND {} x|EXEC", "SETRANGE {} 0 x"]
KEYS = ["a", "b", "aa", "ab", "c", "d", "ba"]
MESSAGE = re.compile(rb">2\r\n\$10\r\ninvalidate\r\n(?:_\r\n|\*(\d+)\r\n((?:\$\d+\r\n\w+\r\n)+?)(?=[^$]|$))")


def parted(answer: bytes) -> tuple[bytes, set[bytes]]:
    """The replies, and the keys that are told between them; `*` for all."""
    told: set[bytes] = set()
    for count, keys in MESSAGE.findall(answer):
        words = keys.split(b"\r\n")[1::2] if count else [b"*"]
        assert not count or len(words) == int(count), answer
        told.update(words)
    return MESSAGE.sub(b"", answer), told


class DifferentialTests(Case):
    """Beside a real Redis: the same replies, and the same keys are told.

    Not of what only reads in a transaction or script, because here it is told as if it were written.
    """

    def test_random_commands(self) -> None:
        real = RealRedis()
        self.addCleanup(real.close)
        random = Random(7)
        told = 0
        for _ in range(20):
            self.setUp()
            with closing(real.connect()) as reader, closing(real.connect()) as other:
                pair = [(self.reader, reader), (self.other, other)]
                other.send(encode("FLUSHALL"))
                mode = random.choice(MODES)
                for command in ("HELLO 3", f"CLIENT TRACKING ON {mode}"):
                    self.both(pair[0], [command])
                for _ in range(40):
                    kind = random.random()
                    if kind < 0.05:
                        commands = [f"CLIENT TRACKING {random.choice(WRONG)}"]
                    elif kind < 0.1:
                        commands = [random.choice(["CLIENT GETREDIR", "CLIENT TRACKINGINFO", "FLUSHALL"])]
                    else:
                        command = random.choice(READS if kind < 0.6 else WRITES)
                        while "{}" in command:
                            command = command.replace("{}", random.choice(KEYS), 1)
                        commands = command.split("|")
                    who = random.choice(pair) if kind >= 0.6 and mode != "NOLOOP" else pair[kind >= 0.6]
                    ours, theirs = self.both(who, commands)
                    if who is pair[1]:
                        ours, theirs = self.both(pair[0], ["CLIENT ID"])
                    told += len(theirs)
                    self.assertEqual(ours, theirs, (mode, commands))
        self.assertGreater(told, 100)

    def both(self, who: Any, commands: list[str]) -> tuple[set[bytes], set[bytes]]:
        """What both tell the client, which sends these commands and then asks something of its own."""
        connection, real = who
        ours, our_keys = parted(self.say(connection, *commands))
        theirs, their_keys = parted(real.send(encode(*commands)))
        again, more = parted(real.send(encode("ECHO x")))
        self.assertEqual(again, b"$1\r\nx\r\n")
        if not {"HELLO 3", "CLIENT ID"} & {*commands}:
            self.assertEqual(ours, theirs, commands)
        return our_keys, their_keys | more
