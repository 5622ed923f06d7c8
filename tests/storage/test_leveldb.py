"""LevelDBStore: the contract, restarts, group commit, and what happens when the disk fails."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.trial.unittest import SynchronousTestCase, TestCase

from epaxos.interfaces import StoreError, WriteSet
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.instance import Value
from epaxos.protocol.values.messages import Phase
from epaxos.storage.leveldb import engine
from epaxos.storage.leveldb import store as leveldb
from epaxos.storage.leveldb.store import LevelDBStore
from epaxos.storage.leveldb.writer import GroupWriter
from tests.builds import plain_only
from tests.storage.child import state_of
from tests.storage.contract import StoreContract
from tests.storage.loop import (
    IDENTITY,
    Loop,
    batch,
    change,
    checkpoint,
    checkpoint_of,
    contents,
    proposal,
    record,
)
from tests.storage.small import History


class StoreCase(SynchronousTestCase):
    """Stores in one data folder, one after the other."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.loop = Loop()
        self.failures: list[StoreError] = []

    def make(self, **options: Any) -> LevelDBStore:
        return LevelDBStore(
            self.path,
            call_from_thread=self.loop.call_from_thread,
            failed=self.failures.append,
            **options,
        )

    def close_store(self, store: LevelDBStore) -> None:
        closed: list[object] = []
        store.close().addCallback(closed.append)
        self.loop.run_until(lambda: closed)

    def write(self, *write_sets: WriteSet, **options: Any) -> LevelDBStore:
        """The sets, each alone, by a store that is then closed."""
        store = self.make(**options)
        store.open(IDENTITY)
        for write_set in write_sets:
            self.write_by(store, write_set)
        self.close_store(store)
        return store

    def write_by(self, store: LevelDBStore, write_set: WriteSet) -> None:
        """Only what asks for a sync is sure to be written before something else comes."""
        durable: list[int] = []
        store.write(write_set, lambda: durable.append(1))
        self.loop.run_until(lambda: durable or not write_set.sync)

    def restored(self) -> dict[str, Any]:
        store = self.make()
        held = contents(store.open(IDENTITY))
        self.close_store(store)
        return held


class ContractTests(StoreContract, SynchronousTestCase):
    def make(self) -> LevelDBStore:
        return LevelDBStore(self.mktemp(), call_from_thread=self.loop.call_from_thread, failed=self.fail)


