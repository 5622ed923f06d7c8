"""The index of deadlines: what it finds, and what it costs."""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from epaxos.statemachines.redis.deadlines import AGAIN_S, CHUNK_KEYS, COARSE_S, FAR_S, SPARE, Deadlines
from epaxos.statemachines.redis.moment import Everything, Moment
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.state import State

BEGIN_MS = 10_000_000


class Case(SynchronousTestCase):
    def setUp(self) -> None:
        self.state = State(1024)
        self.index = self.state.deadlines
        self.now_ms = BEGIN_MS
        self.index.is_due(self.now_ms)

    def space(self, database: int = 0) -> Space:
        return Space(self.state, Moment(self.now_ms, 7, Everything()), database)

    def set(self, key: bytes, ms: int | None, database: int = 0) -> None:
        self.space(database).set(key, b"v", None if ms is None else self.now_ms + ms)

    def take(self) -> list[tuple[int, bytes, int]]:
        """All that is due now."""
        found = []
        while self.index.is_due(self.now_ms):
            found += self.index.take(self.now_ms)
        return found

    def remove(self) -> int:
        """Remove what is due now; their number."""
        found = self.take()
        for database, key, deadline_ms in found:
            self.assertTrue(self.space(database).remove_due(key, deadline_ms))
        return len(found)


class FindingTests(Case):
    def test_each_within_a_second(self) -> None:
        for ms in (1, 999, 1000, 5000, FAR_S * 1000, FAR_S * 1000 + 1, 1_000_000, 10**9, 10**12):
            self.setUp()
            self.set(b"k", ms)
            for before in (ms - COARSE_S * 1000, ms - 1):
                self.now_ms = BEGIN_MS + max(0, before)
                self.assertEqual(self.take(), [], f"{ms}")
            self.now_ms = BEGIN_MS + ms + 1000
            self.assertEqual(self.take(), [(0, b"k", BEGIN_MS + ms)], f"{ms}")

    def test_many_at_once(self) -> None:
        """As one by one: each key is found when it is due, once, whatever deadline it had before."""
        random = Random(3)
        others = Deadlines(lambda database, key: None, lambda: 0)
        others.is_due(BEGIN_MS)
        for _ in range(60):
            ms = random.choice((500, 3000, 10_000, 100_000, 1_000_000))
            keys = [
                b"%d" % number for number in random.sample(range(4 * CHUNK_KEYS), random.choice((1, 2500)))
            ]
            self.index.add_all(1, keys, BEGIN_MS + ms)
            for key in keys:
                others.add(1, key, BEGIN_MS + ms)
        seconds = [
            {key: chunk.second for key, chunk in index.keys_of(1).entries()} for index in (self.index, others)
        ]
        self.assertEqual(*seconds)
        for key, chunk in self.index.keys_of(1).entries():
            self.assertIn(key, chunk)
            self.assertLessEqual(len(chunk), CHUNK_KEYS)
        chunks = {id(chunk): chunk for _, chunk in self.index.keys_of(1).entries()}
        self.assertEqual(sum(map(len, chunks.values())), self.index.count(1))

    def test_again_until_it_is_removed(self) -> None:
        self.set(b"k", 10)
        for _ in range(3):
            self.now_ms += AGAIN_S * 1000 + 1000
            ((_, key, deadline_ms),) = self.take()
            self.assertEqual(self.take(), [])
        self.space().remove_due(key, deadline_ms)
        self.now_ms += 100_000
        self.assertEqual((self.take(), len(self.index)), ([], 0))

    def test_a_deadline_that_changes(self) -> None:
        """To later, to earlier, to none, and to none by a SET that looks at nothing."""
        for key in (b"later", b"earlier", b"none", b"plain", b"gone"):
            self.set(key, 5000)
        self.set(b"later", 50_000)
        self.set(b"earlier", 1000)
        self.space().expire(b"none", None)
        self.state.data.set_all([b"plain"], [b"w"])
        self.space().pop(b"gone")
        self.now_ms += 2000
        self.assertEqual([key for _, key, _ in self.take()], [b"earlier"])
        self.now_ms += 4000
        self.assertEqual([key for _, key, _ in self.take()], [b"earlier"])
        self.now_ms += 45_000
        self.assertEqual({key for _, key, _ in self.take()}, {b"earlier", b"later"})
        self.assertEqual(len(self.index), 2)

    def test_databases(self) -> None:
        for database in (0, 3):
            self.set(b"k", 1000, database)
            self.set(b"\x003\0k", 2000, database)
        self.index.swap(3, 5)
        databases = self.state.databases
        databases[3], databases[5] = databases[5], databases[3]
        self.now_ms += 3000
        found = {(database, key) for database, key, _ in self.take()}
        self.assertEqual(found, {(d, k) for d in (0, 5) for k in (b"k", b"\x003\0k")})

    def test_after_a_restore(self) -> None:
        for number in range(100):
            self.set(b"%d" % number, 1000 + number * 5000, number % 3)
        entries = dict(self.state.entries())
        self.state = State(1024)
        self.index = self.state.deadlines
        self.state.restore([entries])
        self.now_ms += 1_000_000
        self.assertEqual(self.remove(), 100)

    def test_changes_that_are_taken_back(self) -> None:
        self.set(b"k", 1000)
        savepoint = self.state.savepoint()
        self.space().pop(b"k")
        self.set(b"j", 1000)
        self.state.back_to(savepoint)
        self.state.release(savepoint)
        self.now_ms += 2000
        self.assertEqual([key for _, key, _ in self.take()], [b"k"])

    def test_random_changes(self) -> None:
        """Every key goes within a second behind its deadline, whatever happened to it."""
        random = Random(5)
        for step in range(3000):
            key = b"%d" % random.randrange(50)
            change = random.randrange(6)
            if change < 3:
                self.set(key, random.choice((1, 900, 3000, 200_000, 10**7)))
            elif change == 3:
                self.set(key, None)
            elif change == 4:
                self.space().pop(key)
            else:
                self.now_ms += random.choice((1, 500, 3000, 100_000))
                self.now_ms += AGAIN_S * 1000
                self.remove()
            for other, stored in self.state.data.entries():
                at_ms: Any = getattr(stored, "deadline_ms", None)
                if change == 5 and at_ms is not None:
                    self.assertGreater(at_ms + 1000, self.now_ms, f"{step}: {other!r}")
            self.assertLessEqual(len(self.index), 50)


