"""Clients that wait for elements, over the protocol: beside a real Redis, and when connections end."""

from __future__ import annotations

import re
import time
from random import Random

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import Unavailable
from epaxos.resp.connection import RespConnection
from epaxos.resp.sorter import HEARD_BYTES_MAX
from tests.resp.lab import Server, Wire, encode, encode_raw
from tests.resp.reference import RealRedis
from tests.statemachines.redis.wall_clock import WallClock

UNBLOCKED = b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"
STREAM_GONE = re.compile(rb"(?<=-)(UNBLOCKED the stream key no longer|NOGROUP No such key '.' or)[^\r]*")
"""Of an XREADGROUP that waits, Redis 7.0 says that the stream has gone, and Redis 7.2 what it says then."""


class Site:
    """A server, and clients of it."""

    def __init__(self, clients: int) -> None:
        self.server = Server()
        self.server.replica.store.use_clock(WallClock(time.time), lambda: 0)
        self.connections: list[RespConnection] = []
        self.wires: list[Wire] = []
        for _ in range(clients):
            connection, wire = self.server.connect()
            self.connections.append(connection)
            self.wires.append(wire)

    def send(self, number: int, *commands: str) -> None:
        self.connections[number].dataReceived(encode(*commands))
        self.settle()

    def settle(self) -> None:
        """Let everything happen that is due."""
        for _ in range(20):
            self.server.replica.run()
            self.server.clock.advance(0)

    def take(self, number: int) -> bytes:
        """What the client was told since the last call."""
        told = self.wires[number].value()
        self.wires[number].clear()
        return told

    @property
    def blocked(self) -> int:
        return len(self.server.factory.shared.blocked)

    def items(self, key: str) -> bytes:
        """The elements of a list, as another client sees them."""
        connection, wire = self.server.connect()
        connection.dataReceived(encode(f"LRANGE {key} 0 -1"))
        self.settle()
        connection.connectionLost(Failure(ConnectionDone()))
        return re.sub(rb"[*$].*?\r\n", b"", wire.value()).replace(b"\r\n", b" ").strip()


WAITS = (
    *("BLPOP {k} 0", "BRPOP {k} 0", "BLPOP {k} {k} 0", "BRPOP {k} {k} {k} 0", "BLMOVE {k} {k} {d} {d} 0"),
    *("BRPOPLPUSH {k} {k} 0", "BLMPOP 0 1 {k} {d}", "BLMPOP 0 2 {k} {k} {d} COUNT 2", "BZPOPMIN {z} 0"),
    *("BZPOPMAX {z} {z} 0", "BZMPOP 0 1 {z} {m}", "BZMPOP 0 2 {z} {z} {m} COUNT 2", "BZPOPMIN {k} 0"),
    *(
        "XREAD BLOCK 0 STREAMS {s} $",
        "XREAD COUNT 1 BLOCK 0 STREAMS u {s} $ 20",
        "XREAD BLOCK 0 STREAMS {s} 0",
    ),
    *("XREADGROUP GROUP g me BLOCK 0 STREAMS {s} >", "XREADGROUP GROUP g you COUNT 1 BLOCK 0 STREAMS {s} >"),
    *("XREADGROUP GROUP h me BLOCK 0 NOACK STREAMS {s} >", "XREADGROUP GROUP g me BLOCK 0 STREAMS {s} 0"),
)
OTHERS = (
    *("RPUSH {k} {v}", "RPUSH {k} {v} {v}", "LPUSH {k} {v} {v} {v}", "LPOP {k}", "DEL {k}", "RENAME {k} {k}"),
    *("COPY {k} {k} REPLACE", "LMOVE {k} {k} {d} {d}", "LLEN {k}", "LRANGE {k} 0 -1", "SET s {v}"),
    *("BLPOP s 0", "BLMOVE {k} s LEFT LEFT 0", "BLPOP {k} x", "BLMOVE {k} {k} UP LEFT 0", "PING"),
    *("CLIENT UNBLOCK {id}", "CLIENT UNBLOCK {id} ERROR", "CLIENT UNBLOCK {id} x", "MULTI", "EXEC"),
    *("LREM {k} 1 {v}", "LTRIM {k} 1 -1", "EVAL return(redis.call('rpush',KEYS[1],1)) 1 {k}", "SELECT 1"),
    *("SELECT 0", "MOVE {k} 1", "MOVE {k} 0", "ZADD {z} {v} {v}", "ZADD {z} 1.5 {v} 2 {v}"),
    *("ZADD {z} {v} {v}", "ZPOPMIN {z}", "ZUNIONSTORE {z} 2 {z} {z}", "RENAME {z} {z}", "BLPOP {z} 0"),
    *(
        "XADD {s} {n} f {v}",
        "XADD {s} {n} f {v}",
        "XADD {s} {n} f {v}",
        "XDEL {s} 3",
        "XLEN {s}",
        "XACK {s} g 5",
    ),
    *(
        "XGROUP CREATE {s} g $ MKSTREAM",
        "XGROUP CREATE {s} h 0 MKSTREAM",
        "XTRIM {s} MAXLEN 2",
        "XREAD STREAMS {s} 0",
    ),
    *(
        "XADD {s} {n} f {v}",
        "XREAD BLOCK x STREAMS {s} 0",
        "XREAD BLOCK -1 STREAMS {s} 0",
        "XREAD BLOCK 0 STREAMS a $",
    ),
)