class RestartTests(StoreCase):
    def test_everything_comes_back(self) -> None:
        a, b, c = InstanceId(0, 3), InstanceId(1, 1), InstanceId(2, 300)
        entries = {b"x": b"1", b"y": b"", b"": b"empty key"}
        self.write(
            WriteSet(
                batches=[(a, batch(3)), (b, batch(1))],
                records=[
                    record(a),
                    record(b),
                    record(c, Phase.COMMITTED, Value.NOP),
                ],
                reserved=256,
                floor=(1, 0, 0),
                sync=True,
            ),
            checkpoint(5, entries),
        )
        held = self.restored()
        self.assertFalse(held["fresh"])
        self.assertEqual(held["reserved"], 256)
        self.assertEqual(held["floor"], (1, 0, 0))
        self.assertEqual(held["executed"], (5, 5, 0))
        self.assertEqual(held["beyond"], (InstanceId(0, 7), InstanceId(2, 12)))
        self.assertEqual(
            held["records"],
            {
                a: (record(a), batch(3)),
                b: (record(b), batch(1)),
                c: (record(c, Phase.COMMITTED, Value.NOP), None),
            },
        )
        self.assertEqual(list(held["records"]), [a, b, c])
        self.assertEqual(held["base"], {})
        self.assertEqual(held["batches"], [(InstanceId(1, 6), change(entries))])
        self.assertEqual(held["state"], entries)

    def test_newest_wins(self) -> None:
        id = InstanceId(1, 1)
        self.write(
            proposal(1),
            WriteSet(records=[record(id, Phase.COMMITTED)], reserved=512),
            WriteSet(reserved=1, sync=True),  # a clean stop
            checkpoint(1, {b"x": b"1", b"y": b"1"}),
            checkpoint(2, {b"x": b"2", b"y": None, b"z": None}),
        )
        held = self.restored()
        self.assertEqual(held["records"], {id: (record(id, Phase.COMMITTED), batch(1))})
        self.assertEqual(held["reserved"], 1)
        self.assertEqual(held["executed"], (2, 2, 0))
        self.assertEqual(held["state"], {b"x": b"2"})

    def test_dropped(self) -> None:
        """Record and batch; also when they are in the same set."""
        first, second = proposal(2), proposal(3)
        second.dropped = [InstanceId(1, 2), InstanceId(1, 3), InstanceId(2, 9)]
        self.write(proposal(1), first, second)
        self.assertEqual(list(self.restored()["records"]), [InstanceId(1, 1)])

    def test_batches_in_order(self) -> None:
        """Of checkpoints in their own writes, of several in one group, of one that has none; also a batch
        that clears what was before it."""
        history = History()
        old = {b"old %d" % number: b"" for number in range(2500)}
        self.write(checkpoint_of(1, history.add(old)), checkpoint_of(2, history.add(None, {b"new": b"1"})))
        self.check(history)
        store = self.make()
        store.open(IDENTITY)
        self.loop.hold()
        store.write(checkpoint_of(3, history.add({b"first": b"1"})), lambda: None)
        self.loop.wait_until_held()
        for number, changes in (
            (4, [{b"second": b"1", b"third": b"1"}, {b"second": b"2"}]),
            (5, []),
            (6, [None, {b"third": b"2"}]),
            (7, [{b"fourth": b"1"}]),
        ):
            store.write(checkpoint_of(number, history.add(*changes)), lambda: None)
        self.loop.release()
        self.close_store(store)
        self.assertEqual(store.counters()["store_writes"], 2)
        self.assertEqual(self.check(history), {b"third": b"2", b"fourth": b"1"})

    def check(self, history: History) -> dict[bytes, bytes]:
        """What is restored is what was executed; the state."""
        held = self.restored()
        history.check(self, held["base"], held["batches"])
        return history.state

    def test_many_restarts(self) -> None:
        """Each start makes tables of the log; numbers of writes go on."""
        for slot in range(1, 12):
            held = self.restored()
            self.assertEqual(len(held["records"]), slot - 1)
            self.assertEqual(held["fresh"], slot == 1)
            self.write(proposal(slot))

    def test_unread_restore(self) -> None:
        """A store may be closed when what it restored was read not at all, or in part."""
        self.write(*map(proposal, range(1, 20)), *(checkpoint(number, {b"k": b""}) for number in range(9)))
        for reads in (0, 5):
            store = self.make()
            restored = store.open(IDENTITY)
            records, batches = iter(restored.records), iter(restored.batches)
            for _ in range(reads):
                next(records)
                next(batches)
            self.close_store(store)

    def test_only_the_owner_reads_it(self) -> None:
        self.write(proposal(1))
        for folder in (self.path, self.path / "db"):
            self.assertEqual(stat.S_IMODE(folder.stat().st_mode), 0o700)


