"""MULTI, EXEC, DISCARD, WATCH, UNWATCH and SELECT, held against a real Redis byte for byte."""

from __future__ import annotations

import socket

from twisted.trial.unittest import SynchronousTestCase

from tests.resp.lab import Server, encode
from tests.resp.reference import RealRedis

FLOWS = [
    ["MULTI", "SET a 1", "INCR a", "GET a", "EXEC", "GET a"],
    ["MULTI", "EXEC"],
    ["MULTI", "MULTI", "SET a 1", "EXEC"],
    ["MULTI", "WATCH a", "SET a 1", "EXEC"],
    ["MULTI x", "MULTI", "EXEC x", "SET a 1", "EXEC"],
    ["MULTI", "SET a 1", "MULTI x", "EXEC"],
    ["MULTI", "DISCARD x", "EXEC"],
    ["MULTI", "WATCH", "EXEC"],
    ["MULTI", "RESET x", "EXEC"],
    ["MULTI", "NOPE a", "SET a 1", "EXEC", "EXEC"],
    ["MULTI", "SET a", "EXEC", "GET a"],
    ["MULTI", "SET a x NX XX", "EXEC", "GET a"],
    ["SET a x", "MULTI", "INCR a", "SET b 1", "EXEC", "GET b"],
    ["MULTI", "UNWATCH", "PING", "ECHO a", "SELECT 3", "SET x 1", "CLIENT GETNAME",
     "EXEC", "GET x", "SELECT 0", "GET x"],
    ["MULTI", "SELECT 99", "SELECT x", "INCR a", "EXEC", "DISCARD", "UNWATCH", "WATCH"],
    ["MULTI", "CLIENT SETNAME me", "EXEC", "CLIENT GETNAME"],
    ["MULTI", "SET a 1", "RESET", "EXEC", "GET a"],
    ["MULTI", "AUTH x", "CONFIG GET save", "SET a 1", "EXEC", "GET a"],
    ["MULTI", "CLIENT NOPE", "CLIENT SETNAME", "EXEC"],
    ["MULTI", "OBJECT NOPE k", "SET a 1", "EXEC", "MULTI", "SCRIPT EXISTS", "EXEC", "GET a"],
    ["MULTI", "HSET k f", "OBJECT ENCODING", "EXEC", "MULTI", "HSET k f", "EXEC"],
    ["SET k 1", "WATCH k", "SET k 1", "MULTI", "SET k 2", "EXEC", "MULTI", "EXEC", "GET k"],
    ["WATCH k", "MULTI", "DISCARD", "SET k 3", "MULTI", "SET k 2", "EXEC"],
    ["DEL k", "WATCH k", "DEL k", "MULTI", "SET k 2", "EXEC"],
    ["DEL k", "WATCH k", "SET k 1", "DEL k", "MULTI", "SET k 2", "EXEC"],
    ["SET k 1", "WATCH k", "SETNX k 2", "MULTI", "SET k 2", "EXEC"],
    ["SET k 1", "WATCH k l", "MSET l 1 m 1", "MULTI", "SET k 2", "EXEC", "GET k"],
    ["SET k 1", "WATCH k", "FLUSHALL", "MULTI", "SET k 2", "EXEC"],
    ["WATCH k", "FLUSHALL", "MULTI", "SET k 2", "EXEC"],
    ["SELECT 1", "SET k 1", "WATCH k", "SELECT 0", "FLUSHDB", "MULTI", "SET k 2", "EXEC"],
    ["SELECT 1", "WATCH k", "SELECT 0", "SET k 5", "MULTI", "SET k 2", "EXEC"],
    ["SELECT 1", "WATCH k", "SET k 1", "SELECT 0", "MULTI", "EXEC"],
    ["WATCH k", "MULTI", "SET k", "EXEC", "SET k 4", "MULTI", "EXEC"],
    ["WATCH k", "EXEC", "SET k 1", "MULTI", "GET k", "EXEC"],
    ["WATCH k", "SET k 1", "MULTI", "NOPE", "EXEC", "MULTI", "GET k", "EXEC"],
    ["WATCH k", "UNWATCH", "SET k 1", "MULTI", "GET k", "EXEC"],
    ["WATCH k", "RESET", "SET k 1", "MULTI", "GET k", "EXEC"],
    ["WATCH k", "SET k 1", "WATCH k", "MULTI", "GET k", "EXEC"],
    ["WATCH k", "WATCH l", "SET l 1", "MULTI", "GET k", "EXEC"],
    ["WATCH k k", "MULTI", "SET k 1", "SET k 2", "EXEC", "MULTI", "GET k", "EXEC"],
    ["WATCH k", "SET k 1", "MULTI", "SELECT 2", "PING", "EXEC", "SET a 1", "SELECT 0", "GET a"],
    ["WATCH k", "MULTI", "SELECT 2", "PING", "EXEC", "SET a 1", "SELECT 0", "GET a"],
    ["MULTI", "DISCARD", "DISCARD", "EXEC"],
    ["MULTI", "QUIT", "SET a 1"],
    ["SELECT 15", "SELECT 16", "SELECT -1", "SELECT", "SELECT 1 2", "SET a 1", "GET a", "STRLEN a", "DBSIZE"],
    ["SELECT 5", "MSET a 1 b 2", "MGET a b c", "DEL a b c", "EXISTS a", "INCR n", "TYPE n",
     "APPEND n x", "GET n"],
    ["SELECT 5", "SET a 1", "SELECT 4", "GET a", "FLUSHDB", "SELECT 5", "GET a", "FLUSHALL", "GET a",
     "NOPE", "SET a"],
    ["SELECT 3", "MULTI", "SET a 1", "INCR a", "SELECT 4", "GET a", "EXEC", "GET a", "SELECT 3", "GET a"],
    ["CLIENT REPLY SKIP", "MULTI", "SET a 1", "EXEC", "GET a"],
    ["MULTI", "SET a 1", "MSETNX a 1 b 2", "MSET a 1 b", "EXEC"],
]  # fmt: skip