class DifferentialTests(SynchronousTestCase):
    def test_random(self) -> None:
        """Several clients, one command after the other: each is told the same at the same time."""
        with RealRedis() as real:
            for seed in range(80):
                self.play(real, Random(seed), seed)

    def play(self, real: RealRedis, random: Random, seed: int) -> None:
        clients = 5
        ours, theirs = Site(clients), [real.connect() for _ in range(clients)]
        theirs[0].send(encode("FLUSHALL"))
        ids = [[int(each.send(encode("CLIENT ID"))[1:]) for each in theirs], [1, 2, 3, 4, 5]]
        history = []
        protocol = random.choice(["HELLO 2", "HELLO 3"])
        for number in range(clients):
            theirs[number].send(encode(protocol))
            ours.send(number, protocol)
            ours.take(number)
        for number_of_entry in range(1, 120):
            waiting = ours.server.factory.shared.blocked
            number = random.choice([0, 0, 0, 1, 2, 3, 4])
            if ours.connections[number].session.client_id in waiting and random.random() < 0.9:
                number = 0
            template = random.choice(WAITS if number and random.random() < 0.5 else OTHERS)
            if not number and template.startswith(("B", "XREAD")):
                continue  # this one never waits
            one = random.randrange(clients)
            words = [
                word.format(
                    k=random.choice("abc"), z=random.choice("xy"), m=random.choice(["MIN", "max"]),
                    s=random.choice("st"), n=number_of_entry, v=random.randrange(100), id=f"<{one}>",
                    d=random.choice(["LEFT", "right"]),
                )
                for word in template.split()
            ]  # fmt: skip
            if template.startswith(("COPY", "RENAME")) and words[1] == words[2]:
                continue
            command = " ".join(words)
            if ours.connections[number].session.client_id in waiting:
                command = "PING"  # what comes behind a wait runs at any time
            elif random.random() < 0.2 and not command.startswith("CLIENT"):
                command = f"MULTI|{command}|EXEC"  # in one piece
            history.append((number, command))
            sent = [command.replace(f"<{one}>", str(ids[which][one])).split("|") for which in (0, 1)]
            told = theirs[number].send(encode(*sent[0]))
            ours.send(number, *sent[1])
            real_told = [told if other == number else theirs[other].send(b"") for other in range(clients)]
            self.assertEqual(
                [STREAM_GONE.sub(b"", each) for each in real_told],
                [STREAM_GONE.sub(b"", ours.take(other)) for other in range(clients)],
                (seed, history),
            )
        for each in theirs:
            each.close()
        self.assertGreater(len(history), 40)


