"""Which replicas are asked first, and how long they may take."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.memory.latency import Latency
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import InstanceId


class LatencyTests(SynchronousTestCase):
    def nearest(self, latency: Latency, count: int = 1, *suspected: int) -> tuple[int, ...]:
        return latency.fastest(count, suspected.__contains__)

    def test_unknown_ones_come_in_order(self) -> None:
        latency = Latency(1, Epoch.first(4), 1.0)
        self.assertEqual(self.nearest(latency), (2,))
        self.assertEqual(self.nearest(latency, 2), (2, 3))
        self.assertEqual(self.nearest(latency, 2, 2), (0, 3))
        self.assertEqual(self.nearest(latency, 2, 0, 2, 3), (2, 3), "better a suspected one than none")

    def test_those_that_answer_fastest(self) -> None:
        latency = Latency(0, Epoch.first(3), 1.0)
        for k in range(20):
            id = InstanceId(0, k + 1)
            latency.asks_all(id, k)
            latency.on_answer(InstanceId(0, 999), 2, k)
            latency.on_answer(id, 2, k + (0.01 if k < 10 else 0.09))
            latency.on_answer(id, 1, k + 0.05)
            latency.on_answer(id, 1, k + 0.9)
            if k == 9:
                self.assertEqual(self.nearest(latency), (2,))
                self.assertAlmostEqual(latency.usual_s((1, 2)), 0.05)
                self.assertEqual(latency.usual_s(()), 0.0)
        self.assertEqual(self.nearest(latency), (1,), "the newest answers count most")

    def test_one_that_does_not_answer_is_far(self) -> None:
        latency = Latency(0, Epoch.first(3), 1.0)
        latency.asks_all(InstanceId(0, 1), 0.0)
        latency.on_answer(InstanceId(0, 1), 2, 0.5)
        latency.asks_all(InstanceId(0, 2), 0.6)
        self.assertEqual(self.nearest(latency), (1,), "it may still answer")
        latency.asks_all(InstanceId(0, 3), 1.5)
        self.assertEqual(self.nearest(latency), (2,))

    def test_one_that_was_missed_comes_after_others_until_it_answers(self) -> None:
        latency = Latency(0, Epoch.first(4), 1.0)
        latency.on_silence([1])
        self.assertEqual(self.nearest(latency, 2), (2, 3))
        self.assertEqual(self.nearest(latency, 2, 2, 3), (1, 2), "better than a suspected one")
        latency.on_answer(InstanceId(0, 7), 1, 0.0)
        self.assertEqual(self.nearest(latency, 2), (1, 2))

    def test_when_all_are_asked(self) -> None:
        """Until all are known; then four times in the time that an answer is waited for, but not while
        the last such answers are.  An answer to what not all were asked says nothing."""
        latency = Latency(0, Epoch.first(3), 1.0)
        steps: list[tuple[float, bool, tuple[int, ...]]] = [
            (0.0, True, ()),
            (0.1, True, (1, 2)),
            (1.0, True, (1,)),
            (1.25, False, (1, 2)),
            (1.99, False, ()),
            (2.0, True, (1, 2)),
            (2.24, False, (1,)),
            (2.25, True, ()),
        ]
        for slot, (now, expected, answers) in enumerate(steps):
            id = InstanceId(0, slot)
            self.assertEqual(latency.asks_all(id, now), expected, f"at {now}")
            for replica in answers:
                latency.on_answer(id, replica, now)
        self.assertGreater(latency.usual_s((2,)), latency.usual_s((1,)))

    def test_silence_counts_no_longer_than_it_is_waited_for(self) -> None:
        """Otherwise one lost answer before an hour of rest would keep leaders waiting for the fast path."""
        latency = Latency(0, Epoch.first(3), 1.0)
        latency.asks_all(InstanceId(0, 1), 0.0)
        latency.asks_all(InstanceId(0, 2), 3600.0)
        latency.on_answer(InstanceId(0, 2), 2, 7200.0)
        self.assertLessEqual(latency.usual_s((1, 2)), 1.0)
