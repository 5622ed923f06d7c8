"""How long clients of other replicas wait when a replica is killed or stopped, in real processes."""

from __future__ import annotations

import signal
from statistics import median

from tests.cluster.case import ClusterTestCase
from tests.cluster.deaths import HOT, SEPARATE, Death, die
from tests.cluster.harness import Cluster

WAIT_MAX_S = 0.25
"""The longest wait after a death that closes connections."""
SUSPECT_AFTER_S = 1.0
"""The default of `suspect_after_s`: how long it takes to notice a death that closes no connection."""


class _Case(ClusterTestCase):
    def check(self, deaths: list[Death], most_s: float) -> None:
        """Check that at least half of the deaths keep the bound, to which the longest wait without a death is
        added, because the processes that recover have to wait for processors, too."""
        self.assertLess(median(death.longest_s - 2 * death.before_s for death in deaths), most_s, deaths)

    def deaths(
        self, cluster: Cluster, load: str, victims: tuple[int, ...], number: signal.Signals = signal.SIGKILL
    ) -> list[Death]:
        return [die(cluster, victim, load, number) for victim in victims]


class DeathTests(_Case):
    def test_one_of_three_is_killed(self) -> None:
        with self.cluster(3).start().ready() as cluster:
            self.check(self.deaths(cluster, HOT, (0, 1, 2, 0, 1)), WAIT_MAX_S)
            self.check(self.deaths(cluster, SEPARATE, (0, 1, 2)), WAIT_MAX_S)

    def test_one_of_five_is_killed(self) -> None:
        with self.cluster(5).start().ready() as cluster:
            self.check(self.deaths(cluster, HOT, (0, 2, 4)), WAIT_MAX_S)
            self.check(self.deaths(cluster, SEPARATE, (1, 3, 0)), WAIT_MAX_S)

    def test_one_is_stopped(self) -> None:
        """Its connections stay open, so only silence shows it."""
        with self.cluster(3).start().ready() as cluster:
            deaths = self.deaths(cluster, HOT, (0, 1, 2), signal.SIGSTOP)
            self.check(deaths, SUSPECT_AFTER_S + WAIT_MAX_S)


class DeathOverUdpTests(_Case):
    transport = "udp"

    def test_one_of_three_is_killed(self) -> None:
        with self.cluster(3).start().ready() as cluster:
            self.check(self.deaths(cluster, HOT, (0, 1, 2)), SUSPECT_AFTER_S + WAIT_MAX_S)
