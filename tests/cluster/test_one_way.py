"""Links that carry packets in one direction only, while epochs end and a state is taken."""

from __future__ import annotations

from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from tests.cluster.harness import wait_until
from tests.cluster.namespaces import NamespacedCluster, Namespaces, why_not
from tests.cluster.record import judge_all
from tests.cluster.workload import Workload

SETTINGS = """\
[limits]
request_timeout_s = 2
peer_queue_bytes_max = 1000000
[security]
protected_mode = no
"""
AGAIN = "replica 2 begins again in this process"


class OneWayTests(SynchronousTestCase):
    transport = "tcp"

    def test_turns_and_a_transfer(self) -> None:
        """Replica 2 first does not hear replica 0, then nobody, then replica 1 alone, of which it takes the
        state.  It is heard by all, as far as the transport has no acknowledgements."""
        reason = why_not()
        if reason:
            raise SkipTest(f"no packets can be dropped between namespaces here: {reason}")
        with (
            Namespaces(3) as spaces,
            NamespacedCluster(spaces, SETTINGS, self.transport).start().ready() as cluster,
        ):
            with Workload(
                cluster.redis_ports, hosts=cluster.hosts, seed=3, clients=2, think_s=0.01
            ) as workload:
                workload.wait_for_more(100)
                spaces.cut(0, 2)
                cluster.sees_down(2, 0)
                self.turns(cluster, 1, 1)
                self.follows(cluster)
                workload.wait_for_more(100)
                spaces.cut(1, 2)
                cluster.sees_down(2, 0, 1)
                self.turns(cluster, 3, 0)
                workload.wait_for_more(100)
                spaces.heal(1, 2)
                self.follows(cluster)
                self.assertIn(AGAIN, cluster.log(2))
                workload.wait_for_more(100)
                spaces.heal(0, 2)
                workload.settle(cluster)
                cluster.settled()
            findings = judge_all(workload.recorder.operations())
            self.assertEqual((findings.wrong, findings.undecided), ([], 0))
            for id in range(3):
                self.assertNotIn("Traceback", cluster.log(id))

    def turns(self, cluster: NamespacedCluster, count: int, at: int) -> None:
        """Let epochs end, one after the other."""
        with cluster.operator(at) as client:
            for _ in range(count):
                number = self.epoch(cluster, at)
                self.assertEqual(client.execute_command("EPAXOS", "TURN"), number + 1)

    def epoch(self, cluster: NamespacedCluster, id: int) -> int:
        status = cluster.try_status(id)
        return -1 if status is None else int(status["epoch"]["number"])

    def follows(self, cluster: NamespacedCluster) -> None:
        """Wait until replica 2 is in the epoch of replica 1."""
        newest = self.epoch(cluster, 1)
        wait_until("replica 2 follows", lambda: self.epoch(cluster, 2) >= newest, 40)


class OneWayOverUdpTests(OneWayTests):
    """Here replica 2 is heard while it hears nobody."""

    transport = "udp"
