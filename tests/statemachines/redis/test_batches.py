"""Batches of the key-value store: their keys, and bulk operations like single commands."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import Ready, SimpleString
from epaxos.protocol.values.messages import Batch
from epaxos.statemachines.redis.machine import KeyValueStore
from tests.statemachines.redis.lab import ID, Client, words

OK = SimpleString("OK")


class BatchTests(SynchronousTestCase):
    def test_footprints(self) -> None:
        """Keys written, keys only read, barrier; in the order in which they are named."""
        for commands, writes, reads, barrier in (
            (["SET a 1", "set b 2", "SET a 3"], (b"a", b"b"), (), False),
            (["GET a", "GET b", "GET a"], (), (b"a", b"b"), False),
            (["GET b", "SET a 1", "GET a"], (b"a",), (b"b",), False),
            (
                ["MSET a 1 b 2", "MGET c d", "DEL e f", "EXISTS g"],
                (b"a", b"b", b"e", b"f", b"c", b"d", b"g"),
                (),
                False,
            ),
            (["MGET c d", "EXISTS g"], (), (b"c", b"d", b"g"), False),
            (["INCR a", "STRLEN b", "TYPE c"], (b"a",), (b"b", b"c"), False),
            (["SET a 1", "DBSIZE"], (), (), True),
            (["FLUSHDB"], (), (), True),
        ):
            batch = KeyValueStore().batch([words(command) for command in commands])
            self.assertEqual(
                (batch.writes, batch.reads, batch.barrier, batch.commands),
                (writes, reads, barrier, len(commands)),
            )

    def test_bulk_equals_one_by_one(self) -> None:
        """Whatever the batches, replies and state are those of the commands run alone."""
        shapes = ["SET k{0} v{1}", "GET k{0}", "INCR n{0}", "DEL k{0}", "MSET k{0} a k{1} b", "APPEND k{0} x"]
        for seed in range(300):
            random = Random(seed)
            mix = random.sample(shapes, random.choice([1, 1, 2, 6]))
            commands = [
                words(random.choice(mix).format(random.randrange(4), random.randrange(4)))
                for _ in range(random.randrange(1, 30))
            ]
            together, alone = Client(), Client()
            replies = together.run(commands)
            self.assertEqual(replies, [alone.run([command])[0] for command in commands], f"seed {seed}")
            self.assertEqual(sorted(together.store.entries()), sorted(alone.store.entries()))

    def test_nobody_here_waits_for_it(self) -> None:
        """The state becomes the same."""
        for seed in range(200):
            random = Random(seed)
            mix = random.sample(["SET {0} {1}", "SET {0} x", "GET {0}", "INCR {0}"], random.randrange(1, 4))
            here, there = KeyValueStore(), KeyValueStore()
            for _ in range(3):
                commands = [
                    words(random.choice(mix).format(random.randrange(4), random.randrange(9)))
                    for _ in range(random.randrange(1, 20))
                ]
                batch = here.batch(commands)
                here.apply([Ready(ID, batch, True)])
                there.apply([Ready(ID, batch, False)])
            self.assertEqual(dict(there.entries()), dict(here.entries()), f"seed {seed}: {mix}")
        read = here.batch([words("GET 1")])
        self.assertEqual(there.apply([Ready(ID, read, False)]), [()])

    def test_valid_shapes_are_valid(self) -> None:
        """`is_valid_shape` says yes only where no arguments could fail `check`."""
        store = KeyValueStore()
        for info in store.commands():
            for length in range(1, 7):
                if store.is_valid_shape(info.name.encode(), length):
                    store.check([info.name.encode(), *[b"\0odd"] * (length - 1)])
        self.assertTrue(store.is_valid_shape(b"SET", 3))
        self.assertTrue(store.is_valid_shape(b"get", 2))
        self.assertFalse(store.is_valid_shape(b"SET", 4))
        self.assertFalse(store.is_valid_shape(b"INCRBY", 3))
        self.assertFalse(store.is_valid_shape(b"NOPE", 3))

    def test_which_commands_only_read_their_one_key(self) -> None:
        store = KeyValueStore()
        reads = set()
        for info in store.commands():
            name = info.name.encode()
            said = {store.is_read(spelling) for spelling in (name, name.upper(), name.title())}
            self.assertEqual(len(said), 1, info.name)
            if True in said:
                reads.add(name)
                self.assertEqual(info[2:6], (False, 1, 1, 1))
        names = "dump expiretime get getrange pexpiretime pttl strlen substr ttl type"
        hashes = "hexists hget hgetall hkeys hlen hmget hscan hstrlen hvals"
        lists, streams = "lindex llen lpos lrange", "xlen xpending xrange xrevrange"
        sets = "scard sismember smembers smismember sscan"
        bits = "bitcount bitfield_ro bitpos getbit"
        zsets = (
            "zcard zcount zlexcount zmscore zrange zrangebylex zrangebyscore zrank zrevrange zrevrangebylex"
            " zrevrangebyscore zrevrank zscan zscore geodist geohash geopos georadius_ro georadiusbymember_ro"
            " geosearch"
        )
        families = f"{names} {hashes} {lists} {streams} {sets} {bits} {zsets}"
        self.assertEqual(reads, set(families.encode().split()))

    def test_read_alone(self) -> None:
        """What `apply` would answer, and nothing is changed by it."""
        for seed in range(300):
            random, client = Random(seed), Client()
            client.run([words(f"SET {key} {'v' * key}") for key in range(0, 9, 2)])
            state = dict(client.store.entries())
            names = random.sample(
                ("GET", "get", "Get", "STRLEN", "strlen", "TYPE", "tYpe"), random.randrange(1, 4)
            )
            commands = [
                [random.choice(names).encode(), b"%d" % random.randrange(10)]
                for _ in range(random.randrange(1, 20))
            ]
            replies = list(client.store.read(commands))
            self.assertEqual(dict(client.store.entries()), state)
            self.assertEqual(replies, client.run(commands), f"seed {seed}")
            types = [
                type(reply)
                for reply in client.store.apply([Ready(ID, client.store.batch(commands), True)])[0]
            ]
            self.assertEqual([type(reply) for reply in replies], types)

    def test_foreign_payloads(self) -> None:
        store = KeyValueStore()
        good = store.batch([words("SET a 1")])
        for payload, commands in (
            (b"\xff\xff", 1),
            (b"", 1),
            (good.payload, 2),
            (store.batch([words("SET a 1"), words("GET a")]).payload, 3),
            (good.payload.replace(b"SET", b"NOP"), 1),
        ):
            batch = Batch((b"a",), (), payload, commands)
            self.assertRaises(ValueError, store.apply, [Ready(ID, batch, True)])
