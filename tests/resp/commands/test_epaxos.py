"""EPAXOS: who may, what it answers, and answers that come later."""

from __future__ import annotations

import json
from typing import Any
from unittest import mock

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import CommandError, Unavailable
from epaxos.net.door import Door
from epaxos.resp.commands.spec import Subcommand
from epaxos.resp.commands.table import SERVED, WAITING_MAX
from epaxos.resp.connection import RespConnection
from epaxos.resp.interfaces import Member
from tests.resp.lab import Server, Wire, encode
from tests.statemachines.once.lab import Site

LOCAL, ELSEWHERE = IPv4Address("TCP", "127.0.0.1", 1), IPv4Address("TCP", "10.0.0.9", 1)
STATUS = {"id": 1, "members": [{"id": 0, "up": True}]}
MEMBERS = [
    Member(0, "tcp:7000", "tcp:7100", "unix:/s", "connected", "00ff", "2"),
    Member(1, "tcp:7001", "tcp:7101", "tcp:7201", "here"),
]
NOPERM = (
    b"-NOPERM this command of EPAXOS is for clients on the replica's own host (loopback, Unix socket), and"
    b" for those that have given the password\r\n"
)


class EpaxosCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.statuses: list[Deferred[dict[str, Any]]] = []
        self.digests: list[bool] = []
        self.cancelled: list[Any] = []

    def serve(self, door: Door | None = None) -> Server:
        server = Server(door=door, members=lambda: MEMBERS)
        server.replica.status = self.status  # type: ignore[method-assign]
        return server

    def status(self, digest: bool = False) -> Deferred[dict[str, Any]]:
        self.digests.append(digest)
        self.statuses.append(Deferred(self.cancelled.append))
        return self.statuses[-1]

    def connect(self, server: Server, address: IAddress | None = LOCAL) -> tuple[RespConnection, Wire]:
        connection = server.factory.buildProtocol(address)
        wire = Wire()
        connection.makeConnection(wire)
        return connection, wire

    def ask(self, server: Server, address: IAddress | None, *commands: str) -> bytes:
        connection, wire = self.connect(server, address)
        connection.dataReceived(encode(*commands))
        return wire.value()


class OnceTests(EpaxosCase):
    """ONCE and SESSION go to the replica, as commands on data do, whoever asks."""

    def serve(self, door: Door | None = None) -> Server:
        server = super().serve(door)
        self.site = Site()
        server.replica.store = self.site.machine
        return server

    def test_a_pipeline_is_one_batch(self) -> None:
        server = self.serve(Door("", is_protected=False))
        connection, wire = self.connect(server, ELSEWHERE)
        connection.dataReceived(encode("EPAXOS SESSION"))
        server.replica.run()
        once = f"EPAXOS ONCE {(1).to_bytes(16, 'big').hex()}"
        self.assertEqual(wire.value(), b"$32\r\n%b\r\n" % once.split()[-1].encode())
        wire.clear()
        connection.dataReceived(
            encode(f"{once} 1 0 INCR a", f"{once} 1 0 incr a", "GET a", f"{once.lower()} 2 1 INCR a")
        )
        self.assertEqual(server.replica.submitted, [1, 4])
        server.replica.run()
        self.assertEqual(wire.value(), b":1\r\n:1\r\n$1\r\n1\r\n:2\r\n")

    def test_what_a_connection_answers_is_not_run_inside(self) -> None:
        once = f"EPAXOS ONCE {'0' * 32} 1 0"
        for name in ("PING", "client", "EPAXOS", "MULTI", "WATCH", "SUBSCRIBE"):
            self.assertEqual(
                self.ask(self.serve(), ELSEWHERE, f"{once} {name} x"),
                b"-ONCEREFUSED '%b' is not allowed inside EPAXOS ONCE: it was not run\r\n" % name.encode(),
            )

    def test_what_is_wrong_is_said_to_everyone(self) -> None:
        wrong = b"-ERR wrong number of arguments for 'epaxos|once' command\r\n"
        self.assertEqual(self.ask(self.serve(), ELSEWHERE, "EPAXOS ONCE x 1 0"), wrong)
        unknown = self.ask(self.serve(), ELSEWHERE, f"EPAXOS ONCE {'0' * 32} 1 0 NONSENSE")
        self.assertIn(b"-ERR unknown command 'NONSENSE'", unknown)

    def test_strangers_have_to_give_the_password(self) -> None:
        asked = self.ask(self.serve(Door("secret")), ELSEWHERE, "EPAXOS SESSION")
        self.assertEqual(asked, b"-NOAUTH Authentication required.\r\n")