class GroupTests(StoreCase):
    def test_what_gathers_is_one_write(self) -> None:
        store = self.make()
        store.open(IDENTITY)
        durable: list[int] = []
        self.loop.hold()
        store.write(checkpoint(1, {b"k": b"v"}), lambda: durable.append(1))
        self.loop.wait_until_held()
        for slot in range(2, 102):
            store.write(proposal(slot, sync=slot in (50, 101)), lambda slot=slot: durable.append(slot))
        self.assertEqual(store.counters()["store_queue"], 101)
        self.assertEqual(durable, [])
        self.loop.release()
        self.loop.run_until(lambda: len(durable) == 101)
        self.assertEqual(durable, list(range(1, 102)))
        counters = dict(store.counters())
        self.assertGreater(counters.pop("store_bytes"), 101 * 100)
        self.assertEqual(counters, {"store_writes": 2, "store_syncs": 2, "store_queue": 0})
        self.close_store(store)
        self.assertEqual(len(self.restored()["records"]), 100)

    def test_sync_of_an_empty_set_syncs_what_was_before(self) -> None:
        store = self.make()
        store.open(IDENTITY)
        for write_set, syncs in (
            (proposal(1, sync=False), 0),
            (WriteSet(sync=True), 1),
            (WriteSet(sync=True), 1),
            (WriteSet(), 1),
            (proposal(2, sync=True), 2),
        ):
            self.write_by(store, write_set)
            self.assertEqual(store.counters()["store_syncs"], syncs)
        self.close_store(store)

    def test_what_nobody_waits_for_goes_with_the_next_that_somebody_does(self) -> None:
        store = self.make()
        store.open(IDENTITY)
        durable: list[int] = []
        for slot in range(1, 11):
            store.write(proposal(slot, sync=False), lambda slot=slot: durable.append(slot))
        self.assertEqual(store.counters()["store_queue"], 10)
        self.write_by(store, proposal(11))
        self.assertEqual(durable, list(range(1, 11)))
        self.assertEqual(store.counters()["store_writes"], 1)
        self.close_store(store)
        self.assertEqual(len(self.restored()["records"]), 11)

    def test_so_much_that_nobody_waits_for_is_held_back(self) -> None:
        store = self.make()
        store.open(IDENTITY)
        durable: list[int] = []
        for slot in range(1, leveldb.HELD_BACK_MAX + 2):
            store.write(proposal(slot, sync=False), lambda slot=slot: durable.append(slot))
        self.loop.run_until(lambda: durable)
        self.assertEqual(durable, list(range(1, leveldb.HELD_BACK_MAX + 1)))
        self.assertEqual(store.counters()["store_syncs"], 0)
        self.close_store(store)
        self.assertEqual(len(self.restored()["records"]), leveldb.HELD_BACK_MAX + 1)

    def test_close_syncs(self) -> None:
        self.assertEqual(self.write(proposal(1, sync=False)).counters()["store_syncs"], 1)

    def test_without_sync(self) -> None:
        store = self.write(proposal(1), proposal(2), sync=False)
        self.assertEqual(store.counters()["store_syncs"], 0)
        self.assertEqual(len(self.restored()["records"]), 2)


