"""Reads of several clients as one: every client is answered as if it were alone."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from twisted.internet import reactor as the_reactor
from twisted.internet.defer import inlineCallbacks
from twisted.trial.unittest import SynchronousTestCase, TestCase

from epaxos.interfaces import Command, Outcome, Unavailable
from epaxos.resp.server import RespConnection, RespLimits
from tests.net.test_shared_reader import turns, until
from tests.resp.test_parser import encode as encode_command
from tests.resp.test_server import OneReplica, Server, Wire, encode

reactor: Any = the_reactor


def encode_raw(*command: bytes) -> bytes:
    return encode_command(list(command))


class Sizes(OneReplica):
    """Remembers how many bytes each submission was said to have."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def submit(
        self, commands: Sequence[Command], done: Callable[[Outcome], None], size_bytes: int = 0
    ) -> None:
        self.sizes.append(size_bytes)
        super().submit(commands, done, size_bytes)


class Clients:
    """Several clients of one server."""

    def __init__(self, count: int, limits: RespLimits | None = None) -> None:
        self.server = Server(limits)
        self.replica = self.server.replica
        self.connections: list[RespConnection] = []
        self.wires: list[Wire] = []
        for _ in range(count):
            connection, wire = self.server.connect()
            self.connections.append(connection)
            self.wires.append(wire)

    def send(self, *reads: bytes) -> None:
        """What each client sends in one turn; nothing for those who say nothing."""
        self.server.factory.receive(
            [(connection, read) for connection, read in zip(self.connections, reads) if read]
        )

    @property
    def answers(self) -> list[bytes]:
        """What each client was told since this was asked last."""
        answers = [wire.value() for wire in self.wires]
        for wire in self.wires:
            wire.clear()
        return answers


