"""RESP commands from bytes: the same whatever the pieces, and hostile ones refused at once."""

from __future__ import annotations

import tracemalloc
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epaxos.resp import parser
from epaxos.resp.hiredis_parser import CommonParser
from epaxos.resp.parser import CommandParser, RespError, split_inline

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
            (b"ECHO \v\f a\vb\fc \v", [b"ECHO", b"a\vb\fc"]),
            (b'SET a ""', [b"SET", b"a", b""]),
            (b"", []),
        ):
            self.assertEqual(split_inline(line), expected)
        mixed = b"PING\r\n" + encode([b"GET", b"a"]) + b"\r\n*0\r\n*-1\r\nECHO x\n"
        for seed in range(50):
            expected = [[b"PING"], [b"GET", b"a"], [b"ECHO", b"x"]]
            self.assertEqual(feed(cut(mixed, Random(seed))), (expected, None))

    def test_empty_lines(self) -> None:
        """They are skipped at once, and only they: a carriage return before a header makes a line of it."""
        for seed in range(300):
            random = Random(seed)
            data = b"\n" + b"".join(random.choices([b"\r", b"\n", b"\r\n", b"*1", b"$1", b" "], k=20))
            data += b"\n" + encode([b"GET"])
            self.assertEqual(feed([data]), feed([data[at : at + 1] for at in range(len(data))]), data)
        seen: list[bytes] = []

        def split(line: bytes) -> list[bytes]:
            seen.append(line)
            return split_inline(line)

        self.patch(parser, "split_inline", split)
        self.assertEqual(feed([b"\n" * 60_000 + b"\r\n" * 60_000 + b"PING\r\n"]), ([[b"PING"]], None))
        self.assertLess(len(seen), 10)

    def test_headers_that_end_oddly(self) -> None:
        """A header ends two bytes after its text, of which only the first is looked at.  So does Redis."""
        odd = b"*2\rX$3\r\0GET\r\n$1\rYa\r\n" * 3
        for seed in range(50):
            self.assertEqual(feed(cut(odd, Random(seed))), ([[b"GET", b"a"]] * 3, None))

    def test_headers_that_do_not_end(self) -> None:
        """Nothing comes of them, and what would be too long is refused.  So does Redis."""
        for data in (b"*1\n$4\nPING\n", b"*1\r\n:5", b"*1\r", b"*1\0\r\n", b"*1\r\n\0005\r\n", b"PI\0NG\r\n"):
            self.assertEqual(feed([data]), ([], None), data)
            commands, error = feed([data, b"\0" * 70_000])
            self.assertEqual(commands, [], data)
            self.assertRegex(str(error), "^ERR Protocol error: too big ", data)


class HostileTests(SynchronousTestCase):
    def test_refused_at_once(self) -> None:
        """Before any of what is announced has come; whole or byte by byte; what came before is kept."""
        before = encode([b"GET", b"a"])
        for data, error in (
            (b"*2147483647\r\n", "invalid multibulk length"),
            (b"*1048577\r\n", "invalid multibulk length"),
            (b"*99999999999999999999999\r\n", "invalid multibulk length"),
            (b"*1x\r\n", "invalid multibulk length"),
            (b"*01\r\n", "invalid multibulk length"),
            (b"*+1\r\n", "invalid multibulk length"),
            (b"*-0\r\n", "invalid multibulk length"),
            (b"*\r\n", "invalid multibulk length"),
            (b"*1\n$4\r\nPING\r\n", "invalid multibulk length"),
            (b"*1 \r\n", "invalid multibulk length"),
            (b"*1\r\n$04\r\n", "invalid bulk length"),
            (b"*1\r\n$+4\r\n", "invalid bulk length"),
            (b"*1\r\n$4\nPING\r\n", "invalid bulk length"),
            (b"*1\r\n$\r\n", "invalid bulk length"),
            (b"*1\r\n\r\n", "expected '$', got ' '"),
            (b"*1\r\n$10000000000\r\n", "invalid bulk length"),
            (b"*1\r\n$-1\r\n", "invalid bulk length"),
            (b"*2\r\n$1000000\r\n" + b"x" * 1_000_000 + b"\r\n$1\r\n", "the command is too long"),
            (b"*1\r\n" * 100_000, "expected '$', got '*'"),
            (b"*1\r\n:5\r\n", "expected '$', got ':'"),
            (b"*1\r\n\x01\r\n", r"expected '$', got '\x01'"),
            (b'SET a "b\r\n', "unbalanced quotes in request"),
            (b'SET a "b"c\r\n', "unbalanced quotes in request"),
            (b"x" * 70_000, "too big inline request"),
            (b"*" + b"1" * 70_000, "too big mbulk count string"),
            (b"*1\r\n$" + b"1" * 70_000, "too big bulk count string"),
            (b"*" + b"1" * 100 + b"\r\n", "invalid multibulk length"),
        ):
            expected = ([[b"GET", b"a"]], f"ERR Protocol error: {error}")
            self.assertEqual(feed([before + data]), expected, data[:40])
            self.assertEqual(
                feed([before, *(data[k : k + 1] for k in range(min(len(data), 2_000_000)))]), expected
            )

    def test_behind_two_bytes_that_are_no_end_of_a_line(self) -> None:
        """What follows them begins an element, whatever they are."""
        for mark in b"~%>|+(=*:":
            for rest in (b"1\r\n*1\r\n$1\r\nb\r\n", b"99999999\r\n", b"5\r\ntxt:a\r\n"):
                error = f"ERR Protocol error: expected '$', got '{chr(mark)}'"
                self.assertEqual(feed([b"*2\r\n$1\r\naXX%c" % mark + rest]), ([], error))
        half_a_map = b"*2\r\n$1\r\naXX%1\r\n*1\r\n$1\r\nb\r\n"  # which the next value would make whole
        self.assertIn("got '%'", str(feed([half_a_map])[1]))
        data = b"*2\r\n$3\r\nGETXX$1\r\naYY" * 2
        self.assertEqual(feed([data]), ([[b"GET", b"a"]] * 2, None))

    def test_nothing_is_kept_for_what_is_only_announced(self) -> None:
        for data in (
            b"*2\r\n$1\r\naXX>99999999\r\n",
            b"*1\r\n%99999999\r\n",
            b"*2\r\n$1\r\na\r\n~9999999\r\n",
        ):
            tracemalloc.start()
            self.addCleanup(tracemalloc.stop)
            feed([data])
            CommonParser().parse([data, encode([b"GET", b"a"])])
            self.assertLess(tracemalloc.get_traced_memory()[1], 1_000_000, f"{data!r}")
            tracemalloc.stop()

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


