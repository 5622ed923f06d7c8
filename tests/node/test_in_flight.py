"""Bundles from the proposal to the replies."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.values.messages import NOP, Commit, PreAccept
from tests.defaults import default_batching
from tests.node.lab import Cluster


class InFlightTests(SynchronousTestCase):
    def test_answers_follow_execution_everywhere(self) -> None:
        cluster = Cluster().start()
        first = cluster.submit(0, [b"k", b"a"], [b"j", b"x"])
        self.assertEqual(first, [], "never before submit returns")
        cluster.run(0.1)
        second = cluster.submit(1, [b"k", b"b"])
        cluster.run(0.1)
        self.assertEqual((first, second), ([[b"a", b"x"]], [[b"ab"]]))
        self.assertEqual([log.texts for log in cluster.logs], [{b"k": b"ab", b"j": b"x"}] * 3)

    def test_an_instance_that_became_nop_is_proposed_again(self) -> None:
        cluster = Cluster(default_batching(request_timeout_s=60)).start()
        cluster.isolate(0)
        outcomes = cluster.submit(0, [b"k", b"a"])
        cluster.run(0.01)
        sent = [m for send in cluster.wires[0].sends for _, m in send if isinstance(m, PreAccept)]
        cluster.arrive(1, 0, Commit(sent[0].id, 4, NOP, (0, 0, 0)))
        cluster.arrive(2, 1, Commit(sent[0].id, 4, NOP, (0, 0, 0)))
        cluster.cut.clear()
        cluster.run(2)
        self.assertEqual(outcomes, [[b"a"]])
        self.assertEqual(cluster.logs[1].texts, {b"k": b"a"})
