"""Replies to bytes, at once and in steps."""

from __future__ import annotations

import math
from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import (
    CommandError,
    NilArray,
    Reply,
    ReplyByKey,
    ReplyMap,
    ReplyPairs,
    ReplySet,
    SimpleString,
)
from epaxos.resp.encoder import (
    ELEMENTS_AT_ONCE,
    LARGE_BYTES,
    SAMPLED_FROM,
    STEP_BYTES,
    encode_if_small,
    encode_in_steps,
    encode_replies,
    encode_reply,
    measure,
)

OK = SimpleString("OK")
HUGE = bytes(5_000_000)


def random_reply(random: Random, depth: int = 0) -> Any:
    kinds = [
        lambda: None,
        lambda: random.randrange(-(2**63), 2**63),
        lambda: bytes(random.choice([0, 1, 10, 1000])),
        lambda: bytes(random.choice([LARGE_BYTES, LARGE_BYTES + 1, STEP_BYTES, 200_000])),
        lambda: OK,
        lambda: CommandError("ERR no\r\nsuch"),
    ]
    if depth < 3:
        kinds += [
            lambda: [random_reply(random, depth + 1) for _ in range(random.randrange(5))],
            lambda: ReplyMap(random_reply(random, depth + 1) for _ in range(2 * random.randrange(3))),
            lambda: ReplyPairs(random_reply(random, depth + 1) for _ in range(2 * random.randrange(3))),
            lambda: ReplySet(random_reply(random, depth + 1) for _ in range(random.randrange(5))),
            lambda: ReplyByKey(random_reply(random, depth + 1) for _ in range(2 * random.randrange(3))),
            lambda: [bytes(10)] * random.choice([0, 5, 3000]),
        ]
    return random.choice(kinds)()