class TogetherTests(SynchronousTestCase):
    def test_one_submission(self) -> None:
        """And every client gets its own answers, in order."""
        clients = Clients(4)
        reads = [
            encode("SET a 1", "GET a"),
            encode("INCR b"),
            encode("SET c 3", "MGET c d", "GET nope"),
            encode("SET e 5", "INCR e"),
        ]
        clients.send(*reads)
        self.assertEqual(clients.replica.submitted, [8])
        self.assertEqual(clients.answers, [b""] * 4)
        clients.replica.run()
        expected = [
            b"+OK\r\n$1\r\n1\r\n",
            b":1\r\n",
            b"+OK\r\n*2\r\n$1\r\n3\r\n$-1\r\n$-1\r\n",
            b"+OK\r\n:6\r\n",
        ]
        self.assertEqual([wire.writes for wire in clients.wires], [1] * 4)
        self.assertEqual(clients.answers, expected)
        clients.send(*reversed(reads))
        clients.replica.run()
        self.assertEqual(clients.replica.submitted, [8, 8])
        self.assertEqual(clients.answers[0], b"+OK\r\n:6\r\n")

    def test_each_in_its_protocol(self) -> None:
        clients = Clients(2)
        clients.send(b"", encode("HELLO 3"))
        clients.answers  # noqa: B018
        clients.send(encode("GET a"), encode("GET a"))
        clients.replica.run()
        self.assertEqual((clients.replica.submitted, clients.answers), ([2], [b"$-1\r\n", b"_\r\n"]))

    def test_turns_that_overlap(self) -> None:
        """Answers that come out of order are given in order."""
        clients = Clients(2)
        clients.send(encode("SET a 1"), encode("SET b 1"))
        clients.send(encode("GET a"), encode("PING"))
        held = clients.replica.held
        clients.replica.held = held[1:]
        clients.replica.run()
        self.assertEqual(clients.answers, [b""] * 2)
        clients.replica.held = held[:1]
        clients.replica.run()
        self.assertEqual(clients.answers, [b"+OK\r\n$-1\r\n", b"+OK\r\n+PONG\r\n"])

    def test_bytes(self) -> None:
        """The replica is told what all of them sent."""
        replica = Sizes()
        clients = Clients(2)
        clients.server.factory.receive = type(clients.server.factory)(
            replica, clients.server.factory._complaints
        ).receive
        reads = [encode("SET a 1"), encode("GET abc", "GET b")]
        clients.send(*reads)
        self.assertEqual((replica.submitted, replica.sizes), ([3], [sum(map(len, reads))]))

    def test_one_is_unusual(self) -> None:
        """It gets what it would get alone, and the others go together."""
        long = encode_raw(b"SET", b"y", b"v" * 17_000)
        for before, read in (
            (b"", encode("SET y 1") + b"*2\r\n$3\r\nGET\r\n$1\r"),
            (b"", b"*2\r\n$3\r\nGET\r\n$1\r\ny"),
            (b"", b"*2\r\n$3\r\nGET\r\n"),
            (b"", b"*"),
            (b"", b"SET y 1\r\nGET y\r\n"),
            (b"", encode("PING", "SET y 1")),
            (b"", encode("HELLO 3", "GET y")),
            (b"", encode("NOPE")),
            (b"", encode("SET y 1", "GET y y", "GET y")),
            (b"", b"\r\n"),
            (b"", b"*0\r\n"),
            (b"", b"*-1\r\n" + encode("GET y")),
            (b"", b"*1\r\n:5\r\n"),
            (b"", b"*1\r\n*1\r\n$4\r\nPING\r\n"),
            (b"", b"*1\r\n$-1\r\n"),
            (b"", b"$4\r\nPING\r\n"),
            (b"", b"+OK\r\n-ERR\r\n:5\r\n_\r\n"),
            (b"", encode("SET y 1", "GET y") + b"*1\r\n$99999999999\r\n"),
            (b"", b"*2\r\n$3\r\nGET\r\n+y\r\n"),
            (b"", encode_raw(b"SET", b"y", b"*12345\r\n~1\r\n%1\r\n+")),
            (b"", encode("QUIT", "GET y")),
            (b"", long),
            (b"*2\r\n$3\r\nGET\r\n$1\r\n", b"y\r\n" + encode("GET y")),
            (b"*3\r\n$3\r\nSET\r\n$1\r\ny\r\n$10\r\n", b"123"),
            (encode("GET y", "QUIT"), encode("SET y 1", "GET y")),
        ):
            for place in range(3):
                reads = [encode("SET a 1", "GET a"), encode("INCR b")]
                expected = [b"+OK\r\n$1\r\n1\r\n", b":1\r\n"]
                reads.insert(place, read)
                together, apart = Clients(3), Clients(3)
                for clients in (together, apart):
                    clients.connections[place].dataReceived(before)
                together.send(*reads)
                for connection, data in zip(apart.connections, reads):
                    connection.dataReceived(data)
                submitted = together.replica.submitted[bool(b"QUIT" in before) :]
                for clients in (together, apart):
                    clients.replica.run()
                answers = together.answers
                self.assertEqual(answers, apart.answers, f"{before!r}, then {read[:100]!r}")
                self.assertEqual(
                    [wire.disconnecting for wire in together.wires],
                    [wire.disconnecting for wire in apart.wires],
                    f"{read[:100]!r}",
                )
                del answers[place]
                self.assertEqual(answers, expected)
                self.assertIn(3, submitted, "the others go together")

    def test_a_bug_with_one_that_is_unusual(self) -> None:
        """Costs that connection; the others have been heard already."""
        clients = Clients(3)

        def fail(data: bytes) -> None:
            raise RuntimeError("a bug")

        self.patch(clients.connections[1], "dataReceived", fail)
        clients.send(encode("SET a 1"), b"PING\r\n", encode("GET a"))
        clients.replica.run()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual([wire.disconnected for wire in clients.wires], [False, True, False])
        self.assertEqual(clients.answers, [b"+OK\r\n", b"", b"$1\r\n1\r\n"])

    def test_the_rest_of_a_command(self) -> None:
        """May come in a turn of many, and then the connection is one of them again."""
        clients = Clients(3)
        command = encode("SET a 12345")
        clients.send(encode("GET b"), command[:-4], encode("GET b"))
        clients.send(encode("GET b"), command[-4:], encode("GET b"))
        clients.send(*[encode("GET a")] * 3)
        clients.replica.run()
        self.assertEqual(clients.replica.submitted, [2, 2, 1, 3])
        self.assertEqual(
            clients.answers,
            [
                b"$-1\r\n$-1\r\n$5\r\n12345\r\n",
                b"+OK\r\n$5\r\n12345\r\n",
                b"$-1\r\n$-1\r\n$5\r\n12345\r\n",
            ],
        )

    def test_what_is_too_much_for_one_submission(self) -> None:
        for counts, submitted in (
            ([500, 500], [1000]),
            ([500, 501], [500, 501]),
            ([350, 350, 350], [350, 350, 350]),
        ):
            clients = Clients(len(counts))
            clients.send(*[encode(f"INCR n{number}") * count for number, count in enumerate(counts)])
            self.assertEqual(clients.replica.submitted, submitted)
            clients.replica.run()
            self.assertEqual(
                clients.answers, [b"".join([b":%d\r\n" % (k + 1) for k in range(count)]) for count in counts]
            )

    def test_the_longest_read_that_goes_together(self) -> None:
        for size, submitted in ((16384, [2]), (16385, [1, 1])):
            clients = Clients(2)
            value = b"v" * (size - len(encode_raw(b"SET", b"y", b"v" * 16000)) + 16000)
            clients.send(encode("GET a"), encode_raw(b"SET", b"y", value))
            self.assertEqual(clients.replica.submitted, submitted)
            clients.replica.run()
            self.assertEqual(clients.answers, [b"$-1\r\n", b"+OK\r\n"])

    def test_unavailable(self) -> None:
        """Everybody is told, once for every command."""
        clients = Clients(3)
        clients.send(encode("GET a"), encode("GET a", "GET b", "GET c"), encode("GET a", "GET b"))
        self.assertEqual(clients.replica.submitted, [6])
        clients.replica.fail(Unavailable("CLUSTERDOWN no quorum", True))
        self.assertEqual(clients.answers, [b"-CLUSTERDOWN no quorum\r\n" * count for count in (1, 3, 2)])

    def test_an_answer_that_cannot_be_given(self) -> None:
        """The others get theirs."""
        clients = Clients(3)

        def fail(data: bytes) -> None:
            raise RuntimeError("broken wire")

        self.patch(clients.wires[1], "write", fail)
        for unavailable, expected in ((None, b"+OK\r\n"), (Unavailable("ERR no", True), b"-ERR no\r\n")):
            clients.send(*[encode("SET a 1")] * 3)
            if unavailable is None:
                clients.replica.run()
            else:
                clients.replica.fail(unavailable)
            errors = self.flushLoggedErrors(RuntimeError)
            self.assertEqual([str(error.value) for error in errors], ["broken wire"])
            self.assertEqual(clients.answers, [expected, b"", expected])
            self.assertTrue(clients.wires[1].disconnected, "it would wait for ever")

    def test_a_client_that_left(self) -> None:
        clients = Clients(3)
        clients.send(*[encode(f"SET a{number} 1") for number in range(3)])
        clients.connections[1].connectionLost()
        clients.replica.run()
        self.assertEqual(clients.answers, [b"+OK\r\n", b"", b"+OK\r\n"])
        self.assertEqual(dict(clients.replica.store.entries()), dict.fromkeys((b"a0", b"a1", b"a2"), b"1"))

    def test_limits(self) -> None:
        """A client that asks for too much is not read until it is answered; its own commands count alone."""
        few, many = encode("GET a"), encode("GET a", "GET b", "GET c")
        for limits in (RespLimits(pipeline_commands_max=3), RespLimits(pipeline_bytes_max=len(many))):
            clients = Clients(3, limits)
            for _ in range(2):
                clients.send(few, many, few)
                self.assertEqual(
                    [wire.producerState for wire in clients.wires], ["producing", "paused", "producing"]
                )
                clients.replica.run()
                self.assertEqual([wire.producerState for wire in clients.wires], ["producing"] * 3)
                self.assertEqual(clients.answers, [b"$-1\r\n", b"$-1\r\n" * 3, b"$-1\r\n"])
            self.assertEqual(clients.replica.submitted, [5, 5])


