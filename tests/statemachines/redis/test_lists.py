"""The commands on lists: beside a real Redis, by table, in steps, and after a transfer."""

from __future__ import annotations

import contextlib
from random import Random
from time import time
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import CommandError, NilArray, Ready
from epaxos.statemachines.redis.commands import keys_of
from epaxos.statemachines.redis.machine import KeyValueStore
from epaxos.statemachines.redis.marks import Owner
from epaxos.statemachines.redis.moment import Everything, Moment
from epaxos.statemachines.redis.space import Space
from tests.statemachines.redis.against_redis import Pair, commands_of
from tests.statemachines.redis.lab import ID, Client, words
from tests.statemachines.redis.steps import Steps
from tests.statemachines.redis.test_hashes import free_all, read, run
from tests.statemachines.redis.test_transactions import Site
from tests.statemachines.redis.wall_clock import WallClock

TEMPLATES = (
    *("LPUSH k v", "RPUSH k v", "RPUSH k v v v [v]", "LPUSH k v v [v]", "LPUSHX k v [v]", "RPUSHX k v [v]"),
    *("LPOP k", "RPOP k", "LPOP k n", "RPOP k n", "LPOP k n n", "LLEN k", "LLEN k v", "LINDEX k n"),
    *("LRANGE k n n", "LRANGE k 0 -1", "LRANGE k n n", "LSET k m v", "LINSERT k w v v", "LINSERT k w v v"),
    *("LREM k n v", "LREM k n v", "LTRIM k n n", "LTRIM k 1 -2", "LPOS k v", "LPOS k v o n", "LPOS k v o"),
    *("LPOS k v o n o n", "LPOS k v COUNT n RANK r", "LPOS k v COUNT 0 RANK r MAXLEN n", "LPUSH k"),
    *("LMOVE k k d d", "LMOVE k k d d", "RPOPLPUSH k k", "RPOPLPUSH k s", "LMOVE k s LEFT d"),
    *("LMPOP c k d", "LMPOP 1 k d COUNT n", "LMPOP 2 k k d", "LMPOP 2 k k d COUNT n", "LMPOP c k k d COUNT"),
    *("SET s v", "DEL k", "TYPE k", "EXISTS k", "GET k", "APPEND k v", "LLEN s", "RPUSH s v", "LPOP s"),
    *("EXPIRE k 100", "RENAME k k", "COPY k k REPLACE", "OBJECT ENCODING e", "HGET k v", "STRLEN k"),
)
WORDS = {
    "k": [b"l1", b"l2", b"l3"],
    "s": [b"s1"],
    "e": [b"none"],
    "v": [b"a", b"b", b"c", b"", b"1", b"-5", b"text", b"\xfe\xff", b"\xfd", b"x" * 64, b"y" * 65],
    "n": [b"0", b"1", b"-1", b"2", b"-2", b"3", b"-4", b"7", b"-100", b"100", b"x", b"", b"01", b"1.5",
          b"9223372036854775807", b"-9223372036854775807", b"9223372036854775808", b"1" * 5000],
    "m": [b"0", b"1", b"-1", b"3", b"-4", b"100", b"-100", b"x", b""],  # Valkey 8 takes 2**63 - 1 for -1
    "r": [b"1", b"-1", b"2", b"-2", b"3", b"0", b"-3", b"9223372036854775807"],
    "c": [b"1", b"2", b"0", b"-1", b"x", b"3"],
    "d": [b"LEFT", b"RIGHT", b"left", b"Right", b"up"],
    "w": [b"BEFORE", b"AFTER", b"before", b"x"],
    "o": [b"RANK", b"COUNT", b"MAXLEN", b"rank", b"x"],
}  # fmt: skip


class DifferentialTests(SynchronousTestCase):
    def test_as_redis(self) -> None:
        for seed in range(30):
            pair = Pair(seed)
            try:
                self.compare(pair, Random(seed))
            finally:
                pair.close()

    def compare(self, pair: Pair, random: Random) -> None:
        if random.random() < 0.5:
            some = random.choices(WORDS["v"], k=random.choice((130, 2000)))
            self.assertEqual(*pair.run([b"RPUSH", b"l1", *some]))
        for command in commands_of(random, TEMPLATES, WORDS, 400):
            self.assertEqual(*pair.run(command), command)


