"""How long clients wait when a replica dies, and the cost of broken connections, in virtual time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import Reply
from epaxos.protocol.memory.failures import FailureDetector
from epaxos.protocol.values.timing import Timing
from epaxos.verify.judges.history import History, Operation
from epaxos.verify.simulation import cluster
from epaxos.verify.simulation.clock import SECOND
from epaxos.verify.simulation.components import Components
from epaxos.verify.simulation.faults.fault import Fault, FaultKind
from epaxos.verify.simulation.network import NetworkSettings, wide_area_delays
from epaxos.verify.simulation.plan import Plan
from epaxos.verify.simulation.run import Result, _Run, simulate
from tests.builds import plain_only
from tests.defaults import default_batching

SEEDS = range(3)
MILLISECOND = SECOND // 1000


def busy(seed: int, n: int, network: NetworkSettings, faults: tuple[Fault, ...]) -> Plan:
    """Two clients for each replica increment one key all the time, with the default timeouts."""
    plan = Plan.of(seed, n, "lan")
    active_us = 10 * SECOND
    workload = replace(
        plan.workload,
        clients=tuple(range(2 * n)),
        operations=100,
        moments=tuple(range(SECOND // 10, active_us, SECOND // 10)),
        think_us=2 * MILLISECOND,
        zeal=60,
        keys=1,
        weights=(("count", 1),),
        pipelined=0,
        leaving=0,
        patience_us=20 * SECOND,
    )
    return replace(
        plan,
        timing=Timing(),
        batching=default_batching(),
        network=network,
        workload=workload,
        faults=faults,
        active_us=active_us,
    )


class DeathTests(SynchronousTestCase):
    """The longest wait of an answered operation at the survivors of a kill."""

    def longest_wait_s(self, seed: int, n: int, network: NetworkSettings) -> float:
        victim, died_at = seed % n, 2 * SECOND + 1700 * seed
        plan = busy(seed, n, network, (Fault(0, died_at, FaultKind.KILL, (victim,), 3 * SECOND, 1),))
        run = _Run(plan, False, None, Components())
        waits_us = [0]
        answer = History.answer

        def answered(history: History, operation: Operation, reply: Reply) -> None:
            answer(history, operation, reply)
            if operation.replica != victim and died_at - SECOND < operation.called_at < died_at + 2 * SECOND:
                waits_us.append(run._time.now - operation.called_at)

        # A replica whose execution is slow lets its clients wait without a death, too.
        with patch.object(History, "answer", answered), patch.object(cluster, "STEP_US", (0,)):
            run.carry_out()
        self.assertEqual(run.result().violations, [])
        self.assertGreater(len(waits_us), 20)
        return max(waits_us) / SECOND

    def test_over_streams(self) -> None:
        for n in (3, 5):
            near = NetworkSettings(tuple((250,) * n for _ in range(n)))
            for seed in SEEDS:
                self.assertLess(self.longest_wait_s(seed, n, near), 0.1)

    def test_over_datagrams(self) -> None:
        """Only silence shows it."""
        for n in (3, 5):
            near = NetworkSettings(tuple((250,) * n for _ in range(n)), datagrams=True)
            waits_s = [self.longest_wait_s(seed, n, near) for seed in SEEDS]
            self.assertLess(max(waits_s), Timing().suspect_after_s + 0.1)
            self.assertGreater(max(waits_s), 0.7, "the victim had left nothing open: this shows nothing")


class ReconnectTests(SynchronousTestCase):
    """All connections break and are made again at once, twenty times a second for eight seconds.

    Replicas are far apart, so that messages are always under way.
    """

    def run_with_breaks(self, seed: int, n: int) -> Result:
        pairs = [(a, b) for a in range(n) for b in range(a)]
        faults = tuple(
            Fault(number, 2 * SECOND, FaultKind.RECONNECT, pair, 8 * SECOND, 160)
            for number, pair in enumerate(pairs)
        )
        far = NetworkSettings(wide_area_delays(n), jitter=5)
        result = simulate(busy(seed, n, far, faults))
        self.assertEqual(result.violations, [])
        return result

    def test_no_storm_of_recoveries(self) -> None:
        for n in (3, 5):
            for seed in SEEDS[:2]:
                result = self.run_with_breaks(seed, n)
                self.assertGreater(result.answered, 150)
                self.assertGreaterEqual(result.answered, 0.95 * result.operations)
                self.assertLessEqual(result.counters["recovered"], 0.05 * result.instances)

    @plain_only
    def test_the_storm_that_there_would_be(self) -> None:
        """If each break led to a suspicion, most instances would be decided by recovery."""

        def suspect(detector: Any, replica: int) -> None:
            if not detector.suspects(replica):
                detector._suspect(replica)

        with patch.object(FailureDetector, "on_disconnected", suspect):
            result = self.run_with_breaks(0, 5)
        self.assertGreater(result.counters["recovered"], 0.2 * result.instances)
