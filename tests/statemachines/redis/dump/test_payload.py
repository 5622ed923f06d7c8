"""The payload of DUMP and RESTORE: there and back, as Redis has it, and hostile ones."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Generator
from typing import TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epaxos.statemachines.redis.dump.crc64 import checksum
from epaxos.statemachines.redis.dump.errors import BadData, BadPayload, DumpError
from epaxos.statemachines.redis.dump.lists import elements_of_listpack, elements_of_ziplist, listpack_of
from epaxos.statemachines.redis.dump.lzf import expanded
from epaxos.statemachines.redis.dump.payload import Dumped, dump, load
from epaxos.statemachines.redis.dump.reader import RESTORED_BYTES_MAX
from tests.statemachines.redis.against_redis import Pair

T = TypeVar("T")

NUMBERS = [0, 1, 12, 127, 128, 4095, 4096, 2**15, 2**23, 2**31, 2**63 - 1]
TEXTS = [
    *(b"%d" % number for number in NUMBERS),
    *(b"%d" % -number for number in (*NUMBERS[1:], 129, 4097, 2**63)),
    *(b"", b"-", b"-0", b"01", b"+1", b"1 ", b"%d" % 2**63, b"\xc0\x01", b"x" * 63, b"x" * 64),
    *(b"y" * 4095, b"y" * 4096, b"z" * 16383, b"z" * 16384, b"ab" * 40_000),
]


def result(steps: Generator[None, None, T], count: list[int] | None = None) -> T:
    """What the steps return; their number is added to `count`."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            value: T = end.value
            return value
        if count is not None:
            count.append(1)


def payload_of(body: bytes, version: int = 10) -> bytes:
    """A payload with this type and value, and a right checksum."""
    body += version.to_bytes(2, "little")
    return body + result(checksum(body)).to_bytes(8, "little")


class ChecksumTests(SynchronousTestCase):
    def test_known(self) -> None:
        """The test value of this variant."""
        self.assertEqual(result(checksum(b"123456789")), 0xE9C6D914C4B8D9CA)
        self.assertEqual(result(checksum(b"")), 0)

    def test_bit_by_bit(self) -> None:
        data = random.Random(5).randbytes(70_001)
        crc, steps = 0, [0]
        for byte in data:
            crc ^= byte
            for _ in range(8):
                crc = (crc >> 1) ^ (0x95AC9329AC4BC9B5 if crc & 1 else 0)
        self.assertEqual(result(checksum(data), steps), crc)
        self.assertEqual(len(steps), 3)


class CompressedTests(SynchronousTestCase):
    def test_pieces(self) -> None:
        for data, text in (
            (b"", b""),
            (b"\x02abc", b"abc"),
            (b"\x02abc\x20\x02", b"abcabc"),  # 3 bytes from 3 before
            (b"\x00a\xe0\x05\x00", b"a" * 15),  # 14 bytes from 1 before: they overlap
            (b"\x01ab\x60\x01", b"ababab" + b"a"),
        ):
            self.assertEqual(result(expanded(data, len(text))), text)

    def test_far_references(self) -> None:
        literals = b"".join(b"\x1f" + bytes([number]) * 32 for number in range(256))
        text = b"".join(bytes([number]) * 32 for number in range(256))
        distance = 8191  # the most that 13 bits say
        data = literals + bytes([0x20 | distance >> 8, distance & 255])
        self.assertEqual(result(expanded(data, len(text) + 3)), text + text[:3])

    def test_bad(self) -> None:
        for data, length in (
            (b"\x02ab", 3),
            (b"\x02abc", 2),
            (b"\x02abc", 4),
            (b"\x00a\x20", 4),
            (b"\x00a\xe0\x05", 15),
            (b"\x00a\x20\x01", 4),
            (b"\x20\x00", 3),
            (b"", 1),
            (b"\x00a\xe0\xff\x00" * 10, 2**40),
        ):
            self.assertRaises(BadData, result, expanded(data, length))