def filled(count: int) -> KeyValueStore:
    """A store with the list `l` of so many elements, each its own number."""
    store = KeyValueStore()
    for start in range(0, count, 5000):
        run(store, [b"RPUSH", b"l", *map(b"%d".__mod__, range(start, min(start + 5000, count)))], False)
    return store


class ReplyTests(SynchronousTestCase):
    def test_nothing(self) -> None:
        """Two kinds of nil in RESP2: one for an element, one for a list of them."""
        store = filled(1)
        for text, expected in (
            ("LPOP none", None),
            ("LPOP none 1", NilArray()),
            ("LPOP none 0", NilArray()),
            ("LPOP l 0", []),
            ("LMPOP 2 none no LEFT", NilArray()),
            ("LMOVE none l LEFT LEFT", None),
            ("LINDEX none x", None),
            ("LPOS none x", None),
            ("LPOS none x COUNT 0", []),
            ("LRANGE none 0 -1", []),
        ):
            reply = run(store, words(text))[0]
            self.assertEqual((reply, type(reply)), (expected, type(expected)), text)

    def test_as_redis_7_2(self) -> None:
        """What the redis-server of the other tests, which is older, says otherwise."""
        client = Client()
        client("RPUSH l a b a")
        out_of_range = (
            "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807"
        )
        for text in ("LREM l -9223372036854775808 a", "LPOS l a RANK -9223372036854775808"):
            self.assertEqual(client(text), out_of_range)
        for index in (2**63 - 1, -(2**63), 2**32, 3, -4):
            self.assertEqual(client(f"LSET l {index} x"), "ERR index out of range")
        self.assertEqual(client("LRANGE l 0 -1"), words("a b a"))

    def test_keys(self) -> None:
        """COMMAND GETKEYS, and what the protocol is told, for all commands with several."""
        store = KeyValueStore()
        for text, keys, writes in (
            ("LMPOP 2 b a LEFT", "b a", "b a"),
            ("LMPOP 1 LEFT LEFT", "LEFT", "LEFT"),
            ("LMPOP 2 k k RIGHT COUNT 3", "k k", "k"),
            ("LMOVE b a LEFT RIGHT", "b a", "b a"),
            ("RPOPLPUSH a a", "a a", "a"),
            ("LPOP a 3", "a", "a"),
        ):
            self.assertEqual(keys_of(words(text)), words(keys), text)
            batch = store.batch([words(text)])
            self.assertEqual((sorted(batch.writes), batch.reads), (sorted(set(words(writes))), ()), text)

    def test_a_list_without_elements_is_gone(self) -> None:
        for count in (1, 200, 5000):
            for text in (
                f"LPOP l {count}", f"RPOP l {count + 7}", f"LMPOP 1 l LEFT COUNT {count}", "LTRIM l 5 4",
                f"LTRIM l {count} -1",
            ):  # fmt: skip
                store = filled(count)
                run(store, words(text))
                self.assertEqual(run(store, words("EXISTS l"))[0], 0, text)
                self.assertEqual(list(store.entries()), [], text)
            store = filled(count)
            for number in range(count):
                reply = run(
                    store, words(("LPOP l", "RPOP l", f"LREM l 0 {number}", "LMOVE l x LEFT LEFT")[count % 4])
                )
                self.assertIn(reply[0], (b"%d" % number, b"%d" % (count - 1 - number), 1))
            self.assertEqual(run(store, words("EXISTS l"))[0], 0)

    def test_an_error_changes_nothing(self) -> None:
        for count in (1, 200, 5000):
            store = filled(count)
            run(store, words("SET s text"))
            before = dict(store.entries())
            for text in (
                "LMOVE l s LEFT LEFT", "RPOPLPUSH l s", "LMOVE s l LEFT LEFT", f"LSET l {count} x",
                "LMPOP 3 none s l LEFT", "RPUSH s x", "LINSERT l BEFORE none x", "LREM l 0 none",
                "LTRIM l 0 -1", "RPUSHX none x",
            ):  # fmt: skip
                run(store, words(text))
                self.assertEqual(dict(store.entries()), before, text)


