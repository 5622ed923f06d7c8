"""Schemes, and the faults that they consist of."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.values import messages
from epaxos.verify.simulation.faults.fault import Fault, FaultKind
from epaxos.verify.simulation.plan import Plan
from epaxos.verify.simulation.run import simulate


def plans(n: int, count: int) -> list[Plan]:
    return [Plan.of(seed, n, "schemes") for seed in range(count)]


def trace(plan: Plan) -> list[str]:
    lines: list[str] = []
    result = simulate(plan, trace=True, show=lines.append)
    assert result.violations == []
    return lines


class SchemePlanTests(SynchronousTestCase):
    def test_they_aim_at_messages_that_there_are(self) -> None:
        for n in (3, 5):
            found = {kind for plan in plans(n, 60) for fault in plan.faults for kind in fault.aim.split()}
            self.assertLessEqual(found, set(messages.__all__))
            self.assertGreater(len(found), 8)

    def test_faults_end_before_the_plan_does(self) -> None:
        for n in range(1, 8):
            for plan in plans(n, 20):
                self.assertTrue(plan.workload.errands)
                for fault in plan.faults:
                    self.assertGreater(fault.lasts, 0, str(fault))
                    self.assertLess(fault.at + fault.lasts, plan.active_us, str(fault))

    def test_every_client_has_its_errand(self) -> None:
        plan = next(plan for plan in plans(5, 20) if len(plan.workload.errands) > 3)
        asked = [line for line in trace(plan) if "asks c" in line and ": asks c100" not in line]
        self.assertEqual(len(asked), len(plan.workload.errands))
        for client, (at, replica) in enumerate(plan.workload.errands):
            (line,) = [line for line in asked if f" client {client}: " in line]
            self.assertIn(f"at R{replica}", line)
            self.assertTrue(at <= float(line.split()[0]) * 1e6 <= at + plan.workload.think_us + 1, line)


class FaultTests(SynchronousTestCase):
    """One fault of a kind that schemes need, in a run of one command at R0 without other faults."""

    def run_with(self, kind: FaultKind, where: tuple[int, ...], aim: str, lasts: int = 500_000) -> list[str]:
        plan = Plan.of(1, 3, "schemes")
        self.begin = 10_000
        fault = Fault(0, self.begin, kind, where, lasts, 1, aim)
        workload = replace(plan.workload, clients=(0,), errands=((20_000, 0),))
        return trace(replace(plan, faults=(fault,), workload=workload, active_us=3_000_000))

    def times(self, lines: list[str], text: str) -> list[float]:
        """The times, in microseconds, of the lines with this text."""
        return [float(line.split()[0]) * 1e6 for line in lines if text in line]

    def test_lost(self) -> None:
        lines = self.run_with(FaultKind.LOSE, (0, 1), "PreAccept Accept")
        self.assertTrue(self.times(lines, "R0 ─x R1 (chosen) PreAccept 0.1"))
        self.assertFalse(self.times(lines, "R0 ─x R2"))
        self.assertFalse(self.times(lines, "R1 <─ R0 PreAccept 0.1"))

    def test_held_back(self) -> None:
        lines = self.run_with(FaultKind.HOLD, (0, 1), "PreAccept")
        self.assertTrue(self.times(lines, "R0 ─x R1 (held back) PreAccept 0.1"))
        self.assertGreater(min(self.times(lines, "R1 <─ R0 PreAccept 0.1")), self.begin + 500_000)

    def test_again(self) -> None:
        lines = self.run_with(FaultKind.ECHO, (0,), "PreAccept")
        for replica in (1, 2):
            first, *_, last = self.times(lines, f"R{replica} <─ R0 PreAccept 0.1")
            self.assertLess(first, self.begin + 100_000)
            self.assertGreater(last, self.begin + 500_000)

    def test_without_power_after_a_send(self) -> None:
        lines = self.run_with(FaultKind.POWER_AFTER_SEND, (0,), "PreAccept", lasts=100_000)
        (crash,) = self.times(lines, "R0: loses power")
        sent = self.times(lines, "R0 ─> R1 PreAccept 0.1")
        self.assertEqual(sent[0], crash, "it has left")
        self.assertTrue(self.times(lines, "R1 <─ R0 PreAccept 0.1"), "and it arrives")
        self.assertFalse([time for time in self.times(lines, "R0 ─> R2 PreAccept 0.1") if time <= crash])
        self.assertEqual(self.times(lines, "R0: starts, life 2"), [crash + 100_000])
