"""SCAN, KEYS, RANDOMKEY: positions that all replicas share, and an index that may know too much."""

from __future__ import annotations

import os
import subprocess
import sys
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import Ready
from epaxos.statemachines.redis import positions
from epaxos.statemachines.redis.machine import KeyValueStore
from epaxos.statemachines.redis.positions import POSITION_BITS, position_of
from epaxos.statemachines.redis.shards import ShardedDict
from tests.statemachines.redis.lab import ID, Client, words


def keys_of(count: int) -> list[bytes]:
    return [b"key:%d" % number for number in range(count)]


def filled(keys: list[bytes]) -> Client:
    client = Client()
    if keys:
        client.run([[b"SET", key, b"v"] for key in keys])
    return client


def scan(client: Client, cursor: bytes, *options: bytes) -> tuple[bytes, list[bytes]]:
    reply = client.run([[b"SCAN", cursor, *options]])[0]
    assert isinstance(reply, list)
    return reply[0], reply[1]


def scan_all(client: Client, *options: bytes) -> list[bytes]:
    found: list[bytes] = []
    cursor = b""
    while cursor != b"0":
        cursor, some = scan(client, cursor or b"0", *options)
        found += some
    return found


class PositionTests(SynchronousTestCase):
    def test_known(self) -> None:
        """Cursors outlive a process and a version, so a position never changes."""
        for key, position in ((b"", 3088254536147782), (b"a", 140613638368605)):
            self.assertEqual(position_of(key), position)

    def test_range(self) -> None:
        found = [position_of(key) for key in keys_of(5000)]
        self.assertLess(max(found), 2**POSITION_BITS)
        self.assertGreater(max(found), 2**POSITION_BITS * 0.99)
        self.assertLess(min(found), 2**POSITION_BITS * 0.01)

    def test_another_hash_seed(self) -> None:
        """What SCAN, KEYS and RANDOMKEY answer does not depend on how Python hashes."""
        program = (
            "from tests.statemachines.redis.test_scanning import *\n"
            "client = filled(keys_of(500))\n"
            "print(scan_all(client), client('KEYS *1*'), [client('RANDOMKEY') for _ in range(5)])\n"
        )
        found = {
            subprocess.run(
                [sys.executable, "-c", program],
                env={**os.environ, "PYTHONHASHSEED": seed},
                check=True,
                capture_output=True,
            ).stdout
            for seed in ("1", "2")
        }
        self.assertEqual(len(found), 1)