class BulkTests(SynchronousTestCase):
    KEYS = ("l0", "l1", "l2", "l3", "l4")
    SHAPES = ("LPUSH {} {}", "rpush {} {}", "LPOP {}", "RPOP {}")

    def test_as_one_by_one(self) -> None:
        """Batches of pushes and pops, which run all at once: replies, state, snapshots, and who is told."""
        bulk = 0
        for seed in range(150):
            random = Random(seed)
            one, other = KeyValueStore(), KeyValueStore(elements_per_step=1)
            length = random.choice((127, 128, 2000))
            for store in (one, other):
                store.use_clock(WallClock(time), lambda: 1)
                run(store, words("RPUSH l3 a b"))
                run(store, [b"RPUSH", b"l2", *[b"x"] * length])
                if seed % 4 == 0:
                    Space(store._state, Moment(0, 0, Everything())).expire(b"l3", 10**15)
                if seed % 5 == 0:
                    run(store, words("SET l4 text"))
            taken: list[Any] = []
            owner = Owner(0, b"1:1")
            for _ in range(random.randrange(1, 8)):
                shapes = random.sample(self.SHAPES, random.choice((1, 1, 2, 4)))
                texts = [random.choice(shapes) for _ in range(random.randrange(1, 14))]
                elements = [random.choice(("a", "b" * 70)) for _ in texts]
                batch = one.batch(
                    [
                        words(text.format(random.choice(self.KEYS), each))
                        for text, each in zip(texts, elements)
                    ]
                )
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


