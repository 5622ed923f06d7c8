"""The command of the simulator."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from epaxos.verify.simulation import pool
from epaxos.verify.simulation.__main__ import main
from epaxos.verify.simulation.digests import read_digests
from epaxos.verify.simulation.plan import Plan
from epaxos.verify.simulation.pool import Settings, Shrunk, shrunk
from epaxos.verify.simulation.report import Failures, Progress, again
from epaxos.verify.simulation.run import Result


def _fake(plan: Plan, trace: bool = False, show: object = None, components: object = None) -> Result:
    """A simulator in which the first fault of seed 3 shows a bug, and seed 4 raises."""
    if plan.seed == 4:
        raise RuntimeError("the simulator is broken")
    if plan.seed == 3 and plan.faults and plan.faults[0].name == 0:
        return Result(plan, ["Agreement: broken"])
    return Result(plan, operations=5, messages=7)


class CommandTests(SynchronousTestCase):
    def call(self, text: str) -> tuple[int, str]:
        """The exit status and the output."""
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            try:
                status = main(text.split())
            except SystemExit as exit:
                status = int(exit.code or 0)
        return status, out.getvalue()

    def test_one_seed(self) -> None:
        status, out = self.call("--seed 2 --n 3 --profile lan")
        self.assertEqual(status, 0)
        self.assertIn("seed 2, lan, 3 replicas", out)
        self.assertIn("nothing found", out)

    def test_trace(self) -> None:
        status, out = self.call(
            "--seed 2 --n 3 --profile lan --clients 0 --faults none --operations 2 --trace"
        )
        self.assertEqual(status, 0)
        self.assertIn("R2 ─> R0 PreAccept", out)
        self.assertIn("digest ", out)

    def test_a_failing_seed(self) -> None:
        with patch.object(pool, "simulate", _fake):
            status, out = self.call("--seed 3 --profile chaos --shrink")
        self.assertEqual(status, 1)
        self.assertIn("FOUND Agreement: broken", out)
        self.assertIn(
            "trace: python -m epaxos.verify.simulation --seed 3 --profile chaos"
            " --clients none --faults 0 --operations 1 --trace",
            out,
        )

    def test_what_makes_no_sense(self) -> None:
        for text, expected in (
            ("", "one of the arguments"),
            ("--seed x", "invalid int value"),
            ("--seed 1 --seeds 1..2", "not allowed with"),
            ("--seeds 5..5", "there is no seed in 5..5"),
            ("--seeds a..b", "is no range of seeds"),
            ("--seed 1 --n 9", "1 to 7 replicas can be simulated, not 9"),
            ("--seed 1 --n 0", "is not a number from 1 up"),
            ("--seed 1 --profile moon", "invalid choice"),
            ("--seed 1 --faults a", "is no list of numbers"),
        ):
            status, out = self.call(text)
            self.assertEqual(status, 2, text)
            self.assertIn(expected, out)
            self.assertNotIn("Traceback", out)

    def test_help(self) -> None:
        status, out = self.call("--help")
        self.assertEqual(status, 0)
        self.assertIn("message by message", out)

    def test_digests(self) -> None:
        file = Path(self.mktemp())
        file.write_text("# known\n2 lan 1 ?  # one\n")
        self.assertEqual(self.call(f"--digests {file}"), (0, ""))
        ((seed, profile, n, digest),) = read_digests(file)
        self.assertEqual((seed, profile, n, len(digest)), (2, "lan", 1, 32))
        self.assertTrue(file.read_text().startswith("# known\n"))


class PoolTests(SynchronousTestCase):
    """In this process, because the other processes run the same function."""

    def test_what_breaks_the_simulator_is_a_finding(self) -> None:
        with patch.object(pool, "simulate", _fake):
            result = pool.run(Plan.of(4), Settings())
        self.assertIn("the simulation broke off: Traceback", result.violations[0])

    def test_shrunk(self) -> None:
        with patch.object(pool, "simulate", _fake):
            found = shrunk(pool.run(Plan.of(3, 3, "chaos"), Settings()), Settings())
        self.assertEqual(found.violation, "Agreement: broken")
        self.assertEqual([fault.name for fault in found.plan.faults], [0])
        self.assertEqual(found.plan.workload.clients, ())

    def test_what_fails_otherwise_is_another_finding(self) -> None:
        def fake(plan: Plan, settings: Settings) -> Result:
            return Result(plan, ["Agreement: x" if len(plan.faults) > 3 else "Order: y"])

        plan = Plan.of(3, 3, "chaos")
        self.assertGreater(len(plan.faults), 3)
        with patch.object(pool, "run", fake):
            self.assertEqual(len(shrunk(Result(plan, ["Agreement: x"]), Settings()).plan.faults), 4)


class ReportTests(SynchronousTestCase):
    def test_again(self) -> None:
        plan = Plan.of(3)
        self.assertEqual(again(plan, Settings()), "python -m epaxos.verify.simulation --seed 3")
        chosen = Settings(5, "lan")
        self.assertEqual(
            again(chosen.plan(3).keep(clients=[1, 0], faults=[]), chosen, "--trace"),
            "python -m epaxos.verify.simulation --seed 3 --n 5 --profile lan --clients 0,1 --faults none"
            " --trace",
        )

    def test_progress(self) -> None:
        out = io.StringIO()
        progress = Progress(out, 10)
        progress.count(Result(Plan.of(1), operations=3, messages=4))
        progress.count(Result(Plan.of(2), ["Order: x"], undecided=True))
        self.assertRegex(
            str(progress),
            r"^2 of 10 runs in 0 s, \d+ a minute; 3 operations, 4 messages; 1 failed, 1 undecided$",
        )
        progress.clear()
        self.assertEqual(out.getvalue(), "", "in a log, not a line for each run")

    def test_failures_are_kept(self) -> None:
        folder = Path(self.mktemp()) / "deep" / "found"
        out = io.StringIO()
        failures = Failures(out, Settings(), folder)
        plan = Plan.of(3)
        failures.found(Result(plan, ["Order: x"]))
        failures.made_small(Shrunk(plan.keep(faults=[]), "Order: x"))
        kept = (folder / "seed-3.txt").read_text(encoding="utf-8")
        self.assertEqual(kept, out.getvalue())
        self.assertEqual(os.listdir(folder), ["seed-3.txt"])
        for text in ("seed 3 failed:\nOrder: x\n", "again: python", "shrunk, ", "--faults none --trace"):
            self.assertIn(text, kept)
        failures.made_small(Shrunk(plan.keep(clients=[], faults=[], operations=1), "Order: x"))
        self.assertIn("fails with 0 clients, 1 operation each, 0 faults:\n", out.getvalue())
