"""The epoch, which gives every other value of the protocol its meaning."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.values.epoch import Epoch


class EpochTests(SynchronousTestCase):
    def test_first(self) -> None:
        epoch = Epoch.first(3)
        self.assertEqual((epoch.number, epoch.members, epoch.n), (0, (0, 1, 2), 3))

    def test_no_members(self) -> None:
        for n in (0, -1):
            self.assertRaises(ValueError, Epoch.first, n)

    def test_row_is_the_place_in_the_list(self) -> None:
        epoch = Epoch(4, (7, 2, 9))
        self.assertEqual([epoch.row_of(member) for member in epoch.members], [0, 1, 2])
        self.assertRaises(ValueError, epoch.row_of, 0)
