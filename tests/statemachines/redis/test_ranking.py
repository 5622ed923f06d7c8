"""The forms of a sorted set: each as a plain dict that is sorted, and the same after a transfer."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from random import Random
from struct import pack
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from epaxos.statemachines.redis import ordered as ordered_module
from epaxos.statemachines.redis import packed_ranking as packed
from epaxos.statemachines.redis import pieces as pieces_module
from epaxos.statemachines.redis import ranking as ranking_module
from epaxos.statemachines.redis.named import LISTED_MAX, SCANNED_MAX
from epaxos.statemachines.redis.ranking import Ranking
from epaxos.statemachines.redis.scores import LexBound, ScoreBound
from tests.statemachines.redis.steps import Steps

Plain = dict[bytes, float]

NASTY = (
    b"", b"\xfd", b"\xfe", b"\xff", b"\xfd\x00", b"\xfd\x01", b"\xfe\xff", b"\xff\xfe", b"\xfe\xfe", b"\0",
    b"\x02", b"\xfd\xfd\x02", b"a", b"ab", b"a\xffb", b"\xfea\xff", b"\xc3\xa4",
)  # fmt: skip
SCORES = (0.0, 1.0, -1.0, 2.5, math.inf, -math.inf, 1e300, -(2.0**-1074), float.fromhex("0x1.fefefdfefffep3"))


def form(ranking: Ranking) -> str:
    """Which form it has."""
    return "bytes" if ranking._packed is not None else type(ranking._scores).__name__


def in_order(ranking: Ranking) -> list[tuple[float, bytes]]:
    return [pair for pairs in ranking.pieces(0, len(ranking)) for pair in zip(*pairs)]


def sorted_of(plain: Plain) -> list[tuple[float, bytes]]:
    return sorted((score, member) for member, score in plain.items())


def decoded(ranking: Ranking) -> Ranking:
    return Ranking.decode(list(ranking.encode()))


def filled(count: int) -> Ranking:
    ranking = Ranking()
    for number in range(count):
        ranking.put(b"member:%d" % number, float(number % 1000))
    return ranking


class PackedTests(SynchronousTestCase):
    def test_members_that_look_like_separators(self) -> None:
        for score in SCORES:
            ranking, plain = Ranking(), Plain()
            for member in NASTY:
                for other in (score, 1.0):
                    self.assertEqual(ranking.put(member, other), plain.get(member))
                    plain[member] = other
                    self.assertEqual(in_order(ranking), sorted_of(plain))
            self.assertEqual(list(map(ranking.get, NASTY)), list(map(plain.get, NASTY)))
            self.assertEqual(form(ranking), "bytes")
            for member in NASTY:
                self.assertEqual(ranking.remove(member), plain.pop(member, None) is not None)
                self.assertFalse(ranking.remove(member))
                self.assertEqual(in_order(ranking), sorted_of(plain))
            self.assertEqual(ranking._packed, packed.EMPTY)

    def test_what_is_no_packed_sorted_set(self) -> None:
        good = packed.pack([1.0, 1.0, 2.0], [b"a", b"b", b"\xff"])
        packed.check(good)
        for bad in (
            *(b"", b"\0", packed.EMPTY, good + b"\xfe", good[:-1], good[1:], b"\x04" + good[1:]),
            *(packed.pack([1.0, 2.0], [b"a", b"a"]), packed.pack([math.nan], [b"a"])),
            *(packed.pack([-0.0], [b"a"]), packed.pack([1.0], [b"m" * 65])),
            *(good.replace(b"a", b"\xff"), good.replace(b"a", b"\xfd"), good.replace(b"a", b"a\xfd")),
        ):
            with self.assertRaises(ValueError, msg=repr(bad)):
                packed.check(bad)
        for cut in range(len(good)):
            self.assertRaises(ValueError, packed.check, good[:cut])


class FormTests(SynchronousTestCase):
    def test_limits(self) -> None:
        for count, expected in (
            (1, "bytes"),
            (128, "bytes"),
            (129, "dict"),
            (LISTED_MAX, "dict"),
            (LISTED_MAX + 1, "Parted"),
        ):
            ranking = filled(count)
            self.assertEqual((len(ranking), form(ranking)), (count, expected))
            ranking.put(b"member:0", 5.0)
            self.assertEqual(form(ranking), expected)
        for member, expected in ((b"m" * 64, "bytes"), (b"m" * 65, "dict"), (b"\xfe" * 64, "bytes")):
            ranking = filled(5)
            ranking.put(member, 1.0)
            self.assertEqual(form(ranking), expected)
            ranking.remove(member)
            self.assertEqual(form(ranking), expected, "it never changes back")

    def test_what_nobody_has_encoded(self) -> None:
        good = list(filled(LISTED_MAX + 1).encode())
        double = pack("<d", 1.0)
        for bad in (
            [],
            [b""],
            [b"l"],
            [b"x" + good[0][1:], *good[1:]],
            good[1:],
            good[:-1],
            [*good, good[-1]],
            [good[0], *good[2:], good[1]],
            [good[0], good[1], *good[1:]],
            [good[0].replace(double, pack("<d", math.nan)), *good[1:]],
            [good[0].replace(double, pack("<d", 1e9)), *good[1:]],
            [good[0][:-1], *good[1:]],
        ):
            with self.assertRaises(ValueError, msg=repr(bad)[:100]):
                Ranking.decode(bad)


class FuzzTests(SynchronousTestCase):
    """Random histories against a plain dict, with small limits so that all forms and changes occur."""

    def setUp(self) -> None:
        self.patch(packed, "MEMBERS_MAX", 6)
        self.patch(ranking_module, "LISTED_MAX", 20)
        self.patch(ordered_module, "BLOCK_MEMBERS_MAX", 5)
        self.patch(ordered_module, "_FEW", 2)
        self.patch(pieces_module, "PIECE_BYTES", 60)

    def test_random_histories(self) -> None:
        forms = set()
        for seed in range(60):
            random = Random(seed)
            ranking, plain = Ranking(), Plain()
            kept: list[tuple[Ranking, Plain]] = []
            size = random.choice((4, 12, 40, 120))
            scores = random.choice(([1.0], SCORES, [float(number) for number in range(size)]))
            for _ in range(random.randrange(20, 200)):
                member = random.choice((b"%d" % random.randrange(size), random.choice(NASTY)))
                action = random.random()
                if action < 0.6:
                    score = random.choice(scores)
                    self.assertEqual(ranking.put(member, score), plain.get(member))
                    plain[member] = score
                elif action < 0.85:
                    self.assertEqual(ranking.remove(member), plain.pop(member, None) is not None)
                elif action < 0.9:
                    kept.append((ranking, dict(plain)))
                    ranking = ranking.copy()
                elif action < 0.93:
                    kept.append((ranking.copy(), dict(plain)))
                elif plain:
                    ranking = decoded(ranking)
                forms.add(form(ranking))
                self.check(ranking, plain, random)
            for one, meant in kept:
                self.assertEqual(in_order(one), sorted_of(meant), f"seed {seed}: a copy has changed")
        self.assertEqual(forms, {"bytes", "dict", "Parted"})

    def check(self, ranking: Ranking, plain: Plain, random: Random) -> None:
        pairs = sorted_of(plain)
        self.assertEqual(len(ranking), len(plain))
        self.assertEqual(in_order(ranking), pairs)
        start, end = random.randrange(-1, 30), random.randrange(30)
        scores, members = ranking.part(max(0, start), end)
        self.assertEqual(list(zip(scores, members)), pairs[max(0, start) : end])
        for member in random.choices([*plain, b"none"], k=3):
            self.assertEqual(ranking.get(member), plain.get(member))
            rank = pairs.index((plain[member], member)) if member in plain else None
            self.assertEqual(ranking.rank(member), rank)
        score = random.choice(SCORES)
        self.assertEqual(
            [ranking.place_of_score(ScoreBound(score, o), is_end=e) for o, e in BOUNDS],
            [(bisect_left, bisect_right)[o is not e]([s for s, _ in pairs], score) for o, e in BOUNDS],
        )
        if len(set(plain.values())) == 1:
            member = random.choice([*plain, b"5", b""])
            self.assertEqual(
                [ranking.place_of_member(LexBound(0, member, o), is_end=e) for o, e in BOUNDS],
                [(bisect_left, bisect_right)[o is not e]([m for _, m in pairs], member) for o, e in BOUNDS],
            )
        if plain:
            encoded = list(ranking.encode())
            self.assertEqual(encoded, list(decoded(ranking).encode()))
            self.assertEqual(form(decoded(ranking)), form(ranking))


BOUNDS = ((False, False), (False, True), (True, False), (True, True))


class OrderTests(SynchronousTestCase):
    def test_lex_where_scores_differ(self) -> None:
        """The answer means nothing, but is the same at a replica that has taken the state."""
        with mock.patch.object(ordered_module, "BLOCK_MEMBERS_MAX", 7):
            for seed in range(20):
                random = Random(seed)
                ranking = Ranking()
                for _ in range(400):
                    ranking.put(b"%d" % random.randrange(500), float(random.randrange(3)))
                other = decoded(ranking)
                for member in (b"", b"1", b"250", b"499", b"9"):
                    bound = LexBound(0, member)
                    self.assertEqual(
                        ranking.place_of_member(bound, is_end=True), other.place_of_member(bound, is_end=True)
                    )

    def test_scan(self) -> None:
        """Everything is found, each once, whatever the form; in the same order after a transfer."""
        for count in (100, 129, LISTED_MAX, LISTED_MAX + 2000):
            ranking = filled(count)
            other = decoded(ranking)
            for number in (1, 10, 300, SCANNED_MAX + 5000):
                if number < 100 and count > 200:
                    continue
                cursor, found = 0, list[bytes]()
                while True:
                    self.assertEqual(ranking.scan(cursor, number), other.scan(cursor, number))
                    cursor, members = ranking.scan(cursor, number)
                    self.assertLessEqual(len(members), max(min(number, SCANNED_MAX) + 5, 128))
                    found += members
                    if not cursor:
                        break
                self.assertEqual(sorted(found), sorted(member for _, member in in_order(ranking)))
                self.assertEqual(len(found), count)

    def test_a_cursor_of_a_client(self) -> None:
        ranking = filled(300)
        for cursor in (2**32 - 1, 2**32, 2**63, 2**64 - 1):
            self.assertEqual(ranking.scan(cursor, 10), (0, []))


class TimeTests(SynchronousTestCase):
    def test_large_ones(self) -> None:
        """A copy, a change behind it, and each piece of the encoding are short."""
        ranking = filled(200_000)
        step = Steps(self)
        self.assertLess(step.fastest(ranking.copy), 0.001)
        copied = ranking.copy()
        step("put", lambda: copied.put(b"member:77", -5.0))
        self.assertGreater(step.all_of("encode", ranking.encode()), 100)
        step.check()
