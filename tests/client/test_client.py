"""The client against replicas that fail, on real sockets."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from epaxos.client import Client, MayHaveRunError, ReplyError, UnavailableError, contacts
from epaxos.client.client import CALLS_MAX
from epaxos.client.commands import SHORT_BYTES
from epaxos.client.sessions import KEPT_BYTES_MAX
from tests.client.replicas import CUT, RUN_AND_CUT, SILENT, Replicas, reactor
from tests.net.lab import until
from tests.transport.certificates import Authority

DOWN = Exception("CLUSTERDOWN the replica is stopping; the command was not run")
UNKNOWN = Exception("CLUSTERDOWN the replica is stopping; the command may still run")


class ClientTestCase(TestCase):
    """Tests with some replicas, and clients that are closed in the end."""

    timeout = 60
    count = 2

    def setUp(self) -> None:
        self.replicas = Replicas(self.count)
        self.servers = self.replicas.servers
        self.clients: list[Client] = []

    @inlineCallbacks
    def tearDown(self) -> Any:
        for client in self.clients:
            yield client.close()
        yield self.replicas.stop()

    def client(self, *ids: int, **options: Any) -> Client:
        """A client that is told of these replicas, or of all."""
        at = [self.servers[id].at for id in ids or range(self.count)]
        client = Client(at, **{"suspect_s": 5, "timeout_s": 20, **options})
        self.clients.append(client)
        return client

    def now(self) -> float:
        return float(reactor.seconds())

    def at(self, client: Client) -> Any:
        """The server at which the client asks now."""
        current = client._contacts.current
        assert current is not None and current.place.address is not None
        (server,) = (s for s in self.servers if s.port == current.place.address.port)
        return server


class CallTests(ClientTestCase):
    @inlineCallbacks
    def test_words_and_replies(self) -> Any:
        client = self.client()
        for command, reply in (
            (("SET", "a", "é"), b"OK"),
            (("GET", b"a"), "é".encode()),
            (("GET", "nothing"), None),
            (("INCR", "n"), 1),
            (("SET", "f", 1.5), b"OK"),
            (("GET", "f"), b"1.5"),
            (("SET", 7, 8), b"OK"),
            (("GET", b"7"), b"8"),
            (("ECHOED", "a", "b"), [b"a", b"b"]),
            (("PING",), b"PONG"),
        ):
            self.assertEqual((yield client.call(*command)), reply)

    @inlineCallbacks
    def test_errors_of_commands(self) -> Any:
        client = self.client()
        error = yield self.assertFailure(client.call("NONSENSE", "x"), ReplyError)
        self.assertEqual((str(error), error.code), ("ERR unknown command 'NONSENSE'", "ERR"))
        self.assertEqual(sum(self.replicas.ran.values()) - self.replicas.ran[b"EXISTS", b""], 1)

    @inlineCallbacks
    def test_commands_that_are_not_for_shared_connections(self) -> Any:
        client = self.client()
        for command in (
            ("BLPOP", "a", 0),
            ("subscribe", "a"),
            ("MULTI",),
            ("AUTH", "x"),
            ("XREAD", "block", 0, "STREAMS", "a", 0),
            ("EPAXOS", "ONCE", "1", 1, 0, "INCR", "n"),
            ("",),
            (),
        ):
            yield self.assertFailure(client.call(*command), ValueError)
        for word in (None, True, ["a"]):
            yield self.assertFailure(client.call("SET", "a", word), TypeError)  # type: ignore[arg-type]
        self.assertEqual(self.servers[0].asked, [])

    @inlineCallbacks
    def test_a_pipeline_is_sent_together(self) -> Any:
        client = self.client(0)
        yield client.call("SET", "a", "1")
        self.servers[0].delay_s = 0.5
        began = self.now()
        replies = yield client.pipeline([("INCR", "n"), ("NONSENSE",), ("GET", "a"), ("SUBSCRIBE", "x")])
        self.assertLess(self.now() - began, 1)
        self.assertEqual((replies[0], replies[2]), (1, b"1"))
        self.assertIsInstance(replies[1], ReplyError)
        self.assertIsInstance(replies[3], ValueError)
        self.assertEqual((yield client.pipeline([])), [])

    def test_addresses_that_are_none(self) -> None:
        for replicas in ([], "127.0.0.1:7100", ["127.0.0.1:x"], ["nonsense:a:b"], ["127.0.0.1:70000"]):
            self.assertRaises(ValueError, Client, replicas)

    @inlineCallbacks
    def test_as_a_context_manager(self) -> Any:
        async def use() -> Any:
            async with self.client() as client:
                return await client.call("SET", "a", "b")

        self.assertEqual((yield Deferred.fromCoroutine(use())), b"OK")
        yield self.assertFailure(self.clients[0].call("GET", "a"), UnavailableError)

    @inlineCallbacks
    def test_as_a_context_manager_without_a_replica(self) -> Any:
        """The client that got no connection is closed, and connects no more."""

        async def use() -> None:
            async with self.client(timeout_s=0.2):
                self.fail("there is no replica")

        yield self.replicas.stop()
        error = yield self.assertFailure(Deferred.fromCoroutine(use()), UnavailableError)
        self.assertIn("no replica answered within 0.2 s", str(error))
        error = yield self.assertFailure(self.clients[0].call("GET", "a"), UnavailableError)
        self.assertIn("the client is closed", str(error))

    @inlineCallbacks
    def test_too_many_calls(self) -> Any:
        client = self.client(0)
        yield client.connect()
        self.servers[0].always(SILENT)
        calls = [client.call("GET", "a") for _ in range(CALLS_MAX)]
        error = yield self.assertFailure(client.call("GET", "a"), UnavailableError)
        self.assertIn("10000 calls are under way", str(error))
        yield client.close()
        for call in calls:
            yield self.assertFailure(call, UnavailableError)

    @inlineCallbacks
    def test_a_call_that_is_cancelled(self) -> Any:
        client = self.client(0)
        yield client.call("INCR", "n")
        self.servers[0].delay_s = 0.1
        calls = [client.call("INCR", "n"), client.call("GET", "n")]
        for call in calls:
            call.cancel()
            yield self.assertFailure(call, CancelledError)
        self.assertEqual((yield client.call("GET", "n")), b"2")
        self.assertEqual((yield client.call("INCR", "n")), 3)


class FailoverTests(ClientTestCase):
    """A replica fails while a command is under way."""

    @inlineCallbacks
    def test_a_read_goes_to_another_replica(self) -> Any:
        for fate in (CUT, RUN_AND_CUT, SILENT, DOWN, UNKNOWN, Exception("LOADING the state")):
            client = self.client(suspect_s=0.5 if fate == SILENT else 5)
            yield client.call("SET", "a", "b")
            server, began = self.at(client), self.now()
            server.only("GET", fate)
            self.assertEqual((yield client.call("GET", "a")), b"b")
            self.assertLess(self.now() - began, 3, fate)
            self.assertIsNot(self.at(client), server)

    @inlineCallbacks
    def test_a_write_runs_once(self) -> Any:
        for number, fate in enumerate((CUT, RUN_AND_CUT, SILENT, DOWN, UNKNOWN)):
            client = self.client(suspect_s=0.5 if fate == SILENT else 5)
            yield client.call("SET", "a", "b")
            server, key = self.at(client), f"n{number}"
            server.only("INCR", fate)
            self.assertEqual((yield client.call("INCR", key)), 1)
            self.assertEqual(self.replicas.ran[b"INCR", key.encode()], 1)
            self.assertEqual((yield client.call("INCR", key)), 2)

    @inlineCallbacks
    def test_many_writes_run_once(self) -> Any:
        client = self.client()
        yield client.connect()
        self.at(client).only("INCR", None, None, RUN_AND_CUT)
        replies = yield client.pipeline([("INCR", "n")] * 50)
        self.assertEqual(sorted(replies), list(range(1, 51)))

    @inlineCallbacks
    def test_a_reply_of_zero_bytes_of_sense(self) -> Any:
        client = self.client()
        yield client.call("SET", "a", "b")
        server = self.at(client)
        for connection in server.connections:
            connection.transport.write(b"HTTP/1.1 400\r\n")
        self.assertEqual((yield client.call("GET", "a")), b"b")
        self.assertIsNot(self.at(client), server)

    @inlineCallbacks
    def test_all_replicas_are_away_for_a_while(self) -> Any:
        client = self.client()
        yield client.call("INCR", "n")
        for server in self.servers:
            yield server.stop()
        calls = [client.call("INCR", "n"), client.call("GET", "n")]
        yield deferLater(reactor, 0.5, lambda: None)
        self.servers[1].start()
        began = self.now()
        self.assertEqual((yield calls[0]), 2)
        yield calls[1]
        self.assertLess(self.now() - began, 5)

    @inlineCallbacks
    def test_no_replica_answers_in_time(self) -> Any:
        client = self.client(timeout_s=1.5)
        for server in self.servers:
            server.always(DOWN)
        for call in (client.connect(), client.call("GET", "a"), client.call("INCR", "n")):
            error = yield self.assertFailure(call, UnavailableError)
            self.assertIn(
                f"localhost:{self.servers[0].port}: CLUSTERDOWN the replica is stopping", str(error)
            )

    @inlineCallbacks
    def test_a_write_that_nobody_answers_may_have_run(self) -> Any:
        client = self.client(timeout_s=2, suspect_s=0.5)
        yield client.call("INCR", "n")
        for server in self.servers:
            server.always(SILENT)
        read, write = client.call("GET", "n"), client.call("INCR", "n")
        yield self.assertFailure(read, UnavailableError)
        yield self.assertFailure(write, MayHaveRunError)

    @inlineCallbacks
    def test_a_replica_that_does_not_serve_is_not_asked(self) -> Any:
        """It answers PING, and every question about data that the cluster is down."""
        self.servers[0].fate = lambda words: None if words[0] in (b"PING", b"COMMAND", b"EPAXOS") else DOWN
        client = self.client()
        for _ in range(20):
            yield client.call("INCR", "n")
        self.assertEqual(self.servers[0].told("INCR"), [])
        self.servers[0].always(None)
        yield self.servers[1].stop()
        self.assertEqual((yield client.call("INCR", "n")), 21)


class OnceTests(ClientTestCase):
    """What the client says by `EPAXOS ONCE`, and what it makes of the answers."""

    @inlineCallbacks
    def test_numbers_rise_and_replies_are_acknowledged(self) -> Any:
        client = self.client(0)
        for _ in range(3):
            yield client.call("INCR", "n")
        once = [words for words in self.servers[0].asked if words[1:2] == [b"ONCE"]]
        self.assertEqual(
            [words[2:5] for words in once], [[b"1", b"1", b"0"], [b"1", b"2", b"1"], [b"1", b"3", b"2"]]
        )
        self.assertEqual(list(self.replicas.kept[b"1"]), [3])

    @inlineCallbacks
    def test_one_session_for_writes_and_none_for_reads(self) -> Any:
        client = self.client(0)
        yield client.call("GET", "n")
        self.assertEqual(self.replicas.kept, {})
        yield client.pipeline([("INCR", "n")] * 10)
        self.assertEqual(list(self.replicas.kept), [b"1"])

    @inlineCallbacks
    def test_a_session_is_made_again_when_making_it_fails(self) -> Any:
        self.servers[0].only("SESSION", RUN_AND_CUT)
        client = self.client(0)
        self.assertEqual((yield client.call("INCR", "n")), 1)

    @inlineCallbacks
    def test_a_cluster_without_sessions(self) -> Any:
        refusal = Exception("ERR unknown subcommand 'SESSION'. Try EPAXOS HELP.")
        self.servers[0].only("SESSION", refusal, refusal)
        client = self.client(0)
        for _ in range(2):
            yield self.assertFailure(client.call("INCR", "n"), ReplyError)
        self.assertEqual(self.replicas.ran[b"INCR", b"n"], 0)
        self.assertEqual((yield client.call("INCR", "n")), 1)

    @inlineCallbacks
    def test_a_session_that_has_ended_meanwhile(self) -> Any:
        """As after days without a write: the commands did not run, so they go into a new session."""
        client = self.client(0)
        yield client.call("INCR", "n")
        self.replicas.kept.clear()
        replies = yield client.pipeline([("INCR", "n")] * 5)
        self.assertEqual(sorted(replies), [2, 3, 4, 5, 6])
        self.assertEqual(len(self.replicas.kept), 1)

    @inlineCallbacks
    def test_a_session_that_ends_while_a_write_is_under_way(self) -> Any:
        client = self.client()
        yield client.call("INCR", "n")
        server = self.at(client)

        def run_and_end(words: list[bytes]) -> str:
            server.reply(words)
            self.replicas.kept.clear()
            return CUT

        server.fate = run_and_end
        error = yield self.assertFailure(client.call("INCR", "n"), MayHaveRunError)
        server.always(None)
        self.assertIn("NOSESSION", str(error))
        self.assertEqual(self.replicas.values[b"n"], b"2")
        self.assertEqual((yield client.call("INCR", "n")), 3)

    @inlineCallbacks
    def test_sessions_that_never_last(self) -> Any:
        self.servers[0].fate = lambda words: Exception("NOSESSION no") if b"ONCE" in words else None
        yield self.assertFailure(self.client(0).call("INCR", "n"), UnavailableError)

    @inlineCallbacks
    def test_a_reply_that_is_lost(self) -> Any:
        client = self.client(0)
        self.servers[0].only("INCR", Exception("ONCELOST it ran, and its reply is not kept"))
        error = yield self.assertFailure(client.call("INCR", "n"), MayHaveRunError)
        self.assertIn("ONCELOST", str(error))
        self.assertEqual((yield client.call("INCR", "n")), 1)

    @inlineCallbacks
    def test_what_once_refuses_is_sent_plainly_from_then_on(self) -> Any:
        client = self.client(0)
        for _ in range(3):
            self.assertEqual((yield client.call("ECHOED", "a")), [b"a"])
        self.assertEqual(len(self.servers[0].told("ECHOED")), 4)
        self.servers[0].only("ECHOED", RUN_AND_CUT)
        yield self.assertFailure(client.call("ECHOED", "a"), MayHaveRunError)
        self.assertEqual(self.replicas.ran[b"ECHOED", b"a"], 4)

    @inlineCallbacks
    def test_a_command_of_operators_is_never_repeated(self) -> Any:
        client = self.client(0)
        yield client.connect()
        self.servers[0].only("TURN", CUT)
        yield self.assertFailure(client.call("EPAXOS", "TURN"), MayHaveRunError)
        self.assertEqual(len([words for words in self.servers[0].asked if b"TURN" in words]), 1)

    @inlineCallbacks
    def test_no_more_writes_are_under_way_than_replies_are_kept(self) -> Any:
        client = self.client(0)
        yield client.call("INCR", "n")
        held: list[list[bytes]] = []
        self.servers[0].fate = lambda words: (
            held.append(words) or SILENT if words[-2:] == [b"INCR", b"n"] else None
        )
        room = KEPT_BYTES_MAX // SHORT_BYTES
        calls = [client.call("INCR", "n") for _ in range(3 * room)]
        yield until(lambda: len(held) == room)
        yield deferLater(reactor, 0.05, lambda: None)
        self.assertEqual(len(held), room)
        self.servers[0].always(None)
        for connection in self.servers[0].connections:
            connection.transport.abortConnection()
        replies = []
        for call in calls:
            replies.append((yield call))
        self.assertEqual(sorted(replies), list(range(2, 3 * room + 2)))


class PlainTests(ClientTestCase):
    """Without ONCE: a write is not sent again when it may have run."""

    @inlineCallbacks
    def test_a_write_that_may_have_run(self) -> Any:
        for number, fate in enumerate((RUN_AND_CUT, CUT, SILENT, UNKNOWN)):
            client = self.client(exactly_once=False, suspect_s=0.5 if fate == SILENT else 5)
            yield client.connect()
            self.at(client).only("INCR", fate)
            yield self.assertFailure(client.call("INCR", f"n{number}"), MayHaveRunError)
            told = [words for server in self.servers for words in server.told("INCR")]
            self.assertEqual(told.count([b"INCR", b"n%d" % number]), 1)
            yield client.call("SET", "a", "b")
        self.assertEqual(self.replicas.kept, {})

    @inlineCallbacks
    def test_a_write_that_was_not_run(self) -> Any:
        client = self.client(exactly_once=False)
        yield client.connect()
        self.at(client).only("INCR", DOWN)
        self.assertEqual((yield client.call("INCR", "n")), 1)


class NearestTests(ClientTestCase):
    count = 3

    @inlineCallbacks
    def test_the_nearest_replica_is_asked_and_another_one_while_it_is_away(self) -> Any:
        for server, delay_s in zip(self.servers, (0.2, 0.02, 0.5)):
            server.delay_s = delay_s
        client = self.client()
        yield client.connect()
        yield until(lambda: all(server.told("EXISTS") for server in self.servers))
        yield client.call("INCR", "n")
        self.assertIs(self.at(client), self.servers[1])

        yield self.servers[1].stop()
        self.assertEqual((yield client.call("INCR", "n")), 2)
        self.assertIs(self.at(client), self.servers[0])

        self.servers[1].start()
        yield until(lambda: self.at(client) is self.servers[1])
        self.assertEqual((yield client.call("INCR", "n")), 3)
        self.assertEqual(self.servers[2].told("INCR"), [])

    @inlineCallbacks
    def test_members_are_learned(self) -> Any:
        self.replicas.members = [
            [id, b"tcp:127.0.0.1:1", b"tcp:%d:interface=127.0.0.1" % server.port, b"tcp:2", b"up"]
            for id, server in enumerate(self.servers[:2])
        ]
        self.replicas.members += [[2, b"tcp:127.0.0.1:1", b"ssl:7100:privateKey=k", b"", b"up"], [3], b"?"]
        client = self.client(0)
        yield client.call("INCR", "n")
        yield until(lambda: bool(self.servers[1].told("EXISTS")))
        yield self.servers[0].stop()
        self.assertEqual((yield client.call("INCR", "n")), 2)

        # A member that is gone, and is named no more, is not connected to.
        yield self.servers[1].stop()
        self.replicas.members = self.replicas.members[:1]
        self.servers[0].start()
        self.assertEqual((yield client.call("INCR", "n")), 3)
        self.assertEqual(len(client._contacts._by_name), 1)

    def lists(self, *ids: int) -> None:
        """These are the members now."""
        self.replicas.members = [
            [id, b"", b"tcp:%d:interface=127.0.0.1" % self.servers[id].port, b"", b"up"] for id in ids
        ]

    @inlineCallbacks
    def test_all_members_are_replaced_while_no_connection_is_made_anew(self) -> Any:
        """A client that has met the first ones alone follows to those that came later."""
        self.patch(contacts, "LOOK_EVERY_S", 0.05)
        self.lists(0)
        client = self.client(0)
        yield client.call("INCR", "n")
        self.lists(0, 1)
        yield until(lambda: bool(self.servers[1].told("EXISTS")))
        yield self.servers[0].stop()
        self.lists(1, 2)
        yield until(lambda: bool(self.servers[2].told("EXISTS")))
        yield self.servers[1].stop()
        self.lists(2)
        self.assertEqual((yield client.call("INCR", "n")), 2)

    @inlineCallbacks
    def test_who_is_left_names_the_members_when_one_is_lost(self) -> Any:
        self.lists(0, 1)
        client = self.client(0)
        yield client.connect()
        yield until(lambda: all(server.told("EXISTS") for server in self.servers[:2]))
        asked = [server.told("EPAXOS") for server in self.servers[:2]]
        self.assertEqual([len(each) for each in asked], [1, 1])
        self.lists(1, 2)
        yield self.servers[0].stop()
        yield until(lambda: bool(self.servers[2].told("EXISTS")))

    @inlineCallbacks
    def test_who_may_not_ask_for_members_does_not_go_on_asking(self) -> Any:
        self.patch(contacts, "LOOK_EVERY_S", 0.01)
        yield self.client(0).call("INCR", "n")
        yield deferLater(reactor, 0.2)
        self.assertLessEqual(len(self.servers[0].told("EPAXOS")) - 1, 2)  # one of them begins the session

    @inlineCallbacks
    def test_members_are_not_asked_for(self) -> Any:
        self.replicas.members = [[1, b"", b"tcp:%d" % self.servers[1].port, b"", b"up"]]
        yield self.client(0, discover=False).call("INCR", "n")
        self.assertEqual(self.servers[1].asked, [])


class PasswordTests(ClientTestCase):
    @inlineCallbacks
    def test_passwords(self) -> Any:
        for server in self.servers:
            server.password = b"secret"
        self.assertEqual((yield self.client(password="secret").call("INCR", "n")), 1)
        client, began = self.client(password="wrong"), self.now()
        for call in (client.connect(), client.call("INCR", "n")):
            error = yield self.assertFailure(call, ReplyError)
            self.assertEqual(error.code, "WRONGPASS")
        self.assertLess(self.now() - began, 10)

    @inlineCallbacks
    def test_one_replica_refuses(self) -> Any:
        self.servers[0].password = b"another"
        self.servers[1].password = b"secret"
        self.assertEqual((yield self.client(password="secret").call("INCR", "n")), 1)

    @inlineCallbacks
    def test_a_server_of_redis_is_not_asked(self) -> Any:
        """Even if it is the nearest, and reads would succeed there."""
        table = [[b"get", 2, [b"readonly"], 1, 1, 1]]
        self.servers[0].fate = lambda words: table if words[0] == b"COMMAND" else None
        self.servers[1].delay_s = 0.02
        client = self.client()
        for value in range(3):
            yield client.call("SET", "a", value)
            self.assertEqual((yield client.call("GET", "a")), b"%d" % value)
        self.assertEqual(self.servers[0].told("SET", "GET"), [])
        alone = self.client(0, timeout_s=0.5, discover=False)
        error = yield self.assertFailure(alone.call("GET", "a"), UnavailableError)
        self.assertIn("it is no replica, but a server of Redis", str(error))


class EndpointTests(ClientTestCase):
    count = 1

    @inlineCallbacks
    def through(self, server: str, client: Callable[[Any], str]) -> Any:
        """Fires with the replies to two calls, of which the second one loses its first connection."""
        listening = yield serverFromString(reactor, server).listen(self.servers[0])
        self.addCleanup(listening.stopListening)
        self.clients.append(Client([client(listening.getHost())], suspect_s=5, timeout_s=20))
        reply = yield self.clients[-1].call("INCR", "n")
        for _ in range(3):
            yield self.clients[-1].call("SET", "a", b"x" * 1_000_000)
        self.servers[0].only("INCR", RUN_AND_CUT)
        again = yield self.clients[-1].call("INCR", "n")
        return [reply, again]

    @inlineCallbacks
    def test_tls(self) -> Any:
        authority = Authority(Path(self.mktemp()))
        pem = authority.issue("one.example")
        replies = yield self.through(
            f"ssl:0:interface=127.0.0.1:privateKey={pem}:certKey={pem}",
            lambda host: f"ssl:127.0.0.1:{host.port}:caCertsDir={authority.roots}:hostname=one.example",
        )
        self.assertEqual(replies, [1, 2])

    @inlineCallbacks
    def test_a_certificate_of_somebody_else(self) -> Any:
        authority, other = Authority(Path(self.mktemp())), Authority(Path(self.mktemp()))
        pem = other.issue("one.example")
        listening = yield serverFromString(
            reactor, f"ssl:0:interface=127.0.0.1:privateKey={pem}:certKey={pem}"
        ).listen(self.servers[0])
        self.addCleanup(listening.stopListening)
        port = listening.getHost().port
        at = f"ssl:127.0.0.1:{port}:caCertsDir={authority.roots}:hostname=one.example"
        self.clients.append(Client([at], timeout_s=2))
        error = yield self.assertFailure(self.clients[0].call("INCR", "n"), UnavailableError)
        self.assertIn("certificate verify failed", str(error))
        self.flushLoggedErrors()

    @inlineCallbacks
    def test_a_unix_socket(self) -> Any:
        path = Path(tempfile.mkdtemp()) / "socket"  # short enough for the system
        self.addCleanup(shutil.rmtree, path.parent)
        replies = yield self.through(f"unix:{path}", lambda host: str(path))
        self.assertEqual(replies, [1, 2])


class CloseTests(ClientTestCase):
    @inlineCallbacks
    def test_the_session_is_ended(self) -> Any:
        client = self.client()
        yield client.call("INCR", "n")
        yield client.close()
        self.assertEqual(self.replicas.ended, [b"1"])
        yield until(lambda: not any(server.connections for server in self.servers))

    @inlineCallbacks
    def test_calls_under_way_are_given_up(self) -> Any:
        client = self.client(0)
        yield client.call("INCR", "n")
        self.servers[0].always(SILENT)
        read, write = client.call("GET", "n"), client.call("INCR", "n")
        began = self.now()
        closing = [client.close(), client.close()]
        yield self.assertFailure(read, UnavailableError)
        yield self.assertFailure(write, MayHaveRunError)
        yield from closing
        self.assertLess(self.now() - began, 10)
        yield client.close()

    @inlineCallbacks
    def test_before_anything_was_called(self) -> Any:
        yield self.client().close()
        self.assertEqual(self.servers[0].asked, [])

    @inlineCallbacks
    def test_while_it_connects(self) -> Any:
        client = self.client()
        connecting = client.connect()
        yield client.close()
        yield self.assertFailure(connecting, UnavailableError)

    @inlineCallbacks
    def test_by_who_is_told_that_it_is_connected(self) -> Any:
        client = self.client()
        yield client.connect().addCallback(lambda _: client.close())
