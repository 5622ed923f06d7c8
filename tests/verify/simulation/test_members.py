"""Runs in which members come and go."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from epaxos.verify.simulation.clock import SECOND
from epaxos.verify.simulation.faults.fault import Fault, FaultKind
from epaxos.verify.simulation.plan import PROFILES, Plan
from epaxos.verify.simulation.run import Result, simulate

STEP = 8 * SECOND
BEFORE = 5 * SECOND
"""A replica asks to join this long before an operator adds it: in epoch 0 it has to wait for a turn."""


class Seen:
    """What happened in a run: the changes that operators were told, in order; and who ended."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.ended: list[str] = []
        self.refused: Counter[str] = Counter()

    def __call__(self, line: str) -> None:
        if " operator " in line and ": has " in line:
            self.told.append(line.rsplit(": ", 1)[1])
        if " ends: " in line:
            self.ended.append(line.split()[1].rstrip(":"))
        if " is refused: " in line:
            self.refused[line.split(" is refused: ")[1]] += 1


def plan_of(seed: int, n: int, *changes: str, faults: tuple[Fault, ...] = ()) -> Plan:
    """A quiet run with these changes, one every STEP; whoever joins asks to before."""
    spares = sum(change.split()[0] in ("add", "replace") for change in changes)
    plan = PROFILES["lan"](seed, n + spares)
    active_us = STEP * (len(changes) + 1)
    made = list(faults)
    for step, change in enumerate(changes, 1):
        what, *numbers = change.split()
        if what in ("add", "replace"):
            made.append(Fault(0, STEP * step - BEFORE, FaultKind.JOIN, (int(numbers[-1]),), 0, 1))
        asked = tuple(range(n + spares))
        made.append(Fault(0, STEP * step, FaultKind.MEMBERS, asked, STEP // 2, 1, change))
    moments = tuple(range(SECOND // 10, active_us, active_us // 20))
    return replace(
        plan,
        n=n,
        spares=spares,
        faults=tuple(fault._replace(name=name) for name, fault in enumerate(made)),
        workload=replace(plan.workload, moments=moments, operations=16, leaving=0),
        active_us=active_us,
    )


def run(plan: Plan) -> tuple[Result, Seen]:
    seen = Seen()
    return simulate(plan, trace=True, show=seen), seen


class MembersTests(SynchronousTestCase):
    def assert_done(self, plan: Plan, *ended: int) -> Seen:
        """All changes were made, and these replicas have ended."""
        result, seen = run(plan)
        self.assertEqual(result.violations, [], plan.describe())
        changes = [fault.aim for fault in plan.faults if fault.kind is FaultKind.MEMBERS]
        self.assertEqual((seen.told, seen.ended), (changes, [f"R{number}" for number in ended]))
        self.assertGreater(result.answered, result.operations * 0.7)
        return seen

    def test_it_grows_and_shrinks(self) -> None:
        changes = ("add 1", "add 2", "add 3", "add 4", "remove 0", "remove 2", "remove 3", "remove 1")
        for seed in range(2):
            self.assert_done(plan_of(seed, 1, *changes), 0, 2, 3, 1)

    def test_all_are_replaced_one_by_one(self) -> None:
        for seed in range(2):
            self.assert_done(plan_of(seed, 3, "replace 0 3", "replace 1 4", "replace 2 5"), 0, 1, 2)

    def test_the_only_one_is_replaced(self) -> None:
        """The two lists have nobody in common."""
        for seed in range(3):
            self.assert_done(plan_of(seed, 1, "replace 0 1", "replace 1 2"), 0, 1)

    def test_one_whose_disk_is_lost_is_replaced(self) -> None:
        for seed in range(3):
            dead = Fault(0, STEP // 2, FaultKind.DEAD, (seed,), 0, 1)
            self.assert_done(plan_of(seed, 3, f"replace {seed} 3", faults=(dead,)))

    def test_who_slept_while_all_others_were_replaced(self) -> None:
        """It hears of it when it comes back, and takes the state; or it is removed itself, and ends."""
        for last, ended in (("move 2", (0, 1)), ("remove 2", (0, 1, 2))):
            nap = Fault(0, STEP // 2, FaultKind.KILL, (2,), 3 * STEP + STEP // 2, 1)
            plan = plan_of(1, 3, "replace 0 3", "replace 1 4", last, faults=(nap,))
            self.assert_done(plan, *ended)

    def test_one_that_is_not_there_is_not_added(self) -> None:
        plan = plan_of(0, 3, "add 3")
        result, seen = run(replace(plan, faults=plan.faults[1:]))
        self.assertEqual((result.violations, seen.told), ([], []))

    def test_the_same_seed_is_the_same_run(self) -> None:
        for seed in range(2):
            plan = Plan.of(seed, 3, "members")
            first, second = simulate(plan, trace=True), simulate(plan, trace=True)
            self.assertEqual((first.digest, first.violations), (second.digest, []))