class LikeRedisTests(SynchronousTestCase):
    real: RealRedis | None = None

    def setUp(self) -> None:
        self.real = RealRedis()
        self.addCleanup(self.real.close)

    def told_by_redis(self, flow: list[str]) -> bytes:
        """What a new connection is told; ECHO marks the end, where there is one."""
        assert self.real is not None
        with self.real.dial() as link:
            link.sendall(encode("FLUSHALL", *flow))
            link.shutdown(socket.SHUT_WR)
            data = bytearray()
            while piece := link.recv(1 << 16):
                data += piece
        return bytes(data)

    def told_by_us(self, flow: list[str], together: bool, alone: bool) -> bytes:
        """One by one or all at once; by the turn of many or alone."""
        server = Server()
        connection, wire = server.connect()
        texts = ["FLUSHALL", *flow]
        for data in [encode(*texts)] if together else map(encode, texts):
            if alone:
                connection.dataReceived(data)
            else:
                server.factory.shared.receive([(connection, data)])
            for _ in range(10):
                server.replica.run()
                server.clock.advance(0)
        return bytes(wire.value())

    def test_flows(self) -> None:
        for flow in FLOWS:
            expected = self.told_by_redis(flow)
            for together in (False, True):
                for alone in (False, True):
                    self.assertEqual(self.told_by_us(flow, together, alone), expected, f"{flow} {together}")

    def test_nil_of_resp3(self) -> None:
        told = self.told_by_us(
            ["HELLO 3", "WATCH k", "SET k 1", "MULTI", "SET k 2", "EXEC", "GET k"], True, True
        )
        self.assertTrue(told.endswith(b"+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n_\r\n$1\r\n1\r\n"), told)
