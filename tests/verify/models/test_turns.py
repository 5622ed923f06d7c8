"""The models of turns: what they cover, and that they find a broken rule."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import Batch, Commit, Message, PreAccept, PreAcceptOK, Recover
from epaxos.verify.models.model import writes
from epaxos.verify.models.model_replica import new_replica
from epaxos.verify.models.turn_catalogue import TURN_MODELS
from epaxos.verify.models.turn_explorer import TurnExplorer
from epaxos.verify.models.turn_model import (
    Acknowledged,
    Decided,
    GivenState,
    Opened,
    Ran,
    TurnModel,
    second_epoch,
)
from epaxos.verify.models.turning_replica import TurnEffects, TurningReplica
from tests.verify.models.mutants import MUTANTS, story

MODELS = {model.name: model for model in TURN_MODELS}
TURN = MODELS["turn"]
SMALL = replace(TURN, hurries=False)
TWO_ENDINGS = MODELS["turn, two endings"]
DEAF = MODELS["turn, the deaf one installs"]

A, R = writes("a"), Batch.opening(second_epoch(3, 2))
A_ID, R_ID = InstanceId(0, 1), InstanceId(1, 1)
NONE = (0, 0, 0)


def explore(model: TurnModel) -> TurnExplorer:
    explorer = TurnExplorer(model)
    explorer.run()
    return explorer


explored = lru_cache(maxsize=None)(explore)


class ModelTests(SynchronousTestCase):
    """The product, exhaustively."""

    def test_a_command_and_the_end_of_the_epoch_in_all_orders(self) -> None:
        """The number is exact: another means that the protocol or what is merged has changed."""
        explorer = explored(TURN)
        self.assertTrue(explorer.complete)
        self.assertEqual(len(explorer.parents), 18_154)

    def test_the_command_runs_before_the_end_or_after_it(self) -> None:
        outcomes = explored(SMALL).outcomes()
        before = Opened(R_ID, second_epoch(3, 2), ("a",))
        void = Opened(R_ID, second_epoch(3, 2), ())
        self.assertTrue(any({before, Acknowledged(0, "a")} <= facts for facts in outcomes))
        self.assertTrue(any({void, Acknowledged(1, "a")} <= facts for facts in outcomes))
        self.assertFalse(any({before, Acknowledged(1, "a")} <= facts for facts in outcomes))

    def test_either_of_two_may_end_the_epoch(self) -> None:
        ended = {fact.by for facts in explored(TWO_ENDINGS).outcomes() for fact in facts if is_opened(fact)}
        self.assertEqual(ended, {InstanceId(1, 1), InstanceId(2, 1)})

    def test_who_hears_nothing_installs(self) -> None:
        explorer = explored(DEAF)
        self.assertTrue(explorer.complete)
        given = {
            str(message.applied) for _, _, message, _ in explorer.replicas.envelopes if is_given(message)
        }
        self.assertEqual(given, {"()", "('a',)"})

    def test_what_is_left_out_changes_no_outcome(self) -> None:
        """Messages that are dropped because they can have no effect, and doubled messages."""
        for model in (SMALL, replace(SMALL, installers=frozenset({2}))):
            outcomes = explored(model).outcomes()
            for other in (replace(model, forgets_idle=False), replace(model, duplicates=False)):
                self.assertEqual(explored(other).outcomes(), outcomes)


def is_opened(fact: object) -> bool:
    return isinstance(fact, Opened)


def is_given(message: object) -> bool:
    return isinstance(message, GivenState)


class MutantTests(SynchronousTestCase):
    """Each breaks a rule of docs: protocol/epochs in the product."""

    def test_the_end_of_an_epoch_is_no_barrier(self) -> None:
        told = story("R is no barrier", TurnExplorer(SMALL))
        self.assertEqual(told[-1], "Acknowledged: a, and S_0 is nothing")

    def test_what_is_behind_the_end_runs(self) -> None:
        told = story("results behind R", TurnExplorer(SMALL))
        self.assertEqual(told[-1], "Once: a a have run, one of them twice")

    def test_a_second_end_is_not_void(self) -> None:
        told = story("results behind R", TurnExplorer(TWO_ENDINGS))
        self.assertTrue(told[-1].startswith("Successor: epoch 0 ended with "), told[-1])

    def test_the_end_runs_ahead(self) -> None:
        told = story("R ahead of its time", TurnExplorer(SMALL))
        self.assertEqual(told[-1], "Acknowledged: a, and S_0 is nothing")

    def test_what_ran_is_proposed_again(self) -> None:
        told = story("proposed again, though it ran", TurnExplorer(SMALL))
        self.assertEqual(told[-1], "Once: a a have run, one of them twice")

    def test_what_is_void_is_lost(self) -> None:
        """No rule of safety breaks, but then it never runs."""
        self.assertTrue(any(map(ran_after_void, explored(SMALL).outcomes())))
        with MUTANTS["void is lost"].applied():
            self.assertFalse(any(map(ran_after_void, explore(SMALL).outcomes())))

    def test_the_commits_of_a_closed_epoch_are_not_served(self) -> None:
        told = story("commits of k not served", TurnExplorer(SMALL))
        self.assertEqual(told[-1], "1.1 is claimed of the closed epoch, and not answered")

    def test_what_may_have_run_is_repeated(self) -> None:
        told = story(
            "repeated after an installation", TurnExplorer(replace(SMALL, installers=frozenset({0})))
        )
        self.assertEqual(told[-1], "Once: a a have run, one of them twice")

    def test_a_vote_on_the_end_before_it_is_durable(self) -> None:
        told = story("early PreAcceptOK", TurnExplorer(MODELS["turn, R is forgotten, one recovery"]))
        self.assertTrue(any("R1 crashes" in line for line in told))
        self.assertEqual(
            told[-1], "Visibility: 0.1=a(0, 0, 0) and 1.1=R(0, 0, 0), and neither names the other"
        )

    def test_what_was_only_installed_is_claimed(self) -> None:
        told = story("installed is claimed", TurnExplorer(DEAF))
        self.assertEqual(told[-1], "0.1 is claimed, and not held")


def replica(id: int, syncs: bool = True) -> TurningReplica:
    return TurningReplica(id, 3, new_replica, syncs, frozenset({0}))


def sent(effects: TurnEffects) -> list[tuple[int, int, Message]]:
    """The epoch, the receiver and the message, without states."""
    return [(to.epoch, to.dest, to.message) for to in effects.envelopes if not is_given(to.message)]


class TurningReplicaTests(SynchronousTestCase):
    """One replica that meets the end of an epoch."""

    def test_who_proposed_what_is_void_proposes_it_again(self) -> None:
        leader = replica(0)
        leader.propose(A)
        effects = leader.receive(1, Commit(R_ID, 0, R, NONE), 0)
        self.assertEqual(leader.number, 1)
        self.assertEqual(sent(effects), [(1, 1, PreAccept(A_ID, A, NONE, (1,)))])

    def test_a_closed_epoch_answers_with_commits_alone(self) -> None:
        """T6."""
        closed = replica(2)
        commit = Commit(R_ID, 0, R, NONE)
        closed.receive(1, commit, 0)
        self.assertEqual(sent(closed.receive(0, Recover(R_ID, 3), 0)), [(0, 0, commit)])
        self.assertEqual(sent(closed.receive(0, PreAccept(A_ID, A, NONE), 0)), [])
        self.assertEqual(
            sent(closed.receive(0, PreAccept(A_ID, A, NONE), 1)), [(1, 0, PreAcceptOK(A_ID, NONE))]
        )

    def test_a_crash_before_the_next_epoch_is_durable(self) -> None:
        """T3: it goes on in its epoch, and has not answered in either."""
        late = replica(2, syncs=False)
        late.receive(1, Commit(R_ID, 0, R, NONE), 0)
        self.assertEqual(late.number, 1)
        self.assertEqual(sent(late.receive(0, Recover(R_ID, 3), 0)), [])
        self.assertEqual(sent(late.receive(0, PreAccept(A_ID, A, NONE), 1)), [])
        late.reboot()
        self.assertEqual(late.number, 0)

    def test_a_crash_after_the_next_epoch_is_durable(self) -> None:
        late = replica(2, syncs=False)
        late.receive(1, Commit(R_ID, 0, R, NONE), 0)
        while late.is_unsynced:
            late.sync()
        late.reboot()
        self.assertEqual(late.number, 1)
        self.assertEqual(sent(late.receive(0, Recover(R_ID, 3), 0)), [(0, 0, Commit(R_ID, 0, R, NONE))])

    def test_an_installed_state(self) -> None:
        """T8: it is that of the source, and nothing of the epoch before is answered."""
        source, target = replica(2), replica(0)
        source.receive(1, Commit(A_ID, 0, A, NONE), 0)
        effects = source.receive(1, Commit(R_ID, 0, R, (1, 0, 0)), 0)
        (given,) = [to.message for to in effects.envelopes if is_given(to.message)]
        assert isinstance(given, GivenState)
        effects = target.install(given)
        self.assertEqual((target.number, effects.facts), (1, [Ran(1, ("a",))]))
        self.assertEqual(sent(target.receive(2, Recover(R_ID, 3), 0)), [])
        target.reboot()
        self.assertEqual(target.begun.applied, ("a",))
        again = PreAccept(A_ID, writes("b"), NONE, (1,))
        self.assertEqual(sent(target.propose(writes("b"))), [(1, 1, again)])
        self.assertEqual(target.install(given).facts, [])


def ran_after_void(facts: frozenset[object]) -> bool:
    """Whether the command was decided in epoch 0, was void there, and has run in epoch 1."""
    void = Opened(R_ID, second_epoch(3, 2), ()) in facts
    decided = any(isinstance(fact, Decided) and (fact.epoch, fact.id) == (0, A_ID) for fact in facts)
    return void and decided and Ran(1, ("a",)) in facts
