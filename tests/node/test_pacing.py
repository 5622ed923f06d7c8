"""When the commands that wait are proposed."""

from __future__ import annotations

from operator import sub

from twisted.trial.unittest import SynchronousTestCase

from epaxos.node.backoff import UNTRIED_MAX
from epaxos.node.pacing import COMMANDS_EXPECTED_MAX, WAIT_MAX_S, Pacing
from epaxos.protocol.values.messages import PreAccept
from tests.defaults import default_batching
from tests.node.lab import Cluster


def usual(took_s: float) -> Pacing:
    """A Pacing that has learned that an instance takes `took_s` seconds."""
    pacing = Pacing(16)
    for _ in range(100):
        pacing.on_decided(0.0, took_s, 1, 0)
        pacing.is_complete(0.0, 1)
    return pacing


class PacingTests(SynchronousTestCase):
    def test_nothing_is_expected_before_the_first_decision(self) -> None:
        self.assertTrue(Pacing(16).is_complete(1.0, 0))

    def test_as_many_as_were_decided_beside_those_that_wait(self) -> None:
        pacing = usual(0.002)
        pacing.on_decided(1.0, 0.002, 8, 9)
        self.assertEqual([pacing.is_complete(1.001, queued) for queued in (1, 9, 16, 17, 1)], [0, 0, 0, 1, 1])

    def test_a_single_client_waits_for_nobody(self) -> None:
        pacing = usual(0.002)
        pacing.on_decided(1.0, 0.002, 1, 0)
        self.assertTrue(pacing.is_complete(1.0, 1))

    def test_no_longer_than_an_instance_takes_nor_than_the_limit(self) -> None:
        for took_s, wait_s in ((0.002, 0.002), (0.1, WAIT_MAX_S)):
            pacing = usual(took_s)
            pacing.on_decided(1.0, took_s, 8, 0)
            assert pacing.wait_ends is not None
            self.assertAlmostEqual(pacing.wait_ends, 1.0 + wait_s, places=5)
            self.assertFalse(pacing.is_complete(pacing.wait_ends - 1e-6, 7))
            self.assertTrue(pacing.is_complete(pacing.wait_ends, 7))

    def test_large_batches_wait_for_nothing(self) -> None:
        pacing = usual(0.002)
        pacing.on_decided(1.0, 0.002, COMMANDS_EXPECTED_MAX, 1)
        self.assertTrue(pacing.is_complete(1.0, 1))

    def test_waits_in_vain_become_rare(self) -> None:
        pacing = usual(0.002)
        waits = []
        for number in range(400):
            pacing.on_decided(float(number), 0.002, 2, 0)
            if not pacing.is_complete(float(number), 1):
                waits.append(number)
                self.assertTrue(pacing.is_complete(number + 0.5, 1))
        self.assertEqual(waits, [0, 2, 6, 14, 30, 62, 126, 190, 254, 318, 382])
        self.assertEqual(waits[-1] - waits[-2], UNTRIED_MAX + 1)

    def test_one_that_was_not_in_vain_makes_them_common_again(self) -> None:
        pacing = usual(0.002)
        for number in range(70):
            pacing.on_decided(float(number), 0.002, 2, 0)
            pacing.is_complete(number + 0.5, 1)
        while pacing.wait_ends is None:
            pacing.on_decided(100.0, 0.002, 2, 0)
        self.assertTrue(pacing.is_complete(100.0, 2))
        pacing.on_decided(101.0, 0.002, 2, 0)
        self.assertFalse(pacing.is_complete(101.0, 1))


class ClusterTests(SynchronousTestCase):
    def test_clients_that_are_answered_share_an_instance_with_those_that_wait(self) -> None:
        cluster = Cluster(default_batching(window=1)).start()

        def ask(name: bytes) -> None:
            cluster.nodes[0].submit([[name, b"x"]], lambda _: cluster.clock.callLater(0.0005, ask, name))

        for k in range(10):  # the one half while the instance of the other is under way
            cluster.clock.callLater(0.001 * (k % 2), ask, b"%d" % k)
        cluster.run(0.1)
        before = len(cluster.logs[0].batches)
        cluster.run(0.1)
        batches = cluster.logs[0].batches[before:]
        self.assertGreater(len(batches), 5)
        self.assertEqual({len(batch) for batch in batches}, {10})

    def test_one_client_is_never_kept_waiting_for_another(self) -> None:
        cluster = Cluster().start()
        answered: list[float] = []

        def ask(_: object = None) -> None:
            answered.append(cluster.clock.seconds())
            cluster.nodes[0].submit([[b"k", b"x"]], ask)

        ask()
        cluster.run(0.05)
        self.assertGreater(len(answered), 20)
        self.assertLessEqual(max(map(sub, answered[1:], answered)), 0.0026)

    def test_the_window_bounds_what_is_in_flight(self) -> None:
        cluster = Cluster(default_batching(commands_max=1, window=3)).start()
        outcomes = [cluster.submit(0, [b"%d" % k, b"x"]) for k in range(10)]
        cluster.clock.advance(0)
        proposed = {m.id for send in cluster.wires[0].sends for _, m in send if isinstance(m, PreAccept)}
        self.assertEqual(len(proposed), 3)
        cluster.run(0.2)
        self.assertEqual(outcomes, [[[b"x"]]] * 10)
