"""Who has to be told what one replica has opened."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.node.following import Following
from epaxos.protocol.values.epoch import Epoch


class FollowingTests(SynchronousTestCase):
    def test_who_listens(self) -> None:
        """Who was removed waits until it hears that the epoch without it is safe."""
        for members, others, listeners in (
            ((0, 1), (0,), (0, 4)),
            ((1,), (), (0, 4)),
            ((1, 5), (5,), (5, 0, 4)),
            ((0, 4), (0, 4), (0, 4)),
            ((0, 1, 4), (0, 4), (0, 4)),
        ):
            following = Following(1, Epoch(3, (0, 1, 4)))
            self.assertEqual((following.others, following.listeners), ((0, 4), (0, 4)))
            following.move(Epoch(4, members))
            self.assertEqual((following.others, following.listeners), (others, listeners), members)