class LoopTests(StoreCase):
    """What is written in the event loop, before `write` returns, and what in the thread."""

    def setUp(self) -> None:
        super().setUp()
        self.seconds = 0.0
        self.now = 0.0
        self.patch(leveldb, "monotonic", self.clock)
        self.store = self.make()
        self.store.open(IDENTITY)
        self.addCleanup(self.close_store, self.store)
        self.durable: list[int] = []

    def clock(self) -> float:
        """Every write takes `seconds`."""
        self.now += self.seconds
        return self.now

    def is_brief(self, write_set: WriteSet) -> bool:
        """Whether it is durable at once; it is, sooner or later."""
        count = len(self.durable)
        self.store.write(write_set, lambda: self.durable.append(count))
        brief = len(self.durable) > count
        self.loop.run_until(lambda: len(self.durable) > count)
        return brief

    def wait_for_thread(self) -> None:
        """Until it has nothing more to do: it keeps the writer a little longer than it takes to write."""
        with self.store._writer_lock:
            pass

    def test_what_a_turn_promises_is_brief(self) -> None:
        for write_set in (proposal(1), WriteSet(sync=True), WriteSet(reserved=256, sync=True)):
            self.assertTrue(self.is_brief(write_set))
        for slot in range(2, 9):
            self.store.write(proposal(slot, sync=False), lambda: None)
        self.assertTrue(self.is_brief(proposal(9)))
        self.assertEqual(self.store.counters()["store_syncs"], 3)

    def test_checkpoints_and_large_batches_are_not(self) -> None:
        self.assertFalse(self.is_brief(checkpoint(1, {b"k": b"v"})))
        self.wait_for_thread()
        self.assertTrue(self.is_brief(proposal(2, size=leveldb.BRIEF_BYTES_MAX)))
        self.assertFalse(self.is_brief(proposal(3, size=leveldb.BRIEF_BYTES_MAX + 1)))
        self.wait_for_thread()
        self.store.write(proposal(4, size=leveldb.BRIEF_BYTES_MAX, sync=False), lambda: None)
        self.assertFalse(self.is_brief(proposal(5)), "together they are too large")

    def test_many_deletions_go_to_the_thread(self) -> None:
        """Of one write set, or of several that nobody waited for."""
        ids = [InstanceId(0, slot) for slot in range(1, leveldb.BRIEF_DROPPED_MAX + 2)]
        self.assertTrue(self.is_brief(WriteSet(dropped=ids[1:], sync=True)))
        self.assertFalse(self.is_brief(WriteSet(dropped=ids, sync=True)))
        self.wait_for_thread()
        self.store.write(WriteSet(dropped=ids[1:]), lambda: None)
        self.assertFalse(self.is_brief(WriteSet(dropped=ids[:1], sync=True)))
        self.wait_for_thread()

    def test_what_comes_while_the_thread_writes_comes_after_it(self) -> None:
        self.loop.hold()
        self.store.write(checkpoint(1, {b"k": b"v"}), lambda: self.durable.append(1))
        self.loop.wait_until_held()
        for number in (2, 3, 4):
            self.store.write(proposal(number), lambda number=number: self.durable.append(number))
        self.assertEqual(self.durable, [])
        self.loop.release()
        self.loop.run_until(lambda: len(self.durable) == 4)
        self.assertEqual(self.durable, [1, 2, 3, 4])
        self.wait_for_thread()
        self.assertTrue(self.is_brief(proposal(5)))

    def test_while_the_thread_makes_a_base(self) -> None:
        """Nobody else touches the files, and nobody waits for it."""
        with self.store._writer_lock:
            self.store.write(proposal(1), lambda: self.durable.append(1))
            self.assertEqual(self.durable, [])
        self.loop.run_until(lambda: self.durable)
        self.wait_for_thread()
        self.assertTrue(self.is_brief(proposal(2)))

    def test_a_slow_disk_is_left_to_the_thread(self) -> None:
        self.seconds = leveldb.BRIEF_S
        brief = []
        for slot in range(1, leveldb.SLOW_WRITES + leveldb.SLOW_GROUPS + 3):
            brief.append(self.is_brief(proposal(slot)))
            self.wait_for_thread()
        tries = [number for number, was_brief in enumerate(brief) if was_brief]
        first = list(range(leveldb.SLOW_WRITES))
        self.assertEqual(tries, [*first, first[-1] + leveldb.SLOW_GROUPS])

    def test_a_stall_alone_shows_a_slow_disk(self) -> None:
        self.seconds = leveldb.STALL_S
        self.assertTrue(self.is_brief(proposal(1)))
        self.assertFalse(self.is_brief(proposal(2)))

    def test_one_that_is_quick_shows_a_fast_disk(self) -> None:
        for slot in range(1, 5 * leveldb.SLOW_WRITES):
            self.seconds = 0.0 if slot % leveldb.SLOW_WRITES == 0 else 2 * leveldb.BRIEF_S
            self.assertTrue(self.is_brief(proposal(slot)))


