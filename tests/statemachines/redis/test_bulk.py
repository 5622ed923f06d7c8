"""Batches of SETs with a time to live: at once as one by one."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import Ready
from epaxos.interfaces.composites import Owner, watched
from epaxos.statemachines.columns import decode_columns
from epaxos.statemachines.redis.bulk import set_all_for_a_time
from tests.statemachines.redis.lab import ID, words
from tests.statemachines.redis.test_strings import Timed
from tests.statemachines.redis.test_transactions import Site

KINDS = ("SET {0} {1} EX {2}", "SET {0} {1} ex {2}", "SET {0} {1} PXAT {3}", "SETEX {0} {2} {1}",
    "psetex {0} {2} {1}", "SET {0} {1}", "SET {0} {1} XX", "GET {0}")  # fmt: skip


def _seconds(site: Site) -> dict[bytes, int]:
    """When the keys with deadlines are looked at."""
    found = site.store._state.deadlines.keys_of(0).entries()
    return {key: chunk.second for key, chunk in found}


class BulkTests(SynchronousTestCase):
    def test_as_one_by_one(self) -> None:
        at_once = 0
        for seed in range(400):
            random = Random(seed)
            mix = random.sample(KINDS, random.choice([1, 1, 1, 2, 3]))
            commands = [
                words(
                    random.choice(mix).format(
                        random.randrange(6),
                        random.randrange(9),
                        random.choice([1, 5, 1000]),
                        1_000_000 + seed,
                    )
                )
                for _ in range(random.randrange(1, 20))
            ]
            bulk, alone = Site(), Site()
            for site in (bulk, alone):
                site.store.apply(
                    [Ready(ID, site.store.batch([watched(Owner(1, b"a:1"), [(0, b"3")])]), False)]
                )
            batch = bulk.store.batch(commands)
            third = Timed().store._state
            at_once += set_all_for_a_time(third, batch, decode_columns(batch))
            replies = list(bulk.store.apply([Ready(ID, batch, True)])[0])
            one_by_one = [alone.run(command) for command in commands]
            self.assertEqual(replies, one_by_one, f"seed {seed}: {mix}")
            self.assertEqual(dict(bulk.store.entries()), dict(alone.store.entries()), f"seed {seed}")
            self.assertEqual(_seconds(bulk), _seconds(alone), f"seed {seed}")
        self.assertGreater(at_once, 100)

    def test_which_are_left_to_others(self) -> None:
        """A deadline that has come, two kinds of options, a number that the proposer would have refused."""
        site = Timed()
        for texts in (["SET a 1 EXAT 999", "SET b 1 EXAT 9999"], ["SET a 1 EX 5", "SET b 1 PX 5"]):
            batch = site.store.batch([words(text) for text in texts])
            columns = decode_columns(batch)
            self.assertFalse(set_all_for_a_time(site.store._state, batch, columns), texts)
        bad = site.store.batch([words("SETEX a 0 v")])
        self.assertRaises(ValueError, site.store.apply, [Ready(ID, bad, True)])
