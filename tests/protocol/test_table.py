"""The table of instances."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.memory.table import InstanceTable
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import Phase


class TableTests(SynchronousTestCase):
    def test_watermark(self) -> None:
        table = InstanceTable(Epoch.first(2))
        seen = []
        for slot in (1, 3, 2, 5, 4):
            table.get(InstanceId(0, slot)).phase = Phase.COMMITTED
            table.on_committed(InstanceId(0, slot))
            seen.append(table.committed[0])
        self.assertEqual(seen, [1, 1, 3, 3, 5])
        self.assertEqual(table.known, (5, 0))

    def test_uncommitted(self) -> None:
        table = InstanceTable(Epoch.first(1))
        for slot in (1, 3, 6):
            table.get(InstanceId(0, slot)).phase = Phase.COMMITTED
            table.on_committed(InstanceId(0, slot))
        self.assertEqual([id.slot for id in table.uncommitted(0, 6, 9)], [2, 4, 5])
        self.assertEqual([id.slot for id in table.uncommitted(0, 6, 2)], [2, 4])
        self.assertEqual([id.slot for id in table.uncommitted(0, 3, 9)], [2])

    def test_forget(self) -> None:
        table = InstanceTable(Epoch.first(2))
        for slot in (1, 2, 4):
            table.get(InstanceId(1, slot))
        self.assertEqual(table.forget((3, 2)), [InstanceId(1, 1), InstanceId(1, 2)])
        self.assertEqual((len(table), table.committed, table.known), (1, (3, 2), (3, 4)))
        self.assertTrue(table.is_forgotten(InstanceId(1, 2)))
        self.assertFalse(table.is_forgotten(InstanceId(1, 3)))

    def test_forgotten_without_having_been_held(self) -> None:
        """They ran in a state that was installed.  What is committed behind them counts from now on."""
        table = InstanceTable(Epoch.first(1))
        for slot in (4, 5, 7):
            table.get(InstanceId(0, slot)).phase = Phase.COMMITTED
            table.on_committed(InstanceId(0, slot))
        table.forget((3,))
        self.assertEqual(table.committed, (5,))
        self.assertEqual(table.uncommitted(0, 7, 9), [InstanceId(0, 6)])

    def test_above(self) -> None:
        table = InstanceTable(Epoch.first(2))
        for id in ((1, 5), (0, 2), (1, 3), (0, 1)):
            table.get(InstanceId(*id))
        self.assertEqual([i.id for i in table.above((1, 3))], [(0, 2), (1, 5)])
