"""The commands on sets: beside a real Redis, by table, in steps, and after a transfer."""

from __future__ import annotations

import contextlib
from random import Random
from time import time
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import CommandError, Ready, ReplySet, RunAgain
from epaxos.resp.encoder import encode_replies
from epaxos.statemachines.redis.drawing import DRAWN_MAX
from epaxos.statemachines.redis.machine import KeyValueStore
from epaxos.statemachines.redis.marks import Owner
from epaxos.statemachines.redis.moment import Everything, Moment
from epaxos.statemachines.redis.named import LISTED_MAX
from epaxos.statemachines.redis.space import Space
from tests.statemachines.redis.against_redis import Pair, commands_of
from tests.statemachines.redis.lab import ID, Client, words
from tests.statemachines.redis.steps import Steps
from tests.statemachines.redis.test_hashes import free_all, read, run
from tests.statemachines.redis.test_transactions import Site, multi
from tests.statemachines.redis.wall_clock import WallClock

TEMPLATES = (
    *("SADD k m", "SADD k m m m", "SADD k m m m m m m", "SADD k", "SREM k m", "SREM k m m m", "SREM k"),
    *(
        "SISMEMBER k m",
        "SMISMEMBER k m m m",
        "SMISMEMBER k",
        "SCARD k",
        "SMEMBERS k",
        "SMEMBERS",
        "SMOVE k k m",
    ),
    *(
        "SMOVE k k m",
        "SMOVE k k",
        "SINTER k k [k]",
        "SUNION k k [k]",
        "SDIFF k k [k]",
        "SINTER k",
        "SDIFF k k k k",
    ),
    *(
        "SINTERSTORE k k k",
        "SUNIONSTORE k k [k]",
        "SDIFFSTORE k k [k]",
        "SINTERSTORE k",
        "SUNION",
        "SDIFFSTORE k",
    ),
    *("SINTERCARD n k k [LIMIT n]", "SINTERCARD 2 k k [LIMIT n]", "SINTERCARD 1 k k", "SINTERCARD 2 k"),
    *("SINTERCARD 2 k k LIMIT", "SINTERCARD 1 k LIMIT n LIMIT n", "SINTERCARD 1 k", "SINTERCARD 2 k k m m"),
    *("SPOP k 1000", "SPOP k e", "SPOP k 0", "SPOP k 1 m", "SRANDMEMBER k 1000", "SRANDMEMBER k e"),
    *(
        "SRANDMEMBER k 1 m",
        "SRANDMEMBER k 0",
        "SSCAN k 0 [COUNT 1000] [MATCH p]",
        "SSCAN k c",
        "SSCAN k 0 MATCH",
    ),
    *(
        "SSCAN k 0 COUNT n",
        "SSCAN k 0 LIMIT 1",
        "SET s m",
        "DEL k",
        "TYPE k",
        "EXISTS k",
        "GET k",
        "APPEND k m",
    ),
    *(
        "SET k m",
        "SMEMBERS s",
        "SADD s m",
        "HSET k m m",
        "RENAME k k",
        "COPY k k REPLACE",
        "SINTERSTORE s k k",
    ),
)
"""SPOP and SRANDMEMBER only where chance has no say."""
WORDS = {
    "k": [b"s1", b"s2", b"s3", b"s4"],
    "s": [b"t1"],
    "m": [b"m%d" % number for number in range(6)] + [b"", b"\xff\xfe\xfd", b"7", b"-3", b"long" * 20, b"07"],
    "n": [b"1", b"2", b"-1", b"9223372036854775807", b"-9223372036854775808", b"x", b"0", b"1.5", b"", b"01"],
    "e": [b"9223372036854775807", b"-9223372036854775808", b"x", b"0", b"1.5", b"", b"01"],
    "p": [b"m*", b"*", b"m[1-3]", b"?", b"m[^1]", b"\\m1", b"*o*g*", b""],
    "c": [b"0", b"x", b"-1", b"", b"18446744073709551615", b"18446744073709551616", b"1.5"],
}
UNORDERED = {b"SMEMBERS", b"SINTER", b"SUNION", b"SDIFF", b"SPOP", b"SRANDMEMBER", b"SSCAN"}