class CostTests(Case):
    def test_a_key_stands_in_one_place(self) -> None:
        for ms in (*range(1000, 500_000, 999), *range(500_000, 1000, -999)):
            self.set(b"k", ms)
        held = sum(len(chunk) for bucket in self.index._buckets.values() for chunk in bucket)
        self.assertEqual((held, len(self.index)), (1, 1))

    def test_many_at_once(self) -> None:
        """They come in portions, and each of them once."""
        for number in range(10 * CHUNK_KEYS):
            self.set(b"%d" % number, 1000)
        self.now_ms += 1000
        portions = []
        while self.index.is_due(self.now_ms):
            portions.append(len(self.index.take(self.now_ms)))
        self.assertEqual(portions, [CHUNK_KEYS] * 10)

    def test_buckets_far_away_are_few(self) -> None:
        for number in range(10_000):
            self.set(b"%d" % number, number * 9000)
        self.assertLess(len(self.index._buckets), 90_000 / COARSE_S + FAR_S)

    def test_a_flushed_store_is_swept(self) -> None:
        """A flush tells of no key."""
        for number in range(SPARE + 10):
            self.set(b"%d" % number, 10**7)
        self.space().clear()
        self.set(b"k", 10**7)
        self.index.sweep()
        self.assertEqual(len(self.index), SPARE + 11)
        for _ in range(SPARE // CHUNK_KEYS + 2):
            self.index.sweep()
        self.assertEqual(len(self.index), 1)

    def test_what_others_removed(self) -> None:
        """Only keys that were due and that this replica has not taken itself."""
        for key in (b"mine", b"yours", b"early"):
            self.set(key, 1000)
        self.set(b"other", 60_000)
        self.space().pop(b"early")
        self.now_ms += 2000
        self.index.is_due(self.now_ms)
        self.space().pop(b"other")
        self.assertEqual(self.index.removed, 0)
        self.space().pop(b"yours")
        self.assertEqual(self.index.removed, 1)
        self.remove()
        self.assertEqual(self.index.removed, 1)

    def test_it_knows_no_more_than_it_is_told(self) -> None:
        index = Deadlines(lambda database, key: None, lambda: 0)
        index.gone(0, b"k")
        index.gone(5, b"k")
        self.assertEqual((index.take(10**15), len(index), index.removed), ([], 0, 0))
