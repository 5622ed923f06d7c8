"""`maxmemory`: what is measured, refused, and removed; and that the state depends on none of it."""

from __future__ import annotations

from itertools import count
from random import Random

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from epaxos.interfaces import CommandError, Ready
from epaxos.interfaces.memory import OOM, IMemoryBound
from epaxos.statemachines.redis.machine import KeyValueStore
from epaxos.statemachines.redis.memory_bound import LOOKED_AT_MAX, WINDOW_KEYS
from epaxos.statemachines.redis.recent import GENERATIONS, NAMES_MIN, Recent
from epaxos.statemachines.redis.sizes import LARGE
from tests.statemachines.redis.lab import ID, Client, words
from tests.statemachines.redis.wall_clock import WallClock


class Site(Client):
    """A store with a clock and chance, and with all of the commands that are proposed for it run at once."""

    def __init__(self, seed: int = 1) -> None:
        super().__init__()
        self.now_s = 1_000_000.0
        random = Random(seed)
        self.store.use_clock(WallClock(lambda: self.now_s), lambda: random.getrandbits(64))

    def set(self, *settings: str) -> object:
        reply = self.run_unchecked([[b"\0CONFIG", *map(str.encode, settings)]])[0]
        self.measure()
        return str(reply) if isinstance(reply, CommandError) else reply

    def run_unchecked(self, commands: list[list[bytes]]) -> list[object]:
        return list(self.store.apply([Ready(ID, self.store.batch(commands), True)])[0])

    def measure(self) -> None:
        """Look at all keys."""
        meter = self.store.bound._meter
        for _ in range(2):
            self.store.bound.measure()
            while meter._next:
                self.store.bound.measure()

    def fill(self, keys: range, size: int = 1000, more: str = "") -> None:
        for key in keys:
            self(f"SET key:{key} {'v' * size} {more}")

    def evict(self) -> int:
        """Remove keys until nothing is over; how many turns it took."""
        for turn in count():
            commands = self.store.bound.take_evictions()
            if not commands or turn > 1000:
                return turn
            self.run_unchecked(list(map(list, commands)))
            self.measure()
        raise AssertionError

    @property
    def used(self) -> int:
        return self.store.bound.use().used_bytes or 0


class SettingTests(SynchronousTestCase):
    def test_what_is_set(self) -> None:
        site = Site()
        for given, kept in (
            ("0", "0"), ("100", "100"), ("1k", "1000"), ("1kb", "1024"), ("50mb", str(50 * 2**20)),
            ("50M", "50000000"), ("2Gb", str(2 * 2**30)), ("1g", "1000000000"), ("7b", "7"),
        ):  # fmt: skip
            self.assertEqual(site.set("maxmemory", given), "OK", given)
            self.assertEqual(site.store.bound.use().settings["maxmemory"], kept)
        site.set("MaxMemory-Policy", "AllKeys-LRU", "maxmemory-samples", "10")
        self.assertEqual(
            dict(site.store.bound.use().settings),
            {
                "maxmemory": "7",
                "maxmemory-policy": "allkeys-lru",
                "maxmemory-samples": "10",
                "notify-keyspace-events": "",
            },
        )

    def test_what_is_wrong(self) -> None:
        """As in Redis; and nothing is set when anything is wrong."""
        site = Site()
        policies = "volatile-lru, volatile-random, volatile-ttl, allkeys-lru, allkeys-random, noeviction"
        for name, given, why in (
            *(
                ("maxmemory", given, "argument must be a memory value")
                for given in (
                    "x", "1kx", "-1", "9" * 5000, "9999999999gb", "1.5mb", "9223372036854775808", "", "1 mb"
                )
            ),
            ("maxmemory-policy", "foo", f"argument(s) must be one of the following: {policies}"),
            ("maxmemory-policy", "allkeys-lfu",
             "no replica counts how often a key is used: take allkeys-lru or volatile-lru"),
            ("maxmemory-samples", "0", "argument must be between 1 and 2147483647 inclusive"),
            ("maxmemory-samples", "9" * 5000, "argument couldn't be parsed into an integer"),
        ):  # fmt: skip
            error = f"ERR CONFIG SET failed (possibly related to argument '{name}') - {why}"
            self.assertEqual(site.set("maxmemory", "5", name, given) if name != "maxmemory" else
                             site.set(name, given), error, given)  # fmt: skip
            self.assertEqual(site.store.bound.use().settings["maxmemory"], "0")
        for given, error in (
            ("maxmemory 5 maxmemory 6",
             "ERR CONFIG SET failed (possibly related to argument 'maxmemory') - duplicate parameter"),
            ("maxmemory 5 foo 6", "ERR Unknown option or number of arguments for CONFIG SET - 'foo'"),
            ("maxmemory 5 foo", "ERR wrong number of arguments for 'config|set' command"),
        ):  # fmt: skip
            self.assertEqual(site.set(*given.split()), error, given)
            self.assertEqual(site.store.bound.use().settings["maxmemory"], "0")

    def test_they_are_a_part_of_the_state(self) -> None:
        """What differs from the default."""
        site, again = Site(), Site()
        before = dict(site.store.entries())
        site.set("maxmemory", "1gb", "maxmemory-policy", "volatile-ttl")
        again.store.restore(dict(site.store.entries()), ())
        self.assertEqual(again.store.bound.use().settings, site.store.bound.use().settings)
        site("FLUSHALL")
        self.assertEqual(site.store.bound.use().settings, again.store.bound.use().settings)
        site.set("maxmemory", "0", "maxmemory-policy", "noeviction")
        self.assertEqual(dict(site.store.entries()), before)

    def test_the_interface(self) -> None:
        verifyObject(IMemoryBound, Site().store.bound)


