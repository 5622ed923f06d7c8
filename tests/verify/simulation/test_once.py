"""Runs in which clients number their commands, and send each until it is answered."""

from __future__ import annotations

import re
from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from epaxos.verify.mutants.catalogue import MUTANTS
from epaxos.verify.mutants.hunt import check_of, try_seed
from epaxos.verify.simulation.plan import Plan
from epaxos.verify.simulation.run import simulate
from tests.builds import plain_only

SEEDS = range(12)
ASKED = re.compile(r"the numbering client (\d+) asks .*ONCE \w+ (\d+) ")


class OnceTests(SynchronousTestCase):
    def test_every_number_counts_once(self) -> None:
        again = numbers = 0
        for seed in SEEDS:
            sent: Counter[tuple[str, ...]] = Counter()

            def show(line: str, sent: Counter[tuple[str, ...]] = sent) -> None:
                if match := ASKED.search(line):
                    sent[match.groups()] += 1

            result = simulate(Plan.of(seed, profile="once"), trace=True, show=show)
            self.assertEqual(result.violations, [], f"seed {seed}")
            numbers += len(sent)
            again += sum(count > 1 for count in sent.values())
        self.assertGreater(numbers, 100)
        self.assertGreater(again, 10, "hardly a number was sent again")

    def test_the_seed_decides_the_run(self) -> None:
        plan = Plan.of(2, n=3, profile="once")
        self.assertEqual(simulate(plan, trace=True).digest, simulate(plan, trace=True).digest)

    @plain_only
    def test_some_mutants_are_caught_at_once(self) -> None:
        wanted = {"reply not kept": "exactly once", "a session of its own accord": "exactly once"}
        for mutant in MUTANTS:
            if mutant.name in wanted:
                catches = filter(None, (try_seed(mutant, seed) for seed in range(20)))
                self.assertEqual(check_of(next(catches).text), wanted.pop(mutant.name))
        self.assertEqual(wanted, {})
