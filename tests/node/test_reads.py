"""Which commands are read without an instance, and when they are run."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import Command, Ready, Reply, SimpleString
from epaxos.node.reads import NAMES_MAX, Reading, Separation
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import Batch
from epaxos.statemachines.redis.machine import KeyValueStore

ID = InstanceId(1, 5)


def words(*texts: str) -> list[list[bytes]]:
    return [text.encode().split() for text in texts]


def run(store: KeyValueStore, batch: Batch | None) -> Sequence[Reply]:
    """The replies of the batch, when there is one."""
    return store.apply([Ready(ID, batch, True)])[0] if batch is not None else ()


class Recorder(KeyValueStore):
    """Notes what is asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[object] = []

    def is_read(self, name: bytes) -> bool:
        """See IStateMachine."""
        self.asked.append(name)
        return super().is_read(name)

    def batch(self, commands: Sequence[Command]) -> Batch:
        """See IStateMachine."""
        assert commands
        return super().batch(commands)

    def read(self, commands: Sequence[Command]) -> Sequence[Reply]:
        """See IStateMachine."""
        assert commands
        self.asked += [b" ".join(command) for command in commands]
        return tuple(super().read(commands))


def separate(store: KeyValueStore, *texts: str) -> Separation:
    return Separation(words(*texts), Separation.names(store), store)


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
        """Whatever the mix: replies and state of the commands run one by one, whether what is read alone is
        read before the rest is run, or after."""
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
            separation = Separation(commands, Separation.names(early), early)
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
        """The larger of what is proposed and what is asked, a key that is read twice once."""
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
        """Each spelling is asked for once, those that are told to begin with, and not too many are kept."""
        store = Recorder()
        names = Separation.names(store)
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


class ReadingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.store = Recorder()
        self.done: list[Sequence[Reply]] = []

    def reading(self, *texts: str, since: int = 7) -> Reading:
        return Reading(words(*texts), since, lambda replies: self.done.append(list(replies)))

    def set(self, *texts: str) -> Batch:
        batch = self.store.batch(words(*texts))
        run(self.store, batch)
        return batch

    def test_keys(self) -> None:
        self.assertEqual(sorted(self.reading("GET b", "GET a", "TYPE b").keys), [b"a", b"b"])

    def test_when_it_is_ready(self) -> None:
        reading = self.reading("GET a")
        self.assertFalse(reading.is_ready((9, 9, 9)), "it is not known after what it comes")
        reading.deps = (0, 0, 0)
        self.assertTrue(reading.is_ready((0, 0, 0)))
        reading.deps = (3, 0, 5)
        for executed, ready in (
            ((3, 0, 5), True),
            ((4, 2, 9), True),
            ((2, 9, 9), False),
            ((9, 9, 4), False),
            ((0, 0, 0), False),
        ):
            self.assertIs(reading.is_ready(executed), ready, f"{executed}")

    def test_what_overtakes_it(self) -> None:
        """Own instances from its time on, that write one of its keys, or everything."""
        reading = self.reading("GET a", "STRLEN b")
        for texts, overtakes in (
            (["SET a 1"], True),
            (["MSET x 1 b 2"], True),
            (["SET x 1", "GET a"], False),
            (["MGET a b"], False),
            (["SET x 1"], False),
            (["DBSIZE"], True),
        ):
            batch = self.store.batch(words(*texts))
            for slot, later in ((1, False), (6, False), (7, True), (8, True), (100, True)):
                self.assertIs(
                    reading.is_overtaken_by(InstanceId(1, slot), batch),
                    later and overtakes,
                    f"{texts} {slot}",
                )

    def test_replies_in_order(self) -> None:
        self.set("MSET a 1 b 22")
        reading = self.reading("STRLEN b", "GET a", "TYPE c", "GET b", "GET a")
        reading.on_read(self.store.read(reading.commands))
        self.assertEqual(self.done, [[2, b"1", SimpleString("none"), b"22", b"1"]])

    def test_run_before(self) -> None:
        """Only what is written is read then, and only once."""
        self.set("MSET a 1 b 2 c 3")
        reading = self.reading("GET a", "GET b", "STRLEN a", "GET c")
        self.store.asked.clear()
        overtaking = self.store.batch(words("SET a 1111", "SET x 1"))
        reading.run_before(overtaking, self.store)
        self.assertEqual(self.store.asked, [b"GET a", b"STRLEN a"])
        run(self.store, overtaking)
        reading.run_before(self.store.batch(words("APPEND a x", "SET b 5")), self.store)
        self.assertEqual(self.store.asked, [b"GET a", b"STRLEN a", b"GET b"])
        self.set("MSET a 6 b 7 c 8")
        self.assertEqual(self.done, [])
        reading.on_read(self.store.read(reading.commands))
        self.assertEqual(self.done, [[b"1", b"2", 1, b"8"]])

    def test_run_before_a_barrier(self) -> None:
        self.set("MSET a 1 b 2")
        reading = self.reading("GET b", "GET a")
        reading.run_before(self.store.batch(words("FLUSHALL")), self.store)
        self.set("FLUSHALL")
        reading.on_read(self.store.read(reading.commands))
        self.assertEqual(self.done, [[b"2", b"1"]])

    def test_nothing_that_was_read_is_one_of_the_replies(self) -> None:
        """None is a reply like others: what was missing then is missing still."""
        reading = self.reading("GET a", "GET b")
        reading.run_before(self.store.batch(words("SET a 1")), self.store)
        self.set("MSET a 1 b 2")
        reading.run_before(self.store.batch(words("SET a 2")), self.store)
        reading.on_read(self.store.read(reading.commands))
        self.assertEqual(self.done, [[None, b"2"]])