def settled(command: list[bytes], reply: object) -> object:
    """The reply, with its members in an order of their own."""
    if command[0] == b"SSCAN" and isinstance(reply, list):
        return [reply[0], sorted(reply[1])] if b"1000" in command else []  # part of the members
    return sorted(reply) if command[0] in UNORDERED and isinstance(reply, list) else reply


class DifferentialTests(SynchronousTestCase):
    def test_as_redis(self) -> None:
        for seed in range(25):
            pair = Pair(seed)
            try:
                self.compare(pair, Random(seed))
            finally:
                pair.close()

    def compare(self, pair: Pair, random: Random) -> None:
        choices = dict(WORDS)
        choices["m"] = [*WORDS["m"], *(b"more:%d" % number for number in range(random.choice((0, 0, 300))))]
        for command in commands_of(random, TEMPLATES, choices, 400):
            ours, theirs = pair.run(command)
            self.assertEqual(settled(command, ours), settled(command, theirs), command)

    def test_in_transactions_and_scripts(self) -> None:
        pair = Pair(7)
        self.addCleanup(pair.close)
        for command in commands_of(Random(7), TEMPLATES, WORDS, 300):
            if command[0] == b"SSCAN":
                continue
            call = [b"EVAL", b"return redis.pcall(unpack(KEYS))", b"%d" % len(command), *command]
            ours, theirs = pair.run(call)
            if isinstance(theirs, str):
                self.assertIn(str(ours).split(",")[0][:20], theirs, command)
            elif not isinstance(theirs, bytes):
                self.assertEqual(settled(command, ours), settled(command, theirs), command)

    def test_both_ways(self) -> None:
        """DUMP there and RESTORE here, and the other way round."""
        pair = Pair()
        self.addCleanup(pair.close)
        for count in (1, 5, 512, 513, 3000):
            for text in (b"%d", b"member:%d", b"-%d000000000000", b"x" * 70 + b"%d"):
                members = [text % (number * 7919 + 1) for number in range(count)]
                pair.run([b"DEL", b"s"])
                self.assertEqual(pair.run([b"SADD", b"s", *members]), (count, count))
                ours, theirs = pair.run([b"DUMP", b"s"])
                assert isinstance(ours, bytes) and isinstance(theirs, bytes)
                self.assertEqual(ours[0], theirs[0])
                if ours[0] == 11:
                    self.assertEqual(ours, theirs)
                self.assertEqual(str(pair.ours.run([[b"RESTORE", b"r", b"0", theirs, b"REPLACE"]])[0]), "OK")
                self.assertEqual(pair.theirs([b"RESTORE", b"r", b"0", ours, b"REPLACE"]), b"OK")
                found = [sorted(each) for each in pair.run([b"SMEMBERS", b"r"])]  # type: ignore[call-overload]
                self.assertEqual(found, [sorted(members)] * 2)

    def test_shapes_of_both_protocols(self) -> None:
        """Byte for byte, of sets whose order is no question."""
        texts = (
            *(
                "SADD a x",
                "SADD b x y",
                "SMEMBERS a",
                "SMEMBERS none",
                "SINTER a b",
                "SINTER a none",
                "SUNION a",
            ),
            *(
                "SUNION none",
                "SDIFF a b",
                "SDIFF b a",
                "SPOP none",
                "SPOP none 2",
                "SPOP a 0",
                "SRANDMEMBER a",
            ),
            *("SRANDMEMBER none", "SRANDMEMBER none 3", "SRANDMEMBER a 3", "SRANDMEMBER a -2", "SSCAN a 0"),
            *(
                "SSCAN none 0",
                "SISMEMBER a x",
                "SMISMEMBER a x y",
                "SMISMEMBER none x",
                "SCARD a",
                "SCARD none",
            ),
            *(
                "SINTERCARD 2 a b",
                "SINTERSTORE c a b",
                "SMOVE a b x",
                "SPOP b 1 1",
                "SADD a x",
                "SPOP a 1",
                "SPOP c",
            ),
        )
        pair = Pair()
        self.addCleanup(pair.close)
        for resp in (2, 3):
            pair.ours("FLUSHALL")
            link = pair.real.dial()
            self.addCleanup(link.close)
            link.sendall(b"FLUSHALL\r\nHELLO %d\r\nECHO begin\r\n" % resp)
            data = b""
            while not data.endswith(b"begin\r\n"):
                data += link.recv(65536)
            for text in texts:
                link.sendall(text.encode() + b"\r\n")
                theirs = link.recv(65536)
                found: Any = pair.ours(text)
                if isinstance(found, str):
                    found = CommandError(found)
                self.assertEqual(encode_replies([found], resp), theirs, text)


