"""Reads of several clients as one: every client is answered as if it were alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import Command, Outcome, Unavailable
from tests.defaults import default_limits
from tests.resp.lab import (
    Clients,
    OneReplica,
    encode,
    encode_raw,
)


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
        clients.send(encode("GET c"), encode("PING"))
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
        clients.server.factory = type(clients.server.factory)(
            replica, clients.server.factory.shared._complaints, default_limits()
        )
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
        get = encode("GET b")
        for reads in ((get, command[:-4], get), (get, command[-4:], get), [encode("GET a")] * 3):
            clients.send(*reads)
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
        for limits in (default_limits(pipeline_commands_max=3), default_limits(pipeline_bytes_max=len(many))):
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
