"""The explorer finds what is wrong with a core of which one rule is broken, and tells the shortest way."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from epaxos.verify.models.catalogue import MODELS
from epaxos.verify.models.explorer import Explorer
from tests.verify.models.mutants import story
from tests.verify.models.test_explorer import ONE_RECOVERY

UNSYNCED = MODELS["one command, unsynced crash"]


class NamedFastQuorumTests(SynchronousTestCase):
    """docs: protocol/fast-path."""

    def test_the_answer_of_another(self) -> None:
        told = story("another's answer", Explorer(replace(ONE_RECOVERY, proposers=(0,))))
        self.assertTrue(told[-1].startswith("Agreement: 0.1"), told[-1])

    def test_another_is_named_when_it_is_sent_again(self) -> None:
        model = replace(ONE_RECOVERY, proposers=(0,), recoveries=2, recoverers=frozenset({0, 2}))
        told = story("another is named", Explorer(model))
        self.assertIn("  3. R0 sends 0.1 again", told)
        self.assertTrue(told[-1].startswith("Agreement: 0.1"), told[-1])

    def test_recovery_takes_what_was_proposed(self) -> None:
        told = story("4n with D0", Explorer(ONE_RECOVERY))
        self.assertEqual(told[-1], "Agreement: 0.1 is decided as 0.1=a(0, 1, 0) and as 0.1=a(0, 0, 0)")

    def test_the_leader_commits_what_it_proposed(self) -> None:
        told = story("fast path with D0", Explorer(MODELS["two commands"]))
        self.assertTrue(told[-1].startswith("Visibility: "), told[-1])

    def test_a_leader_that_forgot_its_proposal_does_not_name_it(self) -> None:
        """The trap: PreAccept leaves before the leader's own record is durable."""
        told = story("forgotten slots not named", Explorer(MODELS["leader forgets, the one before is named"]))
        self.assertIn("  2. R0 crashes, and restarts from its disk", told)
        self.assertEqual(
            told[-1], "Visibility: 1.1=b(0, 0, 0) and 0.1=a(0, 0, 0), and neither names the other"
        )


class BothRulesTests(SynchronousTestCase):
    def test_a_fast_quorum_of_one_less(self) -> None:
        self.assertEqual(
            story("small fast quorum", Explorer(MODELS["two commands, equal answers"])),
            [
                "  1. R0 proposes a as 0.1",
                "       decides 0.1=a(0, 0, 0)",
                "  2. R1 proposes b as 1.1",
                "       decides 1.1=b(0, 0, 0)",
                "Visibility: 0.1=a(0, 0, 0) and 1.1=b(0, 0, 0), and neither names the other",
            ],
        )

    def test_one_ballot_instead_of_two(self) -> None:
        model = replace(ONE_RECOVERY, recoverers=frozenset({0}), recovered=frozenset({1}))
        told = story("one ballot variable", Explorer(model))
        self.assertIn("  7. R0 recovers 1.1", told)
        self.assertTrue(told[-1].startswith("Agreement: 1.1 is decided as"), told[-1])

    def test_no_validation(self) -> None:
        """Five replicas, of which two have crashed after one of them decided on the fast path."""
        told = story("no Validate", Explorer(MODELS["five, leaders gone, one recovery"]))
        self.assertEqual(
            told[-1],
            "Visibility: 1.1=b(0, 0, 0, 0, 0) and 0.1=a(0, 0, 0, 0, 0), and neither names the other",
        )


class RestartTests(SynchronousTestCase):
    """A crash between a step and the write that it makes."""

    def assert_found(self, mutant: str, crashing: int) -> None:
        model = replace(UNSYNCED, crashing=frozenset({crashing}), recoverers=frozenset({2}))
        told = story(mutant, Explorer(model))
        self.assertTrue(any("crashes" in line for line in told))
        self.assertTrue(told[-1].startswith("Agreement: 0.1"), told[-1])

    def test_a_vote_before_it_is_durable(self) -> None:
        self.assert_found("early PreAcceptOK", crashing=1)

    def test_a_promise_before_it_is_durable(self) -> None:
        self.assert_found("early RecoverOK", crashing=1)

    def test_a_decision_before_it_is_durable(self) -> None:
        self.assert_found("early fast path", crashing=0)