class ScanTests(SynchronousTestCase):
    def test_everything_once(self) -> None:
        for count in (0, 1, 9, 10, 11, 1000):
            keys = keys_of(count)
            for options in ((), (b"COUNT", b"1"), (b"COUNT", b"7"), (b"COUNT", b"100000")):
                found = scan_all(filled(keys), *options)
                self.assertEqual(sorted(found), sorted(keys), (count, options))

    def test_count(self) -> None:
        client = filled(keys_of(1000))
        for count in (1, 10, 500):
            _, keys = scan(client, b"0", b"COUNT", b"%d" % count)
            self.assertEqual(len(keys), count)

    def test_count_is_bounded(self) -> None:
        client = filled(keys_of(6000))
        cursor, keys = scan(client, b"0", b"COUNT", b"1000000")
        self.assertEqual(len(keys), 4096)
        self.assertEqual(len(scan(client, cursor, b"COUNT", b"1000000")[1]), 6000 - 4096)

    def test_match_and_type(self) -> None:
        client = filled(keys_of(100))
        wanted = sorted(key for key in keys_of(100) if key.endswith(b"7"))
        self.assertEqual(sorted(scan_all(client, b"MATCH", b"*7")), wanted)
        self.assertEqual(sorted(scan_all(client, b"MATCH", b"*7", b"TYPE", b"string")), wanted)
        self.assertEqual(scan_all(client, b"TYPE", b"hash"), [])

    def test_keys_of_one_position_come_together(self) -> None:
        self.patch(positions, "position_of", lambda key: 2**50 + len(key) % 3)
        keys = [b"x" * length for length in range(1, 31)]
        client = filled(keys)
        sizes = []
        cursor = b""
        while cursor != b"0":
            cursor, some = scan(client, cursor or b"0", b"COUNT", b"1")
            sizes.append(len(some))
        self.assertEqual(sizes, [10, 10, 10, 0])

    def test_ends(self) -> None:
        self.patch(positions, "position_of", lambda key: 0 if key == b"first" else 2**POSITION_BITS - 1)
        client = filled([b"first", b"last"])
        cursor, keys = scan(client, b"0", b"COUNT", b"1")
        self.assertEqual((cursor, keys), (b"2", [b"first"]))
        self.assertEqual(scan(client, cursor), (b"0", [b"last"]))
        self.assertEqual(
            scan(client, b"1"), (b"0", [b"first", b"last"]), "a cursor of 1 is the first position"
        )

    def test_what_is_there_all_the_time_is_returned(self) -> None:
        """While other keys come and go, over changes of the replica, and restarts."""
        chance = Random(7)
        stay = keys_of(300)
        for _ in range(10):
            replicas = [filled(stay), filled(stay[::-1])]
            found: list[bytes] = []
            cursor = b""
            while cursor != b"0":
                for _ in range(chance.randrange(20)):
                    key = b"other:%d" % chance.randrange(200)
                    command = [b"DEL", key] if chance.random() < 0.5 else [b"SET", key, b"v"]
                    again = [chance.choice(stay)] if chance.random() < 0.3 else []
                    for replica in replicas:
                        replica.run([command, *([b"SET", name, b"w"] for name in again)])
                number = chance.randrange(2)
                if chance.random() < 0.2:
                    replicas[number] = restarted(replicas[number])
                count = b"%d" % chance.randrange(1, 40)
                cursor, some = scan(replicas[number], cursor or b"0", b"COUNT", count)
                found += some
            self.assertEqual(set(stay) - set(found), set())
            self.assertEqual(max(map(found.count, stay)), 1, "a key that stays comes once")


def restarted(client: Client) -> Client:
    again = Client()
    again.store.restore(dict(client.store.entries()), ())
    return again


class IndexTests(SynchronousTestCase):
    """The index is right, whichever way the dictionary was changed."""

    def setUp(self) -> None:
        self.client = filled(keys_of(50))
        self.there = set(keys_of(50))
        self.check()

    def check(self) -> None:
        self.assertEqual(sorted(scan_all(self.client)), sorted(self.there))

    def test_every_way_in(self) -> None:
        for command, key in (
            ("SET one v", b"one"),
            ("SETNX two v", b"two"),
            ("APPEND three v", b"three"),
            ("MSET four v key:1 v", b"four"),
            ("COPY one five", b"five"),
            ("INCR six", b"six"),
        ):
            self.client(command)
            self.there.add(key)
            self.check()
        self.client.run([[b"SET", b"bulk:%d" % number, b"v"] for number in range(100)])
        self.there |= {b"bulk:%d" % number for number in range(100)}
        self.check()

    def test_every_way_out(self) -> None:
        self.client("DEL key:1 key:2")
        self.client("RENAME key:3 other")
        self.client("GETDEL key:4")
        self.client("MOVE key:5 1")
        self.there -= {b"key:1", b"key:2", b"key:3", b"key:4", b"key:5"}
        self.there.add(b"other")
        self.check()
        self.client("SET key:1 v")
        self.there.add(b"key:1")
        self.check()
        self.client("FLUSHDB")
        self.there.clear()
        self.check()
        self.client("SET new v")
        self.there.add(b"new")
        self.check()

    def test_exchanged_databases(self) -> None:
        self.client("SWAPDB 0 1")
        self.assertEqual(scan_all(self.client), [])
        self.client("SET new v")
        self.assertEqual(scan_all(self.client), [b"new"])
        self.client("SWAPDB 0 1")
        self.check()

    def test_what_is_taken_back(self) -> None:
        """A key that is gone, is scanned for, and comes back."""
        state = self.client.store._state
        before = state.savepoint()
        self.client("DEL key:1")
        self.client("SETNX new v")
        scan_all(self.client)
        state.back_to(before)
        state.release(before)
        self.check()
        before = state.savepoint()
        self.client("FLUSHDB")
        scan_all(self.client)
        state.back_to(before)
        state.release(before)
        self.check()
        before = state.savepoint()
        self.client("SWAPDB 0 1")
        scan_all(self.client)
        state.back_to(before)
        state.release(before)
        self.check()


