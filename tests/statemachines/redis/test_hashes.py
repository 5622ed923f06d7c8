"""The commands on hashes: beside a real Redis, by table, in steps, and after a transfer."""

from __future__ import annotations

import contextlib
from random import Random
from time import time
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import CommandError, Ready, ReplyMap, ReplyPairs
from epaxos.statemachines.redis.discards import free_part
from epaxos.statemachines.redis.drawing import DRAWN_MAX
from epaxos.statemachines.redis.machine import KeyValueStore
from epaxos.statemachines.redis.marks import Owner
from epaxos.statemachines.redis.moment import Everything, Moment
from epaxos.statemachines.redis.named import LISTED_MAX
from epaxos.statemachines.redis.parted import PARTS
from epaxos.statemachines.redis.space import Space
from tests.statemachines.redis.against_redis import Pair, commands_of
from tests.statemachines.redis.lab import ID, Client, words
from tests.statemachines.redis.steps import Steps
from tests.statemachines.redis.wall_clock import WallClock

TEMPLATES = (
    *("HSET k f v", "HSET k f v", "HSET k f v f v f v", "HSET k f", "HSET k f v f", "HSETNX k f v"),
    *(
        "HMSET k f v [f v]",
        "HMSET k f v f",
        "HGET k f",
        "HMGET k f [f] [f]",
        "HGETALL k",
        "HKEYS k",
        "HVALS k",
    ),
    *("HLEN k", "HEXISTS k f", "HDEL k f", "HDEL k f f [f]", "HSTRLEN k f", "HGET k", "HLEN k f"),
    *(
        "HINCRBY k f n",
        "HINCRBYFLOAT k f x",
        "HSCAN k 0 [COUNT 1000] [MATCH m]",
        "HSCAN k c",
        "HSCAN k 0 MATCH",
    ),
    *("HSCAN k 0 COUNT n", "HSCAN k 0 LIMIT 1", "HRANDFIELD k 1000", "HRANDFIELD k 1000 WITHVALUES"),
    *(
        "HRANDFIELD k e",
        "HRANDFIELD k e WITHVALUES",
        "HRANDFIELD k 0 WITHVALUES",
        "HRANDFIELD k 1 f",
        "HRANDFIELD k 1 WITHVALUES f",
    ),
    *("SET s v", "DEL k", "TYPE k", "EXISTS k", "GET k", "APPEND k v", "SET k v", "HGETALL s", "HSET s f v"),
)
"""HRANDFIELD only where chance has no say."""
WORDS = {
    "k": [b"h1", b"h2", b"h3"],
    "s": [b"s1"],
    "f": [b"f%d" % number for number in range(8)] + [b"", b"\xff\xfe\xfd", b"7", b"long" * 20],
    "v": [b"", b"1", b"-5", b"3.0", b"text", b"\xfe\xff", b"x" * 64, b" 1", b"9223372036854775807"],
    "n": [b"1", b"-1", b"9223372036854775807", b"-9223372036854775808", b"x", b"0", b"1.5", b"", b"01"],
    "e": [b"9223372036854775807", b"-9223372036854775808", b"x", b"0", b"1.5", b"", b"01"],
    "x": [b"1", b"-1", b"0.5", b"1e2", b".25", b"5.", b"nan", b"x", b"", b" 1", b"1 ", b"-0", b"+3", b"3e-1"],
    "m": [b"f*", b"*", b"f[1-3]", b"?", b"f[^1]", b"\\f1", b"*o*g*", b""],
    "c": [b"0", b"x", b"-1", b"", b"18446744073709551615", b"18446744073709551616", b"1.5"],
}
UNORDERED = {b"HGETALL", b"HKEYS", b"HVALS", b"HSCAN", b"HRANDFIELD"}


class DifferentialTests(SynchronousTestCase):
    def test_as_redis(self) -> None:
        """Also the order of fields, as long as Redis has them in a listpack."""
        for seed in range(30):
            pair = Pair(seed)
            try:
                self.compare(pair, Random(seed), long_fields=seed % 3 == 0)
            finally:
                pair.close()

    def compare(self, pair: Pair, random: Random, long_fields: bool) -> None:
        choices = dict(WORDS)
        if not long_fields:  # else Redis has a hash table, whose order is another one in every process
            choices["f"] = [name for name in choices["f"] if len(name) <= 64]
            choices["f"] += [b"more:%d" % number for number in range(random.choice((0, 200)))]
        for command in commands_of(random, TEMPLATES, choices, 400):
            ours, theirs = pair.run(command)
            if long_fields and command[0] in UNORDERED and isinstance(theirs, list):
                assert isinstance(ours, list)
                if command[0] == b"HSCAN" and b"1000" not in command:
                    continue  # part of the fields
                ours, theirs = sorted(map(repr, flattened(ours))), sorted(map(repr, flattened(theirs)))
            self.assertEqual(ours, theirs, command)