class EncoderTests(SynchronousTestCase):
    def test_both_protocols(self) -> None:
        for reply, two, three in (
            (None, b"$-1\r\n", b"_\r\n"),
            (b"", b"$0\r\n\r\n", None),
            (b"a\r\n", b"$3\r\na\r\n\r\n", None),
            (OK, b"+OK\r\n", None),
            (-5, b":-5\r\n", None),
            (1.5, b"$3\r\n1.5\r\n", b",1.5\r\n"),
            (-math.inf, b"$4\r\n-inf\r\n", b",-inf\r\n"),
            (NilArray(), b"*-1\r\n", b"_\r\n"),
            (CommandError("ERR a\r\nb"), b"-ERR a  b\r\n", None),
            ([], b"*0\r\n", None),
            (
                [None, [1, b"x"]],
                b"*2\r\n$-1\r\n*2\r\n:1\r\n$1\r\nx\r\n",
                b"*2\r\n_\r\n*2\r\n:1\r\n$1\r\nx\r\n",
            ),
            (ReplyMap([b"k", []]), b"*2\r\n$1\r\nk\r\n*0\r\n", b"%1\r\n$1\r\nk\r\n*0\r\n"),
            (ReplySet([b"k", 1]), b"*2\r\n$1\r\nk\r\n:1\r\n", b"~2\r\n$1\r\nk\r\n:1\r\n"),
            (
                ReplyPairs([b"k", [], b"l", 1]),
                b"*4\r\n$1\r\nk\r\n*0\r\n$1\r\nl\r\n:1\r\n",
                b"*2\r\n*2\r\n$1\r\nk\r\n*0\r\n*2\r\n$1\r\nl\r\n:1\r\n",
            ),
            (
                ReplyByKey([b"k", [], b"l", 1]),
                b"*2\r\n*2\r\n$1\r\nk\r\n*0\r\n*2\r\n$1\r\nl\r\n:1\r\n",
                b"%2\r\n$1\r\nk\r\n*0\r\n$1\r\nl\r\n:1\r\n",
            ),
        ):
            for resp, expected in ((2, two), (3, three or two)):
                self.assertEqual(encode_reply(reply, resp), expected)
                self.assertEqual(encode_if_small([reply, reply], resp), expected * 2)
                self.assertEqual(b"".join(encode_in_steps([reply], resp)), expected)

    def test_what_is_no_reply(self) -> None:
        for wrong in ((1,), "text"):
            for encode in (encode_replies, encode_if_small, lambda *a: list(encode_in_steps(*a))):
                self.assertRaises(TypeError, encode, [wrong], 2)

    def test_steps_give_the_same_bytes(self) -> None:
        """In pieces that are short, or are the value itself."""
        for seed in range(60):
            random = Random(seed)
            replies = [random_reply(random) for _ in range(random.randrange(8))]
            for resp in (2, 3):
                expected = encode_replies(replies, resp)
                pieces = list(encode_in_steps(replies, resp))
                self.assertEqual(b"".join(pieces), expected, f"seed {seed}")
                self.assertNotIn(b"", pieces)
                small = [piece for piece in pieces if len(piece) <= STEP_BYTES + LARGE_BYTES + 20]
                for piece in pieces:
                    self.assertTrue(piece in small or set(piece) == {0}, f"seed {seed}")
                at_once = encode_if_small(replies, resp)
                self.assertIn(at_once, (None, expected))
                self.assertLessEqual(
                    abs(measure(replies).encoded - len(expected)), 20 * len(expected) // 25 + 9
                )

    def test_values_are_not_copied(self) -> None:
        pieces = list(encode_in_steps([HUGE, [HUGE, [HUGE]]], 2))
        self.assertEqual(sum(piece is HUGE for piece in pieces), 3)
        self.assertLess(sum(len(piece) for piece in pieces if piece is not HUGE), 100)

    def test_a_step_costs_what_it_gives(self) -> None:
        """However long the whole is, nothing is made before it is asked for."""
        endless: list[Reply] = [[HUGE] * 1_000_000, [b"v"] * 1_000_000]
        steps = encode_in_steps(endless, 2)
        self.assertEqual(
            [len(next(steps)) for _ in range(3)], [len(b"*1000000\r\n$5000000\r\n"), 5_000_000, 12]
        )

    def test_what_is_small(self) -> None:
        """What is encoded at once is bounded in bytes and in elements, nested ones included."""
        for replies, small in (
            ([OK] * 5000, True),
            ([b"v" * STEP_BYTES], True),
            ([b"v" * (STEP_BYTES + 1)], False),
            ([b"v" * (STEP_BYTES // 2)] * 3, False),
            ([b"v"] * ELEMENTS_AT_ONCE, True),
            ([b"v"] * (ELEMENTS_AT_ONCE + 1), False),
            ([5] * ELEMENTS_AT_ONCE, True),
            ([5] * (ELEMENTS_AT_ONCE + 1), False),
            ([None, b"v" * STEP_BYTES], True),
            ([None, b"v" * STEP_BYTES, b"v"], False),
            ([[b"v"] * (ELEMENTS_AT_ONCE - 1)], True),
            ([[b"v"] * ELEMENTS_AT_ONCE], False),
            ([[[1], [b"v" * (STEP_BYTES + 1)]], OK], False),
            ([[1], [b"v" * STEP_BYTES], OK], True),
        ):
            self.assertEqual(encode_if_small(replies, 2) is not None, small)

    def test_measure(self) -> None:
        """A long value counts once in memory, and each time on the wire."""
        same, other = bytes(100_000), bytes(200_000)
        size = measure([same, None, [same, [other]], 7, b"abc"])
        self.assertEqual(size.large, {id(same): same, id(other): other})
        self.assertTrue(400_000 < size.encoded < 400_200)
        self.assertTrue(0 < size.own < 1000)
        size = measure([[b"v" * 1000] * 1000])
        self.assertEqual(size.large, {})
        self.assertTrue(1_000_000 < size.own < 1_100_000)
        self.assertEqual(measure([]).encoded, 0)

    def test_measure_of_many(self) -> None:
        """They are measured by samples, as exactly as they are alike; a large value that comes again counts
        once."""
        for each in (b"v" * 10, 5, None, [b"a", b"b"], bytes(LARGE_BYTES + 1)):
            few, many = measure([[each] * SAMPLED_FROM]), measure([[each] * (SAMPLED_FROM * 2)])
            self.assertLess(abs(many.encoded - 2 * few.encoded), few.encoded / 100)
            self.assertLess(abs(many.own - 2 * few.own), few.own / 100)
            self.assertEqual(many.large, few.large)