class MeasureTests(SynchronousTestCase):
    def test_it_is_what_memory_usage_says(self) -> None:
        """Of strings, keys with deadlines, small and large hashes, in some databases, within a tenth."""
        site = Site()
        site.set("maxmemory", "1gb")
        keys: list[tuple[int, str]] = []

        def run(number: int, text: str) -> None:
            site.run_unchecked([[b"\0IN", b"%d" % number, *words(text)]])
            keys.append((number, text.split()[1]))

        for number in (0, 3):
            for index in range(300):
                run(number, f"SET s{index} {'v' * (index * 10 + 1)}")
                run(number, f"SET d{index} {'v' * 20} EX 100")
                run(number, f"HSET h{index} " + " ".join(f"f{n} value" for n in range(index % 40 + 1)))
            for index in range(5):
                fields = " ".join(f"field{n} {'v' * 50}" for n in range(LARGE * 2))
                run(number, f"HSET large{index} {fields}")
        site.measure()
        told = sum(
            int(site.run_unchecked([[b"\0IN", b"%d" % number, b"MEMORY", b"USAGE", key.encode()]])[0])  # type: ignore[call-overload]
            for number, key in keys
        )
        self.assertLess(abs(site.used - told), told / 10)
        for number in (0, 3):
            site.run_unchecked([[b"\0IN", b"%d" % number, b"FLUSHDB"]])
        site.measure()
        self.assertEqual(site.used, 0)

    def test_between_two_looks_the_number_of_keys_counts(self) -> None:
        site = Site()
        site.set("maxmemory", "1gb")
        site.fill(range(2000), 100)
        site.measure()
        full = site.used
        for key in range(1000):
            site(f"DEL key:{key}")
        self.assertLess(abs(site.store.bound._meter.used_bytes() - full / 2), full / 20)

    def test_without_a_bound_nothing_is_measured(self) -> None:
        site = Site()
        site.fill(range(10))
        site.measure()
        self.assertEqual(
            (site.used, site.store.bound.is_bounded, site.store.bound.is_watching), (0, False, False)
        )
        site.set("maxmemory", "1gb")
        self.assertTrue(site.used)
        site.set("maxmemory", "0")
        self.assertEqual((site.used, site.store.bound.is_bounded), (0, False))


class RefusalTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.site = Site()
        self.site("HSET h f 1")
        self.site.fill(range(100))
        self.site.set("maxmemory", "50kb")

    def test_what_may_need_memory(self) -> None:
        for text in (
            "SET k v",
            "set k v ex 10",
            "SETEX k 10 v",
            "HSET h f v",
            "INCR n",
            "APPEND k v",
            "MSET k v",
        ):
            self.assertEqual(self.site(text), OOM, text)
            name = words(text)[0]
            self.assertFalse(self.site.store.is_valid_shape(name, 3), text)
        for text, reply in (
            ("GET key:1", b"v" * 1000), ("DEL key:1", 1), ("EXPIRE key:2 10", 1), ("HGET h f", b"1"),
            ("HDEL h f", 1), ("GETDEL key:3", b"v" * 1000), ("RENAME key:4 a", "OK"),
        ):  # fmt: skip
            self.assertEqual(self.site(text), reply, text)

    def test_until_there_is_room(self) -> None:
        for key in range(60):
            self.site(f"DEL key:{key}")
        self.site.measure()
        self.assertEqual(self.site("SET k v"), "OK")
        self.assertTrue(self.site.store.is_valid_shape(b"SET", 3))

    def test_what_was_proposed_before_runs(self) -> None:
        """Refusals are of replicas, not of the state."""
        self.assertEqual(self.site.run_unchecked([words("SET k v")]), ["OK"])

    def script(self, text: str, *keys: str) -> object:
        command = [b"EVAL", text.encode(), b"%d" % len(keys), *map(str.encode, keys)]
        reply = self.site.run([command])[0]
        return str(reply)

    def test_scripts(self) -> None:
        """As in Redis: the first write decides, a shebang needs a flag."""
        for text, reply in (
            ("return redis.call('set', KEYS[1], 1)", OOM),
            ("redis.call('del', KEYS[1]) return redis.call('set', KEYS[1], 1)", "OK"),
            ("return redis.pcall('set', KEYS[1], 1)['err']", OOM.encode()),
            ("return redis.call('get', KEYS[1])", b"1"),
            ("#!lua\nreturn 1", OOM),
            ("#!lua flags=no-writes\nreturn 1", 1),
            ("#!lua flags=allow-oom\nreturn redis.call('set', KEYS[1], 2)", "OK"),
        ):
            for _ in range(2):  # the second time the table has it
                found = self.script(text, "k")
                self.assertTrue(
                    found == str(reply) or found.startswith(f"{reply} script:"), f"{text}: {found}"
                )

    def test_scripts_with_undeclared_keys_and_in_transactions(self) -> None:
        text = b"return redis.call('set', ARGV[1], 1)"
        command = [b"EVAL", text, b"0", b"k"]
        for made in (command, [b"EVALSHA", b"0" * 40, b"0"]):
            self.assertEqual(self.site.store.batch([made]).commands, 1)
        queued = [
            b"\0EXEC",
            b"0",
            b"",
            b"0",
            b"0",
            b"5",
            b"EVAL",
            b"return redis.call('set', KEYS[1], 1)",
            b"1",
        ]
        reply = self.site.run_unchecked([[*queued, b"k", b"x"]])[0]
        self.assertIn(OOM, str(reply))
        self.assertEqual(self.site("EXISTS k"), 0)


