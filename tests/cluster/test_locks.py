"""Locks while replicas whose clocks differ are killed; and what the judges of locks see."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.cluster.harness import Cluster
from tests.cluster.locks import CLOCKS_S, SETTINGS, Fenced, Held, judge_fences, judge_holders, run

SECONDS = 20.0


class LocksTests(SynchronousTestCase):
    def test_one_holder_at_a_time(self) -> None:
        """`python -m tests.cluster.locks` does it for longer."""
        with Cluster(3, SETTINGS, clocks_s=CLOCKS_S).start().ready() as cluster:
            offsets_s = [cluster.status(id)["clock"]["offset_s"] for id in range(cluster.n)]
            self.assertGreater(max(offsets_s) - min(offsets_s), 0.3, "the clocks differ")
            report = run(cluster, SECONDS)
            self.assertEqual(report.wrong, [])
            self.assertGreater(report.kills, 3)
            self.assertGreater(len(report.held), 20, str(report))
            self.assertGreater(len(report.fenced), 20, str(report))
            cluster.equal_digests()


class JudgeTests(SynchronousTestCase):
    def test_holders(self) -> None:
        for held, count in (
            ([Held("a", 1, 0.0, 1.0), Held("a", 2, 1.0, 2.0)], 0),
            ([Held("a", 1, 0.0, 1.0), Held("b", 2, 0.5, 2.0)], 0),
            ([Held("a", 1, 0.0, 1.0), Held("a", 2, 0.5, 2.0)], 1),
            ([Held("a", 2, 0.5, 0.6), Held("a", 1, 0.0, 1.0), Held("a", 3, 0.9, 2.0)], 2),
        ):
            self.assertEqual(len(judge_holders(held)), count, held)

    def test_fences(self) -> None:
        for fenced, count in (
            ([Fenced("a", 0, 1, 5), Fenced("a", 2, 3, 6), Fenced("b", 4, 5, 1)], 0),
            ([Fenced("a", 0, 3, 6), Fenced("a", 2, 4, 5)], 0),  # at the same time
            ([Fenced("a", 0, 1, 6), Fenced("a", 2, 3, 5)], 1),
            ([Fenced("a", 0, 3, 6), Fenced("a", 2, 4, 6)], 1),
            ([Fenced("a", 0, 1, 6), Fenced("a", 1.5, 9, 7), Fenced("a", 2, 3, 8), Fenced("a", 4, 5, 7)], 2),
        ):
            self.assertEqual(len(judge_fences(fenced)), count, fenced)
