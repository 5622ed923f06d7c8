"""Prefixes of rows, and the instances beyond them."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from epaxos.execution.frontier import Frontier
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import InstanceId


class FrontierTests(SynchronousTestCase):
    def test_slots_in_any_order(self) -> None:
        table = [
            # slots added, new ones, mark, beyond
            ([], [], 0, []),
            ([1], [True], 1, []),
            ([1, 2, 3], [True, True, True], 3, []),
            ([2], [True], 0, [2]),
            ([3, 2], [True, True], 0, [2, 3]),
            ([3, 2, 1], [True, True, True], 3, []),
            ([2, 4, 1], [True, True, True], 2, [4]),
            ([1, 1], [True, False], 1, []),
            ([3, 3], [True, False], 0, [3]),
            ([2, 1, 2, 1], [True, True, False, False], 2, []),
        ]
        for slots, new, mark, beyond in table:
            frontier = Frontier(Epoch.first(2))
            self.assertEqual([frontier.add(1, slot) for slot in slots], new, slots)
            self.assertEqual(frontier.deps, (0, mark), slots)
            self.assertEqual(frontier.beyond(), tuple(InstanceId(1, slot) for slot in beyond), slots)

    def test_beyond_is_sorted_by_row_and_slot(self) -> None:
        frontier = Frontier(Epoch.first(3))
        for row, slot in ((2, 9), (0, 70), (2, 4), (0, 3), (0, 2)):
            frontier.add(row, slot)
        self.assertEqual(frontier.beyond(), ((0, 2), (0, 3), (0, 70), (2, 4), (2, 9)))
        self.assertIsInstance(frontier.beyond()[0], InstanceId)

    def test_a_large_row_in_random_order(self) -> None:
        frontier = Frontier(Epoch.first(1))
        slots = list(range(1, 20_001))
        Random(1).shuffle(slots)
        for slot in slots:
            self.assertTrue(frontier.add(0, slot))
        self.assertEqual((frontier.deps, frontier.beyond()), ((20_000,), ()))

    def test_restore_takes_up_exactly_and_forgets_the_rest(self) -> None:
        frontier = Frontier(Epoch.first(2))
        marks = frontier.marks
        frontier.add(0, 5)
        frontier.restore((3, 0), [InstanceId(1, 2), InstanceId(0, 6), InstanceId(0, 2), InstanceId(0, 4)])
        self.assertEqual(frontier.deps, (4, 0))
        self.assertEqual(frontier.beyond(), ((0, 6), (1, 2)))
        self.assertIs(frontier.marks, marks)
        self.assertFalse(frontier.add(0, 1))
        self.assertTrue(frontier.add(0, 5))
        self.assertEqual(frontier.deps, (6, 0))
