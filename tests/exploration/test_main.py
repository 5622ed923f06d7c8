"""`python -m epaxos.exploration`: what it prints and how it ends."""

from __future__ import annotations

import io
from contextlib import redirect_stdout

from twisted.trial.unittest import SynchronousTestCase

from epaxos.exploration.__main__ import main
from tests.exploration import mutants


def printed(*arguments: str) -> tuple[int, str]:
    output = io.StringIO()
    with redirect_stdout(output):
        code = main(arguments)
    return code, output.getvalue()


class MainTests(SynchronousTestCase):
    def test_a_model_that_holds(self) -> None:
        code, output = printed("two commands")
        self.assertEqual(code, 0)
        self.assertIn(" 4467 ", output)
        self.assertTrue(output.rstrip().endswith("yes"))

    def test_a_model_that_is_too_big(self) -> None:
        code, output = printed("--seconds", "0", "two recoveries at one")
        self.assertEqual(code, 0)
        self.assertTrue(output.rstrip().endswith("no"))

    def test_a_rule_that_is_broken(self) -> None:
        self.patch(*mutants.FAST_QUORUM_OF_ONE_LESS)
        code, output = printed("two commands")
        self.assertEqual(code, 1)
        self.assertIn("Visibility", output)
        self.assertIn("R1 proposes b as 1.1", output)

    def test_a_model_that_is_not_there(self) -> None:
        with self.assertRaises(SystemExit):
            printed("three million commands")