class TimeoutTests(SynchronousTestCase):
    def test_replies(self) -> None:
        """Nil as RESP2 and RESP3 have it, at the end of the timeout and not before."""
        for command in ("BLPOP a 2", "BRPOP a b 2", "BLMOVE a b LEFT LEFT 2", "BRPOPLPUSH a b 2",
                        "BLMPOP 2 1 a LEFT", "BZPOPMIN a 2", "BZPOPMAX a b 2", "BZMPOP 2 1 a MIN",
                        "BLPOP a 0x2", "BLPOP a 2e0", "BLPOP a +1.9999"):  # fmt: skip
            for protocol, nil in ((2, b"*-1\r\n"), (3, b"_\r\n")):
                site = Site(1)
                site.connections[0].session.resp = protocol
                site.send(0, command, "PING")
                site.server.clock.advance(1.99)
                self.assertEqual((site.take(0), site.blocked), (b"", 1), command)
                site.server.clock.advance(0.02)
                site.settle()
                self.assertEqual((site.take(0), site.blocked), (nil + b"+PONG\r\n", 0), command)

    def test_of_streams(self) -> None:
        for command in ("XREAD BLOCK 2000 STREAMS s $", "XREAD BLOCK 2000 STREAMS s t 0 $"):
            site = Site(1)
            site.send(0, command, "PING")
            site.server.clock.advance(1.99)
            self.assertEqual((site.take(0), site.blocked), (b"", 1), command)
            site.server.clock.advance(0.02)
            site.settle()
            self.assertEqual((site.take(0), site.blocked), (b"*-1\r\n+PONG\r\n", 0), command)

    def test_errors(self) -> None:
        site = Site(1)
        not_a_float = b"-ERR timeout is not a float or out of range\r\n"
        for timeout, told in (
            ("-1", b"-ERR timeout is negative\r\n"), ("-0.001", b"-ERR timeout is negative\r\n"),
            ("-inf", b"-ERR timeout is negative\r\n"), ("x", not_a_float), ("nan", not_a_float),
            ("1_0", not_a_float), ("1e", not_a_float), ("0x", not_a_float), ("--1", not_a_float),
            ("1" * 5000, not_a_float), ("\u0661", not_a_float), ("1.2.3", not_a_float),
            ("inf", b"-ERR timeout is out of range\r\n"), ("1e999", b"-ERR timeout is out of range\r\n"),
            ("0x1p99999", b"-ERR timeout is out of range\r\n"), ("1e18", b"-ERR timeout is out of range\r\n"),
            ("-0x1p99999", b"-ERR timeout is negative\r\n"), ("9" * 300, b"-ERR timeout is out of range\r\n"),
        ):  # fmt: skip
            for command in (f"BLPOP a {timeout}", f"BLMPOP {timeout} 1 a LEFT", f"BRPOPLPUSH a b {timeout}"):
                site.send(0, command)
                self.assertEqual((site.take(0), site.blocked), (told, 0), command)

    def test_inside_of_others(self) -> None:
        """Inside MULTI and scripts they answer at once, and inside ONCE they are refused."""
        site = Site(1)
        site.send(0, "MULTI", "BLPOP a 0", "BLMOVE a b LEFT LEFT 0", "BLPOP a -1", "EXEC")
        self.assertEqual(
            site.take(0),
            b"+OK\r\n" + b"+QUEUED\r\n" * 3 + b"*3\r\n*-1\r\n$-1\r\n-ERR timeout is negative\r\n",
        )
        site.send(0, "EVAL return(redis.call('blpop',KEYS[1],0)) 1 a")
        self.assertEqual(site.take(0), b"$-1\r\n")
        site.send(0, "RPUSH a 1", "EVAL return(redis.call('blpop',KEYS[1],0)) 1 a")
        self.assertEqual(site.take(0), b":1\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n")
        site.send(0, "EPAXOS ONCE 00 1 0 BLPOP a 0")
        self.assertTrue(site.take(0).startswith(b"-ONCEREFUSED 'BLPOP'"))
        self.assertEqual(site.blocked, 0)

    def test_too_many_keys(self) -> None:
        site = Site(1)
        site.send(0, "BLPOP " + "a " * 1_001 + "0")
        self.assertEqual(site.take(0), b"-ERR more than 1000 keys to wait for\r\n")