class CommandTests(EpaxosCase):
    def test_members(self) -> None:
        expected = (
            b"*2\r\n"
            b"*7\r\n:0\r\n$8\r\ntcp:7000\r\n$8\r\ntcp:7100\r\n$7\r\nunix:/s\r\n$9\r\nconnected\r\n"
            b"$4\r\n00ff\r\n$1\r\n2\r\n"
            b"*7\r\n:1\r\n$8\r\ntcp:7001\r\n$8\r\ntcp:7101\r\n$8\r\ntcp:7201\r\n$4\r\nhere\r\n$0\r\n\r\n$0\r\n\r\n"
        )
        self.assertEqual(self.ask(self.serve(), LOCAL, "EPAXOS MEMBERS"), expected)
        self.assertEqual(self.ask(self.serve(), LOCAL, "epaxos members"), expected)

    def test_status(self) -> None:
        connection, wire = self.connect(self.serve())
        connection.dataReceived(encode("EPAXOS STATUS"))
        self.assertEqual(wire.value(), b"")
        self.statuses[0].callback(dict(STATUS))
        body = json.dumps(STATUS).encode()
        self.assertEqual(wire.value(), b"$%d\r\n%b\r\n" % (len(body), body))
        self.assertIn("cmd=epaxos|status", connection.describe())

    def test_the_digest_is_made_for_those_who_ask(self) -> None:
        self.connect(self.serve())[0].dataReceived(
            encode("EPAXOS STATUS", "EPAXOS STATUS DIGEST", "epaxos status digest")
        )
        self.assertEqual(self.digests, [False, True, True])

    def test_help_and_what_is_wrong(self) -> None:
        reply = self.ask(self.serve(), LOCAL, "EPAXOS HELP").decode()
        for name in SERVED[b"EPAXOS"].subcommands:
            self.assertIn(f"+{name.decode()}\r\n", reply)
        for command, expected in (
            ("EPAXOS", b"-ERR wrong number of arguments for 'epaxos' command\r\n"),
            ("EPAXOS STATUS x", b"-ERR syntax error\r\n"),
            ("EPAXOS STATUS DIGEST x", b"-ERR syntax error\r\n"),
            ("EPAXOS MEMBERS x", b"-ERR syntax error\r\n"),
            ("EPAXOS HELP x", b"-ERR wrong number of arguments for 'epaxos|help' command\r\n"),
            ("EPAXOS NOPE", b"-ERR unknown subcommand 'NOPE'. Try EPAXOS HELP.\r\n"),
        ):
            self.assertEqual(self.ask(self.serve(), LOCAL, command), expected)

    def test_command_knows_it(self) -> None:
        told = self.ask(self.serve(), LOCAL, "COMMAND INFO epaxos")
        head = b"*1\r\n*10\r\n$6\r\nepaxos\r\n:-2\r\n*2\r\n+admin\r\n+movablekeys\r\n:0\r\n:0\r\n:0\r\n"
        self.assertTrue(told.startswith(head), told)
        self.assertIn(b"$11\r\nepaxos|turn\r\n:2\r\n", told)

    def test_who_may(self) -> None:
        commands = ("EPAXOS MEMBERS", "EPAXOS HELP", "EPAXOS", "EPAXOS NOPE", "EPAXOS STATUS")
        for address in (ELSEWHERE, None):
            self.assertEqual(self.ask(self.serve(), address, *commands), NOPERM * 5)
            self.assertEqual(
                self.ask(self.serve(), address, "AUTH default x", "EPAXOS MEMBERS"), b"+OK\r\n" + NOPERM
            )
        for address in (LOCAL, UNIXAddress(b"/s")):
            self.assertTrue(self.ask(self.serve(), address, "EPAXOS MEMBERS").startswith(b"*2"))
        for address in (LOCAL, ELSEWHERE):
            server = self.serve(Door("pw"))
            noauth = b"-NOAUTH Authentication required.\r\n"
            self.assertEqual(self.ask(server, address, *commands), noauth * 5)
            self.assertTrue(self.ask(server, address, "AUTH pw", "EPAXOS MEMBERS").startswith(b"+OK\r\n*2"))
            self.assertEqual(
                self.ask(server, address, "AUTH pw", "RESET", "EPAXOS MEMBERS"), b"+OK\r\n+RESET\r\n" + noauth
            )
        self.assertEqual(self.statuses, [])

    def test_not_in_what_was_meant_for_a_transaction(self) -> None:
        self.assertIn(
            b"-ERR Command not allowed inside a transaction",
            self.ask(self.serve(), LOCAL, "MULTI", "EPAXOS STATUS"),
        )
        self.assertEqual(self.statuses, [])


