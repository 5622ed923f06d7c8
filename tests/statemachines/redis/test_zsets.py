"""The commands on sorted sets: beside a real Redis, by table, in steps, and after a transfer."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from random import Random
from struct import unpack
from time import time
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import CommandError, Ready, ReplyPairs, RunAgain
from epaxos.interfaces.composites import Owner, Transaction, transaction
from epaxos.interfaces.doubles import text_of_double
from epaxos.resp.encoder import encode_reply
from epaxos.statemachines.redis import ordered, packed_ranking, ranking
from epaxos.statemachines.redis.drawing import DRAWN_MAX
from epaxos.statemachines.redis.machine import KeyValueStore
from epaxos.statemachines.redis.moment import Everything, Moment
from epaxos.statemachines.redis.named import LISTED_MAX
from epaxos.statemachines.redis.ordered import BLOCK_MEMBERS_MAX
from epaxos.statemachines.redis.scores import score_bound_of, score_of
from epaxos.statemachines.redis.space import Space
from tests.statemachines.redis.against_redis import Pair, commands_of
from tests.statemachines.redis.lab import ID, Client, words
from tests.statemachines.redis.steps import Steps
from tests.statemachines.redis.test_hashes import free_all, read, run
from tests.statemachines.redis.test_transactions import Site
from tests.statemachines.redis.wall_clock import WallClock

TEMPLATES = (
    *("ZADD k x m",) * 6,
    *("ZADD k o x m", "ZADD k o o x m [x m]", "ZADD k x m x m [x m]", "ZADD k x", "ZADD k x m x"),
    *("ZINCRBY k x m", "ZINCRBY k x m", "ZADD k INCR x m", "ZADD k INCR o x m", "ZREM k m [m]", "ZREM k m"),
    *("ZSCORE k m", "ZMSCORE k m [m]", "ZCARD k", "ZRANK k m", "ZREVRANK k m", "ZCOUNT k b b"),
    *("ZRANGE k i i [WITHSCORES]", "ZREVRANGE k i i [WITHSCORES]", "ZRANGE k i i REV [WITHSCORES]"),
    *("ZRANGE k b b BYSCORE [REV] [LIMIT i i] [WITHSCORES]", "ZRANGE k i i LIMIT 0 1", "ZRANGE k i i r"),
    *("ZRANGEBYSCORE k b b [LIMIT i i] [WITHSCORES]", "ZREVRANGEBYSCORE k b b [WITHSCORES] [LIMIT i i]"),
    *("ZRANGESTORE d k i i [REV]", "ZRANGESTORE k d b b BYSCORE [LIMIT i i] [REV]", "ZRANGE k i i BYSCORE r"),
    *("ZREMRANGEBYRANK k i i", "ZREMRANGEBYSCORE k b b", "ZREMRANGEBYRANK k i", "ZREMRANGEBYSCORE k b i"),
    *("ZPOPMIN k", "ZPOPMAX k", "ZPOPMIN k i", "ZPOPMAX k i", "ZPOPMIN k i i", "ZMPOP i k d w [COUNT i]"),
    *("ZMPOP 2 k d w", "ZMPOP 1 k w COUNT i", "ZMPOP 1 k w COUNT 1 COUNT 2", "ZMPOP 2 k w"),
    *("ZUNION 2 k d [WITHSCORES] [AGGREGATE a] [WEIGHTS x x]", "ZINTER 2 k d [WEIGHTS x x] [WITHSCORES]"),
    *("ZUNION i k d [r]", "ZDIFF 2 k d [WITHSCORES]", "ZDIFF 1 k WEIGHTS 1", "ZINTER 2 k k AGGREGATE a"),
    *("ZUNIONSTORE d 2 k k [WEIGHTS x x]", "ZINTERSTORE d 2 d k [AGGREGATE a]", "ZDIFFSTORE k 2 d k"),
    *("ZINTERCARD 2 k d [LIMIT i]", "ZUNIONSTORE s 1 k", "ZUNIONSTORE d 1 k WITHSCORES", "ZINTERCARD i k"),
    *("ZRANDMEMBER k e [WITHSCORES]", "ZRANDMEMBER k 0 [WITHSCORES]", "ZRANDMEMBER k 1 m"),
    *("ZRANDMEMBER k 5 r m",),
    *("ZSCAN k 0 [COUNT 1000] [MATCH g]", "ZSCAN k c", "ZSCAN k 0 MATCH", "ZSCAN k 0 COUNT i"),
    *("TYPE k", "DEL k", "EXISTS k d", "SET s v", "ZADD s x m", "ZRANGE s 0 -1", "GET k"),
    *("RENAME k d", "COPY k d REPLACE", "SADD t m m", "SADD t m", "SREM t m"),
    *(
        "ZUNION 2 k t WITHSCORES",
        "ZINTER 2 t k [WEIGHTS x x] WITHSCORES",
        "ZDIFF 2 t k",
        "ZDIFFSTORE d 2 k t",
    ),
    *("ZUNIONSTORE d 2 t k [AGGREGATE a]", "ZUNIONSTORE t 1 k", "ZINTERCARD 2 t k", "ZUNION 2 t s", "DEL t"),
    *("SORT k ALPHA", "SORT k BY nosort [DESC] [LIMIT 0 2]", "MEMORY USAGE none"),
)
"""ZRANDMEMBER only where chance has no say."""
LEX = (
    *("ZADD k 0 m", "ZADD k 0 m 0 m", "ZADD k 0 m 0 m 0 m", "ZREM k m", "ZRANGEBYLEX k l l [LIMIT i i]"),
    *("ZREVRANGEBYLEX k l l [LIMIT i i]", "ZRANGE k l l BYLEX [REV] [LIMIT i i]", "ZLEXCOUNT k l l"),
    *("ZREMRANGEBYLEX k l l", "ZRANGESTORE d k l l BYLEX [REV] [LIMIT i i]", "ZRANGE k l l BYLEX WITHSCORES"),
)
"""What means something only where all members have one score."""
WORDS = {
    "k": [b"z1", b"z2", b"z3"],
    "d": [b"z2", b"z4"],
    "s": [b"s1"],
    "t": [b"t1"],
    "m": [b"m%d" % number for number in range(8)] + [b"", b"\xff\xfe\xfd", b"7", b"M"],
    "x": [
        *(b"1", b"-1", b"0.5", b"1e2", b".25", b"5.", b"nan", b"x", b"", b" 1", b"1 ", b"+3", b"inf"),
        *(b"-inf", b"0x10", b"65536", b"-Infinity", b"1e400", b"1e-400", b"2", b"3", b"2.5", b"100", b"7"),
    ],
    "b": [
        *(b"-inf", b"+inf", b"0", b"1", b"(1", b"(2.5", b"3", b"100", b"x", b"", b"(", b"( 1", b"1e400"),
        *(b"(inf", b"-5", b"7", b"nan", b"1 "),
    ],
    "i": [b"0", b"1", b"2", b"-1", b"-2", b"5", b"-100", b"9223372036854775807", b"x", b"1.5", b"", b"01"],
    "o": [b"NX", b"XX", b"GT", b"LT", b"CH", b"ch", b"INCR", b"nx"],
    "w": [b"MIN", b"max", b"MEAN"],
    "a": [b"SUM", b"min", b"MAX", b"AVG"],
    "r": [b"WITHSCORES", b"BYLEX", b"REV", b"LIMIT", b"FOO"],
    "l": [b"-", b"+", b"[m1", b"(m1", b"[m5", b"(m5", b"[", b"(", b"m1", b"", b"[zz", b"-x", b"[\xff"],
    "e": [b"9223372036854775807", b"-9223372036854775808", b"x", b"0", b"1.5", b"", b"01"],
    "g": [b"m*", b"*", b"m[1-3]", b"?", b"m[^1]", b""],
    "c": [b"0", b"x", b"-1", b"", b"18446744073709551616", b"1.5"],
    "v": [b"text"],
}


class DifferentialTests(SynchronousTestCase):
    def compare(self, seed: int, templates: tuple[str, ...], count: int, settings: list[str]) -> None:
        pair = Pair(seed, settings)
        try:
            for command in commands_of(Random(seed), templates, WORDS, count):
                ours, theirs = pair.run(command)
                if isinstance(ours, list) and isinstance(theirs, list):
                    if command[0] == b"ZSCAN" and b"1000" not in command:
                        continue  # some of the members
                    if command[0] == b"ZSCAN":
                        ours, theirs = ours[1], theirs[1]
                    if command[0] in (b"ZSCAN", b"ZRANDMEMBER"):
                        ours, theirs = sorted(ours), sorted(theirs)
                self.assertEqual(ours, theirs, f"seed {seed}: {command}")
        finally:
            pair.close()

    def test_as_redis(self) -> None:
        for seed in range(12):
            self.compare(seed, TEMPLATES, 600, [])

    def test_as_a_skip_list_of_redis(self) -> None:
        for seed in range(12, 18):
            with self.small_forms():
                self.compare(seed, TEMPLATES, 600, ["--zset-max-listpack-entries", "0"])

    def test_ranges_of_members(self) -> None:
        for seed in range(8):
            self.compare(seed, LEX, 400, [])

    @contextlib.contextmanager
    def small_forms(self) -> Iterator[None]:
        with (
            mock.patch.object(packed_ranking, "MEMBERS_MAX", 2),
            mock.patch.object(ranking, "LISTED_MAX", 5),
            mock.patch.object(ordered, "BLOCK_MEMBERS_MAX", 3),
        ):
            yield


def filled(count: int) -> KeyValueStore:
    """A store with the sorted set `z` of so many members, each of which has its number as its score."""
    store = KeyValueStore()
    for start in range(0, count, 5000):
        pairs = [(b"%d" % n, b"member:%d" % n) for n in range(start, min(start + 5000, count))]
        run(store, [b"ZADD", b"z", *(word for pair in pairs for word in pair)], False)
    return store


class ScoreTests(SynchronousTestCase):
    def test_texts(self) -> None:
        """As Valkey 8.1 writes them, but that its digits are not always the fewest."""
        for score, text in (
            *(
                (0.0, "0"),
                (-1.0, "-1"),
                (3.3, "3.3"),
                (1e-5, "0.00001"),
                (1.234e-5, "1.234e-5"),
                (1e-7, "1e-7"),
            ),
            *((1e22, "1e+22"), (123456789012345680000.0, "123456789012345680000"), (2.0**62, str(2**62))),
            *((-161304845894623136.0, "-161304845894623136"), (5e-324, "5e-324"), (1e300, "1e+300")),
            *(
                (math.inf, "inf"),
                (-math.inf, "-inf"),
                (470950.931741234, "4.70950931741234e+5"),
                (0.1, "0.1"),
            ),
            *((1234.5678901234, "1234.5678901234"), (100000.5, "100000.5"), (0.00012345678, "1.2345678e-4")),
        ):
            self.assertEqual(text_of_double(score), text.encode())

    def test_there_and_back(self) -> None:
        random = Random(3)
        for _ in range(20_000):
            for score in (
                unpack("<d", random.randbytes(8))[0],
                random.random() * 10 ** random.randrange(-8, 24),
                float(random.randrange(10 ** random.randrange(1, 25))),
            ):
                if score == score:
                    self.assertEqual(score_of(text_of_double(score)), score)

    def test_what_is_read(self) -> None:
        for text, score in (
            *((b"1", 1.0), (b"-1.5", -1.5), (b"1e3", 1000.0), (b"+2", 2.0), (b".5", 0.5), (b"5.", 5.0)),
            *(
                (b"inf", math.inf),
                (b"-Infinity", -math.inf),
                (b"0x10", 16.0),
                (b"0x1p-1", 0.5),
                (b"1e-320", 1e-320),
            ),
            *((b"0e-999", 0.0), (b"0x0p-9999", 0.0), (b"9" * 300, float("9" * 300)), (b"000", 0.0)),
        ):
            self.assertEqual(score_of(text), score, text)
        for text in (
            *(
                b"",
                b"nan",
                b" 1",
                b"1 ",
                b"1_0",
                b"1e",
                b"e1",
                b".",
                b"0x",
                b"1e999",
                b"-1e999",
                b"1e-999",
                b"--1",
            ),
            *(
                b"0x1p9999",
                b"0x1p-9999",
                b"1e" + b"9" * 5000,
                b"9" * 100_000,
                b"infin",
                b"\xd9\xa1",
                b"1\0",
                b"NAN(1)",
            ),
        ):
            self.assertIsNone(score_of(text), text[:20])
        for text, bound in (
            *((b"(1", (1.0, True)), (b"", (0.0, False)), (b"(", (0.0, True)), (b" 1", (1.0, False))),
            *((b"1e999", (math.inf, False)), (b"1\0x", (1.0, False)), (b"1e-999", (0.0, False))),
        ):
            self.assertEqual(score_bound_of(text), bound)
        for text in (b"1 ", b"nan", b"((1", b"x", b"9" * 100_000):
            self.assertRaises(CommandError, score_bound_of, text)

    def test_minus_zero_is_zero(self) -> None:
        for count in (1, 200):
            client = Client()
            client.run([[b"ZADD", b"z", *words(" ".join(f"9 m{number}" for number in range(count)))]])
            client("ZADD z -0 a")
            self.assertEqual(str(client("ZSCORE z a")), "0.0")
            self.assertEqual(str(client("ZINCRBY z -0 a")), "0.0")
            client("ZUNIONSTORE d 1 z WEIGHTS -1")
            self.assertEqual(str(client("ZSCORE d a")), "0.0")


class ReplyTests(SynchronousTestCase):
    def test_shapes(self) -> None:
        """What RESP3 clients get as doubles, pairs and nil."""
        for text, two, three in (
            ("ZSCORE z b", b"$3\r\n2.5\r\n", b",2.5\r\n"),
            ("ZSCORE z x", b"$-1\r\n", b"_\r\n"),
            ("ZMSCORE z a x", b"*2\r\n$1\r\n1\r\n$-1\r\n", b"*2\r\n,1\r\n_\r\n"),
            ("ZADD z INCR 1 a", b"$1\r\n2\r\n", b",2\r\n"),
            ("ZADD z NX INCR 1 a", b"$-1\r\n", b"_\r\n"),
            ("ZINCRBY z -1 a", b"$1\r\n0\r\n", b",0\r\n"),
            ("ZRANK z b WITHSCORE", b"*2\r\n:1\r\n$3\r\n2.5\r\n", b"*2\r\n:1\r\n,2.5\r\n"),
            ("ZREVRANK z x WITHSCORE", b"*-1\r\n", b"_\r\n"),
            ("ZRANK z x", b"$-1\r\n", b"_\r\n"),
            ("ZRANGE z 0 0 WITHSCORES", b"*2\r\n$1\r\na\r\n$1\r\n1\r\n", b"*1\r\n*2\r\n$1\r\na\r\n,1\r\n"),
            (
                "ZRANDMEMBER one 1 WITHSCORES",
                b"*2\r\n$1\r\na\r\n$1\r\n0\r\n",
                b"*1\r\n*2\r\n$1\r\na\r\n,0\r\n",
            ),
            ("ZSCAN one 0", *[b"*2\r\n$1\r\n0\r\n*2\r\n$1\r\na\r\n$1\r\n0\r\n"] * 2),
            ("ZMPOP 1 x MIN", b"*-1\r\n", b"_\r\n"),
            ("ZPOPMIN x", b"*0\r\n", b"*0\r\n"),
            ("ZPOPMIN z", b"*2\r\n$1\r\na\r\n$1\r\n1\r\n", b"*2\r\n$1\r\na\r\n,1\r\n"),
            ("ZPOPMIN z 1", b"*2\r\n$1\r\nb\r\n$3\r\n2.5\r\n", b"*1\r\n*2\r\n$1\r\nb\r\n,2.5\r\n"),
            (
                "ZMPOP 2 x z MAX",
                b"*2\r\n$1\r\nz\r\n*1\r\n*2\r\n$1\r\nc\r\n$3\r\ninf\r\n",
                b"*2\r\n$1\r\nz\r\n*1\r\n*2\r\n$1\r\nc\r\n,inf\r\n",
            ),
        ):
            for resp, wanted in ((2, two), (3, three)):
                client = Client()
                client("ZADD z 1 a 2.5 b inf c")
                client("ZADD one 0 a")
                if text == "ZPOPMIN z 1":
                    client("ZPOPMIN z")
                if text.startswith("ZMPOP 2"):
                    client("ZREM z a b")
                (reply,) = client.run([words(text)])
                self.assertEqual(encode_reply(reply, resp), wanted, text)  # type: ignore[arg-type]

    def test_encodings(self) -> None:
        client = Client()
        client("ZADD z 1 a")
        client("ZADD long 1 " + "m" * 65)
        client.run([[b"ZADD", b"many", *words(" ".join(f"1 {number}" for number in range(129)))]])
        for key, wanted in (("z", b"listpack"), ("long", b"skiplist"), ("many", b"skiplist")):
            self.assertEqual(client(f"OBJECT ENCODING {key}"), wanted)
            self.assertEqual(client(f"TYPE {key}"), "zset")
        self.assertEqual(client("SCAN 0 TYPE zset COUNT 9")[0], b"0")  # type: ignore[index]
        usage = [client(f"MEMORY USAGE {key}") for key in ("z", "long", "many")]
        self.assertEqual(usage, sorted(usage))  # type: ignore[type-var]

    def test_what_a_newer_redis_has(self) -> None:
        client = Client()
        client("ZADD z 1 a 2 b")
        for text, wanted in (
            ("ZRANK z b WITHSCORE", [1, 2.0]),
            ("ZREVRANK z b withscore", [0, 2.0]),
            ("ZRANK z b WITHSCORES", "ERR syntax error"),
            ("ZRANK z b WITHSCORE x", "ERR wrong number of arguments for 'zrank' command"),
        ):
            self.assertEqual(client(text), wanted)

    def test_a_sorted_set_without_members_is_gone(self) -> None:
        for count in (1, 200, LISTED_MAX + 1):
            for text in (
                f"ZPOPMIN z {count}",
                f"ZMPOP 1 z MAX COUNT {count}",
                "ZREMRANGEBYRANK z 0 -1",
                "ZREMRANGEBYSCORE z -inf inf",
                "ZRANGESTORE z none 0 -1",
                "ZDIFFSTORE z 2 z z",
                "ZREM z " + " ".join(f"member:{number}" for number in range(count)),
            ):
                store = filled(count)
                run(store, words(text))
                self.assertEqual(list(store.entries()), [], text)

    def test_an_error_changes_nothing(self) -> None:
        for count in (1, 200, LISTED_MAX + 1):
            store = filled(count)
            run(store, words("ZADD z inf member:0"))
            run(store, words("SET s text"))
            before = dict(store.entries())
            for text in (
                *(
                    "ZADD z 1 new x other",
                    "ZINCRBY z -inf member:0",
                    "ZADD z XX 1 new",
                    "ZADD z NX 1 member:0",
                ),
                *(
                    "ZADD s 1 a",
                    "ZUNIONSTORE z 2 z s",
                    "ZRANGESTORE z s 0 -1",
                    "ZADD z INCR nan a",
                    "ZREM z none",
                ),
                *("ZADD z GT 0 member:0", "ZMPOP 2 none s MIN", "ZPOPMIN z 0", "ZADD z inf member:0"),
            ):
                with contextlib.suppress(CommandError):
                    store.check(words(text))
                    run(store, words(text))
                self.assertEqual(dict(store.entries()), before, text)


class BulkTests(SynchronousTestCase):
    def test_as_one_by_one(self) -> None:
        """Batches of ZADDs, which a bulk operation applies: replies, state, snapshots, and who is told."""
        bulk = 0
        for seed in range(150):
            random = Random(seed)
            one, other = KeyValueStore(), KeyValueStore(elements_per_step=1)
            taken: list[Any] = []
            for store in (one, other):
                store.use_clock(WallClock(time), lambda: 1)
                run(store, words("ZADD z3 1 a"))
                if seed % 4 == 0:
                    Space(store._state, Moment(0, 0, Everything())).expire(b"z3", 10**15)
                if seed % 5 == 0:
                    run(store, words("SET z4 text"))
            owner = Owner(0, b"1:1")
            for _ in range(random.randrange(1, 6)):
                keys = [b"z%d" % random.randrange(5) for _ in range(random.randrange(1, 12))]
                scores = random.choices(
                    (b"1", b"2.5", b"-inf", b"7", b"bad" if seed % 7 == 0 else b"3"), k=len(keys)
                )
                members = [random.choice((b"m%d" % random.randrange(5), b"m" * 70)) for _ in keys]
                batch = one.batch([[b"zadd", *words] for words in zip(keys, scores, members)])
                wanted = random.random() < 0.7
                before = sorted(one.entries())
                if random.random() < 0.3:
                    taken.append((one.entries(), before))
                for store in (one, other):
                    store._state.watch(owner, [(0, key) for key in batch.writes])
                steps = [list(store.apply_in_steps(Ready(ID, batch, wanted))) for store in (one, other)]
                bulk += len(steps[0]) == 1 < len(steps[1])
                replies = [next(found for found in some if found is not None) for some in steps]
                self.assertEqual(*map(repr, map(list, replies)), f"seed {seed}")
                is_clean = one._state.take_mark(owner)
                self.assertEqual(is_clean, other._state.take_mark(owner))
                self.assertEqual(is_clean, before == sorted(one.entries()), f"seed {seed}")
                self.assertEqual(sorted(one.entries()), sorted(other.entries()), f"seed {seed}")
            for entries, meant in taken:
                self.assertEqual(sorted(entries), meant, f"seed {seed}: a snapshot has changed")
        self.assertGreater(bulk, 100)


class ChanceTests(SynchronousTestCase):
    def seeded(self, count: int, seed: int) -> KeyValueStore:
        store = filled(count)
        store.use_clock(WallClock(time), lambda: seed)
        return store

    def test_the_seed_decides(self) -> None:
        """Two replicas draw the same, also one that has taken the state."""
        for count in (5, 1000, LISTED_MAX + 5):
            store = self.seeded(count, 1)
            other = KeyValueStore()
            other.use_clock(WallClock(time), lambda: 1)
            other.restore(dict(store.entries()), [])
            for text in ("ZRANDMEMBER z 3", "ZRANDMEMBER z -9 WITHSCORES", "ZRANDMEMBER z"):
                first = run(store, words(text))[0]
                self.assertEqual(first, run(other, words(text))[0])
                drawn = {repr(run(self.seeded(count, seed), words(text))[0]) for seed in range(2, 20)}
                self.assertGreater(len(drawn), 3)

    def test_what_is_drawn(self) -> None:
        for count in (1, 5, 300, LISTED_MAX + 5):
            store = self.seeded(count, 7)
            for number in {1, 2, count, count + 5, max(1, count - 1)}:
                pairs = run(store, words(f"ZRANDMEMBER z {number} WITHSCORES"))[0]
                self.assertIs(type(pairs), ReplyPairs)
                self.assertEqual(len(set(pairs[::2])), min(number, count))
                self.assertEqual([b"member:%d" % score for score in pairs[1::2]], pairs[::2])
                again = run(store, words(f"ZRANDMEMBER z -{number}"))[0]
                self.assertEqual(len(again), number)
        self.assertEqual(Client()(f"ZRANDMEMBER z {-DRAWN_MAX - 1}"), "ERR value is out of range")


class StepTests(SynchronousTestCase):
    COUNT = 20_000

    def commands(self) -> list[list[bytes]]:
        members = [b"member:%d" % number for number in range(self.COUNT)]
        pairs = [word for member in members for word in (b"5", member)]
        return [
            *map(
                words,
                ("ZRANGE z 0 -1", "ZREVRANGE z 0 -1 WITHSCORES", "ZRANGE z -inf inf BYSCORE WITHSCORES"),
            ),
            *map(
                words,
                ("ZRANDMEMBER z -9000 WITHSCORES", f"ZRANDMEMBER z {self.COUNT}", "ZRANGESTORE d z 0 -1"),
            ),
            *map(
                words, ("ZUNION 2 z z WITHSCORES", "ZUNIONSTORE d 2 z z", "ZINTER 2 z z", "ZINTERCARD 2 z z")
            ),
            *map(words, ("ZDIFF 2 z none", "ZDIFFSTORE d 2 z none", f"ZPOPMIN z {self.COUNT}", "DUMP z")),
            *map(
                words,
                ("ZREMRANGEBYRANK z 0 -1", "ZREMRANGEBYSCORE z 0 inf", f"ZMPOP 1 z MAX COUNT {self.COUNT}"),
            ),
            *([b"ZMSCORE", b"z", *members], [b"ZADD", b"z", *pairs], [b"ZADD", b"z", b"GT", *pairs]),
            [b"ZREM", b"z", *members],
        ]

    def test_a_large_one_in_steps(self) -> None:
        full, small = dict(filled(self.COUNT).entries()), filled(9)
        for command in self.commands():
            store = KeyValueStore()
            store.restore(dict(full), [])
            expected = 8 if command[0] == b"ZRANDMEMBER" else self.COUNT // 1100
            if store.is_read(command[0]):
                self.assertGreater(read(store, command)[1], expected, command[:3])
            self.assertGreater(run(store, command)[1], expected, command[:3])
            if len(command) <= 5 and command[0] not in (b"DUMP", b"ZRANDMEMBER"):
                self.assertLess(run(small, command)[1], 6, command)

    def test_within_a_transaction(self) -> None:
        store = filled(self.COUNT)
        for text in ("ZRANGE z 0 -1", "ZUNIONSTORE d 1 z", f"ZPOPMAX z {self.COUNT}"):
            command = transaction(Transaction(None, (), [(0, words(text))]))
            steps = list(store.apply_in_steps(Ready(ID, store.batch([command]), True)))
            self.assertGreater(len(steps), 10, text)

    def test_a_step_for_each(self) -> None:
        """Of commands whose time depends on the sorted set, not one step has several."""
        store = filled(250)
        for text in ("ZRANGE z 0 -1", "ZSCAN z 0 COUNT 1000", "ZPOPMIN z 10", "ZUNION 1 z"):
            commands = [words(text)] * 20
            self.assertGreaterEqual(
                len(list(store.apply_in_steps(Ready(ID, store.batch(commands), True)))), 20
            )

    def test_it_is_freed_in_steps(self) -> None:
        for text in ("DEL z", "SET z 1", "FLUSHALL"):
            store = filled(self.COUNT)
            free_all()
            steps = list(store.apply_in_steps(Ready(ID, store.batch([words(text)]), True)))
            self.assertGreaterEqual(len(steps), 256 + self.COUNT // BLOCK_MEMBERS_MAX, text)

    def test_no_long_turn(self) -> None:
        """The longest step of a sorted set of 100,000 members, whatever is done with it."""
        store = filled(100_000)
        step = Steps(self)
        entries = store.entries()
        for text in (
            *("ZRANGE z 0 -1 WITHSCORES", "ZREVRANGE z 0 -1", "ZRANDMEMBER z 5000", "ZRANDMEMBER z -5000"),
            *(
                "ZSCAN z 0 COUNT 5000",
                "ZADD z 77 new",
                "ZINCRBY z 5 member:9",
                "ZREM z new",
                "ZRANK z member:9",
            ),
            *("ZCOUNT z 5 99999", "ZPOPMIN z", "ZPOPMAX z 5000", "ZREMRANGEBYRANK z 0 3000", "ZMPOP 1 z MIN"),
            *(
                "ZUNIONSTORE d 2 z none",
                "ZINTERSTORE e 2 z d",
                "ZDIFF 2 z d",
                "ZRANGESTORE e z 0 9999",
                "DEL z d e",
            ),
        ):
            step.run(store, words(text))
        step.all_of("entries", iter(entries))
        step.check()


class StateTests(SynchronousTestCase):
    def test_a_replica_that_took_the_state(self) -> None:
        """It has the same entries, and answers the same ever after."""
        choices = {**WORDS, "m": [b"m%d" % number for number in range(400)] + WORDS["m"]}
        for seed in range(16):
            random = Random(seed)
            one = filled(random.choice((2, 6, 250, LISTED_MAX + 40)))
            run(one, words("RENAME z z1"))
            for round in range(4):
                other = KeyValueStore()
                kept = list(one.entries())
                other.restore_in_parts([dict(kept[::2]), dict(kept[1::2])], [])
                for command in commands_of(random, TEMPLATES + LEX, choices, 40):
                    with contextlib.suppress(CommandError):
                        one.check(command)
                        batch = one.batch([command])
                        replies = [store.apply([Ready(ID, batch, True)])[0][0] for store in (one, other)]
                        self.assertEqual(*map(repr, replies), f"seed {seed} {command!r}")
                self.assertEqual(sorted(one.entries()), sorted(other.entries()), f"seed {seed} round {round}")

    def test_snapshots_do_not_change(self) -> None:
        """Nor do replies that were given."""
        for count in (3, 300, LISTED_MAX + 300):
            store = filled(count)
            before = list(store.entries())
            snapshot = store.entries()
            given = run(store, words("ZRANGE z 0 -1"))[0]
            kept = list(given)
            for text in ("ZADD z 1 new 9 member:1", "ZREM z member:2", "ZPOPMIN z", "ZINCRBY z 1 member:0"):
                run(store, words(text))
            self.assertEqual(sorted(snapshot), sorted(before))
            self.assertEqual(given, kept)

    def test_deadlines(self) -> None:
        """Who only reads removes nothing that is due, and comes again behind the removal of all of it."""
        site = Site()
        for key in ("a", "b", "c"):
            site(f"ZADD {key} 1 m")
            site(f"PEXPIRE {key} 5")
        site.clock.ms += 10
        for text in ("ZUNION 3 a b c", "ZRANGE a 0 -1", "ZSCORE b m"):
            again = site.run(words(text))
            assert isinstance(again, RunAgain), text
            if text.startswith("ZUNION"):
                self.assertEqual(len(again.first), 1 + 3 * 3)
            self.assertIn(b"\0DUE", again.first)
        self.assertEqual(site("ZUNIONSTORE d 3 a b c"), 0)
        self.assertEqual(site("ZADD a 1 n"), 1)
        self.assertEqual(site("TTL a"), -1)
        site("PEXPIRE a 500")
        site("ZADD a 2 o")
        self.assertGreater(site("PTTL a"), 0)
        site("ZRANGESTORE a a 0 -1")
        self.assertEqual(site("PTTL a"), -1)

    def test_a_script_that_is_undone(self) -> None:
        for count in (2, 300):
            site = Site()
            for number in range(count):
                site(f"ZADD z {number} m{number}")
            before = site("ZRANGE z 0 -1 WITHSCORES")
            text = b"redis.call('ZADD', KEYS[1], 9, 'a'); redis.call('ZPOPMIN', KEYS[1]); while 1 do end"
            self.assertIsInstance(site.run([b"EVAL", text, b"1", b"z"]), CommandError)
            self.assertEqual(site("ZRANGE z 0 -1 WITHSCORES"), before)
