"""PUBLISH and those who listen, PUBSUB, CONFIG SET and MONITOR: beside redis-server, and what it has not."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from itertools import pairwise
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import Ready
from epaxos.net.door import Door
from epaxos.protocol.values.ids import InstanceId
from epaxos.resp import commands
from epaxos.resp.connection import RespConnection
from epaxos.resp.listening import delivery
from epaxos.resp.listening.listeners import NAMES_PER_STEP
from epaxos.resp.listening.patterns import CHANNEL_BYTES_MAX
from tests.defaults import default_limits
from tests.resp.lab import Server, Wire, encode, encode_raw
from tests.resp.reference import RealConnection, RealRedis


class Client:
    """A client of our server."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.connection: RespConnection
        self.wire: Wire
        self.connection, self.wire = server.connect()

    def send(self, data: bytes) -> bytes:
        self.connection.dataReceived(data)
        return self.came()

    def ask(self, *commands: str) -> bytes:
        return self.send(encode(*commands))

    def came(self) -> bytes:
        """What has come since the last look."""
        self.server.replica.run()
        self.server.clock.pump([0] * 20)
        data = self.wire.value()
        self.wire.clear()
        return data


class PublishCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.server = Server()

    def client(self, *commands: str) -> Client:
        client = Client(self.server)
        if commands:
            client.ask(*commands)
        return client


STEPS = (
    (0, "SUBSCRIBE a b"), (1, "PSUBSCRIBE a* [ab]"), (2, "PUBLISH a x"), (2, "PUBLISH b y", "PUBLISH c z"),
    (2, "SPUBLISH a x"), (3, "SSUBSCRIBE a"), (2, "SPUBLISH a x", "PUBLISH a x"), (2, "PUBSUB NUMSUB a b c"),
    (2, "PUBSUB NUMPAT", "PUBSUB SHARDCHANNELS", "PUBSUB SHARDNUMSUB a b", "PUBSUB NUMSUB"),
    (2, "PUBSUB CHANNELS x*", "PUBSUB CHANNELS b*", "PUBSUB SHARDCHANNELS b", "PUBSUB", "PUBSUB nope"),
    (2, "PUBSUB CHANNELS a b", "PUBSUB NUMPAT x", "PUBSUB SHARDCHANNELS a b", "PUBLISH", "PUBLISH a"),
    (2, "SPUBLISH a b c", "PUBLISH a b c", "pubsub numsub a"), (0, "UNSUBSCRIBE a"), (2, "PUBLISH a x"),
    (1, "PUNSUBSCRIBE a*"), (2, "PUBLISH a x", "PUBLISH ab x"), (3, "SUNSUBSCRIBE"), (2, "SPUBLISH a x"),
    (0, "PING", "PING x", "GET a", "PUBLISH a x", "EXEC"), (1, "PUNSUBSCRIBE", "GET a"), (2, "PUBLISH a x"),
    (0, "RESET", "HELLO 3"), (2, "PUBLISH b x"), (3, "HELLO 3", "SUBSCRIBE b"), (2, "PUBLISH b x"),
    (2, "MULTI", "PUBLISH nobody x", "PUBSUB NUMSUB b", "EXEC"), (3, "PSUBSCRIBE *", "SSUBSCRIBE b"),
    (2, "PUBLISH b x", "SPUBLISH b x", "PUBLISH +x-y z"), (3, "GET a"),
    (2, "SELECT 3", "PUBLISH b x", "SELECT 0"),
    (2, "CONFIG GET notify-keyspace-events", "CONFIG SET notify-keyspace-events KEA"),
    (2, "CONFIG GET notify-keyspace-events", "CONFIG SET notify-keyspace-events KQ", "SET k v", "DEL k"),
    (2, "CONFIG SET notify-keyspace-events K notify-keyspace-events E", "CONFIG SET nope x", "CONFIG SET a"),
    (2, "SELECT 2", "SET k v", "HSET h f v", "HDEL h f", "SELECT 0"), (3, "PUNSUBSCRIBE *"),
    (2, "COMMAND INFO publish"),
)  # fmt: skip


