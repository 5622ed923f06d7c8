"""The deadlines of many keys."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.memory.deadlines import Deadlines


class DeadlineTests(SynchronousTestCase):
    def test_order_and_replacement(self) -> None:
        alarms: Deadlines[str] = Deadlines()
        for key, at in (("a", 3.0), ("b", 1.0), ("c", 2.0), ("b", 2.0), ("d", 1.0)):
            alarms.set(key, at)
        alarms.clear("d")
        self.assertEqual(alarms.next(), 2.0)
        self.assertEqual(alarms.pop_due(1.5), [])
        self.assertEqual(alarms.pop_due(2.0), ["c", "b"])
        self.assertEqual((alarms.next(), len(alarms)), (3.0, 1))

    def test_setting_again_and_again_takes_no_memory(self) -> None:
        alarms: Deadlines[str] = Deadlines()
        for at in range(10_000):
            alarms.set("key", float(at))
        self.assertLess(len(alarms._heap), 100)
        self.assertEqual(alarms.pop_due(1e9), ["key"])
