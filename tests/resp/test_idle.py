"""Clients that are idle, that send no more, or that never take their replies; on real sockets."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import reactor as the_reactor
from twisted.internet.defer import inlineCallbacks
from twisted.internet.threads import deferToThread

from epaxos.resp.patience import LEAVE_S
from tests.defaults import default_limits
from tests.net.lab import turns, until
from tests.resp.lab import (
    LONG,
    SocketCase,
    encode,
    held_bytes,
    take,
    take_rest,
)

reactor: Any = the_reactor


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
        self.replica.store.restore({b"k": b"v"}, [])
        connection, client = yield self.connect()
        for number in range(3):
            client.send(encode("GET k", "STRLEN k"))
            yield until(lambda number=number: len(self.replica.submitted) == number + 1)
        client.shutdown(socket.SHUT_WR)
        yield until(lambda: connection.is_leaving)
        yield turns(5)
        held = self.replica.held
        self.clock.advance(LEAVE_S * 5)
        self.assertIn(connection, self.factory.connections)
        for number in (2, 0, 1):
            self.replica.held = [held[number]]
            self.replica.run()
            yield turns()
        self.assertEqual((yield deferToThread(take_rest, client)), b"$1\r\nv\r\n:1\r\n" * 3)

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
        self.serve(default_limits(pipeline_commands_max=10))
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
            self.assertGreater(held_bytes(lazy), 1_000_000)
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
        self.serve(default_limits(timeout_s=100), at_once=False)
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
        self.serve(default_limits(timeout_s=100))
        slow, client = yield self.connect()
        silent, other = yield self.connect()
        idle, _ = yield self.connect()
        self.clock.advance(80)
        client.send(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$16000\r\n")
        other.send(encode("CLIENT REPLY OFF"))
        yield until(lambda: slow.pipeline.coming_bytes > 0 and silent.session.last_name != b"")
        self.clock.pump([10] * 8)
        yield until(lambda: idle not in self.factory.connections)
        self.assertCountEqual(self.factory.connections, [slow, silent])
        for _ in range(16):
            before = slow.pipeline.coming_bytes, self.traffic.commands_processed
            client.send(bytes(1000))
            other.send(encode("PING"))
            yield until(
                lambda before=before: (
                    slow.pipeline.coming_bytes > before[0] and self.traffic.commands_processed > before[1]
                )
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
            self.serve(default_limits(keepalive_s=keepalive_s))
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
