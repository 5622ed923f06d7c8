"""When the commands that wait are to wait for more."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.node.backoff import UNTRIED_MAX
from epaxos.node.gathering import COMMANDS_EXPECTED_MAX, WAIT_MAX_S, Gathering


def usual(took_s: float) -> Gathering:
    """One that knows how long an instance takes."""
    gathering = Gathering()
    for _ in range(100):
        gathering.on_decided(0.0, took_s, 1, 0)
        gathering.is_complete(0.0, 1)
    return gathering


class GatheringTests(SynchronousTestCase):
    def test_nothing_is_expected_before_the_first_decision(self) -> None:
        self.assertTrue(Gathering().is_complete(1.0, 0))

    def test_as_many_as_were_decided_beside_those_that_wait(self) -> None:
        gathering = usual(0.002)
        gathering.on_decided(1.0, 0.002, 8, 9)
        self.assertEqual(
            [gathering.is_complete(1.001, queued) for queued in (1, 9, 16, 17, 1)], [0, 0, 0, 1, 1]
        )

    def test_a_single_client_waits_for_nobody(self) -> None:
        gathering = usual(0.002)
        gathering.on_decided(1.0, 0.002, 1, 0)
        self.assertTrue(gathering.is_complete(1.0, 1))

    def test_no_longer_than_an_instance_takes_nor_than_the_limit(self) -> None:
        for took_s, wait_s in ((0.002, 0.002), (0.1, WAIT_MAX_S)):
            gathering = usual(took_s)
            gathering.on_decided(1.0, took_s, 8, 0)
            assert gathering.wait_ends is not None
            self.assertAlmostEqual(gathering.wait_ends, 1.0 + wait_s, places=5)
            self.assertFalse(gathering.is_complete(gathering.wait_ends - 1e-6, 7))
            self.assertTrue(gathering.is_complete(gathering.wait_ends, 7))

    def test_large_batches_wait_for_nothing(self) -> None:
        gathering = usual(0.002)
        gathering.on_decided(1.0, 0.002, COMMANDS_EXPECTED_MAX, 1)
        self.assertTrue(gathering.is_complete(1.0, 1))

    def test_waits_in_vain_become_rare(self) -> None:
        gathering = usual(0.002)
        waits = []
        for number in range(400):
            gathering.on_decided(float(number), 0.002, 2, 0)
            if not gathering.is_complete(float(number), 1):
                waits.append(number)
                self.assertTrue(gathering.is_complete(number + 0.5, 1))
        self.assertEqual(waits, [0, 2, 6, 14, 30, 62, 126, 190, 254, 318, 382])
        self.assertEqual(waits[-1] - waits[-2], UNTRIED_MAX + 1)

    def test_one_that_was_not_in_vain_makes_them_common_again(self) -> None:
        gathering = usual(0.002)
        for number in range(70):
            gathering.on_decided(float(number), 0.002, 2, 0)
            gathering.is_complete(number + 0.5, 1)
        while gathering.wait_ends is None:
            gathering.on_decided(100.0, 0.002, 2, 0)
        self.assertTrue(gathering.is_complete(100.0, 2))
        gathering.on_decided(101.0, 0.002, 2, 0)
        self.assertFalse(gathering.is_complete(101.0, 1))