def flattened(reply: list[object]) -> list[object]:
    return [one for part in reply for one in (flattened(part) if isinstance(part, list) else [part])]


def run(store: KeyValueStore, command: list[bytes], wanted: bool = True) -> tuple[Any, int]:
    """The reply, and after how many steps it came."""
    store.check(command)
    steps = list(store.apply_in_steps(Ready(ID, store.batch([command]), wanted)))
    (number,) = (number for number, replies in enumerate(steps) if replies is not None)
    return (steps[number] or [None])[0], number + 1


def read(store: KeyValueStore, command: list[bytes]) -> tuple[Any, int]:
    """The same, of a read without an instance."""
    steps = list(store.read_in_steps([command]))
    return (steps[-1] or [None])[0], len(steps)


def filled(count: int) -> KeyValueStore:
    """A store with the hash `h` of so many fields, each with itself as its value."""
    store = KeyValueStore()
    for start in range(0, count, 5000):
        names = [b"field:%d" % number for number in range(start, min(start + 5000, count))]
        run(store, [b"HSET", b"h", *(word for name in names for word in (name, name))], False)
    return store


def free_all() -> None:
    """Free what other tests have left."""
    while free_part():
        pass


class ReplyTests(SynchronousTestCase):
    def test_maps_and_pairs(self) -> None:
        """What RESP3 clients get as a map, and what as pairs."""
        store = filled(3)
        for text, kind in (
            ("HGETALL h", ReplyMap),
            ("HGETALL none", ReplyMap),
            ("HKEYS h", list),
            ("HVALS h", list),
            ("HMGET h a b", list),
            ("HRANDFIELD h 2 WITHVALUES", ReplyPairs),
            ("HRANDFIELD h 5 WITHVALUES", ReplyPairs),
            ("HRANDFIELD h -5 WITHVALUES", ReplyPairs),
            ("HRANDFIELD h 2", list),
            ("HSCAN h 0", list),
        ):
            self.assertIs(type(run(store, words(text))[0]), kind, text)

    def test_decimals(self) -> None:
        """What is meant to be different from Redis, which says 1000.09999999999999998 and nonsense."""
        client = Client()
        client("HSET h a 1000 b 0.1 c inf")
        for text, expected in (
            ("HINCRBYFLOAT h a 0.1", b"1000.1"),
            ("HINCRBYFLOAT h b 0.2", b"0.3"),
            ("HINCRBYFLOAT h c 1", "ERR hash value is not a float"),
            ("HINCRBYFLOAT h a inf", "ERR value is not a valid float"),
        ):
            self.assertEqual(client(text), expected)

    def test_a_hash_without_fields_is_gone(self) -> None:
        for count in (1, 200, LISTED_MAX + 1):
            store = filled(count)
            names = [b"field:%d" % number for number in range(count)]
            self.assertEqual(run(store, [b"HDEL", b"h", *names, b"none"])[0], count)
            self.assertEqual(run(store, words("EXISTS h"))[0], 0)
            self.assertEqual(list(store.entries()), [])

    def test_an_error_changes_nothing(self) -> None:
        for count in (1, 200, LISTED_MAX + 1):
            store = filled(count)
            before = dict(store.entries())
            for text in (
                "HINCRBY h field:0 1",
                "HINCRBYFLOAT h field:0 1",
                "HSETNX h field:0 x",
                "HDEL h none",
            ):
                run(store, words(text))
                self.assertEqual(dict(store.entries()), before, text)


class BulkTests(SynchronousTestCase):
    def test_as_one_by_one(self) -> None:
        """Batches of HSETs, which a bulk operation applies: replies, state, snapshots, and who is told."""
        bulk = 0
        for seed in range(150):
            random = Random(seed)
            one, other = KeyValueStore(), KeyValueStore(elements_per_step=1)
            taken: list[Any] = []
            for store in (one, other):
                store.use_clock(WallClock(time), lambda: 1)
                run(store, words("HSET h3 a 1"))
                if seed % 4 == 0:
                    Space(store._state, Moment(0, 0, Everything())).expire(b"h3", 10**15)
                if seed % 5 == 0:
                    run(store, words("SET h4 text"))
            owner = Owner(0, b"1:1")
            for _ in range(random.randrange(1, 6)):
                keys = [b"h%d" % random.randrange(5) for _ in range(random.randrange(1, 12))]
                names = [random.choice((b"f%d" % random.randrange(5), b"n" * 70)) for _ in keys]
                batch = one.batch([[b"hset", key, name, b"v"] for key, name in zip(keys, names)])
                wanted = random.random() < 0.7
                before = sorted(one.entries())
                if random.random() < 0.3:
                    taken.append((one.entries(), before))
                one._state.watch(owner, [(0, key) for key in batch.writes])
                steps = [list(store.apply_in_steps(Ready(ID, batch, wanted))) for store in (one, other)]
                bulk += len(steps[0]) == 1 < len(steps[1])
                replies = [next(found for found in some if found is not None) for some in steps]
                self.assertEqual(*map(repr, map(list, replies)), f"seed {seed}")
                is_clean = one._state.take_mark(owner)
                if before != sorted(one.entries()):
                    self.assertFalse(is_clean, f"seed {seed}")
                self.assertEqual(sorted(one.entries()), sorted(other.entries()), f"seed {seed}")
            for entries, meant in taken:
                self.assertEqual(sorted(entries), meant, f"seed {seed}: a snapshot has changed")
        self.assertGreater(bulk, 150)


