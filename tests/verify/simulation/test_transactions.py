"""Runs in which clients use transactions, marks, hashes, scripts and fences."""

from __future__ import annotations

from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from epaxos.verify.mutants.catalogue import MUTANTS
from epaxos.verify.mutants.hunt import check_of, try_seed
from epaxos.verify.simulation.plan import Plan
from epaxos.verify.simulation.run import simulate
from tests.builds import plain_only

SEEN = ("EXEC", "WATCH", "UNWATCH", "LIVES", "EVAL", "HSET", "has x", "-> None")


class TransactionTests(SynchronousTestCase):
    def test_all_kinds_of_commands(self) -> None:
        seen: Counter[str] = Counter()

        def look(line: str) -> None:
            seen.update(text for text in SEEN if text in line)

        for seed in range(6):
            result = simulate(Plan.of(seed, 3, "transactions"), trace=True, show=look)
            self.assertEqual(result.violations, [], seed)
        self.assertEqual(set(seen), set(SEEN))

    def test_what_is_undone_is_seen_by_nobody_who_watches(self) -> None:
        """A script was taken back because of a key that it had not declared, and had made a mark dirty."""
        self.assertEqual(simulate(Plan.of(12, 3, "transactions")).violations, [])

    def test_the_seed_decides_the_run(self) -> None:
        plan = Plan.of(2, 3, "transactions")
        self.assertEqual(simulate(plan, trace=True).digest, simulate(plan, trace=True).digest)

    @plain_only
    def test_some_mutants_are_caught_at_once(self) -> None:
        wanted = {"EXEC whatever has changed": "linearizability", "not undone": "linearizability"}
        for mutant in MUTANTS:
            if mutant.name in wanted:
                catches = filter(None, (try_seed(mutant, seed) for seed in range(20)))
                self.assertEqual(check_of(next(catches).text), wanted.pop(mutant.name))
        self.assertEqual(wanted, {})