VALUES = [
    b"",
    b"v",
    b"\r\n",
    b"*1234\r\n",
    b"a\n%1",
    b"a\n+x",
    b"~>|%(=+",
    b"$32\r\n",
    b"\n*2\r\n",
    b"x" * 17_000,
]


def random_piece(random: Random, number: int, oddness: float) -> bytes:
    """Something that client `number` may send; it uses its own keys, so nobody else matters to it."""
    key = b"%d:%d" % (number, random.randrange(3))
    other = b"%d:%d" % (number, random.randrange(3))
    usual = [
        lambda: encode_raw(b"SET", key, random.choice(VALUES)),
        lambda: encode_raw(b"GET", key),
        lambda: encode_raw(b"get", key),
        lambda: encode_raw(b"APPEND", key, b"x"),
        lambda: encode_raw(b"MGET", key, other),
        lambda: encode_raw(b"INCR", key),
        lambda: encode_raw(b"DEL", key, other),
    ]
    unusual = [
        lambda: encode_raw(b"MSET", key, random.choice(VALUES), other, b"1"),
        lambda: encode_raw(b"PING"),
        lambda: encode_raw(b"ECHO", random.choice(VALUES)),
        lambda: encode_raw(b"HELLO", random.choice([b"2", b"3"])),
        lambda: encode_raw(b"NOPE", random.choice(VALUES)),
        lambda: encode_raw(b"GET"),
        lambda: encode_raw(b"GET", key, key),
        lambda: b"SET %b inline\r\n" % key,
        lambda: b"\r\n",
        lambda: b"*0\r\n",
        lambda: b"*-1\r\n",
        lambda: b"*02\r\n$3\r\nGET\r\n$0%d\r\n%b\r\n" % (len(key), key),
        lambda: encode_raw(b"CLIENT", b"ID"),
    ]
    rare = [
        lambda: encode_raw(b"QUIT"),
        lambda: b"*1\r\n:5\r\n",
        lambda: b"*1\r\n*1\r\n",
        lambda: b"*2\r\n$3\r\nGET\r\n+x\r\n",
        lambda: b"*1\r\n~1\r\n$1\r\nx\r\n",
        lambda: b"*1\r\n$-1\r\n",
    ]
    kinds = random.choices([usual, unusual, rare], [1, oddness, oddness / 10])
    return random.choice(kinds[0])()