class ChanceTests(SynchronousTestCase):
    def seeded(self, count: int, seed: int) -> KeyValueStore:
        store = filled(count)
        store.use_clock(WallClock(time), lambda: seed)
        return store

    def test_the_seed_decides(self) -> None:
        """Two replicas draw the same; another seed draws something else."""
        for count in (5, 1000, LISTED_MAX + 5):
            for text in ("HRANDFIELD h 3", "HRANDFIELD h -9 WITHVALUES", "HRANDFIELD h"):
                drawn = [run(self.seeded(count, seed), words(text))[0] for seed in (1, 1, *range(2, 30))]
                self.assertEqual(drawn[0], drawn[1])
                self.assertGreater(len({repr(one) for one in drawn}), 4)

    def test_what_is_drawn(self) -> None:
        for count in (1, 5, 1000, LISTED_MAX + 5):
            store = self.seeded(count, 7)
            everything = run(store, words("HGETALL h"))[0]
            values = dict(zip(everything[::2], everything[1::2]))
            for number in (1, 2, count, count + 5, 2 * count, max(1, count - 1)):
                names = run(store, words(f"HRANDFIELD h {number}"))[0]
                self.assertEqual(len(set(names)), min(number, count))
                self.assertEqual(len(names), min(number, count))
                again = run(store, words(f"HRANDFIELD h -{number}"))[0]
                self.assertEqual(len(again), number)
                pairs = run(store, words(f"HRANDFIELD h -{number} WITHVALUES"))[0]
                for found in (names, again, pairs[::2]):
                    self.assertTrue(values.keys() >= set(found))
                self.assertEqual(pairs[1::2], list(map(values.get, pairs[::2])))

    def test_every_field_is_as_likely(self) -> None:
        random = Random(5)
        for text, each in (("HRANDFIELD h -12000", 1000), ("HRANDFIELD h 4", 4), ("HRANDFIELD h", 1)):
            counts = dict.fromkeys((b"field:%d" % number for number in range(12)), 0)
            times = 12_000 // (12 * each if each > 4 else each)
            store = filled(12)
            store.use_clock(WallClock(time), lambda: random.getrandbits(64))
            for _ in range(times):
                found = run(store, words(text))[0]
                for name in found if isinstance(found, list) else [found]:
                    counts[name] += 1
            self.assertEqual(sum(counts.values()), 12_000)
            for name, number in counts.items():
                self.assertLess(abs(number - 1000), 150, f"{text} {name!r}")

    def test_bounds(self) -> None:
        client = Client()
        client("HSET h a 1")
        self.assertEqual(client(f"HRANDFIELD h {-DRAWN_MAX - 1}"), "ERR value is out of range")
        self.assertEqual(len(client(f"HRANDFIELD h {-DRAWN_MAX // 100}")), DRAWN_MAX // 100)  # type: ignore[arg-type]


class StepTests(SynchronousTestCase):
    COUNT = 20_000

    def test_a_large_hash_in_steps(self) -> None:
        """Whatever its commands are, and whoever reads."""
        store, small = filled(self.COUNT), filled(9)
        names = [b"field:%d" % number for number in range(self.COUNT)]
        for command in (
            *map(words, ("HGETALL h", "HKEYS h", "HVALS h", f"HRANDFIELD h {self.COUNT // 2}")),
            *map(words, ("HRANDFIELD h -9000 WITHVALUES", f"HRANDFIELD h {self.COUNT}")),
            *(
                [b"HMGET", b"h", *names],
                [b"HSET", b"h", *names],
                [b"HMSET", b"h", *names],
                [b"HDEL", b"h", *names],
            ),
        ):
            expected = 8 if command[0] == b"HRANDFIELD" else self.COUNT // 1100
            if store.is_read(command[0]):
                self.assertGreater(read(store, command)[1], expected, command[:3])
            self.assertGreater(run(store, command)[1], expected, command[:3])
            if len(command) == 2:
                self.assertEqual(run(small, command)[1], 1)

    def test_a_step_for_each(self) -> None:
        """Of commands whose time depends on the hash, not one step has several."""
        store = filled(1000)
        for text in ("HGETALL h", "HSCAN h 0 COUNT 1000"):
            commands = [words(text)] * 20
            steps = list(store.apply_in_steps(Ready(ID, store.batch(commands), True)))
            self.assertGreaterEqual(len(steps), 20)
            self.assertGreaterEqual(len(list(store.read_in_steps(commands))), 20)

    def test_a_large_hash_is_freed_in_steps(self) -> None:
        """Whatever removes it: a plain SET, too, and a snapshot that was the last to have it."""
        for text in ("DEL h", "SET h 1", "FLUSHALL"):
            for with_snapshot in (False, True):
                store = filled(self.COUNT)
                free_all()
                snapshot = store.entries() if with_snapshot else ()
                command = words(text)
                steps = list(store.apply_in_steps(Ready(ID, store.batch([command]), True)))
                if with_snapshot:
                    self.assertLess(len(steps), PARTS, text)
                    self.assertGreaterEqual(len(list(snapshot)), PARTS)
                    del snapshot
                    steps = list(store.apply_in_steps(Ready(ID, store.batch([words("SET x 1")]), True)))
                self.assertGreaterEqual(len(steps), PARTS, text)

    def test_no_long_turn(self) -> None:
        """The longest step of a hash of 300,000 fields, whatever is done with it."""
        store = filled(300_000)
        step = Steps(self)
        entries = store.entries()
        for command in (
            *map(
                words,
                ("HGETALL h", "HVALS h", "HRANDFIELD h 1000", "HRANDFIELD h -5000", "HSCAN h 0 COUNT 5000"),
            ),
            *map(
                words,
                ("HSET h new 1", "HDEL h field:7", "HINCRBY h n 1", "HGET h field:5", "HLEN h", "DEL h"),
            ),
        ):
            step.run(store, command)
        step.all_of("entries", iter(entries))
        step.check()


class StateTests(SynchronousTestCase):
    def test_a_replica_that_took_the_state(self) -> None:
        """It has the same entries, in which the order of the fields is, and answers the same ever after."""
        templates = [text for text in TEMPLATES if not text.startswith(("SET", "APPEND"))]
        choices = {**WORDS, "f": [b"f%d" % number for number in range(400)] + WORDS["f"]}
        for seed in range(40):
            random = Random(seed)
            one = KeyValueStore()
            run(
                one,
                [
                    b"HSET",
                    b"h1",
                    *(b"f%d" % n for n in range(random.choice((2, 6, 250, 2 * LISTED_MAX + 40)))),
                ],
            )
            for round in range(4):
                other = KeyValueStore()
                kept = list(one.entries())
                other.restore_in_parts([dict(kept[::2]), dict(kept[1::2])], [])
                for command in commands_of(random, templates, choices, 40):
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
            run(store, words("HSET other a 1"))
            before = list(store.entries())
            for wanted in (True, False):
                snapshot = store.entries()
                given = run(store, words("HGETALL h"))[0]
                kept = list(given)
                for text in ("HSET h field:1 x new 1", "HDEL h field:2", "HINCRBY h n 1", "HSET other b 1"):
                    run(store, words(text), wanted)
                self.assertEqual(sorted(snapshot), sorted(before))
                self.assertEqual(given, kept)
                before = list(store.entries())

    def test_entries_of_an_impossible_state(self) -> None:
        entries = dict(filled(LISTED_MAX + 5000).entries())
        names = list(entries)
        self.assertGreater(len(names), 10)
        for bad in (
            {name: entries[name] for name in names[1:]},  # without its first piece
            {name: entries[name] for name in names[:-1]},
            {**entries, names[3]: entries[names[4]]},
            {**entries, names[0]: b"X" + entries[names[0]][1:]},
            {names[1][:60]: b""},
        ):
            with self.assertRaises(ValueError):
                KeyValueStore().restore(bad, [])

    def test_a_scan_goes_on_at_another_replica(self) -> None:
        store = filled(2000)
        other = KeyValueStore()
        other.restore(dict(store.entries()), [])
        found: list[bytes] = []
        cursor, calls = b"0", 0
        while calls == 0 or cursor != b"0":
            cursor, items = read((store, other)[calls % 2], [b"HSCAN", b"h", cursor, b"MATCH", b"*1*"])[0]
            found += items[::2]
            calls += 1
        self.assertEqual(sorted(found), sorted(b"field:%d" % n for n in range(2000) if "1" in str(n)))
        self.assertGreater(calls, 100)