class BoundTests(SynchronousTestCase):
    def test_unused_it_is_dropped(self) -> None:
        data: ShardedDict[bytes] = ShardedDict()
        index = data.index()
        self.assertIs(data.index(), index)
        self.patch(positions, "SPARE_KEYS", 5000)
        for start in range(0, 6000, 1000):
            data.set_all([b"%d" % number for number in range(start, start + 1000)], [b""] * 1000)
        for number in range(300):
            data[b"more:%d" % number] = b""
        self.assertIsNone(data._index, "freed bit by bit")
        self.assertIsNot(data.index(), index)

    def test_new_values_of_old_keys_cost_nothing(self) -> None:
        data: ShardedDict[bytes] = ShardedDict()
        keys = keys_of(1000)
        data.set_all(keys, keys)
        index = data.index()
        for _ in range(200):
            data.set_all(keys, keys)
            data[keys[0]] = b""
        self.assertEqual((data.index(), index._recent), (index, []))

    def test_keys_that_come_and_go(self) -> None:
        """Nobody scans beyond the first keys: what is gone is not held for ever."""
        self.patch(positions, "SPARE_KEYS", 1000)
        data: ShardedDict[bytes] = ShardedDict()
        indexes = set()
        for number in range(3000):
            data[b"%d" % number] = b""
            data.pop(b"%d" % number, None)
            if number % 500 == 0:
                index = data.index()
                list(index.build())
                indexes.add(index)
        self.assertGreater(len(indexes), 1)

    def test_steps(self) -> None:
        """However many keys there are, a step looks at a few thousand of them."""
        client = filled(keys_of(20_000))
        for command, least in (("SCAN 0", 10), ("KEYS *", 40), ("RANDOMKEY", 1), ("KEYS nothing", 20)):
            store = client.store
            batch = store.batch([words(command)])
            steps = list(store.apply_in_steps(Ready(ID, batch, True)))
            self.assertGreater(len(steps), least, command)


class KeysTests(SynchronousTestCase):
    def test_in_order(self) -> None:
        client = filled(keys_of(3000))
        self.assertEqual(client("KEYS *"), sorted(keys_of(3000)))
        self.assertEqual(client("KEYS key:1?"), [b"key:%d" % number for number in range(10, 20)])
        self.assertEqual(client("KEYS nothing"), [])
        self.assertEqual(Client()("KEYS *"), [])


class RandomKeyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.chance = Random(3)

    def drawn(self, client: Client, count: int) -> list[object]:
        client.store._new_seed = lambda: self.chance.getrandbits(64)
        return [client("RANDOMKEY") for _ in range(count)]

    def test_none(self) -> None:
        self.assertEqual(self.drawn(Client(), 1), [None])

    def test_all_alike(self) -> None:
        for count in (1, 2, 20):
            client = filled(keys_of(count))
            found = self.drawn(client, 100 * count)
            for key in keys_of(count):
                self.assertGreater(found.count(key), 60)

    def test_of_many(self) -> None:
        found = self.drawn(filled(keys_of(500)), 5000)
        self.assertGreater(len(set(found)), 470)
        self.assertLess(max(map(found.count, set(found))), 60)

    def test_every_replica_chooses_the_same(self) -> None:
        one, other = filled(keys_of(200)), filled(keys_of(200)[::-1])
        other("SET gone v")
        other("DEL gone")
        for store in (one.store, other.store):
            self.assertIsInstance(store, KeyValueStore)
        for _ in range(20):
            one.store._new_seed = lambda: self.chance.getrandbits(64)
            batch = one.store.batch([[b"RANDOMKEY"]])
            ready = Ready(ID, batch, True)
            self.assertEqual(one.store.apply([ready]), other.store.apply([ready]))
