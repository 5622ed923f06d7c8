"""`python -m epaxos.verify.models`: what it prints and how it ends."""

from __future__ import annotations

import io
from contextlib import redirect_stdout

from twisted.trial.unittest import SynchronousTestCase

from epaxos.verify.models.__main__ import main
from tests.verify.models.mutants import MUTANTS


def printed(*arguments: str) -> tuple[int, str]:
    output = io.StringIO()
    with redirect_stdout(output):
        code = main(arguments)
    return code, output.getvalue()


class MainTests(SynchronousTestCase):
    def test_a_model_that_holds(self) -> None:
        code, output = printed("two commands")
        self.assertEqual(code, 0)
        self.assertIn(" 5803 ", output)
        self.assertEqual(output.split()[-2:], ["yes", "40"])

    def test_a_model_that_is_too_big(self) -> None:
        code, output = printed("--seconds", "0", "two recoveries at one")
        self.assertEqual(code, 0)
        self.assertTrue(output.rstrip().endswith("no"))

    def test_a_rule_that_is_broken(self) -> None:
        with MUTANTS["small fast quorum"].applied():
            code, output = printed("two commands, equal answers")
        self.assertEqual(code, 1)
        self.assertIn("Visibility", output)
        self.assertIn("R1 proposes b as 1.1", output)

    def test_a_model_of_turns(self) -> None:
        code, output = printed("turn, two endings")
        self.assertEqual(code, 0)
        self.assertIn(" 3696 ", output)
        self.assertEqual(output.split()[-1], "yes")

    def test_a_turn_that_breaks_a_rule(self) -> None:
        with MUTANTS["results behind R"].applied():
            code, output = printed("turn, two endings")
        self.assertEqual(code, 1)
        self.assertIn("Successor: epoch 0 ended with", output)
        self.assertIn("R1 is asked for the next epoch", output)

    def test_a_model_that_is_not_there(self) -> None:
        with self.assertRaises(SystemExit):
            printed("three million commands")