class StepTests(SynchronousTestCase):
    COUNT = 20_000

    def test_a_large_list_in_steps(self) -> None:
        """Whatever its commands are, and whoever reads."""
        small = filled(9)
        numbers = [b"%d" % number for number in range(self.COUNT)]
        for command in (
            *map(words, ("LRANGE l 0 -1", "LPOS l none", "LREM l 0 none", "LINSERT l AFTER none x")),
            *map(
                words, (f"LPOP l {self.COUNT}", f"RPOP l {self.COUNT}", f"LMPOP 1 l LEFT COUNT {self.COUNT}")
            ),
            *([b"LPUSH", b"l", *numbers], [b"RPUSHX", b"l", *numbers]),
            [b"LMPOP", b"20001", *numbers, b"l", b"LEFT"],
        ):
            store = filled(self.COUNT)
            if store.is_read(command[0]):
                self.assertGreater(read(store, command)[1], self.COUNT // 1100, command[:3])
            self.assertGreater(run(store, command)[1], self.COUNT // 1100, command[:3])
            if len(command) < 9:
                self.assertEqual(run(small, command)[1], 1)

    def test_a_step_for_each(self) -> None:
        """Of commands whose time depends on the list, not one step has several."""
        store = filled(1000)
        commands = [words("LRANGE l 0 -1")] * 20
        self.assertGreaterEqual(len(list(store.apply_in_steps(Ready(ID, store.batch(commands), True)))), 20)
        self.assertGreaterEqual(len(list(store.read_in_steps(commands))), 20)

    def test_a_large_list_is_freed_in_steps(self) -> None:
        """Whatever removes it: a plain SET, too, and a snapshot that was the last to have it."""
        for text in ("DEL l", "SET l 1", "FLUSHALL", "LTRIM l 3 4"):
            for with_snapshot in (False, True):
                store = filled(self.COUNT)
                free_all()
                snapshot = store.entries() if with_snapshot else ()
                steps = list(store.apply_in_steps(Ready(ID, store.batch([words(text)]), True)))
                if with_snapshot:
                    self.assertGreaterEqual(len(list(snapshot)), self.COUNT // 1024)
                    del snapshot
                    steps = list(store.apply_in_steps(Ready(ID, store.batch([words("SET x 1")]), True)))
                    steps += [None] * 5 if text.startswith("LTRIM") else []
                self.assertGreaterEqual(len(steps), 10 if with_snapshot else self.COUNT // 1024, text)

    def test_no_long_turn(self) -> None:
        """The longest step of a list of 1,000,000 elements, whatever is done with it."""
        store = filled(1_000_000)
        step = Steps(self)
        entries = store.entries()
        for text in (
            "LSET l 500000 x", "LPUSH l x", "RPOP l", "LINSERT l BEFORE 600000 x", "LINDEX l 400000",
            "LRANGE l 1000 500000", "LREM l -3 400001", "LPOS l 999998", "LPOS l x RANK -1 COUNT 0",
            "RPOP l 100000", "LMOVE l l LEFT RIGHT", "LLEN l", "COPY l m", "LTRIM m 300000 300100",
            "LMPOP 2 none l RIGHT COUNT 200000", "OBJECT ENCODING l", "MEMORY USAGE l", "DEL l",
        ):  # fmt: skip
            step.run(store, words(text))
        step.all_of("entries", iter(entries))
        step.check()


class StateTests(SynchronousTestCase):
    def test_a_replica_that_took_the_state(self) -> None:
        """It has the same entries, in which the order of the elements is, and answers the same ever after."""
        templates = [text for text in TEMPLATES if not text.startswith(("SET", "APPEND", "EXPIRE"))]
        templates += ["MEMORY USAGE k", "LREM k 1 v", "LINSERT k w v v"] * 3
        for seed in range(40):
            random = Random(seed)
            one = KeyValueStore()
            some = random.choices(WORDS["v"], k=random.choice((2, 100, 3000)))
            run(one, [b"RPUSH", b"l1", *some])
            for round in range(4):
                other = KeyValueStore()
                kept = list(one.entries())
                other.restore_in_parts([dict(kept[::2]), dict(kept[1::2])], [])
                for command in commands_of(random, templates, WORDS, 40):
                    with contextlib.suppress(CommandError):
                        one.check(command)
                        batch = one.batch([command])
                        replies = [store.apply([Ready(ID, batch, True)])[0][0] for store in (one, other)]
                        self.assertEqual(*map(repr, replies), f"seed {seed} {command!r}")
                self.assertEqual(sorted(one.entries()), sorted(other.entries()), f"seed {seed} round {round}")

    def test_snapshots_do_not_change(self) -> None:
        """Nor do replies that were given."""
        for count in (3, 300, 5000):
            store = filled(count)
            run(store, words("RPUSH other a b c"))
            before = list(store.entries())
            for wanted in (True, False):
                snapshot = store.entries()
                given = run(store, words("LRANGE l 0 -1"))[0]
                kept = list(given)
                for text in (
                    "LSET l 1 x", "LPUSH l y", "RPOP l", "LREM l 0 2", "LINSERT l AFTER x z", "LTRIM l 0 -2",
                    "LMOVE l other RIGHT LEFT", "RPUSH other b", "LMPOP 1 l LEFT",
                ):  # fmt: skip
                    run(store, words(text), wanted)
                self.assertEqual(sorted(snapshot), sorted(before))
                self.assertEqual(given, kept)
                before = list(store.entries())
                if count == 3:
                    break

    def test_due(self) -> None:
        """A list whose deadline has come is gone, and what is pushed then begins a new one."""
        site = Site()
        for text in ("LPUSH l x", "LPOP l", "LMOVE l m LEFT LEFT", "LMPOP 2 no l LEFT", "LTRIM l 0 0"):
            site("FLUSHALL")
            site("RPUSH l a b c")
            site("PEXPIRE l 5")
            site.clock.ms += 10
            site(text)
            self.assertEqual(site("LRANGE l 0 -1"), [b"x"] if "PUSH" in text else [], text)
            self.assertEqual(site("PTTL l"), -1 if "PUSH" in text else -2, text)

    def test_a_deadline_stays(self) -> None:
        site = Site()
        site("RPUSH l a b c d e f")
        site("PEXPIRE l 5000")
        for text in (
            "RPUSH l x",
            "LPOP l",
            "LMOVE l m LEFT LEFT",
            "LMPOP 2 no l LEFT",
            "LTRIM l 0 2",
            "LSET l 0 x",
        ):
            site(text)
            self.assertEqual(site("PTTL l"), 5000, text)
        self.assertEqual(site("PTTL m"), -1)

    def test_what_a_script_takes_back(self) -> None:
        site = Site()
        calls = (
            "'lpush',KEYS[1],'x'", "'rpop',KEYS[1],2", "'lset',KEYS[1],0,'z'",
            "'lmove',KEYS[1],KEYS[2],'left','right'", "'ltrim',KEYS[1],1,1", "'lpush','s'",
        )  # fmt: skip
        text = "".join(f"redis.call({call}) " for call in calls).encode()
        site.run([b"SCRIPT", b"LOAD", text])
        for count in (3, 3000):
            site.run([b"RPUSH", b"l", *map(b"%d".__mod__, range(count))])
            before = sorted(site.store.entries())
            self.assertIsInstance(site.run([b"EVAL", text, b"2", b"l", b"m"]), CommandError)
            self.assertEqual(sorted(site.store.entries()), before)
            site("DEL l")

    def test_nil_in_a_script(self) -> None:
        site = Site()
        text = (
            b"return {tostring(redis.call('lpop',KEYS[1],1)), tostring(redis.call('lmpop',1,KEYS[1],'left'))}"
        )
        self.assertEqual(site.run([b"EVAL", text, b"1", b"none"]), [b"false", b"false"])
