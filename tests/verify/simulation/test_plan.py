"""The plans of seeds, and plans with clients and faults left out."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.verify.simulation.dice import Dice
from epaxos.verify.simulation.faults.fault import FaultKind
from epaxos.verify.simulation.plan import PROFILES, Plan
from epaxos.verify.simulation.run import simulate

SEEDS = range(300)


class PlanTests(SynchronousTestCase):
    def test_a_seed_always_means_the_same(self) -> None:
        for seed in range(20):
            self.assertEqual(Plan.of(seed), Plan.of(seed))
            self.assertNotEqual(Plan.of(seed), Plan.of(seed + 1))

    def test_everything_comes_up(self) -> None:
        plans = [Plan.of(seed) for seed in SEEDS]
        for profile in (
            "turns",
            "sleepers",
            "once",
            "members",
            "streams",
            "channels",
            "expiry",
            "upgrade",
            "transactions",
        ):  # which no seed chooses by itself
            plans += [Plan.of(seed, None, profile) for seed in SEEDS]
        self.assertEqual({plan.profile for plan in plans}, set(PROFILES))
        self.assertEqual({plan.n for plan in plans}, set(range(1, 8)))
        self.assertEqual({fault.kind for plan in plans for fault in plan.faults}, set(FaultKind))
        self.assertEqual({plan.network.datagrams for plan in plans}, {False, True})

    def test_chosen(self) -> None:
        for profile in PROFILES:
            plan = Plan.of(5, 4, profile)
            self.assertEqual((plan.n, plan.profile, plan.seed), (4, profile, 5))
            self.assertIn(f"seed 5, {profile}, 4 replicas", plan.describe())

    def test_what_there_is_not(self) -> None:
        self.assertRaises(ValueError, Plan.of, 1, 0)
        self.assertRaises(ValueError, Plan.of, 1, 8)
        self.assertRaises(ValueError, Plan.of, 1, None, "moon")

    def test_faults_name_replicas_of_the_cluster(self) -> None:
        for seed in SEEDS:
            plan = Plan.of(seed)
            for fault in plan.faults:
                self.assertTrue(fault.where and set(fault.where) <= set(range(plan.n)), fault)
                self.assertEqual(len(set(fault.where)), len(fault.where))

    def test_members_that_have_to_be_there(self) -> None:
        """A disk is lost only where a majority is left, even if nobody that asks to be added is."""
        seen = set()
        for seed in range(2000):
            plan = Plan.of(seed, None, "members")
            kinds = {fault.kind for fault in plan.faults}
            if kinds & {FaultKind.LOST, FaultKind.DEAD} and plan.n > 2:
                aims = [fault.aim for fault in plan.faults if fault.kind is FaultKind.MEMBERS]
                removed = sum(aim.startswith("remove") for aim in aims)
                self.assertGreaterEqual(plan.n - removed, 3, seed)
                seen.add((plan.n, removed))
        self.assertIn((5, 2), seen)


class KeepTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.plan = next(plan for seed in SEEDS if len((plan := Plan.of(seed)).faults) > 5)

    def test_all(self) -> None:
        self.assertEqual(self.plan.keep(), self.plan)

    def test_some(self) -> None:
        first, *_, last = self.plan.faults
        kept = self.plan.keep(clients=[1], faults=[last.name, first.name, 999], operations=3)
        self.assertEqual(kept.faults, (first, last), "as they were, in the order of the plan")
        self.assertEqual((kept.workload.clients, kept.workload.operations), ((1,), 3))
        self.assertEqual(kept.network, self.plan.network)

    def test_a_part_of_a_part(self) -> None:
        names = [fault.name for fault in self.plan.faults]
        once = self.plan.keep(faults=names[:2])
        self.assertEqual(once.keep(clients=[0]), self.plan.keep(clients=[0], faults=names[:2]))

    def test_what_stays_does_as_before(self) -> None:
        """A client sends the same commands without faults and without other clients."""

        def asked(plan: Plan) -> list[str]:
            lines: list[str] = []
            simulate(plan, trace=True, show=lines.append)
            return [line.split("asks ")[1].split(" [")[0] for line in lines if "client 1: asks" in line]

        plan = Plan.of(3, 3, "lan")
        alone = asked(plan.keep(clients=[1], faults=[]))
        self.assertEqual(alone, asked(plan.keep(clients=[0, 1], faults=[])))
        self.assertTrue(alone)


class DiceTests(SynchronousTestCase):
    def test_streams(self) -> None:
        """These numbers are the same on every computer and Python version."""
        dice = Dice(7, "test")
        drawn = [dice.below(1000), dice.between(1, 6), dice.pick("abc"), dice.chance(0.5)]
        again = Dice(7, "test")
        self.assertEqual(
            drawn, [again.below(1000), again.between(1, 6), again.pick("abc"), again.chance(0.5)]
        )
        self.assertNotEqual(
            [Dice(7, "test").below(10**9)], [Dice(7, "other").below(10**9)], "streams are independent"
        )

    def test_weights(self) -> None:
        dice = Dice(1, "weights")
        drawn = [dice.pick_weighted((("a", 3), ("b", 0), ("c", 1))) for _ in range(400)]
        self.assertTrue(250 < drawn.count("a") < 350)
        self.assertEqual(drawn.count("b"), 0)
        self.assertRaises(ValueError, dice.pick_weighted, ())

    def test_some(self) -> None:
        dice = Dice(1, "some")
        self.assertEqual(sorted(dice.pick_some("abc", 5)), ["a", "b", "c"])
        self.assertEqual(len(set(dice.pick_some(range(10), 4))), 4)