class LikeAloneTests(SynchronousTestCase):
    def test_random_reads(self) -> None:
        """Whatever the clients send, and however it is cut, each sees the same as if it were alone."""
        submissions = shared = ends = paused = 0
        for seed in range(120):
            random = Random(seed)
            count = random.randrange(2, 7)
            limits = RespLimits(pipeline_commands_max=random.choice([4, 10_000]))
            together, apart = Clients(count, limits), Clients(count, limits)
            waiting = [b""] * count
            oddness = random.choice([0.01, 0.1])
            cut = random.choice([0.0, 0.1])
            for step in range(40):
                about = f"seed {seed}, step {step}"
                reads = [b""] * count
                for number in random.sample(range(count), random.randrange(1, count + 1)):
                    if together.wires[number].producerState == "paused":
                        paused += 1
                        continue
                    for _ in range(random.choice([1, 1, 2, 5])):
                        waiting[number] += random_piece(random, number, oddness)
                    size = len(waiting[number])
                    if random.random() < cut:
                        size = random.randrange(size) + 1
                    reads[number], waiting[number] = waiting[number][:size], waiting[number][size:]
                together.send(*reads)
                for connection, data in zip(apart.connections, reads):
                    if data:
                        connection.dataReceived(data)
                if random.random() < 0.1:
                    for clients in (together, apart):
                        clients.replica.fail(Unavailable("ERR no quorum", True))
                elif random.random() < 0.7:
                    for clients in (together, apart):
                        clients.replica.run()
                else:
                    continue
                self.assertEqual(together.answers, apart.answers, about)
                for attribute in ("producerState", "disconnecting"):
                    self.assertEqual(
                        [getattr(wire, attribute) for wire in together.wires],
                        [getattr(wire, attribute) for wire in apart.wires],
                        about,
                    )
            for clients in (together, apart):
                clients.replica.run()
            self.assertEqual(together.answers, apart.answers, f"seed {seed}")
            self.assertEqual(
                dict(together.replica.store.entries()), dict(apart.replica.store.entries()), f"seed {seed}"
            )
            submissions += len(together.replica.submitted)
            shared += len(apart.replica.submitted) - len(together.replica.submitted)
            ends += sum(wire.disconnecting for wire in together.wires)
        self.assertGreater(shared, submissions // 4)
        self.assertGreater(min(ends, paused), 50)


class SocketTests(TestCase):
    """Through the shared reader, on real sockets."""

    timeout = 10

    def listen(self, server: Server) -> int:
        """The port on which it does."""
        port = reactor.listenTCP(0, server.factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return int(port.getHost().port)

    @inlineCallbacks
    def test_clients(self) -> Any:
        server = Server(RespLimits(pipeline_commands_max=2, clients_max=3))
        port = self.listen(server)
        clients = []
        for number in range(4):
            client = socket.create_connection(("127.0.0.1", port))
            self.addCleanup(client.close)
            client.setblocking(False)
            clients.append(client)
            yield until(lambda number=number: server.factory._accepted == number + 1)
        one, two, three, refused = clients
        self.assertIn(server.factory.reader, reactor.getReaders())
        for client, commands in ((one, ["SET a 1"]), (two, ["SET b 1", "GET b"]), (three, ["GET c"])):
            client.send(encode(*commands))
        yield until(lambda: sum(server.replica.submitted) == 4)
        two.send(encode("GET d"))
        one.send(encode("GET a"))
        yield until(lambda: sum(server.replica.submitted) == 5)
        yield turns()  # the second one is not read
        self.assertEqual(sum(server.replica.submitted), 5)
        server.replica.run()
        yield until(lambda: sum(server.replica.submitted) == 6)
        server.replica.run()
        for client, answer in (
            (one, b"+OK\r\n$1\r\n1\r\n"),
            (two, b"+OK\r\n$1\r\n1\r\n$-1\r\n"),
            (three, b"$-1\r\n"),
            (refused, b"-ERR max number of clients reached\r\n"),
        ):
            self.assertEqual((yield received(client, len(answer))), answer)
            client.close()
        yield until(lambda: not server.factory.connections)
        self.assertNotIn(server.factory.reader, reactor.getReaders())

    @inlineCallbacks
    def test_closed_here(self) -> Any:
        """The reader does not keep what the server closes, read or paused."""
        for limits, commands in (
            (RespLimits(), ["QUIT"]),
            (RespLimits(pipeline_commands_max=2), ["GET a", "GET b"]),
            (RespLimits(pipeline_bytes_max=100), ["CLIENT LIST"] * 200),
        ):
            server = Server(limits)
            port = self.listen(server)
            client = socket.create_connection(("127.0.0.1", port))
            self.addCleanup(client.close)
            yield until(lambda server=server: len(server.factory.connections) == 1)
            (connection,) = server.factory.connections
            client.send(encode(*commands))
            if len(commands) == 2:
                yield until(lambda connection=connection: connection._paused)
                connection.transport.abortConnection()
            yield until(lambda server=server: not server.factory.connections)
            self.assertEqual(server.factory.reader.fileno(), -1)
            self.assertNotIn(server.factory.reader, reactor.getReaders())

    @inlineCallbacks
    def test_one_that_speaks_nonsense(self) -> Any:
        """Costs nobody else the connection: here a map whose key is a list."""
        server = Server()
        port = self.listen(server)
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
        yield until(lambda: len(server.factory.connections) == 3)
        nonsense = b"*2\r\n$1\r\naXX%1\r\n*1\r\n$1\r\nb\r\n$1\r\nc\r\n"
        for client, data in zip(clients, (encode("GET a"), encode("GET a"), nonsense)):
            client.send(data)
        yield until(lambda: len(server.factory.connections) == 2 and sum(server.replica.submitted) == 2)
        server.replica.run()
        for client in clients:
            client.close()
        yield until(lambda: not server.factory.connections)

    @inlineCallbacks
    def test_in_one_turn(self) -> Any:
        server = Server()
        port = self.listen(server)
        clients = []
        for _ in range(3):
            client = socket.create_connection(("127.0.0.1", port))
            self.addCleanup(client.close)
            clients.append(client)
        yield until(lambda: len(server.factory.connections) == 3)
        while server.replica.submitted[-1:] != [3]:  # as a rule in the first turn
            before = sum(server.replica.submitted)
            for client in clients:
                client.send(encode("GET a"))
            yield until(lambda before=before: sum(server.replica.submitted) == before + 3)
            server.replica.run()
        for client in clients:
            client.close()
        yield until(lambda: not server.factory.connections)


@inlineCallbacks
def received(client: socket.socket, size: int) -> Any:
    """So many bytes, once they are there."""
    data = bytearray()

    def take() -> bool:
        try:
            data.extend(client.recv(size - len(data)))
        except BlockingIOError:
            return False
        return len(data) >= size

    yield until(take)
    return bytes(data)