class AsRedisTests(PublishCase):
    def test_step_by_step(self) -> None:
        """Every client gets the same, in both protocols."""
        with RealRedis() as real:
            ours = [self.client() for _ in range(4)]
            theirs = [real.connect() for _ in range(4)]
            for number, *commands in STEPS:
                for client, their in zip(ours, theirs):
                    wanted = their.send(encode(*commands) if client is ours[number] else b"")
                    got = client.ask(*commands) if client is ours[number] else client.came()
                    if "HELLO 3" not in commands:
                        self.assertEqual(_sorted(got), _sorted(wanted), (number, commands))
            for their in theirs:
                their.close()

    def test_monitor(self) -> None:
        with RealRedis() as real:
            ours, theirs = self.client(), real.connect()
            our_monitor, their_monitor = self.client(), real.connect()
            self.assertEqual(our_monitor.ask("MONITOR"), _unseen(their_monitor.send(b"MONITOR\r\n")))
            for commands in MONITORED:
                ours.ask(*commands)
                theirs.send(encode(*commands))
                ours_seen, theirs_seen = _seen(our_monitor.came()), _seen(their_monitor.send(b""))
                if commands != ("SELECT 3",):  # which Redis shows with the database behind it
                    self.assertEqual(ours_seen, theirs_seen, commands)
            odd = encode_raw(b"ECHO", bytes(range(256)))
            ours.send(odd)
            theirs.send(odd)
            self.assertEqual(_seen(our_monitor.came()), _seen(their_monitor.send(b"")))
            for command in ("GET a", "SET a b", "NOPE", "GET"):
                wanted = _unseen(their_monitor.send(encode(command)))
                self.assertEqual(_unseen(our_monitor.ask(command)), wanted, command)
            wanted = _unseen(_both(their_monitor, "RESET", "GET a"))
            self.assertEqual(_unseen(our_monitor.ask("RESET", "GET a")), wanted)
            theirs.close()
            their_monitor.close()


MONITORED = (
    ("SET a b", "get a"), ("MULTI", "SET x 1", "PING", "EXEC"), ("MULTI", "SET q 1", "DISCARD"),
    ("AUTH foo",),
    ("HELLO 3 AUTH default x SETNAME me",), ("CONFIG GET save", "NOPE", "GET", "CLIENT LIST"), ("SELECT 3",),
    ("SET a b", "DEL a", "COMMAND COUNT", "PUBLISH a b", "SUBSCRIBE a", "UNSUBSCRIBE", "CLIENT SETNAME x"),
    ("WATCH a", "UNWATCH", "PING", "ECHO x", "MGET a b", "SET k v", "EXEC", "DISCARD"),
)  # fmt: skip


def _both(client: RealConnection, *commands: str) -> bytes:
    return b"".join([client.send(encode(command)) for command in commands])


def _seen(data: bytes) -> list[bytes]:
    """What a monitor has seen, without times and addresses."""
    found = re.findall(rb"^\+\d+\.\d{6} (\[\d+) [^ ]+\] (.*)\r$", data, re.MULTILINE)
    return [line for line in found if line[1] != b'"PING"']  # by which RealRedis counts turns


def _unseen(data: bytes) -> bytes:
    """What a monitor is answered."""
    return re.sub(rb"\+\d+\.\d{6} \[.*\r\n", b"", data)


def _sorted(data: bytes) -> tuple[bytes, list[bytes]]:
    """Messages by several patterns come in any order."""
    frame = rb"[*>]4\r\n\$8\r\npmessage\r\n(?:\$\d+\r\n[^\r]*\r\n){3}"
    return re.sub(frame, b"", data), sorted(re.findall(frame, data))