@plain_only
class FailureTests(StoreCase):
    def failing_at(self, number: int, error: Exception) -> None:
        """Writes fail from this one on."""

        class Failing(GroupWriter):
            def write(self, write_sets: Any, sync: bool) -> bool:
                if self.writes + 1 >= number:
                    raise error
                return super().write(write_sets, sync)

        self.patch(leveldb, "GroupWriter", Failing)

    def test_failed_once_and_nothing_durable(self) -> None:
        for error, text in (
            (engine.IOError(b"IO error: 000003.log: No space left on device"), "No space left on device"),
            (OSError(28, "No space left on device"), "No space left on device"),
            (MemoryError(), "MemoryError"),
        ):
            self.path = Path(self.mktemp())
            self.failures.clear()
            self.failing_at(2, error)
            store = self.make()
            store.open(IDENTITY)
            durable: list[int] = []
            self.loop.hold()
            store.write(checkpoint(1, {b"k": b"v"}), lambda: durable.append(1))  # noqa: B023
            self.loop.wait_until_held()
            for slot in (2, 3):
                store.write(proposal(slot), lambda: durable.append(2))  # noqa: B023
            self.loop.release()
            self.loop.run_until(lambda: self.failures)
            store.write(proposal(4), lambda: durable.append(4))  # noqa: B023
            self.assertEqual(store.counters()["store_queue"], 0)
            self.close_store(store)
            self.assertEqual(durable, [1])
            (failure,) = self.failures
            self.assertIsInstance(failure, StoreError)
            self.assertIn(f"{self.path} cannot be written: ", str(failure))
            self.assertIn(text, str(failure))

    def test_in_the_event_loop(self) -> None:
        """It is known when `write` returns; the thread writes nothing any more, either."""
        self.failing_at(2, OSError(28, "No space left on device"))
        store = self.make()
        store.open(IDENTITY)
        durable: list[int] = []
        store.write(proposal(1), lambda: durable.append(1))
        store.write(proposal(2), lambda: durable.append(2))
        (failure,) = self.failures
        self.assertIn("No space left on device", str(failure))
        for write_set in (proposal(3), checkpoint(1, {b"k": b"v"})):
            store.write(write_set, lambda: durable.append(3))
        self.close_store(store)
        self.assertEqual((durable, len(self.failures)), ([1], 1))
        self.assertEqual(list(self.restored_whatever()), [InstanceId(1, 1)])

    def restored_whatever(self) -> Any:
        self.patch(leveldb, "GroupWriter", GroupWriter)
        return self.restored()["records"]

    def test_failure_while_closing(self) -> None:
        self.failing_at(1, OSError(5, "Input/output error"))
        store = self.make()
        store.open(IDENTITY)
        store.write(proposal(1), self.fail)
        self.close_store(store)
        self.assertEqual(len(self.failures), 1)

    def test_a_thread_that_dies(self) -> None:
        """Whatever of it fails, the replica hears of it, and the store can be closed."""

        class Failing(GroupWriter):
            def go_on(self, least: int = 0) -> bool:
                raise KeyboardInterrupt("what no handler of ours expects")

        self.patch(leveldb, "GroupWriter", Failing)
        store = self.make()
        store.open(IDENTITY)
        store.write(checkpoint(1, {b"k": b"v"}), lambda: None)
        self.loop.run_until(lambda: self.failures)
        self.assertIn("what no handler of ours expects", str(self.failures[0]))
        self.close_store(store)
        self.assertEqual(self.restored_whatever(), {})

    def test_a_database_that_cannot_be_closed(self) -> None:
        """The close is over all the same, and the lock is free."""

        class Failing(GroupWriter):
            def close(self) -> None:
                super().close()
                raise OSError(5, "Input/output error")

        self.patch(leveldb, "GroupWriter", Failing)
        store = self.make()
        store.open(IDENTITY)
        self.close_store(store)
        (failure,) = self.failures
        self.assertIn("Input/output error", str(failure))
        self.assertEqual(self.restored_whatever(), {})

    def test_lock_is_released_after_failure(self) -> None:
        self.failing_at(1, OSError(5, "Input/output error"))
        store = self.make()
        store.open(IDENTITY)
        store.write(proposal(1), self.fail)
        self.close_store(store)
        self.assertEqual(self.restored()["records"], {})


