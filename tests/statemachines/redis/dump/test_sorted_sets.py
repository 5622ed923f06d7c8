"""Sorted sets in payloads: there and back, as Redis has them, in old forms, and hostile ones."""

from __future__ import annotations

import contextlib
import math
import random
from struct import pack

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces.doubles import text_of_double
from epaxos.statemachines.redis.dump.errors import BadData, DumpError
from epaxos.statemachines.redis.dump.lists import listpack_of
from epaxos.statemachines.redis.dump.payload import Dumped, dump, load
from tests.statemachines.redis.against_redis import Pair
from tests.statemachines.redis.dump.test_payload import payload_of, result
from tests.statemachines.redis.dump.test_quicklists import in_string, ziplist_of

PAIRS = [b"b", b"-inf", b"a", b"1", b"7", b"2.5", b"z", b"inf"]


def binary(*pairs: tuple[bytes, float]) -> bytes:
    body = b"".join(in_string(member) + pack("<d", score) for member, score in pairs)
    return b"\x05" + bytes([len(pairs)]) + body


class FormTests(SynchronousTestCase):
    def test_forms_of_all_versions(self) -> None:
        for body in (
            b"\x03\x04\x01b\xff\x01a\x011\xc0\x07\x032.5\x01z\xfe",
            binary((b"b", -math.inf), (b"a", 1.0), (b"7", 2.5), (b"z", math.inf)),
            b"\x0c" + in_string(ziplist_of(*PAIRS)),
            b"\x11" + in_string(listpack_of(PAIRS)),
        ):
            self.assertEqual(result(load(payload_of(body))), Dumped("zset", PAIRS), body)

    @given(
        st.dictionaries(st.binary(max_size=70), st.floats(allow_nan=False), min_size=1, max_size=200),
    )
    @settings(max_examples=200, deadline=None)
    def test_any(self, scores: dict[bytes, float]) -> None:
        elements = [one for member, score in scores.items() for one in (member, text_of_double(score + 0.0))]
        dumped = Dumped("zset", elements)
        self.assertEqual(result(load(result(dump(dumped)))), dumped)

    def test_in_steps(self) -> None:
        steps = [0]
        elements = [b"%d" % (number // 2) for number in range(50_000)]
        payload = result(dump(Dumped("zset", elements)), steps)
        self.assertGreater(len(steps), 90)
        steps = [0]
        self.assertEqual(result(load(payload), steps).elements, elements)
        self.assertGreater(len(steps), 100)


class HostileTests(SynchronousTestCase):
    def test_bad_values(self) -> None:
        for body in (
            binary(),
            binary((b"a", 1.0))[:-1],
            binary((b"a", 1.0)) + b"x",
            binary((b"a", math.nan)),
            binary((b"a", 1.0), (b"a", 2.0)),
            b"\x05\x80\xff\xff\xff\xff\x01a" + bytes(8),
            b"\x03\x01\x01a\xfd",
            b"\x03\x01\x01a\x03nan",
            b"\x03\x01\x01a\x00",
            b"\x03\x01\x01a\x05123",
            *(
                b"\x11" + in_string(listpack_of(pairs))
                for pairs in ([], [b"a"], [b"a", b"b"], [b"a", b"nan"])
            ),
            b"\x11" + in_string(listpack_of([b"a", b"1", b"a", b"2"])),
            b"\x0c" + in_string(ziplist_of(b"a", b"")),
        ):
            self.assertRaises(BadData, result, load(payload_of(body)))

    def test_garbage_ends_in_an_error_of_ours(self) -> None:
        chance = random.Random(11)
        seeds = [result(dump(Dumped("zset", PAIRS))), payload_of(binary((b"a", 1.0), (b"b", 2.0)))]
        seeds.append(payload_of(b"\x03\x02\x01a\x011\x01b\xfe"))
        for _ in range(3000):
            body = bytearray(chance.choice(seeds)[:-10])
            for _ in range(chance.randrange(1, 6)):
                body[chance.randrange(len(body))] = chance.randrange(256)
            with contextlib.suppress(DumpError):
                result(load(payload_of(bytes(body))))


class RealTests(SynchronousTestCase):
    def test_there_and_back(self) -> None:
        """What Redis dumps is restored here, and the other way round, in each form."""
        for options in ((), ("--zset-max-listpack-entries", "0")):
            pair = Pair(1, options)
            try:
                for count in (1, 3, 128, 129, 700):
                    self.compare(pair, count)
                pair.run([b"ZADD", b"exact", b"1", b"a", b"-2.5", b"b", b"inf", b"c", b"300", b"7"])
                mine, foreign = pair.run([b"DUMP", b"exact"])
                self.assertEqual(mine == foreign, not options)
            finally:
                pair.close()

    def compare(self, pair: Pair, count: int) -> None:
        chance = random.Random(count)
        scores = [chance.choice((1.0, -7.0, 0.1, 1e300, math.inf, chance.random())) for _ in range(count)]
        words = [
            word for number, score in enumerate(scores) for word in (text_of_double(score), b"m%d" % number)
        ]
        pair.run([b"ZADD", b"z", *words])
        mine, foreign = pair.run([b"DUMP", b"z"])
        assert isinstance(mine, bytes) and isinstance(foreign, bytes)
        self.assertEqual(pair.theirs([b"RESTORE", b"other", b"0", mine, b"REPLACE"]), b"OK")
        self.assertEqual(pair.ours.run([[b"RESTORE", b"other", b"0", foreign, b"REPLACE"]]), ["OK"])
        for command in ([b"ZRANGE", b"other", b"0", b"-1"], [b"ZCARD", b"other"]):
            ours, theirs = pair.run(command)
            self.assertEqual(ours, theirs)
        whole = [pair.ours.run([[b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"]]) for key in (b"z", b"other")]
        self.assertEqual(*whole)
