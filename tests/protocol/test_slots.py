"""The slots of the own row."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.memory.slots import SLOTS_RESERVED, OwnSlots


class SlotTests(SynchronousTestCase):
    def test_blocks(self) -> None:
        slots = OwnSlots()
        self.assertFalse(slots.available)
        self.assertEqual(slots.wanted(), SLOTS_RESERVED)
        self.assertIsNone(slots.wanted(), "asked for once")
        slots.on_durable(SLOTS_RESERVED)
        self.assertEqual([slots.take() for _ in range(3)], [1, 2, 3])
        wanted = None
        while slots.available and wanted is None:
            slots.take()
            wanted = slots.wanted()
        self.assertTrue(slots.available, "the next block is asked for before the last is used up")
        self.assertGreater(wanted or 0, SLOTS_RESERVED)

    def test_restart(self) -> None:
        slots = OwnSlots()
        slots.restore(SLOTS_RESERVED)
        self.assertFalse(slots.available)
        slots.on_durable(slots.wanted() or 0)
        self.assertEqual(slots.take(), SLOTS_RESERVED + 1)
