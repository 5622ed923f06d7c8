"""The dictionary in shards against a plain one; its snapshots against copies."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from threading import Thread
from typing import Any

from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from epaxos.statemachines.redis import shards
from epaxos.statemachines.redis.shards import SHARDS, Gathered, ShardedDict, Snapshot

KEYS = [b"", *(b"key %d" % number for number in range(40))]
keys = st.sampled_from(KEYS)
values = st.binary(max_size=3)


class _Reading:
    """A snapshot that is read bit by bit, and a copy of the same moment."""

    def __init__(self, data: ShardedDict[bytes], model: dict[bytes, bytes]) -> None:
        self.snapshot = data.entries()
        self.expected = dict(model)
        self.found: list[tuple[bytes, bytes]] = []
        self.rest: Iterator[tuple[bytes, bytes]] = iter(self.snapshot)

    def read(self, count: int | None = None) -> bool:
        """Whether it is read to the end."""
        for entry in self.rest:
            self.found.append(entry)
            if count is not None and len(self.found) % count == 0:
                return False
        return True


class Model(RuleBasedStateMachine):
    """Everything that can be done to the two dictionaries, while snapshots are taken, read and dropped."""

    def __init__(self) -> None:
        super().__init__()
        self.data: ShardedDict[bytes] = ShardedDict()
        self.model: dict[bytes, bytes] = {}
        self.readings: list[_Reading] = []

    @rule(pairs=st.lists(st.tuples(keys, values), max_size=12))
    def set_all(self, pairs: list[tuple[bytes, bytes]]) -> None:
        self.data.set_all([key for key, _ in pairs], [value for _, value in pairs])
        self.model.update(pairs)

    @rule(pairs=st.lists(st.tuples(keys, values), max_size=12))
    def update(self, pairs: list[tuple[bytes, bytes]]) -> None:
        self.data.update(iter(pairs))
        self.model.update(pairs)

    @rule(key=keys, value=values)
    def set(self, key: bytes, value: bytes) -> None:
        self.data[key] = value
        self.model[key] = value

    @rule(key=keys)
    def pop(self, key: bytes) -> None:
        assert self.data.pop(key, None) == self.model.pop(key, None)

    @rule(some=st.lists(keys, max_size=5), value=values)
    def through_dicts(self, some: list[bytes], value: bytes) -> None:
        """As commands are run that have one key."""
        for key, data in zip(some, self.data.dicts_of(some)):
            assert (key in data, data.get(key), data.get(key, b"?")) == (
                key in self.model,
                self.model.get(key),
                self.model.get(key, b"?"),
            )
            if value:
                data[key] = self.model[key] = value
            else:
                assert data.pop(key, None) == self.model.pop(key, None)

    @rule()
    def clear(self) -> None:
        unused = self.data.clear()
        assert not unused or sum(map(len, unused)) == len(self.model)
        self.model.clear()

    @rule()
    def restore(self) -> None:
        """A dictionary made of another one.  The snapshots of the other go on."""
        self.data = ShardedDict()
        self.data.set_all(self.model, self.model.values())

    @rule()
    def freeze(self) -> None:
        assume(len(self.readings) < 3)
        self.readings.append(_Reading(self.data, self.model))

    @rule(which=st.integers(0, 2), count=st.integers(1, 9))
    def read(self, which: int, count: int) -> None:
        assume(which < len(self.readings))
        if self.readings[which].read(count):
            self.finish(self.readings.pop(which))

    @rule(which=st.integers(0, 2))
    def drop(self, which: int) -> None:
        assume(which < len(self.readings))
        del self.readings[which]

    @invariant()
    def same(self) -> None:
        assert len(self.data) == len(self.model)
        assert self.data.get_all(KEYS) == [*map(self.model.get, KEYS)]
        assert [*map(self.data.__contains__, KEYS)] == [*map(self.model.__contains__, KEYS)]
        assert [*map(self.data.get, KEYS)] == [*map(self.model.get, KEYS)]

    def teardown(self) -> None:
        for reading in self.readings:
            reading.read()
            self.finish(reading)
        assert sorted(self.data.entries()) == sorted(self.model.items())

    @staticmethod
    def finish(reading: _Reading) -> None:
        assert len(reading.found) == len(reading.expected)
        assert dict(reading.found) == reading.expected


def filled(count: int) -> ShardedDict[bytes]:
    data: ShardedDict[bytes] = ShardedDict()
    data.update((b"%d" % number, b"first") for number in range(count))
    return data


class ShardTests(SynchronousTestCase):
    def test_model(self) -> None:
        run_state_machine_as_test(  # type: ignore[no-untyped-call]
            Model,
            settings=settings(
                max_examples=150,
                stateful_step_count=40,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                database=None,
            ),
        )

    def test_gathered(self) -> None:
        """Entries are set when there are GATHERED_MAX, or in the end; of a key the last value counts."""
        for most in (1, 7, 1000):
            self.patch(shards, "GATHERED_MAX", most)
            data: ShardedDict[int] = ShardedDict()
            gathered: Gathered[int] = Gathered()
            pairs = [(b"%d" % (number * number % 37), number) for number in range(300)]
            for start in range(0, 300, 5):
                part = pairs[start : start + 5]
                gathered.set_all([key for key, _ in part], [value for _, value in part], data)
                self.assertEqual(len(data) > 0, start + 5 >= -(-most // 5) * 5, (most, start))
            gathered.settle(data)
            gathered.settle(data)
            self.assertEqual(dict(data.entries()), dict(pairs))

    def test_keys_are_spread(self) -> None:
        """Shards are small, and a shard spreads its own keys: it does not go by the same bits."""
        data = filled(SHARDS * 100)
        sizes = [len(shard) for shard in data._shards]
        self.assertEqual(sum(sizes), SHARDS * 100)
        self.assertLess(max(sizes), 200)
        self.assertGreater(min(sizes), 30)
        low = {hash(key) & 255 for key in data._shards[7]}
        self.assertGreater(len(low), 40)

    def test_another_thread_reads(self) -> None:
        """While keys are changed, made and removed: it finds the moment, whatever runs in between."""
        interval = sys.getswitchinterval()
        self.addCleanup(sys.setswitchinterval, interval)
        sys.setswitchinterval(1e-6)
        count = 3000
        for _ in range(10):
            data = filled(count)
            found: list[dict[bytes, bytes]] = []
            snapshots = [data.entries(), data.entries()]

            def read(snapshot: Snapshot[bytes], found: list[dict[bytes, bytes]] = found) -> None:
                found.append(dict(snapshot))

            threads = [Thread(target=read, args=(snapshot,)) for snapshot in snapshots]
            for thread in threads:
                thread.start()
            number = 0
            while any(thread.is_alive() for thread in threads):
                number += 1
                some = [b"%d" % (number * 7 + each) for each in range(50)]
                data.set_all(some, [b"second"] * len(some))
                data.pop(b"%d" % (number * 13 % count), None)
                data[b"%d" % (number * 11 % count)] = b"third"
            for thread in threads:
                thread.join()
            self.assertEqual(found, [{b"%d" % key: b"first" for key in range(count)}] * 2)

    def test_a_snapshot_that_nobody_wants_costs_nothing(self) -> None:
        data = filled(1000)
        snapshot: Any = data.entries()
        data[b"1"] = b"second"
        self.assertEqual(sum(map(len, snapshot._before)), 1)
        del snapshot
        gc.collect()
        self.assertIsInstance(next(data.dicts_of([b"1"])), dict)
        self.assertEqual(data._snapshots, [])

    def test_a_snapshot_that_is_read_costs_nothing(self) -> None:
        data = filled(1000)
        snapshot = data.entries()
        list(snapshot)
        data[b"1"] = b"second"
        self.assertEqual(sum(map(len, snapshot._before)), 0)
        self.assertEqual(data._snapshots, [])
        self.assertRaises(RuntimeError, iter, snapshot)

    def test_what_is_read_is_not_kept(self) -> None:
        """Neither values of the shards that were read, nor new ones of their keys."""
        data = filled(SHARDS * 20)
        snapshot = data.entries()
        data.update((key, b"second") for key, _ in list(data.entries()))
        self.assertEqual(sum(map(len, snapshot._before)), SHARDS * 20)
        rest = iter(snapshot)
        while snapshot._read < SHARDS // 2:
            next(rest)
        kept = sum(map(len, snapshot._before))
        self.assertLess(kept, SHARDS * 13)
        data.update((key, b"third") for key, _ in list(data.entries()))
        self.assertEqual(sum(map(len, snapshot._before)), kept)

    def test_what_was_cleared_is_handed_out_unless_it_is_read(self) -> None:
        data = filled(1000)
        self.assertEqual(sum(map(len, data.clear())), 1000)
        data = filled(1000)
        snapshot = data.entries()
        self.assertEqual(data.clear(), [])
        data.update((b"%d" % number, b"second") for number in range(2000))
        self.assertEqual(dict(snapshot), {b"%d" % number: b"first" for number in range(1000)})
