"""The commands on bits: beside a real Redis, against plain Python, and in steps."""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import Ready
from epaxos.statemachines.redis.bitfields import ARGUMENTS_MAX
from epaxos.statemachines.redis.bits import CHUNK_BYTES
from epaxos.statemachines.redis.strings import VALUE_BYTES_MAX, ZEROS_MAX
from tests.statemachines.redis.against_redis import Pair, commands_of
from tests.statemachines.redis.lab import ID, Client, words
from tests.statemachines.redis.steps import Steps
from tests.statemachines.redis.test_hashes import read, run
from tests.statemachines.redis.test_transactions import Site

TEMPLATES = (
    *("SETBIT k o b", "SETBIT k o b", "SETBIT k o", "GETBIT k o", "GETBIT k", "SETBIT s o b", "GETBIT s o"),
    *("BITCOUNT k", "BITCOUNT e r r", "BITCOUNT e r r y", "BITCOUNT e 0 r x", "BITCOUNT s"),
    *("BITPOS k b", "BITPOS e b r", "BITPOS e b r r", "BITPOS e b r r y", "BITPOS e b 1 2 u", "BITPOS s 1"),
    *("BITOP p k k", "BITOP p k k k", "BITOP p k", "BITOP NOT k k", "BITOP NOT k k k", "BITOP p k s"),
    *(
        "BITFIELD k GET t f",
        "BITFIELD k SET t f n",
        "BITFIELD k OVERFLOW v INCRBY t f n GET t f",
        "BITFIELD k",
    ),
    *("BITFIELD k OVERFLOW v SET t f n INCRBY t f n OVERFLOW v INCRBY t f n", "BITFIELD k INCRBY t f n"),
    *(
        "BITFIELD k INCRBY i64 f n INCRBY i64 f n",
        "BITFIELD k INCRBY u63 0 n",
        "BITFIELD k GET t",
        "BITFIELD",
    ),
    *("BITFIELD k SET t f", "BITFIELD k OVERFLOW", "BITFIELD k WHAT t f n", "BITFIELD s SET t f n"),
    *(
        "BITFIELD_RO k GET t f",
        "BITFIELD_RO e GET t f GET t f",
        "BITFIELD_RO k SET t f n",
        "BITFIELD_RO s GET t f",
    ),
    *(
        "GET k",
        "SET k w",
        "APPEND k w",
        "DEL k",
        "STRLEN k",
        "SETRANGE k 5 w",
        "EXISTS k",
        "HSET s f v",
        "TYPE k",
    ),
)
WORDS = {
    "k": [b"a", b"b", b"e"],
    "e": [b"e"],  # is always there: Redis before 7.2 answers 0 for no key, whatever follows
    "s": [b"h"],
    "o": [b"0", b"1", b"7", b"8", b"100", b"999", b"-1", b"x", b"4294967296", b"01", b"", b"9" * 30],
    "b": [b"0", b"1", b"1", b"2", b"x", b"-1", b"01"],
    "r": [b"0", b"1", b"-1", b"2", b"-2", b"7", b"-9", b"100", b"-100", b"9223372036854775807", b"x", b""]
    + [b"%d" % number for number in range(-30, 30, 7)],
    "u": [b"BIT", b"byte", b"Bit", b"x"],
    "y": [b"BIT", b"byte", b"Bit"],
    "p": [b"AND", b"or", b"XOR", b"not", b"x"],
    "t": b"u8 i8 u1 i1 i64 u63 i5 u13 i33 u64 i65 u0 x8 u u08".split(),
    "f": b"0 1 #1 #3 7 63 300 -1 #-1 x # 4294967296 #99999999999".split(),
    "n": b"0 1 -1 255 256 -129 9223372036854775807 -9223372036854775808 x 77".split(),
    "v": [b"WRAP", b"sat", b"FAIL", b"x"],
    "w": [b"", b"\0", b"\xff\xff", b"\xff\xff\xff\xfe", b"text", b"\0" * 9, b"x" * 30, b"12"],
}  # fmt: skip


