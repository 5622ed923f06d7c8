"""Which commands are read without an instance."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from epaxos.node.separation import NAMES_MAX, ReadNames, Separation
from epaxos.protocol.values.messages import Batch
from epaxos.statemachines.redis.machine import KeyValueStore
from tests.node.recorder import Recorder, run, words


def separate(store: KeyValueStore, *texts: str) -> Separation:
    return Separation(words(*texts), ReadNames(store), store)


class SeparationTests(SynchronousTestCase):
    def test_what_is_proposed_and_what_is_read(self) -> None:
        store = Recorder()
        for texts, proposed, read in (
            (["GET a", "STRLEN b", "TYPE a"], [], ["GET a", "STRLEN b", "TYPE a"]),
            (["SET a 1", "INCR b"], ["SET a 1", "INCR b"], []),
            (["GET a"], [], ["GET a"]),
            (["SET a 1", "GET b", "SET c 1", "STRLEN d"], ["SET a 1", "SET c 1"], ["GET b", "STRLEN d"]),
            # those that read what is written beside them
            (["GET a", "SET a 1", "GET b", "GET a"], ["GET a", "SET a 1", "GET a"], ["GET b"]),
            (["GET a", "SET a 1"], ["GET a", "SET a 1"], []),
            (["GET a", "MSET b 1 a 2", "GET c"], ["GET a", "MSET b 1 a 2"], ["GET c"]),
            # those that read several keys are no reads, and do not matter to those that are
            (["MGET a b", "GET a", "EXISTS b"], ["MGET a b", "EXISTS b"], ["GET a"]),
            # a barrier
            (["GET a", "DBSIZE", "GET b"], ["GET a", "DBSIZE", "GET b"], []),
            (["FLUSHALL", "GET a"], ["FLUSHALL", "GET a"], []),
            # names in any case, each for itself
            (["get a", "Set b 1", "gEt c", "GET b"], ["Set b 1", "GET b"], ["get a", "gEt c"]),
        ):
            separation = separate(store, *texts)
            expected = store.batch(words(*proposed)) if proposed else None
            self.assertEqual(separation.batch, expected, f"{texts}")
            self.assertEqual(list(separation.reads), words(*read), f"{texts}")

    def test_merge(self) -> None:
        """Replies and state are those of the commands run one by one, for any mix, and whether the reads
        run before the batch or after it."""
        texts = ("SET {0} {1}", "GET {0}", "get {0}", "STRLEN {0}", "TYPE {0}", "INCR n{0}", "GET n{0}")
        texts += ("MGET {0} {1}", "APPEND {0} x", "DEL {0} {1}", "MSET {0} 1 {1} 2", "DBSIZE", "EXISTS {0}")
        both = kept = 0
        for seed in range(1500):
            random = Random(seed)
            mix = random.sample(texts, random.choice([1, 2, 2, 3, 6]))
            keys = random.choice([2, 5, 50])
            before = [f"SET {key} v{key}" for key in range(0, keys, 2)]
            commands = words(
                *(
                    random.choice(mix).format(random.randrange(keys), random.randrange(keys))
                    for _ in range(random.randrange(1, 25))
                )
            )
            alone, early, late = (KeyValueStore() for _ in range(3))
            for store in (alone, early, late):
                run(store, store.batch(words(*before)))
            expected = [run(alone, alone.batch([command]))[0] for command in commands]
            separation = Separation(commands, ReadNames(early), early)
            read = early.read(separation.reads) if separation.reads else ()
            replies = [separation.merge(run(early, separation.batch), read)]
            rest = run(late, separation.batch)
            replies.append(separation.merge(rest, late.read(separation.reads) if separation.reads else ()))
            self.assertEqual([list(each) for each in replies], [expected] * 2, f"seed {seed}")
            self.assertEqual(dict(early.entries()), dict(alone.entries()))
            both += bool(separation.reads and separation.batch)
            names = {bytes(command[0]).upper() for command in commands if command not in separation.reads}
            kept += bool(separation.batch and names & {b"GET", b"STRLEN", b"TYPE"})
        self.assertGreater(min(both, kept), 200, "each kind of mix was met")

    def test_size(self) -> None:
        """The larger of the batch and the keys to read; a key that is read twice counts once."""
        store = KeyValueStore()
        key = "k" * 1000
        asked = Batch((), (key.encode(),), b"", 0).size_bytes
        small = store.batch(words("SET a 1")).size_bytes
        for texts, size in (
            (["SET a 1"], small),
            ([f"GET {key}"], asked),
            ([f"GET {key}", f"STRLEN {key}"], asked),
            (["SET a 1", f"GET {key}"], asked),
            ([f"SET {key} 1", "GET b"], store.batch(words(f"SET {key} 1")).size_bytes),
            ([f"SET {key} 1", f"GET {key}"], store.batch(words(f"SET {key} 1", f"GET {key}")).size_bytes),
        ):
            self.assertEqual(separate(store, *texts).size_bytes, size, f"{texts[0][:10]}")
        several = separate(store, f"GET {key}", f"GET {key}2").size_bytes
        self.assertGreater(several, 2 * len(key))

    def test_names_are_remembered(self) -> None:
        """The machine is asked once for each spelling, at first for all its names; memory is bounded."""
        store = Recorder()
        names = ReadNames(store)
        known = {info.name.upper().encode() for info in store.commands()}
        self.assertEqual(sorted(store.asked), sorted(known))
        for _ in range(3):
            Separation(words("GET a", "get b", "SET c 1"), names, store)
        self.assertEqual(sorted(map(bytes, store.asked)), sorted([*known, b"get"]))  # type: ignore[call-overload]
        spellings = [
            bytes(letter ^ (32 * (number >> place & 1)) for place, letter in enumerate(b"GETRANGEXY"))
            for number in range(1024)
        ]
        store.is_read = lambda name: name[:1] == b"G"  # type: ignore[method-assign]
        for _ in range(2):
            for name in spellings:
                self.assertEqual(names[name], name[:1] == b"G")
                self.assertLessEqual(len(names), NAMES_MAX)
