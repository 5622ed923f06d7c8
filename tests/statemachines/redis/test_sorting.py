"""SORT and SORT_RO: beside a real Redis, by table, in steps, and what is bounded."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import Ready, RunAgain
from epaxos.interfaces.composites import in_database
from epaxos.statemachines.redis import sorting
from epaxos.statemachines.redis.commands import keys_of
from epaxos.statemachines.redis.machine import KeyValueStore
from tests.statemachines.redis.against_redis import Pair, commands_of
from tests.statemachines.redis.lab import ID, Client, words
from tests.statemachines.redis.steps import Steps
from tests.statemachines.redis.test_hashes import run
from tests.statemachines.redis.test_transactions import Site

NUMBERS = (
    *(
        b"1",
        b"2",
        b"10",
        b"-3",
        b"0.5",
        b"1e3",
        b"-0",
        b"0",
        b".5",
        b"5.",
        b"+7",
        b"inf",
        b"-inf",
        b"3.0",
        b"3",
    ),
    *(b"1e300", b"1e-300", b"9223372036854775807", b"9007199254740993", b"123456789012345678901234567890"),
)
TEMPLATES = (
    *("SORT k o", "SORT k o", "SORT k o o", "SORT_RO k o o", "SORT k o o o", "SORT k o o STORE d"),
    *("SORT k ALPHA o o", "SORT k ALPHA o STORE d", "RPUSH l v", "LPUSH l n n v", "LPOP l", "DEL k"),
    *("SADD t n n v", "SREM t n", "ZADD z j n j n", "ZADD z j v", "SORT t BY nosort STORE d"),
    *("SET w_1 n", "SET w_2 n", "SET w_a v", "HSET h_1 f v", "HSET h_2 f n g v", "DEL w_1", "LRANGE d 0 -1"),
    *("SORT k LIMIT i i o", "SORT k BY nosort LIMIT i i DESC", "SORT d o", "SORT s o", "SORT none o STORE d"),
    *("SORT k BY", "SORT k LIMIT 1", "SORT k GET", "SORT_RO k STORE d", "SORT k x", "SORT"),
)  # fmt: skip
WORDS = {
    "k": [b"l1", b"l2", b"t", b"z"],
    "l": [b"l1", b"l2"],
    "j": [b"1", b"-2.5", b"7"],
    "d": [b"d"],
    "s": [b"s"],
    "v": [b"a", b"b", b"B", b"", b"aa", b"1", b"2", b"\xff", b"x" * 70],
    "n": NUMBERS,
    "i": [b"0", b"1", b"2", b"-1", b"-5", b"100", b"9223372036854775807", b"-9223372036854775808", b"x"],
    "f": [b"f"],
    "g": [b"g"],
}
OPTIONS = (
    "ASC", "desc", "ALPHA", "alpha", "LIMIT 0 2", "LIMIT 1 -1", "LIMIT 9 9", "BY nosort", "BY w_*",
    "BY h_*->f", "GET #", "GET w_*", "GET h_*->g", "GET none", "GET *", "GET w_*->", "BY *", "GET h_*->none",
    "GET l*",
)  # fmt: skip


class DifferentialTests(SynchronousTestCase):
    def test_as_redis(self) -> None:
        compared = 0
        for seed in range(20):
            pair, random = Pair(seed), Random(seed)
            try:
                pair.run(words("SET s text"))
                for command in commands_of(random, TEMPLATES, WORDS, 400):
                    filled = [
                        word for each in command
                        for word in (words(random.choice(OPTIONS)) if each == b"o" else [each])
                    ]  # fmt: skip
                    ours, theirs = pair.run(filled)
                    if is_unordered(filled):
                        ours, theirs = len_of(ours), len_of(theirs)
                        pair.run([b"DEL", b"d"])
                    else:
                        compared += filled[0] == b"SORT" and isinstance(theirs, (list, int))
                    self.assertEqual(ours, theirs, f"seed {seed} {filled}")
            finally:
                pair.close()
        self.assertGreater(compared, 1000)


def is_unordered(command: list[bytes]) -> bool:
    """Whether the order of Redis is one of several: that of a set, and where texts that are compared in place
    of the elements are equal."""
    upper = [word.upper() for word in command]
    if upper[:1] not in ([b"SORT"], [b"SORT_RO"]) or b"BY" not in upper:
        return False
    return b"ALPHA" in upper or (upper[1] == b"T" and b"NOSORT" in upper and b"STORE" not in upper)


def len_of(reply: object) -> object:
    return len(reply) if isinstance(reply, list) else reply


class ReplyTests(SynchronousTestCase):
    def test_numbers(self) -> None:
        """As C reads numbers: what is none, and what is too large or too small for a double, is an error."""
        pair = Pair()
        self.addCleanup(pair.close)
        for text in (
            *(b"", b" 1", b"1 ", b"x", b"nan", b"1_0", b"1e", b"e5", b".", b"-", b"+.5", b"--1", b"INFINITY"),
            *(b"infinit", b"0e-999", b"\n\t7", b"1e+5", b"1.e5", b"0" * 300, b" ", b"-inf", b"1,5", b"00x"),
            *(b"1.7976931348623157e308", b"2.3e-308", b"\xd9\xa1"),
            *(b"1e999", b"-1e999", b"1e-999", b"1.8e308"),  # Redis remembers these errors: they are the last
        ):
            pair.run([b"DEL", b"l"])
            pair.run([b"RPUSH", b"l", text, b"3", b"-2"])
            self.assertEqual(*pair.run([b"SORT", b"l"]), text)
            pair.run([b"SET", b"w", text])
            self.assertEqual(*pair.run([b"SORT", b"l", b"BY", b"w", b"DESC"]), text)
            pair.run([b"MSET", b"w3", text, b"w-2", b"5"])
            self.assertEqual(*pair.run([b"SORT", b"l", b"BY", b"w*"]), text)

    def test_long_numbers(self) -> None:
        """They are refused, as a meant difference: whoever reads a million digits stops everybody else."""
        client = Client()
        for text in (b"1" * 513, b"0." + b"1" * 5000, b"1" * 5_000_000):
            client.run([[b"RPUSH", b"l", text, b"1"]])
            self.assertEqual(client("SORT l"), "ERR One or more scores can't be converted into double")
            client("SET w1 1")
            self.assertEqual(client.run([[b"APPEND", b"w1", text]])[0], len(text) + 1)
            self.assertEqual(client("SORT l BY w*"), "ERR One or more scores can't be converted into double")
            client("FLUSHALL")

    def test_ties(self) -> None:
        """Elements that compare equal are in the order of their bytes; reversed by DESC."""
        client = Client()
        client("RPUSH l c a b a")
        client("MSET w_a x w_b x w_c x")
        for text, expected in (
            ("SORT l BY w_* ALPHA", "a a b c"), ("SORT l BY w_* ALPHA DESC", "c b a a"),
            ("SORT l BY none_*", "a a b c"), ("SORT l BY none_* ALPHA DESC", "c b a a"),
        ):  # fmt: skip
            self.assertEqual(client(text), words(expected), text)

    def test_growing_values(self) -> None:
        client = Client()
        for element, text in ((b"1", b"b"), (b"2", b"a")):
            client.run([[b"RPUSH", b"l", element]])
            client.run([[b"SET", b"w" + element, text * 3000]])
            client.run([[b"APPEND", b"w" + element, b"z" * 3000]])
        values = [text * 3000 + b"z" * 3000 for text in (b"a", b"b")]
        self.assertEqual(client("SORT l BY w* ALPHA GET w*"), values)
        self.assertEqual(client("SORT l BY w* ALPHA GET w* STORE d"), 2)
        self.assertEqual(client("LRANGE d 0 -1"), values)

    def test_keys(self) -> None:
        """A pattern with `*` concerns all keys; nothing else does."""
        store = KeyValueStore()
        for text, keys, is_barrier in (
            ("SORT k", "k", False),
            ("SORT k BY nosort GET # LIMIT 0 1", "k", False),
            ("SORT k BY nosort BY w_*", "k", False),
            ("SORT k BY w_*", "k", True),
            ("SORT k BY nosort GET w_*", "k", True),
            ("SORT_RO k GET none", "k", False),
            ("SORT k STORE d STORE e", "k e", False),
            ("SORT k GET w_* STORE d", "k d", True),
            ("SORT k STORE k", "k", False),
        ):
            batch = store.batch([words(text)])
            self.assertEqual(batch.barrier, is_barrier, text)
            self.assertEqual(sorted(set(keys_of(words(text)))), sorted(words(keys)), text)
            if not is_barrier:
                self.assertEqual(sorted(batch.writes + batch.reads), sorted(words(keys)), text)
                self.assertEqual(bool(batch.writes), "STORE" in text)


class ContextTests(SynchronousTestCase):
    def test_in_other_commands(self) -> None:
        """In another database, in a transaction, in a script: patterns are of the same database."""
        site = Site()
        for command in ("RPUSH l 1 2", "MSET w1 b w2 a"):
            site.run(in_database(3, words(command)))
        site("MSET w1 a w2 b")
        self.assertEqual(site.run(in_database(3, words("SORT l BY w* ALPHA GET w*"))), [b"a", b"b"])
        site("RPUSH l 1 2")
        text = b"return redis.call('sort',KEYS[1],'by','w*','alpha','desc','get','#','store','d')"
        batch = site.store.batch([[b"EVAL", text, b"1", b"l"]])
        (reply,) = site.store.apply([Ready(ID, batch, True)])[0]
        self.assertIsInstance(reply, RunAgain, "it concerns more keys than it declares")
        self.assertEqual(
            site.run([b"EVAL", b"return redis.call('sort_ro',KEYS[1],'desc')", b"1", b"l"]), [b"2", b"1"]
        )

    def test_due(self) -> None:
        """A key whose deadline has come has no value, wherever it is met."""
        site = Site()
        for text, expected in (
            ("SORT l STORE d", 0), ("SORT l BY w* GET w* STORE d", 0), ("SORT m GET w*", [None]),
            ("SORT m GET h*->f", [None]), ("SORT m BY w* GET #", [b"1"]), ("SORT l", []),
            ("SORT_RO l GET #", []),
        ):  # fmt: skip
            site("FLUSHALL")
            for command in ("RPUSH l 2", "RPUSH m 1", "SET w1 5", "HSET h1 f v", "RPUSH d x"):
                site(command)
            for key in ("l", "w1", "h1"):
                site(f"PEXPIRE {key} 5")
            site.clock.ms += 10
            reply = site(text)
            while isinstance(reply, RunAgain):
                site.store.apply([Ready(ID, site.store.batch([reply.first]), True)])
                reply = site(text)
            self.assertEqual(reply, expected, text)
            if "STORE" in text:
                self.assertEqual(site("EXISTS d"), 0)


class BoundTests(SynchronousTestCase):
    def test_of_values(self) -> None:
        client = Client()
        client("RPUSH l 1 2 3")
        client("SET w " + "x" * 1000)
        self.patch(sorting, "VALUES_MAX", 6)
        self.assertEqual(client("SORT l GET # GET #"), words("1 1 2 2 3 3"))
        self.assertIn("SORT would look up", str(client("SORT l GET # GET # GET #")))
        self.patch(sorting, "VALUES_MAX", 10_000)
        self.patch(sorting, "VALUES_BYTES_MAX", 3003)
        client("MSET w1 {0} w2 {0} w3 {0}".format("x" * 1000))
        client("SET d kept")
        self.assertEqual(client("SORT l GET w* GET # STORE e"), 6)
        self.assertIn("SORT would look up", str(client("SORT l GET w* GET w1* GET # GET # STORE d")))
        self.assertEqual(client("GET d"), b"kept")

    def test_no_long_turn(self) -> None:
        """The longest step of a list of 300,000 elements, whatever is asked."""
        store = KeyValueStore()
        random = Random(5)
        for _ in range(100):
            run(store, [b"RPUSH", b"l", *(b"%d" % random.randrange(10**9) for _ in range(3000))], False)
        step = Steps(self)
        for text in (
            "SORT l",
            "SORT l DESC ALPHA LIMIT 200000 10",
            "SORT l BY w* GET # GET w* STORE d",
            "DEL d",
        ):
            self.assertGreater(step.run(store, words(text)), 200, text)
        step.check(0.03)
