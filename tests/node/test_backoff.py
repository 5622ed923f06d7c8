"""How many occasions are skipped after tries that failed."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.node.backoff import UNTRIED_MAX, Backoff


class BackoffTests(SynchronousTestCase):
    def skipped(self, backoff: Backoff) -> int:
        """The number of occasions until the next try."""
        return next(number for number in range(1000) if backoff.may_try())

    def test_skips_grow_to_a_limit(self) -> None:
        backoff = Backoff()
        skips = []
        for _ in range(9):
            skips.append(self.skipped(backoff))
            backoff.on_failure()
        self.assertEqual(skips, [0, 1, 3, 7, 15, 31, UNTRIED_MAX, UNTRIED_MAX, UNTRIED_MAX])

    def test_a_success_makes_the_next_failure_the_first(self) -> None:
        backoff = Backoff()
        for _ in range(4):
            backoff.on_failure()
        self.skipped(backoff)
        backoff.on_success()
        self.assertEqual(self.skipped(backoff), 0)
        backoff.on_failure()
        self.assertEqual(self.skipped(backoff), 1)
