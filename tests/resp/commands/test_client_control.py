"""CLIENT KILL, PAUSE and UNPAUSE."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.resp.commands.client_control import OPTIONS_MAX
from tests.resp.lab import Clients, Server, encode


class KillTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clients = Clients(3)
        for connection, place in zip(self.clients.connections, ("a:1", "b:2", "c:3")):
            connection.session.place = f"addr={place} laddr=here:7100 fd=1"
        self.ids = [connection.session.client_id for connection in self.clients.connections]

    def send(self, *commands: str) -> bytes:
        """From the first client."""
        self.clients.send(encode(*commands))
        self.clients.replica.run()
        return self.clients.answers[0]

    def gone(self) -> list[bool]:
        return [connection.pipeline.is_gone for connection in self.clients.connections]

    def test_others_of_one_address(self) -> None:
        self.assertEqual(self.send("CLIENT KILL b:2"), b"+OK\r\n")
        self.assertEqual(self.gone(), [False, True, False])
        self.assertEqual(self.send("CLIENT KILL b:2"), b"-ERR No such client\r\n")
        self.assertEqual(self.send("CLIENT KILL b"), b"-ERR No such client\r\n")
        self.assertEqual(self.send("PING"), b"+PONG\r\n")

    def test_filters(self) -> None:
        own, second, _ = self.ids
        for command, count, gone in (
            (f"CLIENT KILL ID {second}", 1, [False, True, False]),
            (f"CLIENT KILL ID {own}", 0, [False, False, False]),
            ("CLIENT KILL ADDR c:3 TYPE normal", 1, [False, False, True]),
            ("CLIENT KILL ADDR c:3 TYPE pubsub", 0, [False, False, False]),
            ("CLIENT KILL LADDR here:7100", 2, [False, True, True]),
            ("CLIENT KILL LADDR here:7100 SKIPME yes USER default", 2, [False, True, True]),
            ("CLIENT KILL SKIPME no USER default", 3, [True, True, True]),
            (f"CLIENT KILL ID {second} ID {own}", 0, [False, False, False]),
        ):
            self.setUp()
            self.assertEqual(self.send(command), b":%d\r\n" % count, command)
            self.assertEqual(self.gone(), gone, command)

    def test_repeated_options(self) -> None:
        """The last counts, and there may not be many."""
        _, second, third = self.ids
        many = f" ID {second}" * (OPTIONS_MAX - 1)
        self.assertEqual(self.send(f"CLIENT KILL USER default ID 1 {many}"), b"-ERR syntax error\r\n")
        self.assertEqual(self.gone(), [False, False, False])
        self.assertEqual(self.send(f"CLIENT KILL {many} ID {third}"), b":1\r\n")
        self.assertEqual(self.gone(), [False, False, True])

    def test_listeners(self) -> None:
        self.clients.send(b"", encode("SUBSCRIBE +switch-master"))
        self.assertEqual(self.send("CLIENT KILL TYPE pubsub"), b":1\r\n")
        self.assertEqual(self.gone(), [False, True, False])

    def test_itself(self) -> None:
        """The reply comes first, and what was sent behind it does not run."""
        self.assertEqual(self.send("SET a 1", "CLIENT KILL a:1", "SET a 2"), b"+OK\r\n+OK\r\n")
        self.assertEqual(self.gone(), [True, False, False])
        self.assertEqual(dict(self.clients.replica.store.entries()), {b"a": b"1"})

    def test_errors(self) -> None:
        for command, error in (
            ("CLIENT KILL", b"wrong number of arguments for 'client|kill' command"),
            ("CLIENT KILL ID", b"No such client"),
            ("CLIENT KILL ID x", b"client-id should be greater than 0"),
            ("CLIENT KILL ID 0", b"client-id should be greater than 0"),
            ("CLIENT KILL ID 1 ADDR", b"syntax error"),
            ("CLIENT KILL NAME x", b"syntax error"),
            ("CLIENT KILL SKIPME maybe", b"syntax error"),
            ("CLIENT KILL TYPE odd", b"Unknown client type 'odd'"),
            ("CLIENT KILL USER ann", b"No such user 'ann'"),
        ):
            self.assertEqual(self.send(command), b"-ERR " + error + b"\r\n", command)
        self.assertEqual(self.gone(), [False, False, False])


class PauseTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clients = Clients(2)
        self.clock = self.clients.server.clock

    def send(self, *reads: bytes) -> list[bytes]:
        self.clients.send(*reads)
        self.clients.replica.run()
        return self.clients.answers

    def advance(self, seconds: float) -> list[bytes]:
        for _ in range(3):  # what was held up goes on in a turn of its own
            self.clock.advance(seconds / 3)
            self.clients.replica.run()
        return self.clients.answers

    def test_all(self) -> None:
        self.assertEqual(self.send(encode("CLIENT PAUSE 1000")), [b"+OK\r\n", b""])
        self.assertEqual(self.send(b"", encode("SET a 1", "GET a", "PING")), [b"", b""])
        self.assertEqual(self.send(b"", encode("GET b")), [b"", b""])
        self.assertEqual(self.advance(0.9), [b"", b""])
        self.assertEqual(self.advance(0.3), [b"", b"+OK\r\n$1\r\n1\r\n+PONG\r\n$-1\r\n"])
        self.assertEqual(self.send(encode("GET a")), [b"$1\r\n1\r\n", b""])
        self.assertTrue(all(connection.is_between_commands for connection in self.clients.connections))

    def test_writes(self) -> None:
        self.assertEqual(self.send(encode("CLIENT PAUSE 1000 WRITE"))[0], b"+OK\r\n")
        self.assertEqual(self.send(encode("GET a", "PING", "MULTI", "GET a", "EXEC"))[0][-7:], b"\r\n$-1\r\n")
        self.assertEqual(self.send(b"", encode("GET a", "INCR a", "GET a")), [b"", b"$-1\r\n"])
        self.assertEqual(self.send(encode("MULTI", "INCR a", "EXEC")), [b"+OK\r\n+QUEUED\r\n", b""])
        self.assertEqual(self.advance(0.9), [b"", b""])
        self.assertEqual(self.advance(0.3), [b"*1\r\n:1\r\n", b":2\r\n$1\r\n2\r\n"])

    def test_unpause(self) -> None:
        self.send(encode("CLIENT PAUSE 100000 WRITE"))
        self.assertEqual(self.send(b"", encode("SET a 1")), [b"", b""])
        self.assertEqual(self.send(encode("CLIENT UNPAUSE")), [b"+OK\r\n", b""])
        self.assertEqual(self.advance(0), [b"", b"+OK\r\n"])
        self.assertEqual(self.send(encode("CLIENT UNPAUSE")), [b"+OK\r\n", b""])

    def test_the_later_end_counts(self) -> None:
        self.send(encode("CLIENT PAUSE 1000 WRITE"))
        self.send(encode("CLIENT PAUSE 10 ALL"))
        self.assertEqual(self.send(b"", encode("GET a")), [b"", b""])
        self.assertEqual(self.advance(0.9), [b"", b""])
        self.assertEqual(self.advance(0.3), [b"", b"$-1\r\n"])

    def test_a_client_that_comes_and_one_that_goes(self) -> None:
        self.send(encode("CLIENT PAUSE 1000"))
        connection, wire = self.clients.server.connect()
        connection.dataReceived(encode("PING"))
        self.clients.send(b"", encode("SET a 1"))
        self.clients.connections[1].connectionLost()
        self.assertEqual(wire.value(), b"")
        self.advance(1.1)
        self.assertEqual(wire.value(), b"+PONG\r\n")
        self.assertEqual(dict(self.clients.replica.store.entries()), {})

    def test_errors(self) -> None:
        connection, wire = Server().connect()
        for command, error in (
            ("CLIENT PAUSE x", b"timeout is not an integer or out of range"),
            ("CLIENT PAUSE -1", b"timeout is negative"),
            ("CLIENT PAUSE 99999999999999999999", b"timeout is not an integer or out of range"),
            ("CLIENT PAUSE 9223372036854775807", b"timeout is not an integer or out of range"),
            ("CLIENT PAUSE 1 SOME", b"CLIENT PAUSE mode must be WRITE or ALL"),
            ("CLIENT PAUSE 1 ALL ALL", b"syntax error"),
        ):
            wire.clear()
            connection.dataReceived(encode(command))
            self.assertEqual(wire.value(), b"-ERR " + error + b"\r\n", command)