class ProcessTests(StoreCase):
    def child(self, *arguments: str) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.storage.child", str(self.path), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        self.addCleanup(child.__exit__, None, None, None)
        self.addCleanup(child.kill)
        return child

    def setUp(self) -> None:
        super().setUp()
        self.path = self.path.absolute()

    def said_until_killed(self, command: str, enough: int) -> list[int]:
        """What a child says to be durable, which is killed when it has said so much."""
        child = self.child(command)
        assert child.stdout is not None
        said = [int(child.stdout.readline()) for _ in range(enough)]
        child.kill()
        said += map(int, child.stdout.read().split())
        child.wait()
        return said

    def test_kill(self) -> None:
        """All that was reported durable is there after kill -9; and nothing but a prefix."""
        for enough in (1, 40, 400):
            said = self.said_until_killed("write", enough)
            slots = [id.slot for id in self.restored()["records"]]
            self.assertEqual(slots, list(range(1, len(slots) + 1)))
            self.assertLessEqual(said[-1], slots[-1])

    def test_kill_while_a_base_is_made(self) -> None:
        """Again and again: the state is that of the checkpoint that is said to be there."""
        in_the_making = 0
        for enough in (30, 1, 45, 60, 3, 70, 50, 80):
            said = self.said_until_killed("state", enough)
            in_the_making += len(list(self.path.glob("state/*.base"))) > 1
            held = self.restored()
            number = held["executed"][0]
            self.assertLessEqual(said[-1], number)
            self.assertEqual(held["state"], state_of(number))
            self.assertLess(sum(path.stat().st_size for path in self.path.glob("state/*")), 600_000)
        self.assertGreater(in_the_making, 0)

    def test_in_use(self) -> None:
        child = self.child("hold")
        assert child.stdout is not None
        self.assertEqual(child.stdout.readline(), "open\n")
        with self.assertRaises(StoreError) as caught:
            self.make().open(IDENTITY)
        self.assertEqual(str(caught.exception), f"{self.path} is in use by another process")
        child.communicate("")
        self.assertEqual(self.restored()["records"], {})

    def test_disk_full(self) -> None:
        """A file that may not grow fails as a full disk does."""
        out, _ = self.child("write", "300000").communicate()
        *durable, last = out.splitlines()
        self.assertRegex(
            last, r"^failed 1 times: .* cannot be written: IO error: .*File too large; then 0 durable$"
        )
        self.assertGreater(len(durable), 100)
        slots = [id.slot for id in self.restored()["records"]]
        self.assertEqual(slots, list(range(1, len(slots) + 1)))
        self.assertLessEqual(int(durable[-1]), slots[-1])

    def test_disk_full_of_state(self) -> None:
        """The same where it is the state that grows."""
        out, _ = self.child("state", "60000").communicate()
        *durable, last = out.splitlines()
        self.assertRegex(last, r"^failed 1 times: .* cannot be written: .*File too large; then 0 durable$")
        self.assertGreater(len(durable), 10)
        held = self.restored()
        self.assertLessEqual(int(durable[-1]), held["executed"][0])
        self.assertEqual(held["state"], state_of(held["executed"][0]))


class ReactorTests(TestCase):
    @inlineCallbacks
    def test_with_the_reactor(self) -> Any:
        """As it is used: callbacks come in the reactor's thread, close fires there."""
        path = self.mktemp()
        store = LevelDBStore(path, call_from_thread=reactor.callFromThread, failed=self.fail)
        store.open(IDENTITY)
        durable: Deferred[None] = Deferred()
        store.write(proposal(1), lambda: durable.callback(None))
        yield durable
        yield store.close()
        again = LevelDBStore(path, call_from_thread=reactor.callFromThread, failed=self.fail)
        self.assertEqual(len(list(again.open(IDENTITY).records)), 1)
        yield again.close()