def filled(count: int) -> KeyValueStore:
    """A store with the set `s` of this number of members."""
    store = KeyValueStore()
    for start in range(0, count, 5000):
        members = [b"member:%d" % number for number in range(start, min(start + 5000, count))]
        run(store, [b"SADD", b"s", *members], False)
    return store


class ReplyTests(SynchronousTestCase):
    def test_encodings(self) -> None:
        client = Client()
        for members, expected in (
            ([b"1", b"2"], b"listpack"),
            ([b"x" * 64] + [b"%d" % number for number in range(127)], b"listpack"),
            ([b"x" * 65], b"hashtable"),
            ([b"%d" % number for number in range(129)], b"hashtable"),
            ([b"%d" % number for number in range(LISTED_MAX + 1)], b"hashtable"),
        ):
            client.run([[b"SADD", b"s", *members]])
            self.assertEqual(client("OBJECT ENCODING s"), expected)
            self.assertEqual(client("SCAN 0 TYPE set"), [b"0", [b"s"]])
            usage: Any = client("MEMORY USAGE s")
            self.assertTrue(sum(map(len, members)) < usage < 300 * (len(members) + 1))
            client("DEL s")

    def test_a_set_without_members_is_gone(self) -> None:
        for count in (1, 200, LISTED_MAX + 1):
            members = [b"member:%d" % number for number in range(count)]
            for command in (
                [b"SREM", b"s", *members, b"none"],
                [b"SPOP", b"s", b"%d" % count],
                words("SDIFFSTORE s s s"),
                words("SINTERSTORE s s none"),
                words("SUNIONSTORE s none"),
            ):
                store = filled(count)
                run(store, command)
                self.assertEqual(run(store, words("EXISTS s"))[0], 0)
                self.assertEqual(list(store.entries()), [], command[:2])
            store = filled(count)
            for member in members:
                run(store, [b"SMOVE", b"s", b"t", member])
            self.assertEqual(run(store, words("EXISTS s t"))[0], 1)

    def test_an_error_changes_nothing(self) -> None:
        client = Client()
        for text in ("SADD s a b", "SET x 1", "HSET h f v"):
            client(text)
        before = dict(client.store.entries())
        for text in (
            *("SMOVE s x a", "SMOVE x s a", "SADD x a", "SREM h f", "SPOP x 5", "SINTERSTORE s s x"),
            *(
                "SUNIONSTORE s x s",
                "SDIFFSTORE s s s h",
                "SINTERCARD 2 s x",
                "SMOVE s h a",
                "SUNIONSTORE x h",
            ),
        ):
            self.assertIn("WRONGTYPE", str(client(text)), text)
            self.assertEqual(dict(client.store.entries()), before, text)

    def test_what_is_stored_over_another_type_has_no_deadline(self) -> None:
        site = Site()
        for text in ("SADD a 1 2", "SET t x PX 1000", "SADD u 5"):
            site(text)
        site("PEXPIRE u 1000")
        for text in ("SUNIONSTORE t a", "SINTERSTORE u a a"):
            self.assertEqual(site(text), 2)
        self.assertEqual([site(text) for text in ("PTTL t", "PTTL u", "TYPE t")], [-1, -1, "set"])
        site("PEXPIRE t 1000")
        site("SADD t 9")
        self.assertGreater(site("PTTL t"), 0)  # type: ignore[type-var]


