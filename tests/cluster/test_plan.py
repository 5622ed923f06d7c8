"""The test plan of go-epaxos, with real processes: one and several proposers, with and without interference,
random timeouts, a random replica killed and restarted; with 3 and with 5 replicas.

In each test the history of the clients must be linearizable, and all replicas must end in the same state.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from epaxos.verify.simulation.dice import Dice, seeded
from tests.cluster.harness import Cluster, wait_until
from tests.cluster.nemesis import ProcessFaults
from tests.cluster.record import judge_all
from tests.cluster.workload import Mix, Workload

SEED = 20_130_813
INTERFERING = Mix(hot=1.0, write=2, read=1, count=2, condition=1)
KILLS = 2
NOT_INTERFERING = Mix(hot=0.0, write=3, read=2, count=1)


class _Plan(SynchronousTestCase):
    """The plan for `n` replicas."""

    n: int
    transport = "tcp"
    delays_ms: tuple[int, int, int]
    """The links where timeouts are too short: from, to, and the jitter in milliseconds."""
    recoveries_decide = True
    """Whether replicas that recover far too early sometimes decide before the leader does."""

    def workload(self, cluster: Cluster, proposers: Sequence[int], mix: Mix, clients: int = 4) -> Workload:
        """Clients of the proposers alone."""
        return Workload(
            cluster.redis_ports, seed=SEED, homes=proposers, mix=mix, clients=clients, think_s=0.001
        )

    def check(self, cluster: Cluster, workload: Workload) -> None:
        workload.settle(cluster)
        findings = judge_all(workload.recorder.operations())
        self.assertEqual((findings.wrong, findings.undecided), ([], 0))

    def test_single_and_multiple_proposers_interfering_and_not(self) -> None:
        with Cluster(self.n, transport=self.transport).start().ready() as cluster:
            for proposers in (range(1), range(self.n)):
                for mix in (INTERFERING, NOT_INTERFERING):
                    with self.workload(cluster, proposers, mix) as workload:
                        workload.wait_for_more(100)
                        self.check(cluster, workload)
                    cluster.client(0).flushdb()

    def test_random_timeouts(self) -> None:
        """Replicas suspect, resend and recover far too early, each at other times, over uneven links, so that
        they recover instances all the time while the leaders are alive."""
        cluster = Cluster(
            self.n, transport=self.transport, linked=True, settings_of=self.random_timing
        ).start()
        with cluster:
            dice = Dice(SEED, "links")
            low_ms, high_ms, jitter_ms = self.delays_ms
            for pair in cluster.links.all:
                cluster.links.delay([pair], dice.between(low_ms, high_ms), jitter_ms)
            cluster.ready()
            with self.workload(cluster, range(self.n), INTERFERING, 1) as workload:
                workload.wait_for_more(40, 60)
                if self.recoveries_decide:
                    wait_until("an instance is recovered", lambda: self.recovered(cluster), 30)
                cluster.links.calm()
                self.check(cluster, workload)

    def recovered(self, cluster: Cluster) -> int:
        return sum(cluster.status(id)["counters"]["recovered"] for id in range(self.n))

    def random_timing(self, id: int) -> str:
        random = seeded(SEED, "timing", self.n, id).uniform
        return (
            "[timing]\n"
            f"heartbeat_s = {random(0.02, 0.05):.3f}\nsuspect_after_s = {random(0.11, 0.2):.3f}\n"
            f"resend_s = {random(0.03, 0.2):.3f}\nrecover_after_s = {random(0.05, 0.08):.3f}\n"
            f"turn_s = {random(0.001, 0.02):.3f}\nbackoff_max_s = {random(0.1, 0.5):.3f}\n"
        )

    def test_a_random_replica_killed_and_restarted(self) -> None:
        with Cluster(self.n, transport=self.transport).start().ready() as cluster:
            with self.workload(cluster, range(self.n), Mix.everything(), 2) as workload:

                def wait(seconds: float) -> None:
                    workload.wait_for_more(30)

                faults = ProcessFaults(cluster, Dice(SEED, "kills", self.n), wait)
                for _ in range(KILLS):
                    workload.wait_for_more(30)
                    faults.kill_one(0)
                self.check(cluster, workload)
            restored = sum(cluster.log(id).count("goes on from its disk") for id in range(self.n))
            self.assertEqual(restored, KILLS)


class ThreeReplicasTests(_Plan):
    """The leader needs the replica that it named, and one round trip, so it decides before a recovery can."""

    n = 3
    delays_ms = (25, 45, 60)
    recoveries_decide = False


class FiveReplicasTests(_Plan):
    """Over datagrams, as in go-epaxos."""

    n = 5
    transport = "udp"
    delays_ms = (15, 35, 40)


del _Plan  # not a test of its own
