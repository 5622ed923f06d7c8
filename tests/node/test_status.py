"""What GET /status shows, and the digest that it shows where it is asked for."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from epaxos.node import digest
from epaxos.node.digest import digest_of
from tests.node.lab import Cluster
from tests.node.steps import LONG, SteppedCase


class StatusTests(SynchronousTestCase):
    def test_fields(self) -> None:
        cluster = Cluster().start()
        cluster.submit(0, [b"k", b"a"])
        cluster.run(0.1)
        cluster.isolate(2)
        cluster.run(1.5)
        status: dict[str, Any] = self.successResultOf(cluster.nodes[0].status(digest=True))
        self.assertEqual((status["id"], status["cluster"], status["next_slot"]), (0, "test", 2))
        self.assertEqual([member["up"] for member in status["members"]], [True, True, False])
        self.assertEqual(cluster.nodes[0].members_up(), [0, 1])
        self.assertEqual((status["committed"], status["executed"]), ([1, 0, 0], [1, 0, 0]))
        self.assertEqual(status["digest"], digest_of([(b"k", b"a")]))
        self.assertIs(status["running"], True)
        counters = status["counters"]
        self.assertEqual((counters["fast_path"], counters["commands_executed"]), (1, 1))
        self.assertEqual(counters["commands_read"], 0)
        self.assertIn("store_writes", counters)
        self.assertIn("bytes_sent", counters)

    def test_digest_of_a_large_state_leaves_turns_to_others(self) -> None:
        cluster = Cluster().start()
        cluster.logs[0].texts = {b"%d" % k: b"v" for k in range(5000)}
        waiting = cluster.nodes[0].status(digest=True)
        self.assertNoResult(waiting)
        cluster.logs[0].texts = {}
        cluster.run(0.01)
        expected = digest_of([(b"%d" % k, b"v") for k in range(5000)])
        self.assertEqual(self.successResultOf(waiting)["digest"], expected)

    def test_without_a_digest_it_is_told_at_once(self) -> None:
        """However large the state is, nobody walks over it."""
        cluster = Cluster().start()
        cluster.submit(0, [b"k", b"a"])
        cluster.run(0.1)
        self.patch(cluster.logs[0], "entries", lambda: self.fail("the state is read"))
        status = self.successResultOf(cluster.nodes[0].status())
        self.assertEqual((status["digest"], status["running"], status["executed"]), (None, True, [1, 0, 0]))


class WholenessTests(SteppedCase):
    """A digest waits until a batch is whole."""

    def test_status(self) -> None:
        self.submit_long()
        self.run_into_the_long_one()
        early = self.cluster.nodes[0].status(digest=True)
        self.assertNoResult(early)
        self.cluster.run(0.3)
        status = self.successResultOf(early)
        self.assertEqual(status["digest"], digest_of({b"long": b"x" * LONG}.items()))
        self.assertEqual(status["executed"], [1, 0, 0])
        self.assertEqual(status["counters"]["commands_executed"], LONG)

    def test_without_a_digest(self) -> None:
        """It is told at once; what is applied in part does not count."""
        self.submit_long()
        self.run_into_the_long_one()
        status = self.successResultOf(self.cluster.nodes[0].status())
        self.assertEqual(status["executed"], [0, 0, 0])
        self.assertEqual(status["counters"]["commands_executed"], 0)

    def test_a_status_that_is_given_up(self) -> None:
        """A client gives up before the batch is whole, or while the digest is computed."""
        self.patch(digest, "STEP_S", 0.0)
        self.patch(digest, "QUANTUM_BYTES", 1)
        self.submit_long()
        self.run_into_the_long_one()
        node = self.cluster.nodes[0]
        before, between, other = (node.status(digest=True) for _ in range(3))
        before.cancel()
        self.failureResultOf(before, CancelledError)
        self.assertEqual(len(node._applier._whole_waits), 2)
        while node._applier._whole_waits:
            self.step()
        between.cancel()
        self.failureResultOf(between, CancelledError)
        self.assertEqual(len(node._status._digest._jobs[0].waiting), 1)
        other.cancel()
        self.failureResultOf(other, CancelledError)
        self.assertEqual(len(node._status._digest._jobs), 0)
        later = node.status(digest=True)
        self.cluster.run(0.3)
        status = self.successResultOf(later)
        self.assertEqual(status["counters"]["commands_executed"], LONG)

    def test_between_batches(self) -> None:
        """A status shows what is in the state, not what the executor has released."""
        for k in range(5):
            self.submit_long(b"%d" % k, 7)
            self.cluster.clock.advance(0)
        self.run_into_the_long_one()
        statuses = []
        while len(self.log.batches) < 5:
            status = self.cluster.nodes[0].status(digest=True)
            for _ in range(100):
                if status.called:
                    break
                self.step()
            found = self.successResultOf(status)
            statuses.append(found["executed"][0])
            texts = {b"%d" % k: b"x" * 7 for k in range(statuses[-1])}
            self.assertEqual(found["digest"], digest_of(texts.items()))
            self.assertEqual(found["executed"][0] + found["counters"]["instances_waiting"], 5)
            self.step()
        self.assertGreater(len(set(statuses)), 2)