class OperationTests(SynchronousTestCase):
    def test_as_sets_of_python(self) -> None:
        """Of all forms, with the same one several times, and with its own result as a source."""
        for seed in range(40):
            random = Random(seed)
            client = Client()
            plain: dict[bytes, set[bytes]] = {}
            for number in range(4):
                count = random.choice((0, 3, 100, 300, 1500, LISTED_MAX + 200))
                members = random.sample([b"%d" % each for each in range(2 * count + 50)], count)
                plain[b"s%d" % number] = set(members)
                if members:
                    client.run([[b"SADD", b"s%d" % number, *members]])
            for _ in range(8):
                keys = random.choices(list(plain), k=random.randrange(1, 5))
                name, combine = random.choice(
                    [(b"SINTER", set.intersection), (b"SUNION", set.union), (b"SDIFF", set.difference)]
                )
                expected = combine(*(plain[key] for key in keys))
                found: Any = client.run([[name, *keys]])[0]
                self.assertEqual(len(found), len(expected), f"seed {seed}")
                self.assertEqual(set(found), expected, f"seed {seed}")
                limit = random.choice((0, 1, 50, 10_000))
                card = [b"SINTERCARD", b"%d" % len(keys), *keys, b"LIMIT", b"%d" % limit]
                common = len(set.intersection(*(plain[key] for key in keys)))
                self.assertEqual(client.run([card]), [min(common, limit or common)])
                target = random.choice(list(plain))
                self.assertEqual(client.run([[name + b"STORE", target, *keys]]), [len(expected)])
                plain[target] = expected
                for key, members in plain.items():
                    held: Any = client.run([[b"SMEMBERS", key]])[0]
                    self.assertEqual((len(held), set(held)), (len(members), members), f"seed {seed}")

    def test_what_is_stored_changes_alone(self) -> None:
        for count in (3, 300, LISTED_MAX + 300):
            store = filled(count)
            run(store, words("SUNIONSTORE u s"))
            run(store, words("SDIFFSTORE d s none"))
            for text in ("SADD s new", "SREM u member:1", "SPOP d 2", "SMOVE s d new"):
                run(store, words(text))
            sizes = [run(store, words(f"SCARD {key}"))[0] for key in "sud"]
            self.assertEqual(sizes, [count, count - 1, count - 1])
            self.assertEqual(run(store, words("SMISMEMBER s member:1 new"))[0], [1, 0])

    def test_a_step_is_short(self) -> None:
        """Whatever sets there are: one large, several, and many small ones."""
        store = filled(60_000)
        run(store, words("COPY s t"))
        run(store, words("SADD t x"))
        for number in range(2000):
            run(store, [b"SADD", b"small:%d" % number, b"x", b"member:5"], False)
        many = [b"small:%d" % number for number in range(2000)]
        step = Steps(self)
        for command in (
            *map(words, ("SINTER s t", "SUNION s t", "SDIFF t s", "SDIFF s t", "SINTERSTORE u s t")),
            *map(
                words, ("SUNIONSTORE u t s", "SDIFFSTORE u t small:1", "SINTERCARD 2 s t", "SDIFF s small:1")
            ),
            *([b"SINTER", *many], [b"SUNION", *many, b"s"], [b"SDIFF", b"s", *many]),
            [b"SINTERCARD", b"2000", *many],
        ):
            self.assertGreater(step.run(store, command), 30, command[:3])
        step.check()


