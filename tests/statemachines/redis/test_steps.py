"""The key-value store in steps: the same as at once, with values that grow."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from time import process_time

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from epaxos.interfaces import CommandError, IStepwise, Ready, Reply, SimpleString
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import Batch
from epaxos.statemachines.redis import strings
from epaxos.statemachines.redis.growing import GROWS_FROM_BYTES
from epaxos.statemachines.redis.machine import KeyValueStore
from epaxos.statemachines.redis.state import ELEMENTS_PER_STEP
from epaxos.verify.judges import model

ID = InstanceId(0, 1)
OK = SimpleString("OK")
LONG = b"x" * GROWS_FROM_BYTES
Entries = dict[bytes, bytes]


def words(text: str) -> list[bytes]:
    """`LONG` among them stands for a long value."""
    return [LONG if word == "LONG" else word.encode() for word in text.split()]


def in_steps(
    store: KeyValueStore, commands: list[list[bytes]], wanted: bool = True
) -> tuple[list[Reply], int]:
    """The replies, and after how many steps they came; tidying is done, too."""
    for command in commands:
        store.check(command)
    steps = list(store.apply_in_steps(Ready(ID, store.batch(commands), wanted)))
    (number,) = (number for number, replies in enumerate(steps) if replies is not None)
    return list(steps[number] or ()), number + 1


def comparable(reply: Reply | str) -> object:
    return model.ERROR if isinstance(reply, CommandError) else reply


class StepsTests(SynchronousTestCase):
    TEXTS = (
        *(
            "SET {0} {2}",
            "SET {0} LONG",
            "SETNX {0} LONG",
            "GETSET {0} LONG",
            "GETDEL {0}",
        ),
        *(
            "APPEND {0} {2}",
            "APPEND {0} abc",
            "APPEND {1} LONG",
            "STRLEN {0}",
            "GET {0}",
            "INCR {0}",
            "SET {0} 7",
        ),
        *("DEL {0} {1} 2 3", "EXISTS {0} {1} 1 1 3", "MGET {0} {1} 2", "MSET {0} LONG {1} {2} 3 z"),
        *("MSETNX {0} LONG {1} b", "MSETNX 4 LONG 5 b", "DBSIZE", "FLUSHDB"),
    )

    def test_interface(self) -> None:
        verifyObject(IStepwise, KeyValueStore())

    def test_as_the_specification_says(self) -> None:
        """Whatever the length of a step, and whoever waits: the replies, all bytes, and the state."""
        interrupted = 0
        for seed in range(400):
            random = Random(seed)
            stores = [KeyValueStore(size) for size in (1, 2, 3, 5, ELEMENTS_PER_STEP)]
            specified: Entries = {}
            kinds = random.sample(self.TEXTS, random.choice((1, 2, 4, 8)))
            taken: list[tuple[Sequence[tuple[bytes, bytes]], Entries]] = []
            for _ in range(6):
                numbers = [random.randrange(6) for _ in range(3)]
                commands = [
                    words(random.choice(kinds).format(*numbers)) for _ in range(random.randrange(1, 9))
                ]
                expected = [model.run(specified, command) for command in commands]
                for store in stores:
                    wanted = random.random() < 0.7
                    replies, steps = in_steps(store, commands, wanted)
                    interrupted += steps > 1
                    if wanted:
                        self.assertEqual(list(map(comparable, replies)), expected, f"seed {seed}")
                    taken.append((store.entries(), dict(specified)))  # type: ignore[arg-type]
            for entries, meant in taken:
                self.assertEqual(dict(entries), meant, f"seed {seed}: later commands change what was taken")
        self.assertGreater(interrupted, 1000)

    def test_reads_in_steps(self) -> None:
        store = KeyValueStore()
        for key in "abc":
            in_steps(store, [words(f"SET {key} LONG"), words(f"APPEND {key} {key}")])
        commands = [words(text) for text in ("GET a", "STRLEN a", "TYPE a", "GET b", "GET a", "GET z")]
        expected = [LONG + b"a", len(LONG) + 1, "string", LONG + b"b", LONG + b"a", None]
        steps = list(store.read_in_steps(commands))
        self.assertGreater(len(steps), 1)
        self.assertEqual(steps[-1], expected)
        self.assertEqual(store.read(commands), expected)
        self.assertEqual(store.read([words("GET c")]), [LONG + b"c"])

    def test_long_commands_are_cut(self) -> None:
        keys = [b"%d" % k for k in range(20 * ELEMENTS_PER_STEP)]
        pairs = [word for key in keys for word in (key, b"v")]
        store = KeyValueStore()
        for command, reply in (
            ([b"MSETNX", *pairs], 1),
            ([b"MSET", *pairs], OK),
            ([b"msetnx", *pairs], 0),
            ([b"MGET", *keys], [b"v"] * len(keys)),
            ([b"EXISTS", *keys, b"no"], len(keys)),
            ([b"del", *keys, b"0"], len(keys)),
        ):
            replies, steps = in_steps(store, [command, words("SET a 1")])
            self.assertEqual(replies, [reply, OK])
            self.assertGreaterEqual(steps, 20, command[0])
        self.assertEqual(dict(store.entries()), {b"a": b"1"})

    def test_many_commands_are_cut(self) -> None:
        store = KeyValueStore()
        replies, steps = in_steps(store, [words(f"INCR {k % 7}") for k in range(5000)])
        self.assertEqual(len(replies), 5000)
        self.assertGreater(steps, 5)

    def test_a_reply_is_that_of_its_moment(self) -> None:
        """Nothing that comes later in the batch is in it, nor in what was handed out."""
        store = KeyValueStore()
        commands = [words("SET k LONG")]
        for _ in range(3):
            commands += [words("APPEND k ab"), words("GET k"), words("MGET k k")]
        replies, _ = in_steps(store, commands)
        values = [LONG + b"ab" * count for count in (1, 2, 3)]
        self.assertEqual(replies[2::3], values)
        self.assertEqual(replies[3::3], [[value, value] for value in values])
        (given,) = store.read([words("GET k")])
        in_steps(store, [words("APPEND k cd")])
        self.assertEqual(given, values[2])

    def test_foreign_payloads(self) -> None:
        """Nothing that `check` refuses is run, long or not, barrier or not."""
        store = KeyValueStore(2)
        for text, name in (("MSET a 1 b 2 c 3", "NSET"), ("DBSIZE", "DBSIZF"), ("FLUSHDB", "FLUSHDC")):
            good = store.batch([words(text)])
            payload = good.payload.replace(text.split()[0].encode(), name.encode())
            with self.assertRaises(ValueError, msg=text):
                list(store.apply_in_steps(Ready(ID, good._replace(payload=payload), True)))
        odd = store.batch([words("MGET a 1 b 2 c")])
        payload = odd.payload.replace(b"MGET", b"MSET")
        with self.assertRaises(ValueError):
            list(store.apply_in_steps(Ready(ID, odd._replace(payload=payload), True)))


class FlushTests(SynchronousTestCase):
    def filled(self, count: int) -> KeyValueStore:
        store = KeyValueStore()
        store.apply([Ready(ID, store.batch([[b"SET", b"%d" % k, b"v"] for k in range(count)]), False)])
        return store

    def test_the_reply_waits_for_nothing_to_be_freed(self) -> None:
        store = self.filled(50 * ELEMENTS_PER_STEP)
        steps = store.apply_in_steps(Ready(ID, store.batch([words("FLUSHDB"), words("DBSIZE")]), True))
        self.assertEqual(next(steps), [OK, 0])
        self.assertEqual(dict(store.entries()), {})
        in_steps(store, [words("SET a 1")])
        self.assertGreaterEqual(len(list(steps)), 50, "freed in steps")
        self.assertEqual(dict(store.entries()), {b"a": b"1"})

    def test_a_snapshot_keeps_what_is_flushed(self) -> None:
        store = self.filled(3 * ELEMENTS_PER_STEP)
        before = store.entries()
        in_steps(store, [words("FLUSHDB"), words("SET a 1")])
        self.assertEqual(store._state.discarded, [])
        self.assertEqual(len(dict(before)), 3 * ELEMENTS_PER_STEP)
        self.assertEqual(dict(store.entries()), {b"a": b"1"})

    def test_what_is_freed_in_steps_is_free(self) -> None:
        store = self.filled(3 * ELEMENTS_PER_STEP)
        for _ in range(2):
            in_steps(store, [words("FLUSHALL")])
            self.assertEqual(store._state.discarded, [])
            in_steps(store, [[b"SET", b"%d" % k, b"v"] for k in range(2 * ELEMENTS_PER_STEP)])

    def test_large_values_are_freed_a_few_at_a_time(self) -> None:
        store = KeyValueStore(1)
        in_steps(store, [[b"SET", b"%d" % k, b"v" * 3_000_000] for k in range(8)])
        steps = store.apply_in_steps(Ready(ID, store.batch([words("FLUSHALL")]), True))
        self.assertGreaterEqual(len(list(steps)), 5)


class CostTests(SynchronousTestCase):
    """1 000 APPENDs to a value of 16 MB take about a millisecond; with a copy each they take seconds."""

    SECONDS = 0.5

    def setUp(self) -> None:
        self.store = KeyValueStore()
        self.value = b"x" * 16_000_000
        in_steps(self.store, [[b"SET", b"log", self.value]])

    def assert_cheap(self, began: float) -> None:
        self.assertLess(process_time() - began, self.SECONDS)

    def test_append(self) -> None:
        began = process_time()
        replies, _ = in_steps(self.store, [[b"APPEND", b"log", b"y" * 10]] * 1000)
        self.assert_cheap(began)
        self.assertEqual(replies[-1], 16_010_000)

    def test_append_and_strlen(self) -> None:
        began = process_time()
        for _ in range(500):
            in_steps(self.store, [[b"APPEND", b"log", b"y" * 10], [b"STRLEN", b"log"]])
            self.store.read([[b"STRLEN", b"log"]])
        self.assert_cheap(began)

    def test_appends_and_gets_that_nobody_waits_for(self) -> None:
        began = process_time()
        commands = [[b"APPEND", b"log", b"y" * 10], [b"GET", b"log"], [b"MGET", b"log", b"log"]] * 300
        in_steps(self.store, commands, wanted=False)
        self.assert_cheap(began)

    def test_a_get_costs_one_copy(self) -> None:
        """However often, until the next append; and an append after it none."""
        began = process_time()
        for _ in range(5):
            in_steps(self.store, [[b"APPEND", b"log", b"y" * 10]])
            for _ in range(100):
                self.store.read([[b"GET", b"log"]])
        self.assert_cheap(began)

    def test_a_restart(self) -> None:
        batches: list[Batch] = [self.store.batch([[b"APPEND", b"log", b"y" * 10]]) for _ in range(1000)]
        again = KeyValueStore()
        began = process_time()
        again.restore({b"log": self.value}, (Ready(ID, batch, False) for batch in batches))
        self.assert_cheap(began)
        self.assertEqual(again.read([[b"STRLEN", b"log"]]), [16_010_000])

    def test_the_longest(self) -> None:
        """What is refused is not copied, and the value stays."""
        self.patch(strings, "VALUE_BYTES_MAX", 16_000_010)
        began = process_time()
        commands = [[b"APPEND", b"log", b"y" * 11]] * 1000 + [
            [b"APPEND", b"log", b"y" * 10],
            [b"STRLEN", b"log"],
        ]
        replies, _ = in_steps(self.store, commands)
        self.assert_cheap(began)
        self.assertEqual(
            [str(reply) for reply in replies[999:]],
            ["ERR string exceeds maximum allowed size (proto-max-bulk-len)", "16000010", "16000010"],
        )

    def test_old_values(self) -> None:
        """The commands that answer what was there."""
        for text, reply in (
            ("SET log new GET", self.value + b"y"),
            ("SET log new NX GET", self.value + b"y"),
            ("GETSET log new", self.value + b"y"),
            ("GETDEL log", self.value + b"y"),
            ("INCR log", "ERR value is not an integer or out of range"),
        ):
            in_steps(self.store, [[b"SET", b"log", self.value], words("APPEND log y")])
            (found,), _ = in_steps(self.store, [words(text)])
            self.assertEqual(str(found) if isinstance(found, CommandError) else found, reply, text)
