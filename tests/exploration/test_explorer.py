"""The exhaustive models: small ones hold, and an explorer of broken cores finds what is broken."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from epaxos.exploration.catalogue import MODELS
from epaxos.exploration.explorer import Explorer, Violation
from epaxos.exploration.machines import Kind
from epaxos.exploration.model import Model
from epaxos.exploration.story import tell
from epaxos.protocol.messages import NOP
from tests.exploration import mutants

TWO = Model("two commands", 3, (0, 1))
RECOVERY = replace(TWO, name="one recovery", recoveries=1)


def explored(model: Model) -> Explorer:
    explorer = Explorer(model)
    explorer.run()
    return explorer


class ModelTests(SynchronousTestCase):
    """The product, exhaustively."""

    def test_two_commands_in_all_orders(self) -> None:
        """The number is exact: another means that the protocol or what is merged has changed."""
        explorer = explored(TWO)
        self.assertTrue(explorer.complete)
        self.assertEqual(len(explorer.parents), 4467)

    def test_every_outcome_is_met(self) -> None:
        """Neither is decided, either alone, and both, with each naming the other or one of them the other."""
        outcomes = {
            tuple(sorted((d.id.replica, d.deps) for d in decided)) for decided in explored(TWO).outcomes()
        }
        first, second = (0, (0, 0, 0)), (1, (0, 0, 0))
        first_late, second_late = (0, (0, 1, 0)), (1, (1, 0, 0))
        self.assertEqual(
            outcomes,
            {
                (),
                (first,),
                (second,),
                (first_late,),
                (second_late,),
                (first, second_late),
                (first_late, second),
                (first_late, second_late),
            },
        )

    def test_one_recovery(self) -> None:
        """Up to a number of steps; `make models` goes all the way."""
        explorer = explored(replace(RECOVERY, steps=10))
        self.assertFalse(explorer.complete)
        self.assertTrue(any(d.batch is NOP for decided in explorer.outcomes() for d in decided))

    def test_a_crash_before_what_was_sent_is_durable(self) -> None:
        explorer = explored(replace(TWO, name="crash", syncs=False, crashes=1, steps=6))
        events = {move.event for state in explorer.parents for move in explorer.moves_of(state)}
        self.assertTrue({Kind.SYNC, Kind.REBOOT} <= events)

    def test_one_command_and_two_recoveries(self) -> None:
        explorer = explored(replace(TWO, name="one command", proposers=(0,), recoveries=2, steps=13))
        self.assertTrue(len(explorer.outcomes()) >= 3)

    def test_what_is_left_out_changes_no_outcome(self) -> None:
        """Messages that are dropped because they can have no effect, and doubled messages."""
        for model in (TWO, replace(TWO, name="one command", proposers=(0,), recoveries=1)):
            expected = explored(model).outcomes()
            for other in (replace(model, forgets_idle=False), replace(model, duplicates=False)):
                self.assertEqual(explored(other).outcomes(), expected)

    def test_the_same_twice(self) -> None:
        one, two = explored(TWO), explored(TWO)
        self.assertEqual(list(one.parents), list(two.parents))


class MutantTests(SynchronousTestCase):
    """The explorer finds what is wrong with a broken core, and tells the shortest way there."""

    def story(self, mutant: mutants.Mutant, model: Model) -> list[str]:
        self.patch(*mutant)
        explorer = Explorer(model)
        violation = self.assertRaises(Violation, explorer.run)
        return [*tell(explorer, violation.before, violation.move), str(violation)]

    def test_a_fast_quorum_of_one_less(self) -> None:
        story = self.story(mutants.FAST_QUORUM_OF_ONE_LESS, TWO)
        self.assertEqual(
            [line for line in story if "PreAccept" not in line and "Commit" not in line],
            [
                "  1. R0 proposes a as 0.1",
                "       decides 0.1=a(0, 0, 0)",
                "  2. R1 proposes b as 1.1",
                "       decides 1.1=b(0, 0, 0)",
                "Visibility: 0.1=a(0, 0, 0) and 1.1=b(0, 0, 0), and neither names the other",
            ],
        )

    def test_one_ballot_instead_of_two(self) -> None:
        model = replace(RECOVERY, recoverers=frozenset({0}), recovered=frozenset({1}))
        story = self.story(mutants.ONE_BALLOT, model)
        self.assertIn("  6. R0 recovers 1.1", story)
        self.assertTrue(story[-1].startswith("Agreement: 1.1 is decided as"), story[-1])

    def test_no_validation(self) -> None:
        """Five replicas, of which two have crashed after one of them decided on the fast path."""
        story = self.story(mutants.NO_VALIDATION, MODELS["five, leaders gone, one recovery"])
        self.assertIn("  4. R2 recovers 0.1", story)
        self.assertEqual(
            story[-1],
            "Visibility: 1.1=b(0, 0, 0, 0, 0) and 0.1=a(0, 0, 0, 0, 0), and neither names the other",
        )
