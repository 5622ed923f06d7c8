"""The commands on strings: by tables, and against a real Redis."""

from __future__ import annotations

import os
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import CommandError, Ready, ReplyMap, SimpleString
from epaxos.statemachines.redis.fences import SLOTS, UNITS, Fences, slot_name
from epaxos.statemachines.redis.lcs import CELLS_MAX, matches_of
from epaxos.statemachines.redis.machine import KeyValueStore
from tests.statemachines.redis.against_redis import Pair, commands_of
from tests.statemachines.redis.lab import ID, Client, words

OK = SimpleString("OK")
COMMANDS = int(os.environ.get("DIFFERENTIAL_COMMANDS", "6000"))
SEED = int(os.environ.get("DIFFERENTIAL_SEED", "1"))


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.ms = 1_000_000
        self.is_trusted = True
        self.is_settling = False

    def now_ms(self) -> int:
        return self.ms


class Timed:
    """A store with a clock."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.store = KeyValueStore()
        self.store.use_clock(self.clock, lambda: 5)

    def __call__(self, text: str) -> object:
        command = words(text)
        try:
            self.store.check(command)
        except CommandError as error:
            return str(error)
        ((reply,),) = self.store.apply([Ready(ID, self.store.batch([command]), True)])
        return str(reply) if isinstance(reply, CommandError) else reply


class LifetimeTests(SynchronousTestCase):
    def test_how_long_a_key_lives(self) -> None:
        for text, lives_ms in (
            ("SET k v EX 10", 10_000),
            ("SET k v px 10", 10),
            ("SET k v EXAT 1010", 10_000),
            ("SET k v PXAT 1000010", 10),
            ("SETEX k 10 v", 10_000),
            ("psetex k 10 v", 10),
        ):
            store = Timed()
            store(text)
            store.clock.ms += lives_ms - 1
            self.assertEqual(store("GETSET k v"), b"v", text)
            store = Timed()
            store(text)
            store.clock.ms += lives_ms
            self.assertIsNone(store("GETSET k v"), text)

    def test_one_in_the_past_removes(self) -> None:
        store = Timed()
        store("SET k v")
        self.assertEqual((store("SET k w EXAT 1000"), store("DBSIZE")), (OK, 0))

    def test_getex(self) -> None:
        store = Timed()
        store("SET k v PX 10")
        self.assertEqual(store("GETEX k PERSIST"), b"v")
        store.clock.ms += 1000
        self.assertEqual(store("GETEX k PX 10"), b"v")
        self.assertEqual(store("GETEX k"), b"v")
        store.clock.ms += 10
        self.assertIsNone(store("GETEX k PX 10"))

    def test_keepttl(self) -> None:
        store = Timed()
        store("SET k v PX 10")
        store("SET k w KEEPTTL")
        store("APPEND k x")
        self.assertEqual(store("GETEX k"), b"wx")
        store.clock.ms += 10
        self.assertIsNone(store("GETEX k"))

    def test_a_clock_that_may_be_wrong(self) -> None:
        store = Timed()
        store("SET k v PX 10")
        store.clock.is_trusted = False
        store.clock.ms += 1000
        for text in ("SET k v EX 1", "SETEX k 1 v", "GETEX k EX 1", "SET k v PXAT 5", "SET k v NX FENCE"):
            self.assertIn("CLOCKSKEW", str(store(text)), text)
        self.assertFalse(store.store.is_valid_shape(b"SETEX", 4))
        self.assertEqual(store("GETSET k w"), b"v", "no key is gone by such a clock")
        self.assertEqual(store("GETEX k"), b"w")


class FenceTests(SynchronousTestCase):
    def test_it_only_grows(self) -> None:
        store = Timed()
        last = 0
        for text in (
            *["SET k v NX PX 5 FENCE"] * 2,
            "DEL k",
            "SET k v FENCE",
            "FLUSHALL",
            "SET k v XX FENCE",
        ):
            reply = store(text)
            if "FENCE" in text and isinstance(reply, int):
                self.assertGreater(reply, last)
                last = reply
        self.assertIsNone(store("SET k v XX FENCE"))
        store.clock.ms -= 500
        number = store("SET k v FENCE")
        self.assertGreater(number, last)  # type: ignore[type-var]
        store.clock.ms += 10_000
        self.assertEqual(store("SET k v FENCE"), store.clock.ms * UNITS)

    def test_it_is_the_last_option(self) -> None:
        store = Timed()
        for text in ("SET k v FENCE NX", "SET k v GET FENCE", "SET k v FENCE FENCE"):
            self.assertEqual(store(text), "ERR syntax error", text)
        self.assertEqual(store("SET k FENCE"), OK)

    def test_who_takes_a_number_writes_its_counter(self) -> None:
        store = Timed().store
        batch = store.batch([words("SET k v FENCE")])
        self.assertEqual(batch.writes, (b"k", slot_name(b"k")))
        for text in ("SET k FENCE", "SET k v NX", "SET k v EX 5"):
            self.assertEqual(store.batch([words(text)]).writes, (b"k",), text)
        self.assertEqual(store.batch([words("SET k v"), words("SET l v FENCE")]).writes[:2], (b"k", b"l"))

    def test_it_is_kept(self) -> None:
        store = Timed()
        number = store("SET k v FENCE")
        again = Timed()
        again.clock.ms = 1
        again.store.restore(dict(store.store.entries()), ())
        self.assertEqual(again("SET k v FENCE"), number + 1)  # type: ignore[operator]
        fences = Fences()
        fences.restore(())
        self.assertEqual(len({slot_name(b"%d" % number) for number in range(20_000)}), SLOTS)


class LcsTests(SynchronousTestCase):
    def test_length_and_order(self) -> None:
        """Against the plain table."""
        for seed in range(300):
            random = Random(seed)
            a, b = (bytes(random.choices(b"abc", k=random.randrange(12))) for _ in range(2))
            table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
            for i, left in enumerate(a):
                for j, right in enumerate(b):
                    table[i + 1][j + 1] = (
                        table[i][j] + 1 if left == right else max(table[i][j + 1], table[i + 1][j])
                    )
            found, total = matches_of(a, b)
            self.assertEqual(total, table[-1][-1])
            common = [(a[m.first + k], b[m.second + k]) for m in reversed(found) for k in range(m.length)]
            self.assertEqual(len(common), total)
            self.assertTrue(all(left == right for left, right in common))

    def test_a_map_in_resp3(self) -> None:
        client = Client()
        self.assertIs(type(client.run([words("LCS a b IDX")])[0]), ReplyMap)

    def test_types_come_before_options(self) -> None:
        client = Client()
        client("HSET h f v")
        self.assertEqual(client("LCS h h NOPE"), "ERR The specified keys must contain string values")
        self.assertEqual(client("LCS a a NOPE"), "ERR syntax error")
        self.assertIn("WRONGTYPE", str(client("INCRBYFLOAT h x")))
        self.assertEqual(client("INCRBYFLOAT a x"), "ERR value is not a valid float")

    def test_too_long(self) -> None:
        store = Timed()
        for key in "ab":
            store(f"SETRANGE {key} {int(CELLS_MAX**0.5)} x")
        self.assertIn("ERR Insufficient memory", str(store("LCS a b LEN")))


class LikeRedisTests(SynchronousTestCase):
    """DIFFERENTIAL_COMMANDS is how many commands are tried, from DIFFERENTIAL_SEED on."""

    TEMPLATES = (
        *("GET k", "SET k v [cond] [GET] [end]", "SET k v end cond", "SET k v [cond] KEEPTTL", "SETNX k v"),
        *(
            "SETEX k life v",
            "PSETEX k life v",
            "GETSET k v",
            "GETDEL k",
            "GETEX k",
            "GETEX k end",
            "GETEX k PERSIST",
        ),
        *(
            "APPEND k v",
            "STRLEN k",
            "GETRANGE k n n",
            "SUBSTR k n n",
            "SETRANGE k small v",
            "INCR k",
            "DECR k",
        ),
        *(
            "INCRBY k n",
            "DECRBY k n",
            "INCRBYFLOAT k f",
            "SET k f",
            "MGET k k",
            "MSET k v k v",
            "MSETNX k v k v",
        ),
        *("LCS k k", "LCS k k LEN", "LCS k k IDX [WITHMATCHLEN] [MINMATCHLEN small]", "LCS k k LEN IDX"),
        *("DEL k", "EXISTS k k", "TYPE k", "GET", "SET k v x", "SETRANGE k n v", "GETEX k x", "SET k v EX"),
    )
    WORDS = {
        "k": (b"a", b"b", b"c", b""),
        "v": (b"", b"1", b"abcab", b"bcabc", b"ohmytext", b"x\0\r\n", b"9223372036854775807", b"1.5"),
        "n": (b"0", b"1", b"-1", b"3", b"-3", b"100", b"x", b"9223372036854775807", b"-9223372036854775808"),
        "small": (b"0", b"1", b"2", b"7", b"20"),
        "f": (b"1", b"0.1", b"-0.25", b"3.0", b"5.0e3", b"1e-3", b"x", b".5", b"5.", b"", b" 1", b"1e5"),
        "cond": (b"NX", b"xx", b"XX"),
        "GET": (b"GET", b"get"),
        "end": (b"KEEPTTL", b"PERSIST"),
    }
    ENDS = ("EX 1000", "PX 100000", "EXAT 99999999999", "PXAT 99999999999999", "KEEPTTL", "EX 0", "PX x",
        "EX -1", "EXAT 1", "EX 9223372036854775807", "PX 9223372036854775807")  # fmt: skip

    def test_same_answers(self) -> None:
        pair = Pair()
        self.addCleanup(pair.close)
        random = Random(SEED)
        templates = [
            template.replace("end", end) for template in self.TEMPLATES for end in random.sample(self.ENDS, 4)
        ]
        for number, command in enumerate(commands_of(random, templates, self.WORDS, COMMANDS)):
            ours, theirs = pair.run(command)
            if command[0] == b"INCRBYFLOAT" and ours != theirs and isinstance(ours, bytes):
                self.assertIsInstance(theirs, bytes)
                self.assertAlmostEqual(float(ours) / float(theirs), 1, 15)  # type: ignore[arg-type]
                pair.theirs([b"SET", command[1], ours, b"KEEPTTL"])  # ours is exact
            else:
                self.assertEqual(ours, theirs, f"seed {SEED}, {number}: {command}")
