"""Lasting faults: the other replicas have to work without those that have one."""

from __future__ import annotations

from dataclasses import replace

from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from epaxos.verify.mutants.catalogue import MUTANTS
from epaxos.verify.mutants.hunt import try_seed
from epaxos.verify.simulation.disk import DiskSettings
from epaxos.verify.simulation.faults.fault import STAYING, Fault, FaultKind
from epaxos.verify.simulation.plan import Plan
from epaxos.verify.simulation.run import simulate
from tests.builds import plain_only


def with_faults(seed: int, n: int, *faults: Fault) -> Plan:
    """A plan with these faults and no others."""
    return replace(Plan.of(seed, n, "lan"), faults=faults)


ALONE = tuple(kind for kind in STAYING if kind is not FaultKind.LOST)
"""What befalls one replica; for a lost disk see test_sleepers."""


class StayingTests(SynchronousTestCase):
    def test_plans(self) -> None:
        """At most f replicas have one, every kind occurs, and there are none where f is 0."""
        kinds = set()
        for seed in range(200):
            plan = Plan.of(seed, profile="staying")
            staying = [fault for fault in plan.faults if fault.kind in STAYING]
            self.assertEqual(bool(staying), plan.n > 2)
            ill = {replica for fault in staying for replica in fault.where}
            self.assertLessEqual(len(ill), (plan.n - 1) // 2)
            self.assertEqual(len({fault.name for fault in plan.faults}), len(plan.faults))
            for fault in staying:
                self.assertLess(fault.at + fault.lasts, plan.active_us)
            kinds |= {fault.kind for fault in staying}
        self.assertEqual(kinds, set(ALONE))

    def test_each_kind_and_aim(self) -> None:
        for n in (3, 5):
            for kind in ALONE:
                for aim in ("", "PreAccept", "Commit"):
                    fault = Fault(0, 500_000, kind, (1,), 1_000_000, 1, aim)
                    result = simulate(with_faults(4, n, fault))
                    self.assertEqual(result.violations, [], f"{n} {kind} {aim}")
                    self.assertGreater(result.answered, 5)

    def test_too_many_are_found(self) -> None:
        """Of three replicas two are dead or hear nobody, so the third cannot serve."""
        for kind in ALONE:
            faults = [Fault(id, 100_000, kind, (id,), 1, 1) for id in (0, 1)]
            violations = simulate(with_faults(4, 3, *faults)).violations
            self.assertTrue(violations, kind)
            self.assertIn("Liveness", violations[0])

    def test_one_that_is_dead_is_not_restarted(self) -> None:
        """Neither by another fault that would start it, nor at the end."""
        lines: list[str] = []
        faults = (
            Fault(0, 100_000, FaultKind.KILL, (1,), 2_000_000, 1),
            Fault(1, 500_000, FaultKind.DEAD, (1,), 1, 1),
        )
        result = simulate(with_faults(4, 3, *faults), trace=True, show=lines.append)
        self.assertEqual(result.violations, [])
        self.assertEqual(len([line for line in lines if "R1" in line and "starts, life" in line]), 1)

    def test_a_disk_that_is_merely_slow_does_not_flap(self) -> None:
        """A sync takes two seconds at all replicas, with the default timeouts: a replica is silent at most
        at the beginning."""
        for seed in range(3):
            plan = Plan.of(seed, 3, "lan")
            plan = replace(
                plan,
                faults=(),
                disk=DiskSettings(2_000_000, 0),
                batching=replace(plan.batching, request_timeout_s=60),
                workload=replace(plan.workload, patience_us=100_000_000, operations=4),
            )
            said: list[str] = []

            def note(event: LogEvent, said: list[str] = said) -> None:
                said.append(formatEvent(event))

            globalLogPublisher.addObserver(note)
            try:
                result = simulate(plan)
            finally:
                globalLogPublisher.removeObserver(note)
            self.assertEqual(result.violations, [])
            for id in range(3):
                silent = [text for text in said if f"replica {id} is silent" in text]
                self.assertLessEqual(len(silent), 2, (seed, said))  # a sync takes 1 to 3 s here

    @plain_only
    def test_what_fetches_for_ever_is_found(self) -> None:
        for mutant in MUTANTS:
            if "for ever" in mutant.name:
                catches = filter(None, (try_seed(mutant, seed) for seed in range(20)))
                self.assertEqual(next(catches).check, "liveness", mutant.name)
