"""The key-value store from its entries and the batches after them."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import Ready
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import Batch
from epaxos.statemachines.redis import shards
from epaxos.statemachines.redis.machine import KeyValueStore
from tests.statemachines.redis.lab import ID, Client, words


def may_change_the_state(batch: Batch) -> bool:
    """Others are not applied again after a restart."""
    return bool(batch.writes) or batch.barrier


class RestoreTests(SynchronousTestCase):
    """A state of some time and the batches since are the state of now."""

    TEXTS = (
        *(
            "SET {0} x",
            "SET {0} y NX",
            "SET {0} z XX GET",
            "SETNX {0} n",
            "GETSET {0} s",
            "GETDEL {0}",
            "DEL {0} 1",
        ),
        *("APPEND {0} y", "MSET {0} z q 1", "MSETNX {0} m p 1", "INCR {0}", "DECRBY {0} 3", "SET {0} 5"),
        *("GET {0}", "MGET {0} 1", "EXISTS {0}", "STRLEN {0}", "TYPE {0}"),
    )

    def some_commands(self, random: Random) -> list[list[bytes]]:
        """Mostly of few kinds, so that some are applied in bulk, and some read alone."""
        if random.random() < 0.1:
            return [words(random.choice(("FLUSHDB", "FLUSHALL ASYNC", "DBSIZE")))]
        kinds = random.sample(self.TEXTS, random.choice((1, 1, 2, 3)))
        return [
            words(random.choice(kinds).format(random.randrange(5))) for _ in range(random.randrange(1, 6))
        ]

    def test_any_split_of_a_history(self) -> None:
        skipped = 0
        for seed in range(150):
            self.patch(shards, "GATHERED_MAX", (3, 1000)[seed % 2])
            random, store = Random(seed), KeyValueStore()
            entries = [store.entries()]
            history: list[Ready] = []
            for slot in range(1, 16):
                batch = store.batch(self.some_commands(random))
                history.append(Ready(InstanceId(0, slot), batch, False))
                store.apply([Ready(ID, batch, random.random() < 0.5)])
                entries.append(store.entries())
            state = dict(store.entries())
            last = store.batch([words(f"MGET {' '.join('01234pq')}")])
            (replies,) = store.apply([Ready(ID, last, True)])
            for split in range(len(history) + 1):
                log = [ready for ready in history[split:] if may_change_the_state(ready.batch)]
                skipped += len(history) - split - len(log)
                again = KeyValueStore()
                again.restore(dict(entries[split]), iter(log))
                self.assertEqual(dict(again.entries()), state, f"seed {seed}, split at {split}")
                self.assertEqual(again.apply([Ready(ID, last, True)]), [replies])
        self.assertGreater(skipped, 1000)

    def test_what_only_reads_is_not_among_them(self) -> None:
        """Whatever a command does, its batch names what it writes, or is a barrier."""
        client = Client()
        for text in self.TEXTS:
            for before in ((), ("SET k 7",), ("SET k text", "SET 1 1")):
                client("FLUSHALL")
                for each in before:
                    client(each)
                state = dict(client.store.entries())
                command = words(text.format("k"))
                client.run([command])
                if dict(client.store.entries()) != state:
                    self.assertTrue(may_change_the_state(client.store.batch([command])), text)
        self.assertFalse(may_change_the_state(client.store.batch([words("GET k")])))

    def test_the_entries_are_of_their_time(self) -> None:
        """Later batches leave them alone, and a state that was restored too."""
        client = Client()
        client("MSET a 1 b 2")
        first, same = client.store.entries(), client.store.entries()
        again = KeyValueStore()
        again.restore(dict(first), [Ready(ID, again.batch([words("SET c 3")]), False)])
        second = again.entries()
        client("DEL a")
        again.apply([Ready(ID, again.batch([words("FLUSHALL")]), True)])
        self.assertEqual(dict(same), {b"a": b"1", b"b": b"2"})
        self.assertEqual(dict(second), {b"a": b"1", b"b": b"2", b"c": b"3"})

    def test_foreign_payloads(self) -> None:
        bad = Batch((b"a",), (), b"\xff\xff", 1)
        for before in ([], [Ready(ID, KeyValueStore().batch([words("SET a 1")]), False)]):
            self.assertRaises(ValueError, KeyValueStore().restore, {}, [*before, Ready(ID, bad, False)])
