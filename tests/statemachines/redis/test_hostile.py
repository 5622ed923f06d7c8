"""What a client can send that must not harm others: each of these once did."""

from __future__ import annotations

from operator import itemgetter
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import CommandError, Ready, RunAgain, SimpleString
from epaxos.interfaces.composites import Transaction, in_database, transaction
from epaxos.statemachines.redis import transactions
from epaxos.statemachines.redis.commands import COMMANDS
from epaxos.statemachines.redis.machine import KeyValueStore
from epaxos.statemachines.redis.portions import PORTION_BYTES, PORTION_KEYS, portions
from epaxos.statemachines.redis.strings import ZEROS_MAX
from tests.statemachines.redis.lab import ID, words
from tests.statemachines.redis.steps import Steps
from tests.statemachines.redis.test_transactions import Site

OK = SimpleString("OK")
HUGE = ("99e9999", "1" + "0" * 200 + "e9999", "12345678901e9999", "1e-9999", "-99e9999")


class NumberTests(SynchronousTestCase):
    def test_exponents(self) -> None:
        """As an increment, and as the value that is there."""
        for number in HUGE:
            site = Site()
            site(f"SET k {number}")
            site(f"HSET h f {number}")
            for text in (
                "INCRBYFLOAT k 1",
                f"INCRBYFLOAT n {number}",
                "HINCRBYFLOAT h f 1",
                f"HINCRBYFLOAT h g {number}",
            ):
                reply = site(text)
                if "-9999" in number:
                    self.assertIsInstance(reply, bytes)
                else:
                    self.assertRegex(str(reply), "not a (valid )?float", text)

    def test_cursors(self) -> None:
        site = Site()
        site("HSET h a b")
        for zeros in (21, 5000):
            reply = site(f"HSCAN h {'0' * zeros}")
            self.assertEqual(isinstance(reply, list), zeros < 100)


class SortedSetTests(SynchronousTestCase):
    ODD = (b"", b"\0", b"9" * 5000, b"1e" + b"9" * 5000, b"-" + b"9" * 5000, b"0x1p" + b"9" * 5000, b"nan")
    MORE = (
        b"(",
        b"(nan",
        b"[",
        b"(" + b"9" * 5000,
        b"-0",
        b"1e308",
        b"-inf",
        b"inf",
        b"\xff",
        b"2",
        b"COUNT",
    )
    WORDS = (
        b"BYLEX",
        b"BYSCORE",
        b"LIMIT",
        b"WITHSCORES",
        b"INCR",
        b"GT",
        b"WEIGHTS",
        b"AGGREGATE",
        b"MIN",
        b"z",
    )

    def test_whatever_a_client_sends(self) -> None:
        """Each command ends with a reply or an error, and the state stays sound."""
        random = Random(5)
        site = Site()
        names = [name for name in COMMANDS if name[:1] == b"Z"]
        self.assertGreater(len(names), 30)
        words = (*self.ODD, *self.MORE, *self.WORDS)
        replies = 0
        for number in range(6000):
            if number % 50 == 0:
                site.run([b"ZADD", b"z", b"inf", b"a", b"-inf", b"b", b"1e308", b"c", b"0", b""])
            command = [random.choice(names), b"z", *random.choices(words, k=random.randrange(6))]
            try:
                site.store.check(command)
            except CommandError:
                continue
            replies += not isinstance(site.run(command), CommandError)
        self.assertGreater(replies, 200)
        other = KeyValueStore()
        other.restore(dict(site.store.entries()), [])
        self.assertEqual(dict(other.entries()), dict(site.store.entries()))

    def test_sums_that_are_no_numbers(self) -> None:
        site = Site()
        site("ZADD a inf m 1e308 n")
        site("ZADD b -inf m 1e308 n")
        for text in ("ZUNIONSTORE c 2 a b", "ZINTERSTORE c 2 a b", "ZUNIONSTORE c 2 a b WEIGHTS 0 0"):
            site(text)
            scores = site("ZMSCORE c m n")
            self.assertEqual(scores, [0.0, 0.0 if "WEIGHTS" in text else float("inf")], text)
        self.assertIn("not a number", str(site("ZINCRBY a -inf m")))
        self.assertEqual(site("ZSCORE a m"), float("inf"))


