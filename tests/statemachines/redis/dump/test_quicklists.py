"""Lists in payloads: there and back, as Redis has them, in the forms of old versions, and hostile ones."""

from __future__ import annotations

import contextlib
import random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epaxos.statemachines.redis.dump.errors import BadData, DumpError
from epaxos.statemachines.redis.dump.lists import listpack_of
from epaxos.statemachines.redis.dump.payload import Dumped, dump, load
from epaxos.statemachines.redis.dump.quicklists import ELEMENT_BYTES
from epaxos.statemachines.redis.dump.reader import RESTORED_BYTES_MAX
from tests.statemachines.redis.against_redis import Pair
from tests.statemachines.redis.dump.test_payload import TEXTS, payload_of, result


def ziplist_of(*elements: bytes) -> bytes:
    """As Redis before version 7 wrote short strings."""
    body, before = b"", 0
    for element in elements:
        piece = bytes([before, len(element)]) + element
        body, before = body + piece, len(piece)
    head = (11 + len(body)).to_bytes(4, "little") + bytes(4) + len(elements).to_bytes(2, "little")
    return head + body + b"\xff"


def in_string(data: bytes) -> bytes:
    return bytes([len(data)]) + data


class FormTests(SynchronousTestCase):
    def test_known(self) -> None:
        """What redis-server 7.0.15 answers to DUMP."""
        dumped = Dumped("list", [b"a", b"127", b"-1", b"300"])
        payload = "120102121200000004008161027f01dfff02c12c02ff0a00ae807ec3d572c1ec"
        self.assertEqual(result(dump(dumped)).hex(), payload)
        self.assertEqual(result(load(bytes.fromhex(payload))), dumped)

    def test_forms_of_all_versions(self) -> None:
        one, two = ziplist_of(b"a", b"b"), ziplist_of(b"c")
        for body in (
            b"\x01\x03\x01a\x01b\x01c",
            b"\x0a" + in_string(ziplist_of(b"a", b"b", b"c")),
            b"\x0e\x02" + in_string(one) + in_string(two),
            b"\x0e\x03" + in_string(one) + in_string(ziplist_of()) + in_string(two),
            b"\x12\x02\x02" + in_string(listpack_of([b"a", b"b"])) + b"\x01\x01c",
        ):
            self.assertEqual(result(load(payload_of(body))), Dumped("list", [b"a", b"b", b"c"]), body)

    def test_there_and_back(self) -> None:
        for elements in (TEXTS, [b"x" * 8180, b"y" * 8181, b"z" * 8182, b""], [b"7"] * 30_000):
            dumped = Dumped("list", elements)
            self.assertEqual(result(load(result(dump(dumped)))), dumped)

    @given(st.lists(st.one_of(st.binary(max_size=80), st.integers().map(b"%d".__mod__)), min_size=1))
    @settings(max_examples=200, deadline=None)
    def test_any(self, elements: list[bytes]) -> None:
        dumped = Dumped("list", elements)
        self.assertEqual(result(load(result(dump(dumped)))), dumped)

    def test_in_steps(self) -> None:
        steps = [0]
        payload = result(dump(Dumped("list", [b"%d" % number for number in range(50_000)])), steps)
        self.assertGreater(len(steps), 30)
        steps = [0]
        result(load(payload), steps)
        self.assertGreater(len(steps), 50)


class HostileTests(SynchronousTestCase):
    def test_bad_values(self) -> None:
        good = in_string(listpack_of([b"a"]))
        for body in (
            b"\x01\x00",
            b"\x01\x02\x01a",
            b"\x01\x80\xff\xff\xff\xff\x01a",
            b"\x0a" + in_string(ziplist_of()),
            b"\x0a\x03abc",
            b"\x0e\x00",
            b"\x0e\x01" + in_string(ziplist_of()),
            b"\x12\x01\x02" + in_string(listpack_of([])),
            b"\x12\x01\x03" + good,
            b"\x12\x01\x00" + good,
            b"\x12\x02\x02" + good,
            b"\x12\x01\x02" + good + b"x",
            b"\x12\x01\xc0" + good,
        ):
            self.assertRaises(BadData, result, load(payload_of(body)))

    def test_bombs(self) -> None:
        """Compressed nodes that together have more elements than anybody has memory for."""
        repeats = 600
        run = b"\x01\x01\x01" + b"\xe0\xff\x01" * repeats  # 2 bytes, and 264 that repeat them, and so on
        size = 2 + 264 * repeats
        elements = size // 2
        packed = (size + 7).to_bytes(4, "little") + b"\xff\xff"
        data = b"\x05" + packed + run + b"\x00\xff"
        node = b"\x02\xc3" + _long(len(data)) + _long(size + 7) + data
        nodes = RESTORED_BYTES_MAX // (size + ELEMENT_BYTES * elements) + 2
        one = result(load(payload_of(b"\x12\x01" + node)))
        self.assertEqual((len(one.elements), set(one.elements)), (elements, {b"1"}))
        error = self.assertRaises(BadData, result, load(payload_of(b"\x12" + _long(nodes) + node * nodes)))
        self.assertIn(str(RESTORED_BYTES_MAX), str(error))

    def test_garbage_ends_in_an_error_of_ours(self) -> None:
        chance = random.Random(11)
        seeds = [result(dump(Dumped("list", TEXTS[:count]))) for count in (2, 5, 10)]
        seeds += [
            payload_of(b"\x0e\x02" + 2 * in_string(ziplist_of(b"abc", b"d"))),
            payload_of(b"\x01\x02\x03abc\x02ab"),
        ]
        for _ in range(3000):
            body = bytearray(chance.choice(seeds)[:-10][:400])
            for _ in range(chance.randrange(1, 6)):
                body[chance.randrange(len(body))] = chance.randrange(256)
            with contextlib.suppress(DumpError):
                result(load(payload_of(bytes(body))))


def _long(length: int) -> bytes:
    return b"\x80" + length.to_bytes(4, "big")


class RealTests(SynchronousTestCase):
    """Both ways with a real redis-server."""

    def test_lists(self) -> None:
        pair = Pair()
        self.addCleanup(pair.close)
        chance = random.Random(2)
        for count in (1, 3, 50, 128, 129, 5000):
            for values in (TEXTS[:30], TEXTS, [b"v" * 64], [b"%d" % number for number in range(300)]):
                elements = chance.choices(values, k=count // 10 + 1 if values is TEXTS else count)
                pair.theirs([b"DEL", b"theirs"])
                pair.theirs([b"RPUSH", b"theirs", *elements])
                payload = pair.theirs([b"DUMP", b"theirs"])
                assert isinstance(payload, bytes)
                self.assertEqual(result(load(payload)), Dumped("list", elements))
                pair.ours.run([[b"RESTORE", b"k", b"0", payload, b"REPLACE"]])
                self.assertEqual(pair.ours.run([[b"LRANGE", b"k", b"0", b"-1"]])[0], elements)
                (ours,) = pair.ours.run([[b"DUMP", b"k"]])
                assert isinstance(ours, bytes)
                self.assertEqual(pair.theirs([b"RESTORE", b"ours", b"0", ours, b"REPLACE"]), b"OK")
                self.assertEqual(pair.theirs([b"LRANGE", b"ours", b"0", b"-1"]), elements)