class EvictionTests(SynchronousTestCase):
    def filled(self, policy: str, more: str = "") -> Site:
        site = Site()
        site.set("maxmemory", "1mb", "maxmemory-policy", policy, "maxmemory-samples", "10")
        site.fill(range(2000), 1000, more)
        site.measure()
        return site

    def test_down_to_the_bound(self) -> None:
        for policy, more in (("allkeys-lru", ""), ("allkeys-random", ""), ("volatile-lru", "EX 1000"),
                             ("volatile-random", "EX 1000"), ("volatile-ttl", "EX 1000")):  # fmt: skip
            site = self.filled(policy, more)
            self.assertTrue(site.store.bound.is_full, "far over: new ones are refused until it is better")
            self.assertLess(site.evict(), 20)
            keys = site("DBSIZE")
            assert isinstance(keys, int)
            self.assertTrue(700 < keys < 1000, f"{policy}: {keys}")
            self.assertEqual(site.store.bound.evicted(), 2000 - keys)
            self.assertEqual(site("SET k v"), "OK")

    def test_the_least_recently_used(self) -> None:
        """Most of the keys that were read or written lately stay."""
        site = self.filled("allkeys-lru")
        site.store.bound.is_full = False
        for key in range(400):
            site.store.read([[b"GET", b"key:%d" % key]])
        for key in range(400, 600):
            site(f"APPEND key:{key} x")
        site.evict()
        left = sum(int(bool(site(f"EXISTS key:{key}"))) for key in range(600))
        self.assertGreater(left, 590)

    def test_the_nearest_deadlines(self) -> None:
        site = Site()
        site.set("maxmemory", "1mb", "maxmemory-policy", "volatile-ttl", "maxmemory-samples", "10")
        for key in range(2000):
            site(f"SET key:{key} {'v' * 1000} EX {1000 + key}")
        site.measure()
        site.evict()
        left = [key for key in range(2000) if site(f"EXISTS key:{key}")]
        self.assertGreater(sum(left) / len(left), 1300)

    def test_keys_without_a_deadline_stay(self) -> None:
        """With volatile-lru they are refused, as with noeviction, when no others are left."""
        site = self.filled("volatile-lru")
        site.set("maxmemory", "0")
        site.fill(range(100), 1000, "EX 1000")
        site.set("maxmemory", "1mb")
        site.evict()
        self.assertEqual((site("DBSIZE"), site("SET k v")), (1900, OOM))
        for key in range(100, 1400):
            site(f"DEL key:{key}")
        site.measure()
        self.assertEqual(site("SET k v"), "OK")

    def test_a_look_for_keys_is_bounded(self) -> None:
        """However many keys each sample looks at, and where no key has a deadline."""
        site = Site()
        site.fill(range(3000), 10)
        site.set("maxmemory", "1", "maxmemory-policy", "allkeys-lru", "maxmemory-samples", "64")
        (command, *others) = site.store.bound.take_evictions()
        keys = sum(len(each) // 2 - 1 for each in (command, *others))
        self.assertLessEqual(keys, LOOKED_AT_MAX // 64 + WINDOW_KEYS)
        self.assertGreater(keys, 0)
        site.set("maxmemory-policy", "volatile-lru")
        looks: list[object] = []
        self.patch(site.store.bound, "_window", lambda *given: looks.append(given) or [])
        self.assertEqual((list(site.store.bound.take_evictions()), looks), ([], []))

    def test_what_the_command_does(self) -> None:
        """What is still there, whatever the memory is, and with a deadline only where that is asked for."""
        site = Site()
        for text in ("SET a 1", "SET b 1 EX 10", "SET c 1"):
            site(text)
        places = [b"0", b"a", b"0", b"b", b"0", b"none", b"3", b"c"]
        self.assertEqual(site.run_unchecked([[b"\0EVICT", b"1", *places]]), [1])
        self.assertEqual((site("EXISTS a b c"), site.store.bound.evicted()), (2, 1))
        self.assertEqual(site.run_unchecked([[b"\0EVICT", b"0", *places]]), [1])
        self.assertEqual(site("EXISTS a b c"), 1)
        many = [word for number in range(5000) for word in (b"0", b"k%d" % number)]
        site.run_unchecked([[b"SET", b"k%d" % number, b"v"] for number in range(5000)])
        self.assertEqual(site.run_unchecked([[b"\0EVICT", b"0", *many]]), [5000])

    def test_other_databases(self) -> None:
        site = Site()
        site.set("maxmemory", "100kb", "maxmemory-policy", "allkeys-lru")
        for key in range(500):
            site.run_unchecked([[b"\0IN", b"7", b"SET", b"key:%d" % key, b"v" * 1000]])
        site.measure()
        site.evict()
        self.assertTrue(60 < site.store.keyspace()[7][0] < 100)

    def test_a_mark_becomes_dirty(self) -> None:
        """As in Redis."""
        site = Site()
        site("SET a 1")
        site.run_unchecked([[b"\0WATCH", b"0", b"life", b"0", b"a"]])
        site.run_unchecked([[b"\0EVICT", b"0", b"0", b"a"]])
        reply = site.run_unchecked([[b"\0EXEC", b"0", b"life", b"1", b"0", b"a", b"0", b"2", b"GET", b"a"]])
        self.assertEqual(reply, [None])

    def test_no_client_can_send_it(self) -> None:
        for name in (b"\0EVICT", b"\0CONFIG", b"\0FULL"):
            self.assertRaises(CommandError, KeyValueStore().check, [name, b"0", b"0", b"a"])


class RecentTests(SynchronousTestCase):
    def test_ages(self) -> None:
        recent = Recent()
        recent.touch([b"old"])
        for generation in range(GENERATIONS + 1):
            age = min(generation, GENERATIONS)
            self.assertEqual((recent.age(b"old"), recent.age(b"none")), (age, GENERATIONS))
            recent.touch(b"%d-%d" % (generation, number) for number in range(NAMES_MIN))
        recent.touch([b"old"])
        self.assertEqual(recent.age(b"old"), 0)
