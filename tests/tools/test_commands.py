"""The commands of `make` as Python runs them without docstrings."""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase


class CommandTests(SynchronousTestCase):
    def test_help_without_docstrings(self) -> None:
        for name in ("tools.local_cluster", "verify.simulation", "verify.models", "verify.mutants.hunt"):
            command = [sys.executable, "-OO", "-m", f"epaxos.{name}", "--help"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=120)
            self.assertEqual((done.returncode, done.stderr), (0, ""), name)
            self.assertIn("--help", done.stdout)
