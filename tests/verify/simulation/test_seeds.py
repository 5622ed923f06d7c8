"""Runs saved seeds, and fresh ones for a bounded time, with the command that people use.

SIMULATION_SECONDS is how long; shorter under trial, because `make test` runs it under pytest, too.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from epaxos.verify.simulation.plan import Plan
from epaxos.verify.simulation.run import simulate

HERE = Path(__file__).parent
SEEDS = HERE / "seeds.txt"
SECONDS = int(os.environ.get("SIMULATION_SECONDS", "45"))
ROUNDS_OFF_S = 120


def saved_plans() -> list[Plan]:
    """The plans of the saved seeds."""
    plans = []
    for line in SEEDS.read_text(encoding="utf-8").splitlines():
        words = line.partition("#")[0].split()
        if words:
            n = int(words[1]) if len(words) > 1 else None
            plans.append(Plan.of(int(words[0]), n, words[2] if len(words) > 2 else None))
    return plans


class SeedTests(SynchronousTestCase):
    def test_saved(self) -> None:
        for plan in saved_plans():
            result = simulate(plan)
            self.assertEqual(result.violations, [], f"seed {plan.seed}")

    def test_fresh(self) -> None:
        command = [sys.executable, "-m", "epaxos.verify.simulation", "--soak", "--seconds", str(SECONDS)]
        done = subprocess.run(
            command, cwd=HERE.parents[2], capture_output=True, text=True, timeout=SECONDS + ROUNDS_OFF_S
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn(" 0 failed", done.stdout)
        self.assertIn("fresh seeds from ", done.stdout)

    test_fresh.timeout = SECONDS + 2 * ROUNDS_OFF_S  # type: ignore[attr-defined]