class RestoreTests(SynchronousTestCase):
    def test_a_log_with_a_scan(self) -> None:
        """It makes an index, and what is gathered behind it is set past that."""
        store = KeyValueStore()
        texts = [["SET a 1"], ["SCAN 0"], ["SET b 1", "SET c 2"], ["RANDOMKEY"], ["SET d 1"]]
        log = [Ready(ID, store.batch(list(map(words, each))), False) for each in texts]
        store.restore({}, log)
        self.assertEqual(dict(store.entries()), {b"a": b"1", b"b": b"1", b"c": b"2", b"d": b"1"})
        ((_, keys),) = store.apply([Ready(ID, store.batch([words("SCAN 0 COUNT 100")]), True)])[0]
        self.assertEqual(sorted(keys), [b"a", b"b", b"c", b"d"])


class MemoryUsageTests(SynchronousTestCase):
    def test_the_same_at_every_replica(self) -> None:
        """A script may store it, so blocks that another replica has not must not count."""
        site = Site()
        for number in range(2000, 0, -1):
            site(f"ZADD z {number} {'m' * number}{number}")
        for number in range(1, 350):
            site(f"XADD x {number}-1 field {number}")
        site("XDEL x 5-1")
        for number in range(3000):
            site(f"{'LPUSH' if number % 2 else 'RPUSH'} l {'e' * (number % 90)}")
        other = Site()
        other.store.restore(dict(site.store.entries()), [])
        for key in "zxl":
            self.assertEqual(site(f"MEMORY USAGE {key}"), other(f"MEMORY USAGE {key}"), key)


