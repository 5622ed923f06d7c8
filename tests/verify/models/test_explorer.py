"""The exhaustive models: small ones hold, and can always be brought to an end."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.values.messages import NOP, PreAcceptOK, Validate, Waiting
from epaxos.verify.models.catalogue import MODELS
from epaxos.verify.models.explorer import Explorer
from epaxos.verify.models.liveness import stuck
from epaxos.verify.models.model import Envelope, Model
from epaxos.verify.models.model_replica import with_equal_answers
from epaxos.verify.models.model_replicas import Kind
from tests.verify.models.mutants import MUTANTS

TWO = MODELS["two commands"]
ONE_RECOVERY = MODELS["the third recovers the first"]
EQUAL_ANSWERS = MODELS["the third recovers the first, equal answers"]


def explore(model: Model) -> Explorer:
    explorer = Explorer(model)
    explorer.run()
    return explorer


explored = lru_cache(maxsize=None)(explore)


class ModelTests(SynchronousTestCase):
    """The product, exhaustively."""

    def test_two_commands_in_all_orders(self) -> None:
        """The number is exact: another means that the protocol or what is merged has changed."""
        explorer = explored(TWO)
        self.assertTrue(explorer.complete)
        self.assertEqual(len(explorer.parents), 5803)

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

    def test_one_recovery_with_a_named_fast_quorum(self) -> None:
        """Nothing is validated, and nobody waits."""
        explorer = explored(ONE_RECOVERY)
        self.assertTrue(explorer.complete)
        self.assertTrue(any(d.batch is NOP for decided in explorer.outcomes() for d in decided))
        sent = {type(message) for _, _, message, _ in explorer.replicas.envelopes}
        self.assertFalse(sent & {Validate, Waiting})

    def test_one_recovery_with_equal_answers(self) -> None:
        explorer = explored(EQUAL_ANSWERS)
        self.assertTrue(explorer.complete)
        self.assertIn(Validate, {type(message) for _, _, message, _ in explorer.replicas.envelopes})

    def test_a_crash_before_what_was_sent_is_durable(self) -> None:
        explorer = explore(replace(TWO, syncs=False, crashes=1, crashing=frozenset({0}), steps=6))
        moves = [move for state in explorer.parents for move in explorer.moves_of(state)]
        self.assertTrue({Kind.SYNC, Kind.REBOOT} <= {move.event for move in moves})
        self.assertEqual({move.replica for move in moves if move.event is Kind.SYNC}, {0})

    def test_what_is_left_out_changes_no_outcome(self) -> None:
        """Messages that are dropped because they can have no effect, and doubled messages."""
        one_command = replace(TWO, proposers=(0,), recoveries=1)
        self.assertEqual(explored(replace(TWO, duplicates=False)).outcomes(), explored(TWO).outcomes())
        for other in (replace(one_command, forgets_idle=False), replace(one_command, duplicates=False)):
            self.assertEqual(explored(other).outcomes(), explored(one_command).outcomes())

    def test_the_same_twice(self) -> None:
        self.assertEqual(list(explored(TWO).parents), list(explore(TWO).parents))


class LivenessTests(SynchronousTestCase):
    """Whatever happened within the bounds, recoveries lead to decisions afterwards."""

    def test_complete_models(self) -> None:
        for model in (TWO, ONE_RECOVERY, EQUAL_ANSWERS):
            explorer = explored(model)
            self.assertTrue(explorer.ends)
            self.assertEqual(set(stuck(explorer)), {None})

    def test_what_rule_3_is_for_with_three_replicas(self) -> None:
        """Without it, two instances wait for each other when their leaders are all that is there."""

        def votes_get_lost(envelope: Envelope) -> bool:
            return isinstance(envelope.message, PreAcceptOK)

        model = replace(TWO, new=with_equal_answers, lost=votes_get_lost)
        self.assertEqual(set(stuck(explore(model))), {None})
        with MUTANTS["no rule 3"].applied():
            self.assertNotEqual(set(stuck(explore(model))), {None})
