"""Clients that listen on the channels of SENTINEL: what they are told, when, and what they may send."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from epaxos.resp.commands.subscribe import NAMES_MAX
from epaxos.resp.connection import RespConnection
from epaxos.resp.interfaces import ClusterView
from epaxos.resp.listening import patterns
from epaxos.resp.listening.listeners import SUBSCRIPTIONS_MAX
from epaxos.resp.listening.members import LOOK_S
from epaxos.resp.listening.patterns import ALIKE_BYTES_MAX, SEARCH_STEPS_MAX
from tests.defaults import default_limits
from tests.resp.commands.test_cluster import LOST, VIEW
from tests.resp.lab import Server, Wire, encode, encode_raw
from tests.resp.reference import RealRedis

ALL_UP = VIEW._replace(places=tuple(place._replace(is_up=True) for place in VIEW.places))
DOWN = b"master orders db.example 7101"
SWITCH = b"orders db.example 7101 10.0.0.2 7100"


def message(*words: bytes) -> bytes:
    return encode_raw(b"message", *words)


class ListenCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.view = ALL_UP
        self.looks = 0
        self.server = self.serve()
        self.connection, self.wire = self.server.connect()

    def serve(self, **given: Any) -> Server:
        return Server(view=self.look, **given)

    def look(self, host: str) -> ClusterView:
        self.looks += 1
        return self.view

    def ask(self, *commands: str) -> bytes:
        return self.ask_at(self.connection, self.wire, *commands)

    def ask_at(self, connection: RespConnection, wire: Wire, *commands: str) -> bytes:
        wire.clear()
        connection.dataReceived(encode(*commands))
        self.server.replica.run()
        return wire.value()

    def told(self, view: ClusterView) -> bytes:
        """What the client is told when the replica sees this."""
        self.wire.clear()
        self.view = view
        self.server.clock.advance(LOOK_S)
        return self.wire.value()


class MessageTests(ListenCase):
    def test_a_member_goes_and_comes(self) -> None:
        self.ask("SUBSCRIBE +switch-master +sdown -sdown")
        self.assertEqual(self.told(ALL_UP), b"")
        self.assertEqual(self.told(VIEW), message(b"+sdown", DOWN) + message(b"+switch-master", SWITCH))
        self.assertEqual(self.told(VIEW), b"")
        self.assertEqual(self.told(ALL_UP), message(b"-sdown", DOWN))

    def test_only_what_was_asked_for(self) -> None:
        self.ask("SUBSCRIBE +switch-master")
        self.assertEqual(self.told(VIEW), message(b"+switch-master", SWITCH))
        self.assertEqual(self.told(ALL_UP), b"")

    def test_patterns(self) -> None:
        self.ask("PSUBSCRIBE +switch-* *")
        self.assertEqual(
            self.told(VIEW),
            encode_raw(b"pmessage", b"*", b"+sdown", DOWN)
            + encode_raw(b"pmessage", b"+switch-*", b"+switch-master", SWITCH)
            + encode_raw(b"pmessage", b"*", b"+switch-master", SWITCH),
        )

    def test_a_member_is_removed(self) -> None:
        self.ask("SUBSCRIBE +switch-master")
        self.assertEqual(
            self.told(ALL_UP._replace(places=ALL_UP.places[:2])), message(b"+switch-master", SWITCH)
        )

    def test_a_minority_sends_nobody_here(self) -> None:
        self.ask("SUBSCRIBE +switch-master +sdown")
        self.assertEqual(self.told(LOST), message(b"+sdown", DOWN))

    def test_nobody_looks_for_nobody(self) -> None:
        self.server.clock.advance(60)
        self.assertEqual(self.looks, 0)
        self.ask("SUBSCRIBE +sdown", "PSUBSCRIBE *")
        self.ask("UNSUBSCRIBE")
        self.assertEqual(len(self.server.clock.getDelayedCalls()), 1)
        self.ask("PUNSUBSCRIBE")
        self.assertEqual(self.server.clock.getDelayedCalls(), [])

    def test_the_connection_is_lost(self) -> None:
        self.ask("SUBSCRIBE +sdown")
        other, wire = self.server.connect()
        self.ask_at(other, wire, "SUBSCRIBE +sdown")
        self.connection.connectionLost()
        wire.clear()
        self.assertEqual(self.told(VIEW), b"")
        self.assertEqual(wire.value(), message(b"+sdown", DOWN))
        other.connectionLost()
        self.assertEqual(self.server.clock.getDelayedCalls(), [])

    def test_in_steps(self) -> None:
        """Many clients are told over several turns, and one that leaves meanwhile is not."""
        clients = [self.server.connect() for _ in range(40)]
        for connection, wire in clients:
            self.ask_at(connection, wire, "SUBSCRIBE +sdown")
            wire.clear()
        listeners = self.server.factory.shared.listeners.news
        now = [0.0]
        told: list[int] = []
        step = listeners._step

        def seconds() -> float:
            now[0] += 0.001
            return now[0]

        def look_and_step() -> None:
            told.append(sum(bool(wire.value()) for _, wire in clients))
            if len(told) == 2:
                clients[-1][0].connectionLost()
            step()

        self.patch(listeners, "_seconds", seconds)
        self.patch(listeners, "_step", look_and_step)
        self.view = VIEW
        self.server.clock.advance(LOOK_S)
        self.assertEqual([bool(wire.value()) for _, wire in clients], [True] * 39 + [False])
        self.assertLess(max(after - before for before, after in pairwise(told)), 10)
        self.assertEqual(len(self.server.clock.getDelayedCalls()), 1)

    def test_one_that_takes_nothing_is_cut_off(self) -> None:
        self.server = self.serve(limits=replace(default_limits(), pipeline_commands_max=20))
        self.connection, self.wire = self.server.connect()
        self.ask("PSUBSCRIBE *")
        self.connection.pauseProducing()
        for _ in range(30):
            self.told(VIEW)
            self.told(ALL_UP)
        self.assertTrue(self.wire.disconnecting or self.wire.aborting)
        self.connection.connectionLost()
        self.assertEqual(self.server.clock.getDelayedCalls(), [])

    def test_who_listens_is_not_idle(self) -> None:
        self.server = self.serve(limits=replace(default_limits(), timeout_s=10))
        self.connection, self.wire = self.server.connect()
        self.ask("SUBSCRIBE +sdown")
        for _ in range(300):
            self.server.clock.advance(0.1)
        self.assertFalse(self.wire.disconnecting)
        self.ask("UNSUBSCRIBE")
        for _ in range(300):
            self.server.clock.advance(0.1)
        self.assertTrue(self.wire.disconnecting)


class ProtocolTests(ListenCase):
    def test_nobody_looks_at_the_members_for_other_channels(self) -> None:
        self.assertIn(b"subscribe", self.ask("SUBSCRIBE news", "PSUBSCRIBE news.*", "SSUBSCRIBE +sdown"))
        self.server.clock.advance(60)
        self.assertEqual((self.looks, self.server.clock.getDelayedCalls()), (0, []))

    def test_patterns_are_bounded(self) -> None:
        """Those that a message is tried on at once."""
        self.assertIn(b"-ERR the pattern is longer than 1024", self.ask("PSUBSCRIBE " + "*" * 1025))
        for start in range(ALIKE_BYTES_MAX // 900):
            last = self.ask(f"PSUBSCRIBE *{'x' * 900}{start}")
        self.assertIn(b"-ERR too many patterns begin alike", last)
        self.assertIn(b"psubscribe", self.ask("PSUBSCRIBE other.*"))
        self.assertIn(b":0\r\n", self.ask("PUNSUBSCRIBE"))
        self.assertIn(b"psubscribe", self.ask("PSUBSCRIBE *"))

    def test_searches_are_bounded(self) -> None:
        """All patterns together that begin differently, too; else one message takes seconds."""
        question_marks = "?" * 59
        for number in range(16):
            self.assertIn(b"psubscribe", self.ask(f"PSUBSCRIBE {'a' * number}*{question_marks}x*"))
        self.assertIn(b"-ERR too many patterns with", self.ask(f"PSUBSCRIBE b*{question_marks}x*"))
        names = " ".join(f"x*{number}*" for number in range(SEARCH_STEPS_MAX - 16 * 60))
        self.assertNotIn(b"-ERR", self.ask(f"PSUBSCRIBE {names}"))
        self.assertIn(b"-ERR too many patterns with", self.ask("PSUBSCRIBE y*z*"))
        self.assertNotIn(b"-ERR", self.ask("PSUBSCRIBE y*z y* y?", "PUNSUBSCRIBE x*1*", "PSUBSCRIBE y*z*"))
        self.ask("PUNSUBSCRIBE")
        self.assertIn(b"psubscribe", self.ask(f"PSUBSCRIBE b*{question_marks}x*"))

    def test_compiling_is_bounded(self) -> None:
        long = " ".join("a" * number + "?" * 900 for number in range(20))
        self.assertIn(b"-ERR the patterns of one command", self.ask(f"PSUBSCRIBE {long}"))
        plain = " ".join(f"{number}{'a' * 60}*" for number in range(500))
        self.assertNotIn(b"-ERR", self.ask(f"PSUBSCRIBE {plain}"))

    def test_what_is_remembered_is_bounded(self) -> None:
        self.patch(patterns, "REMEMBERED_MAX", 10)
        self.ask("PSUBSCRIBE a* a*b ab*")
        known = self.server.factory.shared.listeners._subscriptions.patterns
        for number in range(20):
            self.assertEqual(known.matching(b"ab%db" % number), [b"a*", b"a*b", b"ab*"])
            self.assertLessEqual(sum(map(len, known._remembered.values())), 9)

    def test_subscriptions_are_bounded(self) -> None:
        for start in range(0, SUBSCRIPTIONS_MAX, NAMES_MAX):
            self.ask("SUBSCRIBE " + " ".join(map(str, range(start, start + NAMES_MAX))))
        self.assertIn(b"-ERR a client may listen to", self.ask("SUBSCRIBE one-more"))
        self.assertIn(b":10000\r\n", self.ask("SUBSCRIBE 5"))
        self.ask("UNSUBSCRIBE")
        self.server.clock.pump([0] * 50)
        self.assertEqual(self.wire.value().count(b"unsubscribe"), SUBSCRIPTIONS_MAX)
        self.assertEqual((self.connection.session.listens_bytes, self.ask("GET a")), (0, b"$-1\r\n"))

    def test_names_in_a_command_are_bounded(self) -> None:
        for name in ("SUBSCRIBE", "UNSUBSCRIBE", "PSUBSCRIBE", "PUNSUBSCRIBE", "SSUBSCRIBE", "SUNSUBSCRIBE"):
            most = " ".join(["+sdown"] * NAMES_MAX)
            self.assertEqual(
                self.ask(f"{name} {most} +sdown"),
                f"-ERR too many channels or patterns in one command: at most {NAMES_MAX}\r\n".encode(),
            )
            self.assertEqual(self.ask(f"{name} {most}").count(b"+sdown"), NAMES_MAX)

    def test_in_resp3_other_commands_run(self) -> None:
        self.assertEqual(
            self.ask("HELLO 3", "SUBSCRIBE +sdown").partition(b">")[2],
            b"3\r\n$9\r\nsubscribe\r\n$6\r\n+sdown\r\n:1\r\n",
        )
        self.assertEqual(self.ask("GET a", "PING"), b"_\r\n+PONG\r\n")
        self.assertEqual(self.told(VIEW), b">3\r\n$7\r\nmessage\r\n$6\r\n+sdown\r\n$29\r\n" + DOWN + b"\r\n")

    def test_behind_what_is_under_way(self) -> None:
        self.ask("HELLO 3", "SUBSCRIBE +sdown")
        self.wire.clear()
        self.connection.dataReceived(encode("GET a"))
        self.assertEqual(self.told(VIEW), b"")
        self.server.replica.run()
        self.assertTrue(self.wire.value().startswith(b"_\r\n>3\r\n"))

    def test_reset_ends_it(self) -> None:
        self.assertTrue(self.ask("SUBSCRIBE +sdown", "RESET", "GET a").endswith(b"+RESET\r\n$-1\r\n"))
        self.assertEqual(self.server.clock.getDelayedCalls(), [])

    def test_the_list_of_clients(self) -> None:
        other, wire = self.server.connect()
        self.ask("SUBSCRIBE +sdown -sdown", "PSUBSCRIBE *")
        first, _ = self.ask_at(other, wire, "CLIENT LIST").decode().split("\r\n")[1].strip().split("\n")
        self.assertIn(" flags=P db=0 sub=2 psub=1 ", first)

    def test_as_redis(self) -> None:
        """Byte for byte, in both protocols."""
        for hello in ("PING", "HELLO 3"):
            with RealRedis() as real:
                theirs = real.connect()
                ours, wire = self.server.connect()
                theirs.send(encode(hello))
                self.ask_at(ours, wire, hello)
                for commands in FLOWS:
                    self.assertEqual(
                        self.ask_at(ours, wire, *commands), theirs.send(encode(*commands)), (hello, commands)
                    )
                theirs.close()


FLOWS = (
    ("UNSUBSCRIBE", "PUNSUBSCRIBE", "UNSUBSCRIBE +sdown"),
    ("SUBSCRIBE +sdown +switch-master +sdown",),
    ("PING", "PING x", "PING x y"),
    ("GET a", "get", "SUBSCRIBE", "PSUBSCRIBE"),
    ("PSUBSCRIBE * +s*", "PSUBSCRIBE *"),
    ("UNSUBSCRIBE +sdown x",),
    ("UNSUBSCRIBE", "UNSUBSCRIBE"),
    ("PUNSUBSCRIBE +s*", "GET a", "PUNSUBSCRIBE", "GET a"),
    ("SUBSCRIBE +sdown", "RESET", "PING"),
    ("SSUBSCRIBE a b a", "SUBSCRIBE a", "SUNSUBSCRIBE a x", "PING"),
    ("SUNSUBSCRIBE", "SUNSUBSCRIBE", "UNSUBSCRIBE a", "SSUBSCRIBE"),
    ("MULTI", "SUBSCRIBE a b", "PUBSUB NUMSUB a", "EXEC", "UNSUBSCRIBE a b"),
    ("SUBSCRIBE a", "CLIENT LIST", "CONFIG GET x", "UNSUBSCRIBE"),
)
"""What a client sends at a time."""