class DeliveryTests(PublishCase):
    def test_in_the_order_in_which_it_was_said(self) -> None:
        """Also over several channels, patterns, and clients that hear different things."""
        listeners = [
            self.client("SUBSCRIBE a b"), self.client("SUBSCRIBE b", "PSUBSCRIBE a*"),
            self.client("PSUBSCRIBE *"),
        ]  # fmt: skip
        publisher = self.client()
        said = [("ab"[number % 3 == 0], f"m{number}") for number in range(50)]
        publisher.ask(*(f"PUBLISH {channel} {text}" for channel, text in said))
        for listener in listeners:
            self.assertEqual(re.findall(rb"\bm\d+", listener.came()), [text.encode() for _, text in said])

    def test_one_write_for_each_client(self) -> None:
        listeners = [self.client("SUBSCRIBE a") for _ in range(5)]
        writes = [listener.wire.writes for listener in listeners]
        self.client(*["PUBLISH a x"] * 100)
        after = [listener.wire.writes for listener in listeners]
        self.assertEqual([new - old for old, new in zip(writes, after)], [1] * 5)

    def test_in_steps(self) -> None:
        """Many clients are told over several turns.  One that has left gets nothing more."""
        listeners = [self.client("SUBSCRIBE a") for _ in range(40)]
        publisher = self.client()
        now = [0.0]

        def seconds() -> float:
            now[0] += 0.001
            return now[0]

        self.patch(self.server.factory.shared.listeners._delivery, "_seconds", seconds)
        publisher.connection.dataReceived(encode("PUBLISH a x"))
        self.server.replica.run()
        counts = []
        for turn in range(30):
            self.server.clock.advance(0)
            counts.append(sum(b"message" in listener.wire.value() for listener in listeners))
            if turn == 1:
                listeners[-1].ask("UNSUBSCRIBE")
        self.assertLess(max(after - before for before, after in pairwise(counts)), 10)
        self.assertEqual((counts[-1], self.server.clock.getDelayedCalls()), (39, []))

    def test_pushes_go_behind_replies(self) -> None:
        client = self.client("HELLO 3", "SUBSCRIBE a")
        client.connection.dataReceived(encode("GET k", "PUBLISH a x"))
        self.assertEqual(client.came(), b"_\r\n:1\r\n>3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n")

    def test_one_that_takes_nothing_is_cut_off(self) -> None:
        self.server = Server(replace(default_limits(), pipeline_bytes_max=1000))
        slow, other = self.client("SUBSCRIBE a"), self.client("SUBSCRIBE a")
        slow.connection.pauseProducing()
        publisher = self.client()
        for _ in range(30):
            publisher.ask("PUBLISH a " + "x" * 50)
        self.assertTrue(slow.wire.disconnecting)
        self.assertEqual(other.wire.value().count(b"message"), 30)

    def test_one_that_is_behind_for_long_is_cut_off(self) -> None:
        self.patch(delivery, "BEHIND_BYTES", 500)
        slow, publisher = self.client("SUBSCRIBE a"), self.client()
        slow.connection.pauseProducing()
        for number in range(10):
            publisher.ask("PUBLISH a " + "x" * 100)
            self.server.clock.advance(delivery.BEHIND_S / 5)
            self.assertEqual(bool(slow.wire.disconnecting), number > 7, number)

    def test_messages_that_come_too_fast(self) -> None:
        """Who would miss some is cut off."""
        self.patch(delivery, "WAITING_BYTES_MAX", 1000)
        listener, publisher = self.client("SUBSCRIBE a"), self.client()
        publisher.ask(*["PUBLISH a " + "x" * 100] * 20)
        self.assertTrue(listener.wire.disconnecting)
        listener.connection.connectionLost()
        self.assertEqual(self.server.clock.getDelayedCalls(), [])

    def test_shared_bytes_count_once(self) -> None:
        listeners = [self.client("SUBSCRIBE a") for _ in range(10)]
        for listener in listeners:
            listener.connection.pauseProducing()
        self.client("PUBLISH a x", "PUBLISH a " + "y" * 50_000)
        self.assertLess(self.server.factory.shared.register.holdings.total_bytes, 80_000)

    def test_a_message_that_comes_by_many_patterns(self) -> None:
        """It is not copied for each of them before somebody looks at the sum."""
        self.patch(delivery, "ENCODED_BYTES_MAX", 10_000)
        greedy, other = self.client("PSUBSCRIBE a* a*? a*?? a?*"), self.client("PSUBSCRIBE a*")
        third = self.client("PSUBSCRIBE a*?")
        publisher = self.client("PUBLISH a" + "b" * 10 + " " + "x" * 4000)
        self.assertTrue(greedy.wire.disconnecting)
        for client, pattern in ((other, b"a*"), (third, b"a*?")):
            wanted = encode_raw(b"pmessage", pattern, b"a" + b"b" * 10, b"x" * 4000)
            self.assertEqual(client.came(), wanted)
        publisher.ask(*["PUBLISH ab " + "x" * 1000] * 4)
        self.assertEqual(other.came().count(b"pmessage"), 4)

    def test_the_connection_is_lost(self) -> None:
        client = self.client("SUBSCRIBE a", "PSUBSCRIBE a*", "SSUBSCRIBE a")
        publisher = self.client()
        client.connection.connectionLost()
        self.assertEqual(publisher.ask("PUBLISH a x", "SPUBLISH a x"), b":0\r\n:0\r\n")
        self.assertTrue(self.server.factory.audience.is_empty)


