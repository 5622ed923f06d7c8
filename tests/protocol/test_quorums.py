"""The sizes of quorums, by tables of cases."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.quorums import Quorums


class QuorumTests(SynchronousTestCase):
    def test_sizes(self) -> None:
        """n -> f, e, slow quorum, fast quorum (EPaxos*, section 3)."""
        for n, f, e, slow, fast in (
            (1, 0, 0, 1, 1),
            (2, 0, 0, 2, 2),
            (3, 1, 1, 2, 2),
            (4, 1, 1, 3, 3),
            (5, 2, 2, 3, 3),
            (6, 2, 2, 4, 4),
            (7, 3, 2, 4, 5),
            (9, 4, 3, 5, 6),
        ):
            quorums = Quorums.of(Epoch.first(n))
            self.assertEqual((quorums.f, quorums.e, quorums.slow, quorums.fast), (f, e, slow, fast))

    def test_bounds(self) -> None:
        """n >= max(2e+f-1, 2f+1): what the proof of recovery needs, for every n."""
        for n in range(1, 40):
            quorums = Quorums.of(Epoch.first(n))
            self.assertGreaterEqual(n, max(2 * quorums.e + quorums.f - 1, 2 * quorums.f + 1))

    def test_no_cluster(self) -> None:
        self.assertRaises(ValueError, Epoch.first, 0)
        self.assertRaises(ValueError, Quorums.of, Epoch(0, ()))

    def test_a_fast_quorum_is_named_where_a_recovery_asks_all_of_it(self) -> None:
        """Any n-f replicas without the leader have to include all others, so f <= 1."""
        self.assertEqual([Quorums.of(Epoch.first(n)).named for n in range(1, 8)], [True] * 4 + [False] * 3)
        for n in range(1, 5):
            self.assertEqual(Quorums.of(Epoch.first(n)).slow, Quorums.of(Epoch.first(n)).fast)
        self.assertFalse(Quorums.of(Epoch.first(3), named=False).named)
        self.assertRaises(ValueError, Quorums.of, Epoch.first(5), named=True)