class StepTests(SynchronousTestCase):
    def test_long_strings(self) -> None:
        site, step = Site(), Steps(self)
        site.run([b"SET", b"long", b"x" * 2_000_000])
        site.run([b"APPEND", b"long", b"y" * 2_000_000])
        for text in (
            "LCS none long LEN",
            "LCS long none",
            "GETRANGE long 1999999 2000000",
            "SET long q IFEQ z",
        ):
            step.run(site.store, words(text), may_fail=True)
        step.check()
        self.assertEqual(site("GETRANGE long 1999998 2000001"), b"xxyy")
        self.assertEqual(site("GETRANGE long -3 -1"), b"yyy")
        self.assertEqual(site("GETRANGE long 5 2"), b"")
        self.assertIn("not a valid float", str(site("INCRBYFLOAT long 1")))
        self.assertIn("exceeds maximum", str(site(f"SETRANGE new {ZEROS_MAX + 1} x")))
        self.assertEqual(site(f"SETRANGE new {ZEROS_MAX} x"), ZEROS_MAX + 1)

    def test_within_other_commands(self) -> None:
        """In another database and in a transaction large commands run in steps, too."""
        site = Site()
        pairs = b" ".join(b"%d v" % number for number in range(20_000)).split()
        site.run(in_database(1, [b"HSET", b"h", *pairs]))
        for inner in (words("HGETALL h"), words("DUMP h")):
            for command in (in_database(1, inner), transaction(Transaction(None, (), [(1, inner)]))):
                steps = list(site.store.apply_in_steps(Ready(ID, site.store.batch([command]), True)))
                self.assertGreater(len(steps), 5)

    def test_many_short_commands_on_large_values(self) -> None:
        """Each looks into another block, or into one that is packed; written, and read."""
        site = Site()
        for start in range(1, 20_000, 500):
            added = [words(f"XADD x {number}-1 f {number}") for number in range(start, start + 500)]
            site.store.apply([Ready(ID, site.store.batch(added), True)])
        for number in range(10_000):
            site(f"RPUSH l {number}")
        site(f"HSET h {' '.join(map(str, range(8000)))}")
        site(f"HSET p {' '.join(map(str, range(256)))}")
        site(f"ZADD z {' '.join(map(str, range(256)))}")
        site("SETRANGE s 16000000 x")
        many = range(1, 19_000, 100)
        for batch in (
            [words(f"XRANGE x {number} + COUNT 99") for number in many],
            [words("XREAD STREAMS x 19500")] * 100,
            [words(f"XDEL x {number}-1 {number + 50}-1") for number in many],
            [words("LINDEX l 5000")] * 300,
            [words("HMGET p 1 2 3")] * 300,
            [words("HRANDFIELD h")] * 300,
            [words("ZRANK z 5")] * 300,
            [words(f"SETBIT s {number} 1") for number in many],
            [words(f"BITFIELD s INCRBY u8 {number} 1 SET u8 127999999 1") for number in many],
        ):
            runs = [site.store.apply_in_steps(Ready(ID, site.store.batch(batch), True))]
            if site.store.is_read(batch[0][0]):
                runs.append(site.store.read_in_steps(batch))
            for steps in runs:
                self.assertGreater(sum(1 for _ in steps), len(batch) // 65, batch[0])

    def test_many_keys_that_are_due(self) -> None:
        site = Site()
        keys = [b"k%d" % number for number in range(5000)]
        for key in keys:
            site.run([b"SET", key, b"v", b"PX", b"5"])
        site.clock.ms += 10
        again = site.run([b"MGET", *keys])
        assert isinstance(again, RunAgain)
        steps = list(site.store.apply_in_steps(Ready(ID, site.store.batch([again.first]), True)))
        self.assertGreater(len(steps), 5)
        self.assertEqual(site.store.keys(), 0)


class TransactionTests(SynchronousTestCase):
    def test_replies_that_are_too_long(self) -> None:
        self.patch(transactions, "REPLIES_BYTES_MAX", 3000)
        site = Site()
        site.run([b"SET", b"k", b"x" * 1000])
        replies = site.run(
            transaction(Transaction(None, (), [(0, words(t)) for t in ["GET k"] * 4 + ["INCR n"]]))
        )
        assert isinstance(replies, list)
        self.assertEqual([type(reply) for reply in replies], [bytes, bytes, *[CommandError] * 3])
        self.assertEqual(site("INCR n"), 2, "all of them have run")


class OrderTests(SynchronousTestCase):
    def test_what_comes_behind_a_copy(self) -> None:
        """The source is due: it is removed where the COPY stands, which runs once."""
        site = Site()
        site("SET a 1 PX 5")
        site.clock.ms += 10
        batch = site.store.batch([words("COPY a b REPLACE"), words("SET b 2")])
        self.assertEqual(set(batch.writes), {b"a", b"b"})
        self.assertEqual(site.store.apply([Ready(ID, batch, True)])[0], [0, OK])

    def test_all_behind_a_command_that_runs_again(self) -> None:
        """Of the same batch, whatever they touch, so that a client's later write stays the later one."""
        site = Site()
        eval_ = [b"EVAL", b"return redis.call('set','x','script')", b"0"]
        for command in (eval_, words("SET x later")):
            site.store.check(command)
        batch = site.store.batch([eval_, words("SET x later"), words("INCR n")])
        replies = site.store.apply([Ready(ID, batch, True)])[0]
        self.assertEqual([type(reply) for reply in replies], [RunAgain] * 3)
        self.assertEqual(site.store.keys(), 0)


class DueTests(SynchronousTestCase):
    def test_portions_fit_into_datagrams(self) -> None:
        for length, count in ((20, 1000), (100, 7), (600, 3), (1, 600)):
            due = [(0, b"k" * length, number) for number in range(count)]
            found = list(portions(due, itemgetter(1)))
            self.assertEqual([key for portion in found for key in portion], due)
            for portion in found:
                self.assertLessEqual(len(portion), PORTION_KEYS)
                self.assertTrue(len(portion) == 1 or len(portion) * length <= PORTION_BYTES)
        self.assertEqual(list(portions([], itemgetter(1))), [])
