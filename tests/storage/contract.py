"""What IStore promises, whichever store it is."""

from __future__ import annotations

from typing import Any

from zope.interface.verify import verifyObject

from epaxos.interfaces import IStore, WriteSet
from tests.storage.loop import IDENTITY, Loop, checkpoint, contents, proposal


class StoreContract:
    """A mixin for a SynchronousTestCase: `make` gives a store that calls back through `self.loop`."""

    def setUp(self) -> None:
        self.loop = Loop()
        self.store = self.make()

    def make(self) -> Any:
        raise NotImplementedError

    def close(self) -> None:
        closed: list[object] = []
        self.store.close().addCallback(closed.append)
        self.loop.run_until(lambda: closed)

    def test_interface(self) -> None:
        verifyObject(IStore, self.store)

    def test_new(self) -> None:
        nothing = (0, 0, 0)
        restored = contents(self.store.open(IDENTITY))
        self.assertGreater(restored.pop("uid"), 0)
        self.assertEqual(
            restored,
            {
                "fresh": True,
                "reserved": 0,
                "floor": nothing,
                "executed": nothing,
                "beyond": (),
                "records": {},
                "base": {},
                "batches": [],
                "state": {},
                "opened": None,
                "founded": None,
                "unfounded": True,
                "past": (),
            },
        )
        self.close()

    def test_durable_in_order(self) -> None:
        """Every write set is reported once, in the order of the calls, whether synced, not, or empty."""
        self.store.open(IDENTITY)
        durable: list[int] = []
        for number in range(1, 200):
            sync = number % 3 == 0 or number == 199
            write_set = proposal(number, sync=sync) if number % 7 else WriteSet()
            self.store.write(write_set, lambda number=number: durable.append(number))
        self.loop.run_until(lambda: len(durable) == 199)
        self.assertEqual(durable, list(range(1, 200)))
        self.assertEqual(self.store.counters()["store_queue"], 0)
        self.close()
        self.assertEqual(len(durable), 199)

    def test_empty_write_set_writes_nothing(self) -> None:
        self.store.open(IDENTITY)
        durable: list[int] = []
        self.store.write(WriteSet(sync=True), lambda: durable.append(1))
        self.loop.run_until(lambda: durable)
        self.assertEqual(
            self.store.counters(),
            {"store_writes": 0, "store_syncs": 0, "store_bytes": 0, "store_queue": 0},
        )
        self.close()

    def test_write_inside_durable(self) -> None:
        """A write inside `on_durable` works, whether each of the two is a proposal or a checkpoint."""
        self.store.open(IDENTITY)
        durable: list[int] = []
        for first, second in (
            (proposal(1), checkpoint(1, {b"k": b"v"})),
            (checkpoint(2, {b"k": b"v"}), proposal(2)),
            (checkpoint(3, {b"k": b"v"}), checkpoint(4, {b"k": b"v"})),
            (proposal(3), proposal(4)),
        ):

            def again(second: WriteSet = second) -> None:
                durable.append(1)
                self.store.write(second, lambda: durable.append(2))

            self.store.write(first, again)
            self.loop.run_until(lambda: len(durable) == 2)
            self.assertEqual(durable, [1, 2])
            durable.clear()
        self.close()

    def test_close_finishes_what_was_given(self) -> None:
        self.store.open(IDENTITY)
        durable: list[int] = []
        for number in range(1, 50):
            self.store.write(proposal(number, sync=False), lambda number=number: durable.append(number))
        self.close()
        self.assertEqual(durable, list(range(1, 50)))

    def test_close_again_and_late_writes(self) -> None:
        self.store.open(IDENTITY)
        durable: list[int] = []
        closed: list[object] = []
        self.store.close().addCallback(closed.append)
        self.store.close().addCallback(closed.append)
        self.store.write(proposal(1), lambda: durable.append(1))
        self.loop.run_until(lambda: len(closed) == 2)
        self.close()
        self.assertEqual(durable, [])

    def test_close_without_open(self) -> None:
        self.close()