class DifferentialTests(SynchronousTestCase):
    def test_as_redis(self) -> None:
        for seed in range(25):
            pair = Pair(seed)
            try:
                pair.run([b"HSET", b"h", b"f", b"v"])
                for command in [words("SET e ab"), *commands_of(Random(seed), TEMPLATES, WORDS, 500)]:
                    if command[:2] == [b"DEL", b"e"] or (command[0] == b"BITOP" and command[2] == b"e"):
                        continue
                    ours, theirs = pair.run(command)
                    self.assertEqual(ours, theirs, command)
            finally:
                pair.close()


class PlainTests(SynchronousTestCase):
    def test_against_strings_of_digits(self) -> None:
        """Values longer than a chunk, also ones that grow."""
        for seed in range(6):
            random = Random(seed)
            client = Client()
            data = random.choice((bytes, lambda size: b"\xff" * size, random.randbytes))(
                random.choice((3, 5000, CHUNK_BYTES + 7, 2 * CHUNK_BYTES))
            )
            client.run([[b"SET", b"k", data[:-2]], [b"APPEND", b"k", data[-2:]]])
            for _ in range(12):
                place, bit = random.randrange(8 * len(data) + 50), random.randrange(2)
                held = bytearray(data.ljust(place // 8 + 1, b"\0"))
                old = held[place // 8] >> 7 - place % 8 & 1
                held[place // 8] = held[place // 8] & ~(128 >> place % 8) | (128 >> place % 8) * bit
                data = bytes(held)
                self.assertEqual(client(f"SETBIT k {place} {bit}"), old)
                self.assertEqual(client(f"GETBIT k {place}"), bit)
                digits = f"{int.from_bytes(data, 'big'):0{8 * len(data)}b}"
                start, end = sorted(random.randrange(8 * len(data)) for _ in range(2))
                for first, last, unit in ((start, end, "BIT"), (start // 8, end // 8, "BYTE")):
                    factor = 1 if unit == "BIT" else 8
                    some = digits[first * factor : (last + 1) * factor]
                    self.assertEqual(client(f"BITCOUNT k {first} {last} {unit}"), some.count("1"))
                    for wanted in "01":
                        found = some.find(wanted)
                        self.assertEqual(
                            client(f"BITPOS k {wanted} {first} {last} {unit}"),
                            found if found < 0 else found + first * factor,
                        )
                found = digits.find("0", start // 8 * 8)
                self.assertEqual(client(f"BITPOS k 0 {start // 8}"), len(digits) if found < 0 else found)
                self.assertEqual(client("GET k"), data)

    def test_combined(self) -> None:
        random = Random(3)
        for lengths in ((1, 0, 5), (CHUNK_BYTES + 3, 10), (7, 2 * CHUNK_BYTES + 1, CHUNK_BYTES)):
            client = Client()
            values = [random.randbytes(length) for length in lengths]
            keys = [b"k%d" % number for number in range(len(values))]
            for key, value in zip(keys, values):
                client.run([[b"SET", key, value]])
            size = max(lengths)
            numbers = [int.from_bytes(value.ljust(size, b"\0"), "big") for value in values]
            for name in (b"AND", b"OR", b"XOR"):
                expected = numbers[0]
                for number in numbers[1:]:
                    expected = {
                        b"AND": expected & number,
                        b"OR": expected | number,
                        b"XOR": expected ^ number,
                    }[name]
                self.assertEqual(client.run([[b"BITOP", name, b"to", *keys]]), [size])
                self.assertEqual(client("GET to"), expected.to_bytes(size, "big"))
            client("BITOP NOT k0 k0")
            self.assertEqual(client("GET k0"), bytes(byte ^ 255 for byte in values[0]))
        self.assertEqual([client("BITOP OR to none other"), client("EXISTS to")], [0, 0])

    def test_fields_against_integers(self) -> None:
        """Whatever type and place, what is set is read, and nothing beside it changes."""
        random = Random(4)
        client = Client()
        client.run([[b"SET", b"k", random.randbytes(40)]])
        for _ in range(300):
            bits = random.randrange(1, 65)
            signed = random.random() < 0.5 or bits == 64
            place = random.randrange(8 * 40 - bits)
            low = -(1 << bits - 1) if signed else 0
            number = random.randrange(low, min(low + (1 << bits), 2**63))
            before: Any = client("GET k")
            kind = ("i" if signed else "u") + str(bits)
            old: Any = client(f"BITFIELD k SET {kind} {place} {number} GET {kind} {place}")
            self.assertEqual(old[1], number)
            after: Any = client("GET k")
            mask = ((1 << bits) - 1) << 320 - place - bits
            self.assertEqual(*(int.from_bytes(value, "big") & ~mask for value in (before, after)))
            self.assertEqual(client(f"BITFIELD k SET {kind} {place} {old[0]}"), [number])
            self.assertEqual(client("GET k"), before)


class BoundTests(SynchronousTestCase):
    def test_what_is_refused(self) -> None:
        client = Client()
        self.assertIn("exceeds maximum", str(client(f"SETBIT k {8 * ZEROS_MAX} 1")))
        self.assertIn("exceeds maximum", str(client(f"BITFIELD k SET u8 {8 * ZEROS_MAX} 1")))
        self.assertIn("bit offset", str(client(f"GETBIT k {8 * VALUE_BYTES_MAX}")))
        for text in ("9" * 5000, "-" + "9" * 5000, "1e9999"):
            for command in (
                f"SETBIT k {text} 1",
                f"BITCOUNT k {text} 1",
                f"BITFIELD k SET u8 #{text} {text}",
            ):
                self.assertRegex(str(client(command)), "not an integer", command[:20])
        self.assertEqual(client("EXISTS k"), 0)
        self.assertEqual(client(f"SETBIT k {8 * ZEROS_MAX - 1} 1"), 0)
        self.assertIn("too many", str(client("BITFIELD k" + " GET u8 0" * (ARGUMENTS_MAX // 3))))
        self.assertEqual(
            client("BITFIELD k" + " GET u8 0" * (ARGUMENTS_MAX // 3 - 1)), [0] * (ARGUMENTS_MAX // 3 - 1)
        )

    def test_an_error_changes_nothing(self) -> None:
        client = Client()
        for text in ("SET k abc", "HSET h f v"):
            client(text)
        before = dict(client.store.entries())
        for text in (
            *(
                "BITOP AND k k h",
                "BITOP NOT k h",
                "SETBIT h 1 1",
                "BITFIELD h SET u8 0 1",
                "BITFIELD k SET u8 0 1 SET x",
            ),
            *("BITFIELD k OVERFLOW FAIL INCRBY u8 0 999", "BITFIELD k GET u8 0 SET u8 0 97", "SETBIT k 1 1"),
        ):
            client(text)
            self.assertEqual(dict(client.store.entries()), before, text)

    def test_due_sources(self) -> None:
        site = Site()
        for text in ("SET a x PX 5", "SET b y"):
            site(text)
        site.clock.ms += 10
        batch = site.store.batch([words("BITOP OR to a b"), words("SETBIT to 7 0")])
        self.assertEqual(list(site.store.apply([Ready(ID, batch, True)])[0]), [1, 1])
        site("SET a x PX 5")
        site("SETBIT a 1 1")
        self.assertEqual(site("PTTL a"), 5)

    def test_no_long_step(self) -> None:
        store = Client().store
        run(store, [b"SET", b"k", b"\0" * 8_000_000])
        run(store, [b"SET", b"l", b"\xff" * 8_000_000])
        for number in range(300):
            run(store, [b"SET", b"s:%d" % number, b"x" * 10_000])
        step = Steps(self)
        for command in (
            *map(words, ("BITCOUNT k", "BITPOS k 1", "BITPOS l 0", "BITOP AND to k l", "BITOP NOT to k")),
            [b"BITOP", b"XOR", b"to", *(b"s:%d" % number for number in range(300)), b"k"],
        ):
            self.assertGreater(step.run(store, command), 40, command[:2])
            if store.is_read(command[0]):
                self.assertGreater(read(store, command)[1], 40)
        step.check()
