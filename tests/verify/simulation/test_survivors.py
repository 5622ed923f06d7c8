"""The judge of what any n-f disks hold: it lets good runs pass, sees what is lost, and changes nothing."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.verify.mutants.hunt import check_of
from epaxos.verify.simulation import run, survivors
from epaxos.verify.simulation.disk import Disk
from epaxos.verify.simulation.plan import Plan
from epaxos.verify.simulation.run import simulate
from epaxos.verify.simulation.survivors import choices

SEEDS = {"turns": ((3, 1), (5, 4)), "sleepers": ((3, 2), (5, 3))}
"""Sizes of clusters, and seeds."""


class ChoiceTests(SynchronousTestCase):
    def test_each_is_of_enough_disks(self) -> None:
        for n, size in ((1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (7, 4)):
            every = set(combinations(range(n), size))
            tried = [choices(seed, n, range(n)) for seed in range(400)]
            self.assertEqual({choice for one in tried for choice in one}, every, n)
            whole = sum(len(one) == len(every) for one in tried)
            self.assertGreaterEqual(whole, 400 // survivors.ALL_ONE_IN // 2, n)
            self.assertEqual({len(one) for one in tried}, {1, len(every)}, n)

    def test_lost_disks_are_not_among_them(self) -> None:
        self.assertEqual(choices(1, 3, (0, 2)), [(0, 2)])
        self.assertEqual({choice for seed in range(50) for choice in choices(seed, 3, (1, 2))}, {(1, 2)})


class SurvivorTests(SynchronousTestCase):
    def test_every_choice(self) -> None:
        """Of runs with three and five replicas, with all their faults."""
        self.patch(survivors, "ALL_ONE_IN", 1)
        for profile, seeds in SEEDS.items():
            for n, seed in seeds:
                self.assertEqual(simulate(Plan.of(seed, n, profile)).violations, [], (profile, n, seed))

    def test_the_run_goes_on_as_if_nothing_had_happened(self) -> None:
        plan = Plan.of(2, 3, "sleepers")
        digest = simulate(plan, trace=True).digest
        self.patch(run, "choices", lambda *_: [])
        self.assertEqual(simulate(plan, trace=True).digest, digest)

    def test_disks_that_lie(self) -> None:
        """They say that all is synced, and nothing is.  A run in which nobody loses power does not see it."""
        plan = replace(Plan.of(1, 3, "lan"), profile="turns", faults=())
        finish = Disk.finish
        self.patch(Disk, "finish", lambda disk, sync: finish(disk, False))
        (violation,) = simulate(plan).violations
        self.assertTrue(violation.startswith("Survivors: of ["), violation)
        self.assertEqual(check_of(violation), "survivors")
        self.assertEqual(simulate(replace(plan, profile="lan")).violations, [])

    def test_a_replica_that_does_not_start_again(self) -> None:
        """The others are too few, and their clients wait in vain."""
        plan = replace(Plan.of(1, 3, "lan"), profile="turns", faults=())
        self.patch(run, "choices", lambda *_: [(1,)])
        (violation,) = simulate(plan).violations
        self.assertIn("Survivors: of [1] alone: Liveness: the last reads are not answered: c2001.", violation)