class ListTests(SynchronousTestCase):
    def test_listpack_there_and_back(self) -> None:
        for elements in ([], TEXTS, [b"a"] * 70_000):
            self.assertEqual(result(elements_of_listpack(listpack_of(elements))), elements)

    def test_listpack_known(self) -> None:
        """As Redis writes it."""
        self.assertEqual(
            listpack_of([b"f", b"127", b"-1", b"300"]),
            bytes.fromhex("12000000 0400 8166 02 7f 01 dfff 02 c12c 02 ff"),
        )

    def test_ziplist_known(self) -> None:
        """A field and its value in each form that there is."""
        pieces = (
            b"\x00\x01f",
            b"\x03\xf1",
            b"\x02\xfd",
            b"\x02\xfe\x80",
            b"\x03\xc0\x00\x80",
            b"\x04\xf0\xff\xff\x7f",
            b"\x05\xd0\x00\x00\x00\x80",
            b"\x06\xe0" + b"\xff" * 7 + b"\x7f",
            b"\x0a\x41\x00" + b"s" * 256,
            b"\xfe\x04\x01\x00\x00\x80\x00\x00\x00\x02ab",
        )
        body = b"".join(pieces)
        head = (11 + len(body)).to_bytes(4, "little") + bytes(4) + len(pieces).to_bytes(2, "little")
        self.assertEqual(
            result(elements_of_ziplist(head + body + b"\xff")),
            [
                *(b"f", b"0", b"12", b"-128", b"-32768", b"8388607", b"-2147483648"),
                *(b"9223372036854775807", b"s" * 256, b"ab"),
            ],
        )

    def test_bad_listpacks(self) -> None:
        good = listpack_of([b"field", b"x" * 70, b"-5000"])
        for place in range(len(good)):
            for bad in (good[:place], good[:place] + good[place + 1 :], good + good[place : place + 1]):
                self.assertRaises(BadData, result, elements_of_listpack(bad))

    def test_a_list_of_many_is_refused_early(self) -> None:
        self.assertRaises(BadData, result, elements_of_listpack(listpack_of([b"1"] * 101_000)))