class PubsubTests(PublishCase):
    def test_many_channels(self) -> None:
        """The list comes in steps."""
        count = 2 * NAMES_PER_STEP
        for start in range(0, count, 1000):
            self.client("SUBSCRIBE " + " ".join(map(str, range(start, start + 1000))))
        client = self.client()
        client.connection.dataReceived(encode("PUBSUB CHANNELS *", "PING"))
        self.assertEqual(client.wire.value(), b"")
        self.server.clock.pump([0] * 100)
        found = client.wire.value()
        self.assertTrue(found.startswith(b"*%d\r\n" % count) and found.endswith(b"+PONG\r\n"))

    def test_who_leaves_meanwhile(self) -> None:
        for start in range(0, 3000, 1000):
            self.client("SUBSCRIBE " + " ".join(map(str, range(start, start + 1000))))
        client = self.client()
        client.connection.dataReceived(encode("PUBSUB CHANNELS *"))
        client.connection.connectionLost()
        self.server.clock.pump([0] * 100)
        self.assertEqual(self.server.clock.getDelayedCalls(), [])

    def test_information(self) -> None:
        self.client("SUBSCRIBE a b", "PSUBSCRIBE a*", "SSUBSCRIBE a b c")
        info = self.client().ask("INFO stats")
        for field in (b"pubsub_channels:2", b"pubsub_patterns:1", b"pubsubshard_channels:3"):
            self.assertIn(field, info)
        line = self.client().ask("CLIENT LIST TYPE pubsub")
        self.assertIn(b" flags=P db=0 sub=2 psub=1 ssub=3 ", line)


class PatternTests(PublishCase):
    def test_as_one_by_one(self) -> None:
        """The index finds what a look at each pattern would."""
        patterns = [
            "*",
            "news.*",
            "news.a",
            "n?ws.*",
            "[n]ews.*",
            "news.\\*",
            "x" * 80 + "*",
            "ne*",
            "",
            "new",
        ]
        listener = self.client("HELLO 3", *(f"PSUBSCRIBE {pattern}" for pattern in patterns if pattern))
        with RealRedis() as real:
            theirs = real.connect()
            theirs.send(encode(*(f"PSUBSCRIBE {pattern}" for pattern in patterns if pattern)))
            other = real.connect()
            for channel in ("news.a", "news.*", "new", "news.", "x" * 90, "naws.b", "other", "n"):
                ours = self.client().ask(f"PUBLISH {channel} m")
                self.assertEqual(ours, other.send(encode(f"PUBLISH {channel} m")), channel)
                self.assertEqual(
                    listener.came().count(b"pmessage"), theirs.send(b"").count(b"pmessage"), channel
                )
            listener.ask("PUNSUBSCRIBE news.* n?ws.*")
            theirs.send(encode("PUNSUBSCRIBE news.* n?ws.*"))
            self.assertEqual(
                self.client().ask("PUBLISH news.a m"), other.send(encode("PUBLISH news.a m")), "after the end"
            )
            theirs.close()
            other.close()

    def test_long_and_odd_names(self) -> None:
        """A name is any bytes.  One that is longer than a pattern is tried on matches no pattern."""
        listener = self.client("HELLO 3", "PSUBSCRIBE *")
        for name in (b"", b"\0\r\n\xff", b"*", b"x" * CHANNEL_BYTES_MAX):
            listener.send(encode_raw(b"SUBSCRIBE", name))
            self.assertEqual(self.client().send(encode_raw(b"PUBLISH", name, b"m")), b":2\r\n", name)
            self.assertIn(encode_raw(b"message", name, b"m")[2:], listener.came())
        self.assertEqual(self.client().send(encode_raw(b"PUBLISH", b"x" * 1_000_000, b"m")), b":0\r\n")


