"""Runs in which operators let the next epoch begin, again and again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.values.ids import Deps, InstanceId
from epaxos.protocol.values.messages import NOP, Batch
from epaxos.verify.judges.invariants import Invariants
from epaxos.verify.judges.place import epoch_of
from epaxos.verify.simulation.faults.fault import Fault, FaultKind
from epaxos.verify.simulation.plan import Plan
from epaxos.verify.simulation.run import Result, simulate

SEEDS = {1: (1, 5, 9), 3: (1, 4, 8, 10), 5: (1, 2, 10)}
"""Of each size a few with several turns; those of 3 and 5 have void instances, found by looking."""


class Watch:
    """Which instances carried each command, which of these became NOP, and which epochs each replica has
    opened."""

    def __init__(self) -> None:
        self._carriers: defaultdict[str, set[InstanceId]] = defaultdict(set)
        self._nops: set[InstanceId] = set()
        self.opened: defaultdict[int, list[int]] = defaultdict(list)

    def on_proposed(self, id: InstanceId, names: tuple[str, ...]) -> None:
        for name in names:
            self._carriers[name].add(id)

    def on_commit(self, replica: int, id: InstanceId, batch: Batch, deps: Deps) -> None:
        if batch is NOP:
            self._nops.add(id)

    def proposed_again(self) -> list[str]:
        """The commands that were proposed in an epoch, where they became void, and in a later one."""
        found = []
        for name, carriers in self._carriers.items():
            epochs = sorted(epoch_of(id.slot) for id in carriers - self._nops)
            if len(set(epochs)) > 1:
                found.append(name)
        return found

    def on_end(self, replica: int, id: InstanceId) -> None:
        self.opened[replica].append(epoch_of(id.slot) + 1)

    def on_install(
        self, replica: int, source: int, executed: Deps, beyond: tuple[InstanceId, ...], end: InstanceId
    ) -> None:
        self.opened[replica].append(epoch_of(end.slot) + 1)

    def simulate(self, plan: Plan) -> Result:
        """Carry out the plan, and trace it."""
        with ExitStack() as stack:
            for name in ("on_proposed", "on_commit", "on_end", "on_install"):
                stack.enter_context(patch.object(Invariants, name, self._both(name)))
            return simulate(plan, trace=True)

    def _both(self, name: str) -> Callable[..., None]:
        """A method that tells this watch first, then the judge."""
        tell, judge = getattr(self, name), getattr(Invariants, name)

        def both(invariants: Invariants, *args: Any) -> None:
            tell(*args)
            judge(invariants, *args)

        return both


class TurnRunTests(SynchronousTestCase):
    def test_plans(self) -> None:
        """Each has turns, at replicas that there are, before the faults end; other profiles have none."""
        for seed in range(100):
            plan = Plan.of(seed, profile="turns")
            turns = [fault for fault in plan.faults if fault.kind is FaultKind.TURN]
            self.assertTrue(turns)
            self.assertEqual(len({fault.name for fault in plan.faults}), len(plan.faults))
            for fault in turns:
                self.assertTrue(0 <= fault.at < plan.active_us)
                self.assertTrue(fault.where and set(fault.where) <= set(range(plan.n)))
            for profile in ("lan", "wan", "chaos", "recovery", "schemes", "staying"):
                kinds = {fault.kind for fault in Plan.of(seed, profile=profile).faults}
                self.assertNotIn(FaultKind.TURN, kinds)

    def check(self, n: int) -> int:
        """Each seed runs alike twice, breaks no rule, and leaves epoch 0.  Returns how many commands were
        proposed again."""
        again = 0
        for seed in SEEDS[n]:
            plan = Plan.of(seed, n, "turns")
            watch = Watch()
            result = watch.simulate(plan)
            self.assertEqual(result.violations, [], seed)
            self.assertGreater(result.answered, 0)
            for replica in range(n):
                numbers = watch.opened[replica]
                self.assertTrue(numbers, f"{seed}: replica {replica}")
                self.assertEqual(sorted(numbers), numbers, f"{seed}: replica {replica}")
            self.assertEqual(len({watch.opened[replica][-1] for replica in range(n)}), 1, seed)
            self.assertEqual(simulate(plan, trace=True).digest, result.digest, seed)
            again += len(watch.proposed_again())
        return again

    def test_alone(self) -> None:
        self.assertEqual(self.check(1), 0)

    def test_three(self) -> None:
        self.assertGreater(self.check(3), 0)

    def test_five(self) -> None:
        self.assertGreater(self.check(5), 0)

    def test_a_turn_in_a_quiet_cluster(self) -> None:
        """Every member ends in the epoch of the last turn that was not refused, and serves."""
        for n in (1, 3, 5):
            plan = Plan.of(3, n, "lan")
            turns = [
                Fault(name, (name + 1) * plan.active_us // 5, FaultKind.TURN, (name % n,), 0, 1)
                for name in range(3)
            ]
            workload = replace(plan.workload, leaving=0)
            watch = Watch()
            result = watch.simulate(replace(plan, faults=tuple(turns), workload=workload))
            self.assertEqual(result.violations, [])
            self.assertEqual(result.answered, result.operations)
            self.assertEqual(watch.opened, {replica: [1, 2, 3] for replica in range(n)})

    def test_a_turn_while_one_is_away(self) -> None:
        """It is refused or waits; nobody is left behind for ever."""
        for seed in range(4):
            plan = Plan.of(seed, 3, "lan")
            third = plan.active_us // 3
            faults = (
                Fault(0, third, FaultKind.KILL, (2,), third, 1),
                Fault(1, third + third // 2, FaultKind.TURN, (0,), 0, 1),
                Fault(2, 3 * third - third // 4, FaultKind.TURN, (1,), 0, 1),
            )
            self.assertEqual(simulate(replace(plan, faults=faults)).violations, [], seed)