def alone(read: bytes) -> list[list[bytes]] | None:
    """The commands of a read that is nothing but whole commands."""
    parser = CommandParser(LIMIT)
    commands, error = parser.feed(read)
    return None if error is not None or parser.is_inside else commands


GOOD = [encode([b"GET", b"a"]), encode([b"SET", b"b", b"\r\n"]) + encode([b"PING"]), encode([b""])]
PARTS = [b"SET", b"x", b"", b"\r\n", b"$3\r\nGET\r\n", b"*3\r\n", b"\0\xff"]
PIECES = [
    b"*1\r\n", b"*2\r\n", b"*0\r\n", b"*-1\r\n", b"$3\r\n", b"$0\r\n", b"$-1\r\n", b"$9\r\n", b"$32\r\n",
    b":1\r\n", b"+OK\r\n", b"-ERR\r\n", b"_\r\n", b"#t\r\n", b",1.5\r\n", b"(12\r\n", b"=5\r\ntxt:x\r\n",
    b"%1\r\n", b"~1\r\n", b">1\r\n", b"|1\r\n", b"GET", b"\r\n", b"\r", b"*",
    b"$1\r\nx\r\n", b"*1\r\n$1\r\nx\r\n", b"*2\r\n$1\r\nx\r\n",
]  # fmt: skip
"""What reads may be put together of."""


class CommonTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.parser = CommonParser()

    def parse(self, *reads: bytes) -> list[list[list[bytes]]] | None:
        """What it makes of the reads; and it is of use afterwards, whatever that was."""
        parsed = self.parser.parse(reads)
        self.assertEqual(self.parser.parse(GOOD), [alone(read) for read in GOOD], f"after {reads}")
        return parsed

    def test_whole_commands(self) -> None:
        for seed in range(2000):
            random = Random(seed)
            commands = [
                [
                    [b"".join(random.choices(PARTS, k=2)) for _ in range(random.randrange(1, 5))]
                    for _ in range(random.randrange(1, 5))
                ]
                for _ in range(random.randrange(1, 6))
            ]
            reads = [b"".join(map(encode, some)) for some in commands]
            self.assertEqual(self.parse(*reads), commands, f"seed {seed}")

    def test_values_that_look_like_something_else(self) -> None:
        """They are left to others, or come out as they are."""
        for value, is_common in (
            (b"*1234", False),
            (b"*+1234", False),
            (b"*123", True),
            *((b"x%c1\r\n" % mark, True) for mark in b"~%>|+(="),
            *((b"%c1\r\n" % mark, True) for mark in b"~%>|+(="),
            *((b"x\n%c" % mark, True) for mark in b"~%>|+(="),
            *((b"%c%b1234" % (mark, sign), False) for mark in b"~%>|" for sign in (b"", b"+", b"-")),
            *((b"\n%c1\r\n" % mark, True) for mark in b"*$:-_#,"),
            (b"$32\r\n", True),
            (b"$32\r\n" + b"0" * 32 + b"\r\n", True),
            (bytes(range(256)), True),
            (b"x" * 100_000, True),
        ):
            command = [b"SET", b"k", value]
            for place in range(3):
                reads = [*GOOD[:place], encode(command), *GOOD[place:]]
                expected = [alone(read) for read in reads] if is_common else None
                self.assertEqual(self.parse(*reads), expected, f"{value[:50]!r} at {place}")

    def test_cut_anywhere(self) -> None:
        """Nothing comes of it; least of all with the rest in the next read, which is another client's."""
        commands = [[b"SET", b"key", b"\r\n$1"], [b"GET", b""], [b"MGET", b"a", b"12345678901234567890"]]
        data = b"".join(map(encode, commands))
        whole = [len(b"".join(map(encode, commands[:count]))) for count in range(4)]
        for end in range(len(data)):
            if end in whole:
                continue
            head, tail = data[:end], data[end:]
            for reads in (
                [head],
                [head, GOOD[0]],
                [GOOD[0], head],
                [GOOD[0], head, GOOD[1]],
                [head, tail],
                [head, GOOD[0], tail],
                [GOOD[0], head, tail, GOOD[1]],
                [tail, head],
                [head, head],
                [tail, tail],
                [tail],
                [GOOD[0], tail, GOOD[1]],
            ):
                self.assertIsNone(self.parse(*reads), f"cut at {end}: {reads}")

    def test_everything_that_is_no_command(self) -> None:
        """Whatever stands before it, behind it and beside it."""
        for lines in (
            "PING", "*0", "*-1", "$3 abc", "$-1", ":5", "_", "#t", ",1.5", "+OK", "-ERR", "(123", "=5 txt:x",
            "%1 $1 a $1 b", "%1 *1 $1 a $1 b", "~1 $1 a", "~1 *1 $1 a", ">1 $1 a", "|1 $1 a $1 b",
            "!3 abc", "*1 *1 $1 a", "*1 *0", "*1 *-1", "*1 :5", "*1 $-1", "*1 _", "*1 #t", "*1 ,1.5",
            "*1 +OK", "*1 -ERR", "*1 (1", "*1 =5 txt:x", "*1 %1 $1 a $1 b", "*1 ~1 $1 a", "*1 ~0", "*1 %0",
            "*1 >1 $1 a",
            "*1 |1 $1 a $1 b $1 c", "*2 $3 GET :1", "*2 *1 $1 a $1 b", "*2 $1 a *1 $1 b", "*1 " * 20,
            "*999 " * 5, "*99999", "*1x", "*2", "*3", "*1 $34", "*1 $37", "*1 $99", "$32", "$34", "$40",
            "$99",
        ):  # fmt: skip
            odd = b"".join([line.encode() + b"\r\n" for line in lines.split()])
            self.assert_left_to_others(odd)
        for odd in (b"\r\n", b"?", b"*", b"*1", b"$0\r\n\r\n", b"\0", b"GET a\n"):
            self.assert_left_to_others(odd)

    def test_behind_two_bytes_that_are_no_end_of_a_line(self) -> None:
        """hiredis does not look at them, nor do others: what follows them begins an element, too."""
        for odd in (*b"~%>|+(=", *b"*:_#,-"):
            for rest in (b"1\r\n*1\r\n$1\r\nb\r\n$1\r\nc\r\n", b"1\r\n", b"99999999\r\n", b"5\r\ntxt:a\r\n"):
                self.assert_left_to_others(b"*2\r\n$1\r\naXX%c" % odd + rest)

    def assert_left_to_others(self, odd: bytes) -> None:
        for read in (odd, GOOD[0] + odd, odd + GOOD[0], GOOD[0] + odd + GOOD[0]):
            for place in range(4):
                reads = [*GOOD[:place], read, *GOOD[place:]]
                self.assertIsNone(self.parse(*reads), f"{read!r} at {place}")

    @settings(max_examples=800, deadline=None, database=None, derandomize=True)
    @given(
        st.lists(
            st.one_of(
                st.lists(st.lists(st.binary(max_size=5), min_size=1, max_size=4), min_size=1, max_size=3).map(
                    lambda commands: b"".join(map(encode, commands))
                ),
                st.lists(st.sampled_from(PIECES), min_size=1, max_size=8).map(b"".join),
                st.tuples(st.sampled_from(GOOD), st.binary(max_size=10)).map(b"".join),
            ),
            min_size=1,
            max_size=5,
        )
    )
    def test_any_reads(self, reads: list[bytes]) -> None:
        """Nothing comes of them, or of each what would come of it alone, with nothing left."""
        parsed = CommonParser().parse(reads)
        if parsed is not None:
            self.assertEqual(parsed, [alone(read) for read in reads])

    def test_any_pieces(self) -> None:
        """The same with many more reads, of a parser that goes on."""
        taken = 0
        for seed in range(6000):
            random = Random(seed)
            reads = [
                random.choice(GOOD)
                if random.random() < 0.6
                else b"".join(random.choices(PIECES, k=random.randrange(1, 7)))
                for _ in range(random.randrange(1, 5))
            ]
            parsed = self.parser.parse(reads)
            if parsed is not None:
                taken += any(read not in GOOD for read in reads)
                self.assertEqual(parsed, [alone(read) for read in reads], f"seed {seed}")
        self.assertGreater(taken, 10)
        self.assertIsNotNone(self.parse(*GOOD))