class WakingTests(SynchronousTestCase):
    """Whatever puts something where a client waits wakes it."""

    def test_by_any_command(self) -> None:
        for commands in (
            ["SELECT 1", "RPUSH a 1", "SWAPDB 0 1"], ["SELECT 1", "RPUSH a 1", "MOVE a 0"],
            ["RPUSH b 1", "RENAME b a"], ["RPUSH b 1", "COPY b a"], ["RPUSH b 1", "LMOVE b a LEFT LEFT"],
            ["RPUSH b 1", "SORT b STORE a"], ["MULTI", "RPUSH a 1", "SET x 1", "EXEC"],
            ["FLUSHALL", "RPUSH a 1"],
            ["SET a x", "DEL a", "LPUSH a 1"], ["EPAXOS SESSION", "LPUSH a 1"],
        ):  # fmt: skip
            site = Site(2)
            site.send(0, "BLPOP a 0")
            site.send(1, *commands)
            self.assertEqual(site.take(0), b"*2\r\n$1\r\na\r\n$1\r\n1\r\n", commands)

    def test_restore(self) -> None:
        site = Site(2)
        site.send(1, "RPUSH b 1", "DUMP b")
        dumped = site.take(1).partition(b"\r\n")[2].partition(b"\r\n")[2][:-2]
        site.send(0, "BLPOP a 0")
        site.connections[1].dataReceived(encode_raw(b"RESTORE", b"a", b"0", dumped))
        site.settle()
        self.assertEqual(site.take(0), b"*2\r\n$1\r\na\r\n$1\r\n1\r\n")

    def test_a_value_of_another_type_wakes_nobody(self) -> None:
        site = Site(2)
        site.send(0, "BLPOP a 0")
        site.send(
            1, "SET a x", "DEL a", "HSET a f v", "DEL a", "ZADD a 1 m", "DEL a", "XADD a 1 f v", "DEL a"
        )
        self.assertEqual((site.take(0), site.blocked), (b"", 1))
        self.assertEqual(sum(site.server.replica.submitted), 9)

    def test_what_is_last_is_read_before(self) -> None:
        """`$` is what the replica says when it is asked, and what comes after that is new."""
        site = Site(2)
        site.send(1, "XADD s 5 f v")
        site.connections[0].dataReceived(encode("XREAD BLOCK 0 STREAMS s t $ $", "PING"))
        site.connections[1].dataReceived(encode("XADD s 6 f v"))  # behind the read, and before the wait
        site.settle()
        self.assertEqual(
            site.take(0),
            b"*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n6-0\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n+PONG\r\n",
        )

    def test_the_last_id_cannot_be_read(self) -> None:
        site = Site(2)
        site.send(1, "SET s x")
        site.send(0, "XREAD BLOCK 0 STREAMS t s $ $", "PING")
        self.assertRegex(site.take(0), rb"\A-WRONGTYPE [^\r]*\r\n\+PONG\r\n\Z")
        site.connections[0].dataReceived(encode("XREAD BLOCK 0 STREAMS t $", "PING"))
        site.server.replica.fail(Unavailable("CLUSTERDOWN no quorum", False))
        site.settle()
        self.assertRegex(site.take(0), rb"\A-CLUSTERDOWN no quorum\r\n\+PONG\r\n\Z")
        site.connections[0].dataReceived(encode("XREAD BLOCK 0 STREAMS t $", "PING"))
        site.connections[0].readConnectionLost()
        site.settle()
        self.assertEqual((site.take(0), site.blocked), (b"", 0))
        self.assertTrue(site.wires[0].disconnecting)

    def test_in_another_database(self) -> None:
        site = Site(2)
        site.send(0, "SELECT 2", "XREAD BLOCK 0 STREAMS s $")
        site.send(1, "XADD s 1 f v", "SELECT 2", "XADD s 2 f v")
        self.assertIn(b"2-0", site.take(0))

    def test_those_of_a_group_share(self) -> None:
        site = Site(4)
        site.send(3, "XGROUP CREATE s g 0 MKSTREAM", "XGROUP CREATE s h 0")
        for number, group in enumerate("ggh"):
            site.send(number, f"XREADGROUP GROUP {group} c{number} COUNT 1 BLOCK 0 STREAMS s >")
        before = len(site.server.replica.submitted)
        site.send(3, "XADD s 1 f v")
        self.assertEqual([b"1-0" in site.take(number) for number in range(3)], [True, False, True])
        self.assertEqual(len(site.server.replica.submitted) - before, 3)
        site.send(3, "XADD s 2 f v", "XADD s 3 f v")
        self.assertIn(b"2-0", site.take(1))

    def test_a_group_that_has_gone(self) -> None:
        site = Site(4)
        for ending in ("DEL s", "XGROUP DESTROY s g", "SET s x"):
            site.send(3, "DEL s", "XGROUP CREATE s g 0 MKSTREAM")
            for number in range(3):
                site.send(number, f"XREADGROUP GROUP g c{number} BLOCK 0 STREAMS s >")
            site.send(3, ending)
            for number in range(3):
                self.assertRegex(site.take(number), rb"\A-(NOGROUP|WRONGTYPE) ", ending)

    def test_an_entry_that_was_deleted_is_waited_for_no_more(self) -> None:
        """What is new for a group has gone: nobody asks for it again and again."""
        site = Site(2)
        site.send(1, "XGROUP CREATE s g 0 MKSTREAM", "MULTI", "XADD s 1 f v", "XDEL s 1", "EXEC")
        site.send(0, "XREADGROUP GROUP g c BLOCK 0 STREAMS s >")
        before = len(site.server.replica.submitted)
        site.send(1, "MULTI", "XADD s 2 f v", "XDEL s 2", "EXEC", "XACK s g 1")
        self.assertEqual((site.blocked, len(site.server.replica.submitted) - before), (1, 1))


class ConnectionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.site = Site(3)

    def test_what_comes_behind_is_held_back(self) -> None:
        site = self.site
        site.send(0, "BLPOP a 0", "SET x 1", "GET x")
        site.send(0, "SET x 2", "GET x", "BLPOP b 0", "PING")
        site.send(1, "GET x")
        self.assertEqual((site.take(0), site.take(1)), (b"", b"$-1\r\n"))
        site.send(1, "RPUSH a 1", "RPUSH b 2")
        self.assertEqual(
            site.take(0),
            b"*2\r\n$1\r\na\r\n$1\r\n1\r\n+OK\r\n$1\r\n1\r\n+OK\r\n$1\r\n2\r\n"
            b"*2\r\n$1\r\nb\r\n$1\r\n2\r\n+PONG\r\n",
        )
        self.assertEqual(site.blocked, 0)
        site.send(0, "PING")
        self.assertEqual(site.take(0), b"+PONG\r\n")

    def test_it_comes_behind_what_was_sent_before(self) -> None:
        self.site.send(0, "RPUSH a 1 2", "BLPOP a 0", "LPOP a")
        self.assertEqual(self.site.take(0), b":2\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\n2\r\n")

    def test_nothing_is_heard_behind_what_is_no_command(self) -> None:
        site = self.site
        site.send(0, "BLPOP a 0", "SET x 1")
        site.connections[0].dataReceived(b"*abc\r\n")
        site.send(0, "SET y 1")
        site.send(1, "RPUSH a 1")
        self.assertEqual(
            site.take(0),
            b"*2\r\n$1\r\na\r\n$1\r\n1\r\n+OK\r\n-ERR Protocol error: invalid multibulk length\r\n",
        )
        self.assertTrue(site.wires[0].disconnecting)
        self.assertEqual(dict(site.server.replica.store.entries()), {b"x": b"1"})

    def test_much_behind_it_is_not_read(self) -> None:
        site = self.site
        site.send(0, "BLPOP a 0")
        self.assertEqual(site.wires[0].producerState, "producing")
        sent = 0
        while sent <= HEARD_BYTES_MAX:
            site.send(0, "ECHO " + "x" * 3000)
            sent += 3000
        self.assertTrue(site.connections[0].pipeline.is_held_up)
        self.assertTrue(site.connections[0].pipeline.is_paused)
        site.send(1, "RPUSH a 1")
        self.assertEqual(site.take(0).count(b"x" * 3000), sent // 3000)
        self.assertFalse(site.connections[0].pipeline.is_paused)

    def test_no_reply_is_wanted(self) -> None:
        site = self.site
        site.send(0, "CLIENT REPLY OFF", "BLPOP a 0", "CLIENT REPLY ON", "PING")
        self.assertEqual((site.take(0), site.blocked), (b"", 1))
        site.send(1, "RPUSH a 1")
        self.assertEqual(site.take(0), b"+OK\r\n+PONG\r\n")
        site.send(0, "CLIENT REPLY SKIP", "BLPOP a 0", "PING")
        site.send(1, "RPUSH a 1")
        self.assertEqual((site.take(0), site.items("a")), (b"+PONG\r\n", b""))

    def test_shown(self) -> None:
        site = self.site
        site.send(0, "BLPOP a 0")
        site.send(1, "CLIENT LIST", "INFO clients")
        told = site.take(1)
        self.assertRegex(told, rb"id=1 [^\n]* flags=b [^\n]* cmd=blpop ")
        self.assertIn(b"blocked_clients:1\r\n", told)
        site.send(1, "CLIENT UNBLOCK 1 error", "CLIENT UNBLOCK 1", "CLIENT UNBLOCK 9", "INFO clients")
        self.assertEqual(site.take(0), UNBLOCKED)
        self.assertIn(b"blocked_clients:0\r\n", site.take(1))

    def test_the_calls_are_counted_once(self) -> None:
        site = self.site
        site.send(0, "BLPOP a 0")
        for _ in range(3):
            site.send(1, "RPUSH a 1", "LPOP a")
        site.send(1, "RPUSH a 1", "INFO commandstats")
        self.assertRegex(site.take(1), rb"cmdstat_blpop:calls=1,")

    def test_the_client_hangs_up(self) -> None:
        for end in ("lost", "half", "cut off", "hang up"):
            site = self.site = Site(3)
            site.send(0, "BLPOP a 0", "SET x 1")
            connection = site.connections[0]
            if end == "lost":
                connection.connectionLost(Failure(ConnectionDone()))
            elif end == "half":
                connection.readConnectionLost()
                self.assertTrue(site.wires[0].disconnecting)
            elif end == "cut off":
                connection.cut_off("test")
            else:
                connection.hang_up()
            site.send(1, "RPUSH a 1", "EXISTS x")
            self.assertEqual((site.blocked, site.take(1)), (0, b":1\r\n:0\r\n"), end)
            self.assertEqual((site.items("a"), site.take(0)), (b"1", b""), end)

    def test_half_a_hang_up_during_a_pop(self) -> None:
        """The element is popped: it is told, in case that somebody listens."""
        site = self.site
        site.send(0, "BLPOP a 0")
        site.connections[1].dataReceived(encode("RPUSH a 1"))
        site.server.replica.run([0])  # the push, but not yet the pop that follows
        site.connections[0].readConnectionLost()
        self.assertFalse(site.wires[0].disconnecting)
        site.settle()
        self.assertEqual(site.take(0), b"*2\r\n$1\r\na\r\n$1\r\n1\r\n")
        self.assertTrue(site.wires[0].disconnecting)

    def test_a_pop_of_a_lost_client_goes_to_the_next(self) -> None:
        site = self.site
        site.send(0, "BLPOP a 0")
        site.send(2, "BLPOP a 0")
        site.connections[1].dataReceived(encode("RPUSH a 1"))
        site.server.replica.run([0])
        site.connections[0].connectionLost(Failure(ConnectionDone()))
        site.settle()
        self.assertEqual((site.take(2), site.blocked), (b"*2\r\n$1\r\na\r\n$1\r\n1\r\n", 0))

    def test_the_replica_is_without_a_quorum(self) -> None:
        site = self.site
        site.connections[0].dataReceived(encode("SET x 1"))
        site.connections[0].dataReceived(encode("BLPOP a 0", "PING"))
        self.assertEqual(site.blocked, 1)
        site.server.replica.fail(Unavailable("CLUSTERDOWN no quorum", True))
        site.settle()
        told = site.take(0)
        self.assertEqual(told.count(b"-CLUSTERDOWN "), 2)
        self.assertTrue(told.endswith(b"+PONG\r\n"))
        self.assertEqual(site.blocked, 0)

    def test_the_replica_stops(self) -> None:
        """Also when it takes the state of another one: what was written meanwhile is told to nobody."""
        site = self.site
        site.send(0, "BLPOP a 0", "SET x 1")
        site.server.replica.executed.end("CLUSTERDOWN the replica takes the state of another one")
        site.server.factory.hang_up()
        self.assertRegex(site.take(0), rb"\A-UNBLOCKED force unblock [^\r]*\r\n\Z")
        self.assertTrue(site.wires[0].disconnecting)
        self.assertEqual(site.blocked, 0)

    def test_nothing_is_left(self) -> None:
        site = self.site
        for number in range(3):
            site.send(number, "BLPOP a b c 5", "BLMPOP 5 2 a d LEFT")
        site.send(0, "PING")
        for connection in site.connections:
            connection.connectionLost(Failure(ConnectionDone()))
        site.settle()
        shared = site.server.factory.shared
        self.assertEqual((len(shared.blocked), len(shared.blocked.names)), (0, 0))
        self.assertEqual(shared.register.holdings.total_bytes, 0)
        self.assertEqual(site.server.replica.executed.all, {})
        site.server.clock.advance(60)
        self.assertEqual(site.server.clock.getDelayedCalls(), [])
