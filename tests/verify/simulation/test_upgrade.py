"""Runs in which replicas are upgraded one by one, and some of them put back in between."""

from __future__ import annotations

from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from epaxos.verify.simulation.plan import Plan
from epaxos.verify.simulation.run import simulate

SEEN = ("refuses what is newer", "takes what is newer", "has a program of version 1")


class UpgradeTests(SynchronousTestCase):
    def test_nobody_stops(self) -> None:
        """Newer commands are refused until a turn brings them; nobody gets what it does not know."""
        seen: Counter[str] = Counter()

        def look(line: str) -> None:
            seen.update(text for text in SEEN if text in line)

        for seed in range(4):
            result = simulate(Plan.of(seed, 3, "upgrade"), trace=True, show=look)
            self.assertEqual(result.violations, [], seed)
        self.assertEqual(set(seen), set(SEEN))

    def test_what_is_committed_behind_the_floor(self) -> None:
        """A replica had installed a state with instances behind a gap, of which it held none; then all had
        executed them, and what was committed behind them counted nowhere."""
        self.assertEqual(simulate(Plan.of(36, profile="upgrade")).violations, [])

    def test_the_same_seed_is_the_same_run(self) -> None:
        plan = Plan.of(1, 3, "upgrade")
        first, second = simulate(plan, trace=True), simulate(plan, trace=True)
        self.assertEqual((first.digest, first.violations), (second.digest, []))
