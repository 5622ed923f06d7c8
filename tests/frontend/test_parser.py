"""RESP commands from bytes: the same whatever the pieces, and hostile ones refused at once."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epaxos.frontend.parser import CommandParser, RespError, split_inline

LIMIT = 1_000_000
ODD = [
    b"*1234567\r\n",
    b"\r\n*3\r\n$3\r\n",
    b"",
    b"x",
    b"SET",
    b"*99999999",
    b"\r\n",
    bytes(range(256)),
    b"$-1\r\n",
]


def encode(command: list[bytes]) -> bytes:
    parts = [b"*%d\r\n" % len(command)]
    parts += [b"$%d\r\n%s\r\n" % (len(argument), argument) for argument in command]
    return b"".join(parts)


def feed(pieces: list[bytes]) -> tuple[list[list[bytes]], str | None]:
    """All commands until an error, and the error."""
    parser = CommandParser(LIMIT)
    commands: list[list[bytes]] = []
    for piece in pieces:
        some, error = parser.feed(piece)
        commands += some
        if error is not None:
            return commands, str(error)
    return commands, None


def cut(data: bytes, random: Random) -> list[bytes]:
    pieces = []
    while data:
        size = random.choice([1, 2, 3, 7, 30, 200, 5000])
        pieces.append(data[:size])
        data = data[size:]
    return pieces


class ValidTests(SynchronousTestCase):
    def test_pieces(self) -> None:
        for seed in range(3000):
            random = Random(seed)
            commands = [
                [b"".join(random.choices(ODD, k=random.randrange(3))) for _ in range(random.randrange(1, 5))]
                for _ in range(random.randrange(1, 6))
            ]
            data = b"".join(map(encode, commands))
            self.assertEqual(feed(cut(data, random)), (commands, None), f"seed {seed}")

    def test_large_pipelines_and_values(self) -> None:
        random = Random(1)
        commands = [[b"SET", b"key %d" % k, b"v" * random.choice([1, 10, 70_000])] for k in range(500)]
        data = b"".join(map(encode, commands))
        pieces = [data[start : start + 65536] for start in range(0, len(data), 65536)]
        self.assertEqual(feed(pieces), (commands, None))

    def test_inline(self) -> None:
        for line, expected in (
            (b"PING", [b"PING"]),
            (b"  SET  a \t b ", [b"SET", b"a", b"b"]),
            (rb'SET "a b" "\x41\n\"\\"', [b"SET", b"a b", b'A\n"\\']),
            (rb"SET 'a \' \n'", [b"SET", b"a ' \\n"]),
            (b'SET a ""', [b"SET", b"a", b""]),
            (b"", []),
        ):
            self.assertEqual(split_inline(line), expected)
        mixed = b"PING\r\n" + encode([b"GET", b"a"]) + b"\r\n*0\r\n*-1\r\nECHO x\n"
        for seed in range(50):
            expected = [[b"PING"], [b"GET", b"a"], [b"ECHO", b"x"]]
            self.assertEqual(feed(cut(mixed, Random(seed))), (expected, None))

    def test_unusual_numbers(self) -> None:
        self.assertEqual(feed([b"*02\r\n$003\r\nGET\r\n$1\r\na\r\n"]), ([[b"GET", b"a"]], None))
        odd = b"*02\r\n$003\r\nGET\r\n$1\r\na\r\n" * 3
        for seed in range(50):
            self.assertEqual(feed(cut(odd, Random(seed))), ([[b"GET", b"a"]] * 3, None))


class HostileTests(SynchronousTestCase):
    def test_refused_at_once(self) -> None:
        """Before any of what is announced has come; whole or byte by byte; what came before is kept."""
        before = encode([b"GET", b"a"])
        for data, error in (
            (b"*2147483647\r\n", "invalid multibulk length"),
            (b"*1048577\r\n", "invalid multibulk length"),
            (b"*99999999999999999999999\r\n", "invalid multibulk length"),
            (b"*1x\r\n", "invalid multibulk length"),
            (b"*1\r\n$10000000000\r\n", "invalid bulk length"),
            (b"*1\r\n$-1\r\n", "invalid bulk length"),
            (b"*2\r\n$1000000\r\n" + b"x" * 1_000_000 + b"\r\n$1\r\n", "the command is too long"),
            (b"*1\r\n" * 100_000, "expected '$', got '*'"),
            (b"*1\r\n:5\r\n", "expected '$', got ':'"),
            (b"*1\r\n\x00\r\n", r"expected '$', got '\x00'"),
            (b'SET a "b\r\n', "unbalanced quotes in request"),
            (b'SET a "b"c\r\n', "unbalanced quotes in request"),
            (b"x" * 70_000, "too big inline request"),
            (b"*" + b"1" * 100, "too big mbulk count string"),
            (b"*1\r\n$" + b"1" * 100, "too big bulk count string"),
        ):
            expected = ([[b"GET", b"a"]], f"ERR Protocol error: {error}")
            self.assertEqual(feed([before + data]), expected, data[:40])
            self.assertEqual(
                feed([before, *(data[k : k + 1] for k in range(min(len(data), 2_000_000)))]), expected
            )

    def test_top_level_types(self) -> None:
        """Anything else at the top is an inline command, as in Redis."""
        self.assertEqual(feed([b":5\r\n$3\r\n+OK\r\n"]), ([[b":5"], [b"$3"], [b"+OK"]], None))

    @settings(max_examples=300, deadline=None, database=None, derandomize=True)
    @given(
        st.lists(
            st.one_of(
                st.binary(max_size=40), st.sampled_from([b"*1\r\n", b"$3\r\n", b"\r\n", b"*3\r\n", b"GET"])
            )
        )
    )
    def test_garbage(self, pieces: list[bytes]) -> None:
        """Nothing but RespError ever comes out, and the pieces make no difference to the commands."""
        commands, error = feed(pieces)
        whole, whole_error = feed([b"".join(pieces)])
        self.assertEqual((commands, error), (whole, whole_error))

    def test_errors_are_of_one_kind(self) -> None:
        _, error = CommandParser(LIMIT).feed(b"*-\r\n")
        self.assertIsInstance(error, RespError)