class LaterTests(EpaxosCase):
    """Answers that come later, in the order of the commands."""

    def test_the_order_of_replies(self) -> None:
        server = self.serve()
        connection, wire = self.connect(server)
        connection.dataReceived(encode("PING", "EPAXOS STATUS", "SET a 1", "EPAXOS STATUS", "PING", "GET a"))
        self.assertEqual(wire.value(), b"+PONG\r\n")
        server.replica.run()
        self.statuses[1].callback({"n": 2})
        self.assertEqual(wire.value(), b"+PONG\r\n")
        self.statuses[0].callback({"n": 1})
        server.replica.run()
        self.assertEqual(
            wire.value(),
            b'+PONG\r\n$8\r\n{"n": 1}\r\n+OK\r\n$8\r\n{"n": 2}\r\n+PONG\r\n$1\r\n1\r\n',
        )
        self.assertEqual(server.factory.shared.waiting, set())

    def test_an_answer_that_is_there_at_once(self) -> None:
        server = Server(members=lambda: MEMBERS)
        self.assertEqual(self.ask(server, LOCAL, "EPAXOS STATUS", "PING"), b"$2\r\n{}\r\n+PONG\r\n")

    def test_the_version_of_the_protocol_is_that_of_the_command(self) -> None:
        done: list[Deferred[Any]] = []
        turn = Subcommand(lambda client, command: done.append(Deferred()) or done[-1], 2, "x")
        with mock.patch.dict(SERVED[b"EPAXOS"].subcommands, {b"TURN": turn}):
            connection, wire = self.connect(self.serve())
            connection.dataReceived(encode("EPAXOS TURN", "HELLO 3", "EPAXOS TURN"))
            wire.clear()
            for each in done:
                each.callback(None)
            self.assertTrue(wire.value().startswith(b"$-1\r\n%7\r\n"), wire.value())
            self.assertTrue(wire.value().endswith(b"_\r\n"), wire.value())

    def test_failures(self) -> None:
        general = b"-ERR the command has failed, see the log of the replica\r\n"
        for error, expected, logged in (
            (CommandError("ERR no"), b"-ERR no\r\n", 0),
            (Unavailable("CLUSTERDOWN no", may_have_run=False), b"-CLUSTERDOWN no\r\n", 0),
            (RuntimeError("a bug"), general, 1),
        ):
            connection, wire = self.connect(self.serve())
            connection.dataReceived(encode("EPAXOS STATUS", "PING"))
            self.statuses[-1].errback(error)
            self.assertEqual(wire.value(), expected + b"+PONG\r\n")
            self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), logged)

    def test_a_client_that_leaves_waits_for_its_answer(self) -> None:
        connection, wire = self.connect(self.serve())
        connection.dataReceived(encode("EPAXOS STATUS", "QUIT"))
        self.assertFalse(wire.disconnecting)
        self.statuses[0].callback({})
        self.assertEqual(wire.value(), b"$2\r\n{}\r\n+OK\r\n")
        self.assertTrue(wire.disconnecting)

    def test_a_client_that_is_gone_waits_for_nothing(self) -> None:
        for end in (lambda c: c.connectionLost(), lambda c: c.cut_off("a test")):
            server = self.serve()
            connection, wire = self.connect(server)
            connection.dataReceived(encode("EPAXOS STATUS", "EPAXOS STATUS"))
            del self.cancelled[:]
            end(connection)
            self.assertEqual(self.cancelled, self.statuses[-2:])
            self.assertEqual(server.factory.shared.waiting, set())
            self.assertEqual(wire.value(), b"")
            self.assertEqual(self.flushLoggedErrors(), [])

    def test_replies_that_nobody_wants(self) -> None:
        server = self.serve()
        connection, wire = self.connect(server)
        connection.dataReceived(encode("CLIENT REPLY SKIP", "EPAXOS STATUS", "PING"))
        self.assertEqual(wire.value(), b"+PONG\r\n")
        self.statuses[0].callback({})
        self.assertEqual(wire.value(), b"+PONG\r\n")
        self.assertEqual(server.factory.shared.waiting, set())

    def test_no_more_than_so_many_wait(self) -> None:
        server = self.serve()
        connection, _ = self.connect(server)
        other, other_wire = self.connect(server)
        connection.dataReceived(encode(*["EPAXOS STATUS"] * WAITING_MAX))
        other.dataReceived(encode("EPAXOS STATUS"))
        expected = f"-ERR {WAITING_MAX} EPAXOS commands wait for their answers already, try again\r\n"
        self.assertEqual(other_wire.value().decode(), expected)
        self.assertEqual(len(self.statuses), WAITING_MAX)
        self.statuses[0].callback({})
        other_wire.clear()
        other.dataReceived(encode("EPAXOS STATUS"))
        self.assertEqual(other_wire.value(), b"")
        self.assertEqual(len(self.statuses), WAITING_MAX + 1)
