"""Ballots, their owners, and dependency vectors."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import InstanceId, is_in, merge, next_ballot, owner


class IdTests(SynchronousTestCase):
    def test_ballots(self) -> None:
        for n in (1, 2, 3, 5):
            for replica in range(n):
                ballot = 0
                for _ in range(4):
                    above = next_ballot(ballot, replica, Epoch.first(n))
                    self.assertTrue(ballot < above <= ballot + n)
                    self.assertEqual(above % n, replica)
                    ballot = above

    def test_owner(self) -> None:
        self.assertEqual(owner(0, InstanceId(2, 9), Epoch.first(3)), 2)
        self.assertEqual(owner(4, InstanceId(2, 9), Epoch.first(3)), 1)

    def test_vectors(self) -> None:
        self.assertEqual(merge([(1, 5, 0), (2, 3, 0)]), (2, 5, 0))
        self.assertTrue(is_in(InstanceId(1, 5), (0, 5, 0)))
        self.assertFalse(is_in(InstanceId(1, 6), (9, 5, 9)))
