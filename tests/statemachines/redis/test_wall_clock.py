from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from epaxos.interfaces import IClusterClock
from tests.statemachines.redis.wall_clock import WallClock


class WallClockTests(SynchronousTestCase):
    def test_it_never_goes_back(self) -> None:
        times = iter([1.5, 1.25, 1.0, 2.0])
        clock = WallClock(lambda: next(times))
        verifyObject(IClusterClock, clock)
        self.assertEqual([clock.now_ms() for _ in range(4)], [1500, 1500, 1500, 2000])
