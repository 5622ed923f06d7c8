"""Batches of INCRs and their kin: at once as one by one."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import Ready
from epaxos.interfaces.composites import Owner, watched
from epaxos.statemachines.columns import decode_columns
from epaxos.statemachines.redis.bulk_counters import add_to_counters
from tests.statemachines.redis.lab import ID, words
from tests.statemachines.redis.test_transactions import Site

COUNTS = ("INCR {0}", "DECR {0}", "INCRBY {0} {1}", "DECRBY {0} {1}", "incr {0}")
OTHERS = ("SET {0} {1}", "GET {0}", "INCRBYFLOAT {0} 1", "APPEND {0} 1")
NUMBERS = (0, 1, -7, 12345, 2**62, -(2**62), 2**63 - 1, -(2**63) + 1)
HELD = ("5", "-0", "007", "1_0", "+3", " 4", "x", "", "٣", "9" * 25, "9" * 6000, *map(str, NUMBERS))


class CountingTests(SynchronousTestCase):
    def test_as_one_by_one(self) -> None:
        at_once = 0
        for seed in range(600):
            random = Random(seed)
            mix = random.sample(COUNTS, random.choice([1, 1, 1, 2])) + random.sample(OTHERS, seed % 10 == 0)
            commands = [
                words(random.choice(mix).format(random.randrange(6), random.choice(NUMBERS)))
                for _ in range(random.randrange(1, 20))
            ]
            begin = [
                [b"SET", b"%d" % key, (random.choice(HELD) if seed % 3 == 0 else "41").encode()]
                for key in random.sample(range(6), 3)
            ]
            if seed % 7 == 0:
                begin += [words("HSET 5 f v"), words("SET 4 1 EX 100")]
            bulk, alone, third = Site(), Site(), Site()
            for site in (bulk, alone, third):
                for command in begin:
                    site.run(command)
                site.run(watched(Owner(1, b"a:1"), [(0, b"3")]))
            batch = bulk.store.batch(commands)
            at_once += add_to_counters(third.store._state, batch, decode_columns(batch)) is not None
            replies = list(bulk.store.apply([Ready(ID, batch, True)])[0])
            one_by_one = [alone.run(command) for command in commands]
            self.assertEqual(list(map(str, replies)), list(map(str, one_by_one)), f"seed {seed}: {mix}")
            self.assertEqual(dict(bulk.store.entries()), dict(alone.store.entries()), f"seed {seed}")
        self.assertGreater(at_once, 100)
        self.assertLess(at_once, 500)