class BulkTests(SynchronousTestCase):
    def test_as_one_by_one(self) -> None:
        """Batches of SADDs, which a bulk operation applies: replies, state, snapshots, and who is told."""
        bulk = 0
        for seed in range(150):
            random = Random(seed)
            one, other = KeyValueStore(), KeyValueStore(elements_per_step=1)
            taken: list[Any] = []
            for store in (one, other):
                store.use_clock(WallClock(time), lambda: 1)
                run(store, words("SADD s3 a"))
                if seed % 4 == 0:
                    Space(store._state, Moment(0, 0, Everything())).expire(b"s3", 10**15)
                if seed % 5 == 0:
                    run(store, words("SET s4 text"))
            owners = [Owner(0, b"1:%d" % number) for number in range(5)]
            for _ in range(random.randrange(1, 6)):
                keys = [b"s%d" % random.randrange(5) for _ in range(random.randrange(1, 12))]
                names = [random.choice((b"m%d" % random.randrange(5), b"n" * 70)) for _ in keys]
                batch = one.batch([[b"sadd", key, name] for key, name in zip(keys, names)])
                before = sorted(one.entries())
                if random.random() < 0.3:
                    taken.append((one.entries(), before))
                for store in (one, other):
                    for number, owner in enumerate(owners):
                        store._state.watch(owner, [(0, b"s%d" % number)])
                wanted = random.random() < 0.7
                steps = [list(store.apply_in_steps(Ready(ID, batch, wanted))) for store in (one, other)]
                bulk += len(steps[0]) == 1 < len(steps[1])
                replies = [next(found for found in some if found is not None) for some in steps]
                self.assertEqual(*map(repr, map(list, replies)), f"seed {seed}")
                clean = [[store._state.take_mark(owner) for owner in owners] for store in (one, other)]
                self.assertEqual(*clean, f"seed {seed}: who is told")
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
        """Two replicas draw and remove the same; another seed draws something else."""
        for count in (5, 1000, LISTED_MAX + 5):
            for text in ("SRANDMEMBER s 3", "SRANDMEMBER s -9", "SRANDMEMBER s", "SPOP s", "SPOP s 4"):
                stores = [self.seeded(count, seed) for seed in (1, 1, *range(2, 20))]
                drawn = [run(store, words(text))[0] for store in stores]
                self.assertEqual(drawn[0], drawn[1])
                self.assertEqual(dict(stores[0].entries()), dict(stores[1].entries()))
                self.assertGreater(len({repr(one) for one in drawn}), 2)

    def test_what_is_drawn(self) -> None:
        for count in (1, 5, 1000, LISTED_MAX + 5):
            for number in (1, 2, count, count + 5, max(1, count - 1), count // 2 + 1):
                store = self.seeded(count, 7)
                members = set(run(store, words("SMEMBERS s"))[0])
                names = run(store, words(f"SRANDMEMBER s {number}"))[0]
                self.assertEqual((len(names), len(set(names))), (min(number, count),) * 2)
                again = run(store, words(f"SRANDMEMBER s -{number}"))[0]
                self.assertEqual(len(again), number)
                popped = run(store, words(f"SPOP s {number}"))[0]
                self.assertIs(type(popped), ReplySet)
                self.assertEqual((len(popped), len(set(popped))), (min(number, count),) * 2)
                for found in (names, again, popped):
                    self.assertLessEqual(set(found), members)
                self.assertEqual(set(run(store, words("SMEMBERS s"))[0]), members - set(popped))

    def test_every_member_is_as_likely(self) -> None:
        random = Random(5)
        for text, each in (
            ("SRANDMEMBER s -12000", 1000),
            ("SPOP s 4", 4),
            ("SPOP s", 1),
            ("SRANDMEMBER s", 1),
        ):
            counts = dict.fromkeys((b"member:%d" % number for number in range(12)), 0)
            store = filled(12)
            store.use_clock(WallClock(time), lambda: random.getrandbits(64))
            run(store, words("COPY s all"))
            for _ in range(12_000 // (12 * each if each > 4 else each)):
                run(store, words("COPY all s REPLACE"))
                found = run(store, words(text))[0]
                for name in found if isinstance(found, list) else [found]:
                    counts[name] += 1
            self.assertEqual(sum(counts.values()), 12_000)
            for name, number in counts.items():
                self.assertLess(abs(number - 1000), 150, f"{text} {name!r}")

    def test_bounds(self) -> None:
        client = Client()
        client("SADD s a")
        self.assertEqual(client(f"SRANDMEMBER s {-DRAWN_MAX - 1}"), "ERR value is out of range")
        self.assertEqual(len(client(f"SRANDMEMBER s {-DRAWN_MAX // 100}")), DRAWN_MAX // 100)  # type: ignore[arg-type]


class StepTests(SynchronousTestCase):
    COUNT = 20_000

    def test_a_large_set_in_steps(self) -> None:
        members = [b"member:%d" % number for number in range(self.COUNT)]
        for command in (
            *map(
                words,
                ("SMEMBERS s", f"SRANDMEMBER s {self.COUNT // 2}", "SRANDMEMBER s -9000", "SPOP s 9000"),
            ),
            *map(words, (f"SPOP s {self.COUNT}", f"SRANDMEMBER s {self.COUNT}")),
            *([b"SADD", b"s", *members], [b"SREM", b"s", *members], [b"SMISMEMBER", b"s", *members]),
        ):
            store = filled(self.COUNT)
            if store.is_read(command[0]):
                self.assertGreater(read(store, command)[1], 8, command[:3])
            self.assertGreater(run(store, command)[1], 8, command[:3])

    def test_no_long_turn(self) -> None:
        """The longest step of a set of 300,000 members, whatever is done with it."""
        store = filled(300_000)
        free_all()
        step = Steps(self)
        entries = store.entries()
        for text in (
            *(
                "SMEMBERS s",
                "SRANDMEMBER s 200000",
                "SRANDMEMBER s -500000",
                "SSCAN s 0 COUNT 5000",
                "SADD s new",
            ),
            *(
                "SREM s member:7",
                "SPOP s",
                "SPOP s 1000",
                "SCARD s",
                "SISMEMBER s new",
                "SUNIONSTORE t s",
                "DEL s",
            ),
        ):
            step.run(store, words(text))
        step.all_of("entries", iter(entries))
        step.check()


class StateTests(SynchronousTestCase):
    def test_a_replica_that_took_the_state(self) -> None:
        """It has the same entries, in which the order of the members is, and answers the same ever after."""
        templates = [text for text in TEMPLATES if not text.startswith(("SET", "APPEND"))]
        templates += ["SPOP k", "SPOP k 3", "SRANDMEMBER k 2", "SRANDMEMBER k -4"]
        choices = {**WORDS, "m": [b"m%d" % number for number in range(400)] + WORDS["m"]}
        for seed in range(30):
            random = Random(seed)
            one = KeyValueStore()
            one.use_clock(WallClock(time), lambda: random.getrandbits(64))  # noqa: B023
            count = random.choice((2, 6, 250, LISTED_MAX + 40))
            run(one, [b"SADD", b"s1", *(b"m%d" % number for number in range(count))])
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
        for count in (3, 300, LISTED_MAX + 300):
            store = filled(count)
            before = list(store.entries())
            for wanted in (True, False):
                snapshot = store.entries()
                given = run(store, words("SMEMBERS s"))[0]
                kept = list(given)
                for text in ("SADD s new", "SREM s member:2", "SPOP s", "SMOVE s t member:1", "SUNION s t"):
                    run(store, words(text), wanted)
                self.assertEqual(sorted(snapshot), sorted(before))
                self.assertEqual(given, kept)
                before = list(store.entries())

    def test_a_scan_goes_on_at_another_replica(self) -> None:
        store = filled(2000)
        other = KeyValueStore()
        other.restore(dict(store.entries()), [])
        found: list[bytes] = []
        cursor, calls = b"0", 0
        while calls == 0 or cursor != b"0":
            cursor, items = read((store, other)[calls % 2], [b"SSCAN", b"s", cursor, b"MATCH", b"*1*"])[0]
            found += items
            calls += 1
        self.assertEqual(sorted(found), sorted(b"member:%d" % n for n in range(2000) if "1" in str(n)))


class DueTests(SynchronousTestCase):
    def test_sources_that_are_due(self) -> None:
        """Where something is stored they are removed on the spot: what comes behind stays the later one."""
        for text, size in (("SUNIONSTORE t a b", 1), ("SDIFFSTORE t b a", 1), ("SINTERSTORE t a b", 0)):
            site = Site()
            for each in ("SADD a 1 2", "SADD b 3", "PEXPIRE a 5", "SADD t 9"):
                site(each)
            site.clock.ms += 10
            batch = site.store.batch([words(text), words("SADD t later")])
            self.assertEqual(list(site.store.apply([Ready(ID, batch, True)])[0]), [size, 1])
            self.assertEqual([site("EXISTS a"), site("SCARD t")], [0, size + 1])

    def test_moves_from_and_to_what_is_due(self) -> None:
        for key, moved, left in (("a", 0, 1), ("b", 1, 1)):
            site = Site()
            for each in ("SADD a 1", "SADD b 2", f"PEXPIRE {key} 5"):
                site(each)
            site.clock.ms += 10
            self.assertEqual([site("SMOVE a b 1"), site("SCARD b")], [moved, left])

    def test_who_only_reads_comes_again(self) -> None:
        for text, expected in (("SINTER a b", []), ("SUNION a b", [b"3"]), ("SDIFF b a", [b"3"])):
            site = Site()
            for each in ("SADD a 1 2", "SADD b 3", "PEXPIRE a 5"):
                site(each)
            site.clock.ms += 10
            again = site(text)
            assert isinstance(again, RunAgain)
            site.run(again.first)
            self.assertEqual([site(text), site("DBSIZE")], [expected, 1])


class TransactionTests(SynchronousTestCase):
    def test_what_changes_nothing_dirties_nothing(self) -> None:
        """As Redis: a WATCH notices members that are new or gone, and nothing else."""
        owner = Owner(1, b"life:9")
        for text, is_clean in (
            *(("SADD k a", True), ("SADD k b", False), ("SREM k x", True), ("SREM k a", False)),
            *(("SMOVE k j x", True), ("SMOVE k j a", False), ("SPOP k 0", True), ("SPOP k", False)),
            *(
                ("SMEMBERS k", True),
                ("SUNION k j", True),
                ("SINTERSTORE k k j", False),
                ("SMOVE k k a", True),
            ),
        ):
            for others in ((), ("SADD other x",)):  # alone, and in a batch of its shape
                site = Site()
                site("SADD k a")
                site.store._state.watch(owner, [(0, b"k")])
                batch = site.store.batch([*map(words, others), words(text)])
                site.store.apply([Ready(ID, batch, True)])
                self.assertEqual(site.store._state.take_mark(owner), is_clean, text)

    def test_in_one_transaction(self) -> None:
        site = Site()
        replies = site.run(
            multi(
                "SADD k a b", "SADD l b", "SINTERSTORE k k l", "SPOP k", "EXISTS k", "SADD s 1", "SMOVE s l 1"
            )
        )
        self.assertEqual(replies, [2, 1, 1, b"b", 0, 1, 1])
        self.assertEqual(site.run(multi("SINTER l l", "SMEMBERS l", database=0)), [[b"b", b"1"]] * 2)

    def test_undone_with_its_script(self) -> None:
        """Whatever a script did before its error, in the middle of sets that others share."""
        for count in (3, 300, LISTED_MAX + 10):
            store = filled(count)
            store.use_clock(WallClock(time), lambda: 5)
            run(store, words("SUNIONSTORE u s"))
            before = sets_of(store)
            calls = ["SADD s new", "SPOP s 2", "SMOVE s u new", "SDIFFSTORE s u s", "SUNIONSTORE v s u"]
            steps = [b"redis.call('%b')" % b"','".join(words(call)) for call in calls]
            text = b" ".join([*steps, b"error('no')"])
            reply, _ = run(store, [b"EVAL", text, b"3", b"s", b"u", b"v"])
            self.assertIsInstance(reply, CommandError)
            self.assertEqual(sets_of(store), before)


def sets_of(store: KeyValueStore) -> dict[bytes, list[bytes]]:
    """The sets of a store, without its table of scripts."""
    return {key: run(store, [b"SMEMBERS", key])[0] for key in run(store, words("KEYS *"))[0]}