class PayloadTests(SynchronousTestCase):
    def test_known(self) -> None:
        """What redis-server 7.0.15 answers to DUMP."""
        fields = [b"f", b"v", b"n", b"127", b"x", b"-1", b"y", b"300"]
        for dumped, payload in (
            (Dumped("string", [b"hello"]), "000568656c6c6f0a006372df766534200a"),
            (Dumped("string", [b"10"]), "00c00a0a006e9f57450eae63bb"),
            (Dumped("set", [b"-2", b"1", b"300"]), "0b0e0200000003000000feff01002c010a005b0aa862f794600a"),
            (Dumped("set", [b"a"]), "020101610a006296e97e44d21a6d"),
            (
                Dumped("hash", fields),
                "101e1e0000000800816602817602816e027f01817802dfff02817902c12c02ff0a004dd98242682aa1db",
            ),
        ):
            self.assertEqual(result(dump(dumped)).hex(), payload)
            self.assertEqual(result(load(bytes.fromhex(payload))), dumped)
        compressed = bytes.fromhex("00c30b3c0361626361e02d020162630a006f6029e4afd764ac")
        self.assertEqual(result(load(compressed)).elements, [b"abc" * 20])

    def test_there_and_back(self) -> None:
        for text in TEXTS:
            dumped = Dumped("string", [text])
            self.assertEqual(result(load(result(dump(dumped)))), dumped)
        for count in (1, 5, 512, 513, 3000):
            for value in (b"v" * 64, b"v" * 65, b"7"):
                elements = [piece for number in range(count) for piece in (b"f%d" % number, value)]
                dumped = Dumped("hash", elements)
                self.assertEqual(result(load(result(dump(dumped)))), dumped)

    @given(st.binary(max_size=100))
    @settings(max_examples=200, deadline=None)
    def test_strings(self, text: bytes) -> None:
        self.assertEqual(result(load(result(dump(Dumped("string", [text]))))).elements, [text])

    @given(
        st.dictionaries(
            st.one_of(st.binary(max_size=80), st.integers().map(b"%d".__mod__)), st.binary(), min_size=1
        )
    )
    @settings(max_examples=200, deadline=None)
    def test_hashes(self, fields: dict[bytes, bytes]) -> None:
        dumped = Dumped("hash", [piece for pair in fields.items() for piece in pair])
        self.assertEqual(result(load(result(dump(dumped)))), dumped)

    def test_wrong_checksum_or_version(self) -> None:
        good = result(dump(Dumped("string", [b"some text"])))
        for place in range(8 * len(good)):
            bad = bytearray(good)
            bad[place // 8] ^= 1 << place % 8
            self.assertRaises(BadPayload, result, load(bytes(bad)))
        for length in range(len(good)):
            self.assertRaises(BadPayload, result, load(good[:length]))
        self.assertRaises(BadPayload, result, load(payload_of(b"\x00\x01a", 13)))
        self.assertEqual(result(load(payload_of(b"\x00\x01a", 12))).elements, [b"a"])

    def test_other_types_are_named(self) -> None:
        for kind, name in ((24, "hash whose fields expire"), (99, "unknown")):
            error = self.assertRaises(BadData, result, load(payload_of(bytes([kind]) + b"\x01\x00")))
            self.assertIn(f"({name})", str(error))

    def test_bad_values(self) -> None:
        pair = listpack_of([b"f", b"v"])
        for body in (
            b"\x00",
            b"\x00\x05abc",
            b"\x00\x03abcd",
            b"\x00\x80\xff\xff\xff\xffabc",
            b"\x00\x81\xff\xff\xff\xff\xff\xff\xff\xffabc",
            b"\x00\x82abc",
            b"\x00\xc4abc",
            b"\x00\xc1a",
            b"\x00\xc3\x05\x20abc",
            b"\x00\xc3\xc0\x20abc",
            b"\x04\x00",
            b"\x04\x02\x01f\x01v",
            b"\x04\x02\x01f\x01v\x01f\x01w",
            b"\x04\x80\xff\xff\xff\xff\x01f\x01v",
            b"\x10" + bytes([len(pair) + 1]) + pair,
            b"\x10" + bytes([7]) + listpack_of([]),
            *(
                b"\x10%c" % len(bad) + bad
                for bad in (listpack_of([b"f"]), listpack_of([b"f", b"1", b"f", b"2"]))
            ),
        ):
            self.assertRaises(BadData, result, load(payload_of(body)))

    def test_bombs(self) -> None:
        """Little that says that it is much."""
        run = b"\x00a" + b"\xe0\xff\x00" * 20_000  # 60 KB stand for 5.2 MB
        size = 1 + 264 * 20_000
        string = b"\xc3\x80" + len(run).to_bytes(4, "big") + b"\x80" + size.to_bytes(4, "big") + run
        steps = [0]
        (text,) = result(load(payload_of(b"\x00" + string)), steps).elements
        self.assertEqual(text, b"a" * size)
        self.assertGreater(len(steps), 5)
        many = RESTORED_BYTES_MAX // size + 1
        body = b"\x04" + bytes([many]) + b"".join(b"\x02%02d" % number + string for number in range(many))
        error = self.assertRaises(BadData, result, load(payload_of(body)))
        self.assertIn(str(RESTORED_BYTES_MAX), str(error))

    def test_repeated_fields_are_seen_early(self) -> None:
        """Three million fields that are all the same take no memory."""
        body = b"\x04\x80" + (3_000_000).to_bytes(4, "big") + b"\x00\x00" * 3_000_000
        steps = load(payload_of(body))
        left = len(body) // 32768 + 4
        with self.assertRaises(BadData):
            for _ in range(left):
                next(steps)

    def test_garbage_ends_in_an_error_of_ours(self) -> None:
        chance = random.Random(11)
        seeds = [result(dump(Dumped("hash", TEXTS[: 2 * count]))) for count in (2, 5, 10)]
        seeds.append(payload_of(b"\x00\xc3\x06\x06\x02abc\x20\x02"))
        for _ in range(3000):
            body = bytearray(chance.choice(seeds)[:-10][:400])
            for _ in range(chance.randrange(1, 6)):
                body[chance.randrange(len(body))] = chance.randrange(256)
            with contextlib.suppress(DumpError):
                result(load(payload_of(bytes(body))))


class RealTests(SynchronousTestCase):
    """Both ways with a real redis-server."""

    def setUp(self) -> None:
        self.pair = Pair()
        self.addCleanup(self.pair.close)

    def test_strings(self) -> None:
        for text in [*TEXTS, b"the same again and " * 5000, random.Random(1).randbytes(100_000)]:
            self.pair.theirs([b"SET", b"theirs", text])
            self.assertEqual(result(load(self.payload(b"theirs"))).elements, [text])
            self.restore(result(dump(Dumped("string", [text]))))
            self.assertEqual(self.pair.theirs([b"GET", b"ours"]), text)

    def test_hashes(self) -> None:
        chance = random.Random(2)
        for count in (1, 3, 50, 128, 129, 1000):
            for values in (TEXTS[:30], TEXTS, [b"v" * 64]):
                fields = {
                    chance.choice((b"%d", b"field %d")) % (number * 997): chance.choice(values)
                    for number in range(count)
                }
                elements = [piece for pair in fields.items() for piece in pair]
                self.pair.theirs([b"DEL", b"theirs"])
                self.pair.theirs([b"HSET", b"theirs", *elements])
                loaded = result(load(self.payload(b"theirs")))
                self.assertEqual(loaded.type_name, "hash")
                self.assertEqual(dict(zip(loaded.elements[::2], loaded.elements[1::2])), fields)
                self.restore(result(dump(loaded)))
                found = self.pair.theirs([b"HGETALL", b"ours"])
                assert isinstance(found, list)
                self.assertEqual(dict(zip(found[::2], found[1::2])), fields)

    def payload(self, key: bytes) -> bytes:
        payload = self.pair.theirs([b"DUMP", key])
        assert isinstance(payload, bytes)
        return payload

    def restore(self, payload: bytes) -> None:
        self.assertEqual(self.pair.theirs([b"RESTORE", b"ours", b"0", payload, b"REPLACE"]), b"OK")
