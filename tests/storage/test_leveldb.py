"""LevelDBStore: the contract, and restarts."""

from __future__ import annotations

import stat

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import WriteSet
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.instance import Value
from epaxos.protocol.values.messages import Phase
from epaxos.storage.leveldb.store import LevelDBStore
from tests.storage.case import StoreCase
from tests.storage.contract import StoreContract
from tests.storage.loop import (
    IDENTITY,
    batch,
    change,
    checkpoint,
    checkpoint_of,
    proposal,
    record,
)
from tests.storage.small import History


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
