"""Making failing plans small."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.verify.simulation.plan import Plan
from epaxos.verify.simulation.shrink import Shrinker, kind


class ShrinkTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.plan = next(
            plan
            for seed in range(300)
            if len((plan := Plan.of(seed)).faults) > 15
            and len(plan.workload.clients) > 4
            and plan.workload.operations > 12
        )
        self.runs = 0

    def fails(self, plan: Plan) -> bool:
        """Whether the plan has the two faults, the client and the third operation that together show a
        bug."""
        self.runs += 1
        names = {fault.name for fault in plan.faults}
        wanted = {self.plan.faults[3].name, self.plan.faults[11].name}
        return wanted <= names and 2 in plan.workload.clients and plan.workload.operations >= 3

    def test_to_what_matters(self) -> None:
        small = Shrinker(self.fails).shrink(self.plan)
        self.assertEqual(small.faults, (self.plan.faults[3], self.plan.faults[11]))
        self.assertEqual(small.workload.clients, (2,))
        self.assertEqual(small.workload.operations, 3)
        self.assertEqual(small.network, self.plan.network)

    def test_to_nothing(self) -> None:
        small = Shrinker(lambda plan: True).shrink(self.plan)
        self.assertEqual((small.faults, small.workload.clients, small.workload.operations), ((), (), 1))

    def test_what_cannot_be_made_smaller_stays(self) -> None:
        self.assertEqual(Shrinker(lambda plan: plan == self.plan).shrink(self.plan), self.plan)

    def test_no_more_runs_than_allowed(self) -> None:
        small = Shrinker(self.fails, runs_max=10).shrink(self.plan)
        self.assertLessEqual(self.runs, 10)
        self.assertTrue(self.fails(small))

    def test_kinds(self) -> None:
        for violation, expected in (
            ("Agreement: 0.1 is", "Agreement"),
            ("Liveness: the clients are not done", "Liveness"),
            ("replica 1 runs 0.1 twice", "other"),
            ("the simulation broke off: Traceback", "other"),
        ):
            self.assertEqual(kind(violation), expected)