class MonitorTests(PublishCase):
    def test_it_costs_nothing_while_nobody_looks(self) -> None:
        shapes = self.server.factory.shared.shapes
        self.assertTrue(shapes.are_valid([[b"GET", b"a"]]))
        monitor = self.client("MONITOR")
        self.assertFalse(shapes.are_valid([[b"GET", b"a"]]))
        monitor.connection.connectionLost()
        self.assertTrue(shapes.are_valid([[b"GET", b"a"]]))

    def test_secrets_are_hidden(self) -> None:
        monitor, client = self.client("MONITOR"), self.client()
        client.ask("EPAXOS ONCE 123456 1 0 SET a b", "EPAXOS STATUS", "AUTH default secret")
        seen = monitor.came()
        self.assertNotIn(b"123456", seen)
        self.assertNotIn(b"secret", seen)

    def test_the_time_is_that_of_day(self) -> None:
        """As with Redis: seconds since 1970, not those of a clock that begins somewhere."""
        monitor, before = self.client("MONITOR"), time.time()
        self.client("GET a")
        shown = re.match(rb"\+(\d+\.\d{6}) ", monitor.came())
        assert shown is not None
        self.assertLess(abs(float(shown[1]) - before), 60)

    def test_what_is_refused_is_not_shown(self) -> None:
        """As with Redis: neither what strangers send, nor what a client may not send that listens."""
        server = Server(door=Door("secret", is_protected=True))
        monitor, client = Client(server), Client(server)
        monitor.ask("AUTH secret", "MONITOR")
        client.ask("GET stranger", "AUTH secret", "SUBSCRIBE c", "GET listening", "CLIENT LIST", "PING")
        monitor.ask("GET monitor")
        shown = re.findall(rb'\] "(.*)"\r', monitor.came() + client.came())
        self.assertEqual(shown, [])
        other = Client(server)
        other.ask("AUTH secret", "GET a")
        seen = monitor.came()
        self.assertIn(b'"GET" "a"', seen)

    def test_many_long_words_are_cut(self) -> None:
        self.patch(commands.monitor, "COMMAND_BYTES_MAX", 1000)
        monitor, client = self.client("MONITOR"), self.client()
        client.ask("DEL " + " ".join(["x" * 100] * 100))
        seen = monitor.came()
        self.assertIn(b"... (90 more arguments)", seen)
        self.assertLess(len(seen), 1200)

    def test_long_commands_are_cut(self) -> None:
        monitor, client = self.client("MONITOR"), self.client()
        client.ask("DEL " + "k " * 2000, "SET k " + "x" * 10_000)
        seen = monitor.came()
        self.assertIn(b"... (1001 more arguments)", seen)
        self.assertLess(len(seen), 15_000)

    def test_one_that_takes_nothing_is_cut_off(self) -> None:
        self.server = Server(replace(default_limits(), pipeline_bytes_max=1000))
        monitor, client = self.client("MONITOR"), self.client()
        monitor.connection.pauseProducing()
        for _ in range(50):
            client.ask("GET a")
        self.assertTrue(monitor.wire.disconnecting)


class SettingTests(PublishCase):
    def test_it_is_not_run_inside_multi(self) -> None:
        client = self.client()
        told = client.ask("MULTI", "CONFIG SET notify-keyspace-events KEA", "EXEC", "CONFIG GET notify*")
        self.assertIn(b"-ERR Command not allowed inside a transaction", told)
        self.assertTrue(told.endswith(b"notify-keyspace-events\r\n$0\r\n\r\n"))

    def test_other_settings_stay(self) -> None:
        told = self.client().ask("CONFIG SET maxclients 5", "CONFIG SET NOTIFY-keyspace-events KEA")
        self.assertIn(b"argument 'maxclients') - can't set immutable config", told)
        self.assertTrue(told.endswith(b"+OK\r\n"))


def _replica_state(server: Server) -> Any:
    return dict(server.replica.store.entries())


class OrderTests(PublishCase):
    def test_two_replicas_tell_the_same(self) -> None:
        """Whatever the number of receivers of each is."""
        other = Server()
        self.client("SUBSCRIBE a", "PSUBSCRIBE *")
        script = [b"EVAL", b"return redis.call('PUBLISH', KEYS[1], ARGV[1])", b"1", b"a", b"x"]
        queued = [b"\0EXEC", b"0", b"", b"0", b"0", b"3", b"PUBLISH", b"a", b"x"]
        for command in (script, queued):
            batch = self.server.replica.store.batch([command])
            replies = [
                each.replica.store.apply([Ready(InstanceId(0, 1), batch, True, True)])
                for each in (self.server, other)
            ]
            self.assertEqual(replies[0], replies[1])
        self.assertEqual(_replica_state(self.server), _replica_state(other))
