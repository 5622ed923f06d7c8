"""Recovery, rule by rule (docs: protocol/rules, "Recovery"), and known counter-examples."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.replica import Replica
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import (
    NOP,
    Accept,
    AcceptOK,
    Batch,
    Commit,
    Conflict,
    Message,
    Phase,
    PreAccept,
    PreAcceptOK,
    Recover,
    RecoverOK,
    Validate,
    ValidateOK,
    Waiting,
)
from epaxos.protocol.values.timing import Timing
from tests.protocol.lab import Lab, write

C = write("x", payload="c")
NONE = (0, 0, 0, 0, 0)
D = (0, 0, 0, 1, 0)
ID = InstanceId(0, 1)


def answer(
    phase: Phase = Phase.INITIAL,
    *,
    abal: int = 0,
    batch: Batch | None = None,
    deps: tuple[int, ...] = NONE,
    init: tuple[int, ...] | None = None,
) -> RecoverOK:
    """What a replica of five answers replica 1's Recover of ID at ballot 1."""
    return RecoverOK(ID, 1, abal, phase, batch, deps, init)


UNKNOWN = answer()
VOTE = answer(Phase.PREACCEPTED, batch=C, deps=D, init=D)
OTHER = answer(Phase.PREACCEPTED, batch=C, deps=(0, 0, 2, 1, 0), init=D)


class _Recoverer:
    """Replica 1 of five, which recovers ID at ballot 1 and is durable at once."""

    def __init__(self, own: RecoverOK | None = None) -> None:
        self.replica = Replica(1, Epoch.first(5), timing=Timing(), random=Random(0))
        self.replica.tick(0.0)
        self.sent: list[tuple[int, Message]] = []
        self.flush()
        self.sent.clear()
        if own is VOTE or own is OTHER:
            other = own.deps != own.init_deps
            if other:
                self.receive(2, PreAccept(InstanceId(2, 2), C, NONE))
            self.receive(0, PreAccept(ID, C, D))
            self.sent.clear()
        self.replica._recoveries.start(ID)
        self.flush()

    def flush(self) -> None:
        while output := self.replica.take_output():
            self.sent += output.messages + output.promises
            self.replica.on_durable(output)

    def receive(self, sender: int, message: Message) -> None:
        self.replica.receive(sender, message)
        self.flush()

    def proposal(self) -> tuple[Batch | None, tuple[int, ...]] | None:
        """The value that it asks the others to accept at ballot 1; None so far."""
        accepts = {(m.batch, m.deps) for _, m in self.sent if isinstance(m, Accept)}
        return accepts.pop() if accepts else None

    def validated(self) -> list[int]:
        return [dest for dest, m in self.sent if isinstance(m, Validate)]


class ChoiceTests(SynchronousTestCase):
    """RecoverOK from Q, |Q| >= n-f: rules 1 to 5.  n = 5: Q has 3 members, e = 2, |Q|-e = 1."""

    def test_rules(self) -> None:
        accepted = answer(Phase.ACCEPTED, abal=2, batch=C, deps=(0, 0, 0, 3, 0), init=D)
        older = answer(Phase.ACCEPTED, abal=0, batch=NOP, deps=NONE)
        nop = (NOP, NONE)
        cases: list[tuple[str, RecoverOK | None, dict[int, RecoverOK], object]] = [
            ("2: accepted", None, {2: accepted, 3: UNKNOWN}, (C, (0, 0, 0, 3, 0))),
            ("2: the highest abal counts", None, {2: older, 3: accepted}, (C, (0, 0, 0, 3, 0))),
            ("2: the same, in the other order", None, {3: accepted, 2: older}, (C, (0, 0, 0, 3, 0))),
            ("2 before 3: accepted, the leader in Q", None, {0: UNKNOWN, 3: accepted}, (C, (0, 0, 0, 3, 0))),
            ("2 before 4: accepted and votes", None, {2: VOTE, 3: older}, nop),
            ("3: the command leader is in Q", None, {0: VOTE, 3: VOTE}, nop),
            ("4: |R| = |Q|-e", None, {2: VOTE, 3: OTHER}, "validate"),
            ("4: |R| > |Q|-e", None, {2: VOTE, 3: VOTE}, "validate"),
            ("4: own vote counts", VOTE, {2: UNKNOWN, 3: OTHER}, "validate"),
            ("5: nobody knows it", None, {2: UNKNOWN, 3: UNKNOWN}, nop),
            ("5: pre-accepted, but never with init_dep", None, {2: OTHER, 3: OTHER}, nop),
            ("5: own answer differs too", OTHER, {2: OTHER, 4: UNKNOWN}, nop),
        ]
        for name, own, answers, expected in cases:
            recoverer = _Recoverer(own)
            for sender, message in answers.items():
                self.assertIsNone(recoverer.proposal(), name)
                recoverer.receive(sender, message)
            if expected == "validate":
                self.assertEqual(recoverer.validated(), list(answers), name)
                self.assertIsNone(recoverer.proposal(), name)
            else:
                self.assertEqual(recoverer.proposal(), expected, name)
                self.assertEqual(recoverer.validated(), [], name)

    def test_rule_1_committed(self) -> None:
        recoverer = _Recoverer()
        recoverer.receive(2, Commit(ID, 0, C, D))
        instance = recoverer.replica.table.find(ID)
        assert instance is not None
        self.assertEqual((instance.phase, instance.cmd, instance.deps), (Phase.COMMITTED, C, D))

    def test_answers_of_another_ballot_do_not_count(self) -> None:
        recoverer = _Recoverer()
        recoverer.receive(2, UNKNOWN._replace(ballot=6))
        recoverer.receive(3, UNKNOWN._replace(ballot=6))
        self.assertIsNone(recoverer.proposal())

    def test_overtaken(self) -> None:
        """A recovery stops when its ballot is no longer the highest that is promised here."""
        recoverer = _Recoverer()
        recoverer.receive(2, Recover(ID, 2))
        recoverer.receive(2, UNKNOWN)
        recoverer.receive(3, UNKNOWN)
        self.assertIsNone(recoverer.proposal())

    def test_one_answer_counts_once(self) -> None:
        recoverer = _Recoverer()
        recoverer.receive(2, UNKNOWN)
        recoverer.receive(2, UNKNOWN)
        self.assertIsNone(recoverer.proposal())

    def test_larger_clusters_need_more_votes(self) -> None:
        """n = 7: f = 3, e = 2; |Q| = 4, so |R| >= 2 validates and 1 does not."""
        id, none = InstanceId(0, 1), (0,) * 7
        for votes, validates in ((1, False), (2, True), (3, True)):
            replica = Replica(1, Epoch.first(7), timing=Timing(), random=Random(0))
            replica.tick(0.0)
            replica.on_durable(replica.take_output())
            replica._recoveries.start(id)
            replica.on_durable(replica.take_output())
            for sender in (2, 3, 4):
                vote = RecoverOK(id, 1, 0, Phase.PREACCEPTED, C, none, none)
                blank = RecoverOK(id, 1, 0, Phase.INITIAL, None, none, None)
                replica.receive(sender, vote if sender - 2 < votes else blank)
            kinds = {type(message) for _, message in replica.take_output().messages}
            self.assertEqual(kinds, {Validate} if validates else {Accept}, f"{votes} votes")


class NamedChoiceTests(SynchronousTestCase):
    """RecoverOK from all but the command leader, which named its fast quorum (f = 1): rules 4n and 5n."""

    def choose(self, n: int, answers: dict[int, tuple[tuple[int, ...], tuple[int, ...]] | None]) -> object:
        """The proposal of replica n-1 for (0, 1) after these answers: dependencies and named replicas."""
        id, none = InstanceId(0, 1), (0,) * n
        replica = Replica(n - 1, Epoch.first(n), timing=Timing(), random=Random(0))
        replica.tick(0.0)
        replica.on_durable(replica.take_output())
        replica._recoveries.start(id)
        replica.on_durable(replica.take_output())
        ballot = replica.table.rows[0][1].bal
        for sender, answer in answers.items():
            if answer is None:
                replica.receive(sender, RecoverOK(id, ballot, 0, Phase.INITIAL, None, none, None))
            else:
                deps, named = answer
                vote = RecoverOK(id, ballot, 0, Phase.PREACCEPTED, C, deps, none, named)
                replica.receive(sender, vote)
        accepts = [m for _, m in replica.take_output().messages if isinstance(m, Accept)]
        return (accepts[0].batch, accepts[0].deps) if accepts else None

    def test_rules(self) -> None:
        a, b = (0, 0, 4, 1), (0, 3, 0, 2)
        cases: list[tuple[str, int, dict[int, tuple[tuple[int, ...], tuple[int, ...]] | None], object]] = [
            ("4n: the named one has answered", 3, {1: ((0, 2, 0), (1,))}, (C, (0, 2, 0))),
            ("5n: another one has, the named one has not", 3, {1: ((0, 2, 0), (2,))}, (NOP, (0, 0, 0))),
            ("5n: nobody knows it", 3, {1: None}, (NOP, (0, 0, 0))),
            ("3: the command leader answers", 3, {0: ((0, 2, 0), (1,))}, (NOP, (0, 0, 0))),
            ("4n: both named ones have answered", 4, {1: (a, (1, 2)), 2: (b, (1, 2))}, (C, (0, 3, 4, 2))),
            ("5n: one of two", 4, {1: (a, (1, 2)), 2: None}, (NOP, (0, 0, 0, 0))),
            ("one more is to come", 4, {1: (a, (1, 2))}, None),
        ]
        for name, n, answers, expected in cases:
            self.assertEqual(self.choose(n, answers), expected, name)

    def test_what_the_leader_committed_is_found(self) -> None:
        """Replica 0 names 1, which has seen another instance; 0 commits, tells its client, and dies."""
        for recoverer in (1, 2):
            lab = Lab(3)
            other = lab.propose(2, write("x"))
            lab.deliver(PreAccept, to=1)
            lab.drop()
            id = lab.propose(0, write("x"))
            lab.deliver(PreAccept)
            lab.deliver(PreAcceptOK)
            self.assertEqual(lab.decided[0][id].deps, (0, 0, other.slot))
            lab.drop()
            lab.crash(0)
            lab.recover(recoverer, id)
            lab.settle()
            lab.advance(5)
            self.assertEqual(lab.decided[recoverer][id].deps, (0, 0, other.slot))

    def test_a_restarted_leader_that_forgot_names_it_all_the_same(self) -> None:
        """Replica 0's record of `first` is lost, 1 has answered.  0 then votes for 2's `second` as the one
        that 2 named; a recovery of `first` without 0 finds 1's answer, which knows nothing of `second`.
        One must name the other all the same."""
        lab = Lab(3)
        lab.disk_slow(0)
        first = lab.propose(0, write("x", payload="first"))
        lab.drop(to=2)
        lab.deliver(PreAccept, to=1)
        lab.crash(0)
        lab.restart(0)
        lab.drop()
        second = lab.propose(2, write("x", payload="second"))
        lab.deliver(PreAccept, to=0)
        lab.deliver(PreAcceptOK)
        self.assertIn(second, lab.decided[2])
        lab.crash(0)
        lab.drop()
        lab.recover(1, first)
        lab.settle()
        lab.advance(5)
        self.assertEqual(lab.decided[1][first].cmd, write("x", payload="first"))
        self.assertTrue(lab.decided[1][second].deps[0] >= first.slot)


class ValidationTests(SynchronousTestCase):
    """ValidateOK from all of Q: rules 1 to 3."""

    def recover(self, votes: int, *reported: Conflict) -> _Recoverer:
        """Q = {1, 2, 3}, of which `votes` have voted; replica 3 reports the conflicts."""
        recoverer = _Recoverer()
        recoverer.receive(2, VOTE)
        recoverer.receive(3, VOTE if votes == 2 else UNKNOWN)
        recoverer.receive(2, ValidateOK(ID, 1, ()))
        self.assertIsNone(recoverer.proposal(), "all of Q have to answer")
        recoverer.receive(3, ValidateOK(ID, 1, reported))
        return recoverer

    def test_rule_1_nothing_speaks_against_it(self) -> None:
        self.assertEqual(self.recover(2).proposal(), (C, D))

    def test_rule_2_committed(self) -> None:
        self.assertEqual(self.recover(2, Conflict(InstanceId(2, 7), True)).proposal(), (NOP, NONE))

    def test_rule_2_leader_outside(self) -> None:
        """|R| = |Q|-e and the conflicting instance's leader is outside Q."""
        self.assertEqual(self.recover(1, Conflict(InstanceId(4, 1), False)).proposal(), (NOP, NONE))

    def test_rule_2_does_not_apply(self) -> None:
        """One vote more, or the leader inside Q: wait."""
        for votes, leader in ((2, 4), (1, 3)):
            recoverer = self.recover(votes, Conflict(InstanceId(leader, 1), False))
            self.assertIsNone(recoverer.proposal())
            waiting = [m for _, m in recoverer.sent if isinstance(m, Waiting)]
            self.assertEqual(waiting, [Waiting(ID, votes)] * 4)

    def test_rule_3_ends(self) -> None:
        member, second = InstanceId(3, 5), InstanceId(3, 6)
        named, unnamed = (1, 0, 0, 0, 0), NONE
        n_f_e = 1
        cases: list[tuple[str, list[tuple[int, Message]], object]] = [
            ("commits without naming it", [(3, Commit(member, 0, C, unnamed))], (NOP, NONE)),
            ("one of two commits, naming it", [(3, Commit(member, 0, C, named))], None),
            (
                "all commit, naming it or NOP",
                [(3, Commit(member, 0, C, named)), (3, Commit(second, 0, NOP, NONE))],
                (C, D),
            ),
            ("waits with many votes", [(4, Waiting(member, n_f_e + 1))], (NOP, NONE)),
            ("waits with few votes", [(4, Waiting(member, n_f_e))], None),
            ("another one waits", [(4, Waiting(InstanceId(4, 9), 3))], None),
            ("late: accepted", [(4, answer(Phase.ACCEPTED, abal=0, batch=C, deps=D))], (C, D)),
            ("late: the leader", [(0, UNKNOWN)], (NOP, NONE)),
            ("late: another", [(4, VOTE)], None),
        ]
        for name, events, expected in cases:
            recoverer = self.recover(2, Conflict(member, False), Conflict(second, False))
            for sender, message in events:
                self.assertIsNone(recoverer.proposal(), name)
                recoverer.receive(sender, message)
            self.assertEqual(recoverer.proposal(), expected, name)

    def test_a_member_of_q_is_lost_before_it_validates(self) -> None:
        """It asks the others at once, at a higher ballot, unless the lost one has validated already."""
        for lost, again in ((3, True), (2, False), (4, False)):
            recoverer = _Recoverer()
            recoverer.receive(2, VOTE)
            recoverer.receive(3, VOTE)
            recoverer.receive(2, ValidateOK(ID, 1, ()))
            recoverer.sent.clear()
            recoverer.replica.on_disconnected(lost)
            recoverer.flush()
            asked = [m.ballot for _, m in recoverer.sent if isinstance(m, Recover)]
            self.assertEqual(asked, [6] * 4 if again else [], lost)

    def test_members_of_a_suspected_replica_are_recovered_without_delay(self) -> None:
        """An instance of a replica that is not suspected gets `resend_s` more."""
        for suspected in (True, False):
            recoverer = _Recoverer()
            member = InstanceId(4, 1)
            if suspected:  # in row 4 it is then the turn of replica 1
                recoverer.replica.on_disconnected(4)
                recoverer.replica.on_disconnected(0)
            for sender in (2, 3):
                recoverer.receive(sender, VOTE)
            for sender in (2, 3):
                recoverer.receive(sender, ValidateOK(ID, 1, (Conflict(member, False),)))
            recoverer.replica.tick(0.01)
            recoverer.flush()
            asked = [m for _, m in recoverer.sent if isinstance(m, Recover) and m.id == member]
            self.assertEqual(bool(asked), suspected)

    def test_waiting_that_came_early_counts(self) -> None:
        member = InstanceId(3, 5)
        recoverer = _Recoverer()
        recoverer.receive(4, Waiting(member, 2))
        recoverer.receive(2, VOTE)
        recoverer.receive(3, VOTE)
        recoverer.receive(2, ValidateOK(ID, 1, (Conflict(member, False),)))
        recoverer.receive(3, ValidateOK(ID, 1, ()))
        self.assertEqual(recoverer.proposal(), (NOP, NONE))


class ValidateAnswerTests(SynchronousTestCase):
    def test_what_speaks_against_a_value(self) -> None:
        """Validate(b, id, c, D): the known instances outside D that interfere and do not name id."""
        other = InstanceId(3, 2)
        named = (1, 0, 0, 0, 0)
        y = write("y")
        cases: list[tuple[str, int, Message, tuple[Conflict, ...]]] = [
            ("pre-accepted", 3, PreAccept(other, C, NONE), (Conflict(other, False),)),
            ("pre-accepted, names it", 3, PreAccept(other, C, named), ()),
            ("pre-accepted, other key", 3, PreAccept(other, y, NONE), ()),
            ("in D", 3, PreAccept(InstanceId(3, 1), C, NONE), ()),
            ("committed", 3, Commit(other, 0, C, NONE), (Conflict(other, True),)),
            ("committed, names it", 3, Commit(other, 0, C, named), ()),
            ("committed as NOP", 3, Commit(other, 1, NOP, NONE), ()),
            ("accepted, the proposal unknown", 3, Accept(other, 0, C, NONE), ()),
        ]
        for name, sender, message, expected in cases:
            replica = Replica(2, Epoch.first(5), timing=Timing(), random=Random(0))
            replica.tick(0.0)
            replica.receive(sender, message)
            replica.receive(1, Recover(ID, 1))
            replica.take_output()
            replica.receive(1, Validate(ID, 1, C, D))
            self.assertEqual(replica.take_output().promises, [(1, ValidateOK(ID, 1, expected))], name)

    def test_a_committed_one_is_answered_alone(self) -> None:
        replica = Replica(2, Epoch.first(5), timing=Timing(), random=Random(0))
        replica.tick(0.0)
        for other in range(1, 4):
            replica.receive(4, PreAccept(InstanceId(4, other), C, NONE))
        replica.receive(3, Commit(InstanceId(3, 2), 0, C, NONE))
        replica.receive(1, Recover(ID, 1))
        replica.take_output()
        replica.receive(1, Validate(ID, 1, C, D))
        answer = ValidateOK(ID, 1, (Conflict(InstanceId(3, 2), True),))
        self.assertEqual(replica.take_output().promises, [(1, answer)])

    def test_a_validated_value_is_named_from_then_on(self) -> None:
        replica = Replica(2, Epoch.first(5), timing=Timing(), random=Random(0))
        replica.tick(0.0)
        replica.receive(1, Recover(ID, 1))
        replica.receive(1, Validate(ID, 1, C, D))
        replica.take_output()
        other = InstanceId(3, 2)
        replica.receive(3, PreAccept(other, C, NONE))
        self.assertEqual(replica.take_output().promises, [(3, PreAcceptOK(other, (1, 0, 0, 0, 0)))])


class CounterExampleTests(SynchronousTestCase):
    def test_a_doubled_validate_does_not_change_what_was_accepted(self) -> None:
        """The recoverer validated (c, D), and then had NOP accepted at the same ballot.  A double of
        its Validate that comes late must not put c in the place of NOP, or the next recovery finds
        c as accepted at that ballot."""
        lab = Lab(5)
        lab.propose(4, write("x", payload="other"))
        for acceptor in (2, 3):
            lab.deliver(PreAccept, to=acceptor)
        lab.deliver(PreAcceptOK)
        lab.deliver(Commit, to=3)
        lab.drop()
        id = lab.propose(0, write("x", payload="c"))
        lab.deliver(PreAccept, to=1)
        lab.crash(0)
        lab.drop()

        lab.recover(1, id)
        lab.drop(Recover, to=4)
        lab.deliver(Recover)
        lab.deliver(RecoverOK)
        doubles = [(dest, message) for _, dest, message in lab.wire if isinstance(message, Validate)]
        self.assertEqual([dest for dest, _ in doubles], [2, 3])
        lab.deliver(Validate)
        lab.deliver(ValidateOK)
        lab.drop(Accept, to=4)
        lab.deliver(Accept)
        for dest, message in doubles:
            lab.replicas[dest].receive(1, message)
            lab.flush(dest)
        lab.deliver(AcceptOK)
        self.assertIs(lab.decided[1][id].cmd, NOP)
        lab.crash(1)
        lab.drop()

        lab.recover(4, id)
        lab.settle()
        lab.advance(5)
        self.assertIs(lab.decided[4][id].cmd, NOP)

    def test_one_ballot_variable_is_not_enough(self) -> None:
        """Sutra, "On the correctness of Egalitarian Paxos" (2019): a promise must not make an old
        vote look new.  Replica 0's vote of ballot 0 is overruled by NOP at ballot 1; then replica 0
        promises ballot 2, and a later recovery sees both votes.  With one variable for promise and
        vote, the vote of ballot 0 would look like one of ballot 2, and win."""
        lab = Lab(3, named=False)
        lab.propose(1, write("x", payload="other"))
        lab.deliver(PreAccept, to=2)
        lab.drop()
        lab.propose(2, write("x", payload="another"))
        lab.drop()
        id = lab.propose(0, write("x", payload="c"))
        lab.deliver(PreAccept)
        lab.deliver(PreAcceptOK)
        lab.drop(Accept)  # accepted at ballot 0 by replica 0 alone
        self.assertEqual((lab.instance(0, id).phase, lab.instance(0, id).abal), (Phase.ACCEPTED, 0))

        lab.recover(1, id)
        lab.deliver(Recover, to=2)
        lab.drop(Recover)
        lab.deliver(RecoverOK)
        lab.deliver(Accept, to=2)
        lab.deliver(AcceptOK)
        self.assertIs(lab.decided[1][id].cmd, NOP, "decided at ballot 1 by replicas 1 and 2")
        lab.drop()
        lab.crash(1)

        lab.recover(2, id)  # ballot 2: replica 0 promises, its answer is lost
        lab.deliver(Recover, to=0)
        lab.drop()
        self.assertEqual((lab.instance(0, id).bal, lab.instance(0, id).abal), (2, 0))
        lab.advance(10)
        self.assertIs(lab.decided[2][id].cmd, NOP)
        self.assertIs(lab.decided[0][id].cmd, NOP)

    def test_a_leader_that_forgot_its_proposal_names_it_all_the_same(self) -> None:
        """Rule 2 of validation relies on that a command leader never votes for others without
        naming what it proposed itself, also when it crashed in between and its own record was lost.

        Replica 0 proposes `first`; only replica 2 gets it; replica 0 restarts without it.  Then it
        proposes `second`, which commits with replica 1's vote.  Replica 0 dies again; replica 2
        recovers `second`: |R| = |Q|-e, and `first`, whose leader is outside Q, must not speak
        against it."""
        lab = Lab(3, named=False)
        lab.disk_slow(0)
        first = lab.propose(0, write("x", payload="first"))
        lab.drop(to=1)
        lab.crash(0)
        lab.deliver(PreAccept, to=2)
        lab.drop()
        lab.restart(0)
        lab.drop()
        second = lab.propose(0, write("x", payload="second"))
        lab.deliver(PreAccept, to=1)
        lab.deliver(PreAcceptOK, to=0)
        self.assertIn(second, lab.decided[0], "the client may have been told")
        self.assertTrue(lab.decided[0][second].deps[0] >= first.slot)
        lab.crash(0)
        lab.drop()
        lab.recover(2, second)
        lab.settle()
        lab.advance(5)
        self.assertEqual(lab.decided[2][second].cmd, write("x", payload="second"))

    def test_a_forgotten_proposal_is_named_to_others_until_it_is_decided(self) -> None:
        lab = Lab(3)
        lab.disk_slow(0)
        first = lab.propose(0, write("x"))
        lab.crash(0)
        lab.drop()
        lab.restart(0)
        lab.drop()
        other = lab.propose(1, write("y"))
        lab.deliver(PreAccept, to=0)
        votes = [m for _, _, m in lab.wire if isinstance(m, PreAcceptOK)]
        self.assertTrue(votes[0].deps[0] >= first.slot)
        lab.advance(5)
        self.assertIs(lab.decided[1][first].cmd, NOP)
        later = lab.propose(1, write("y"))
        lab.settle()
        self.assertEqual(lab.decided[1][later].deps, (0, other.slot, 0))

    def test_a_ballot_is_durable_before_anybody_hears_of_it(self) -> None:
        """A recoverer that had forgotten its ballot could use it twice, with two different quorums."""
        lab = Lab(3)
        id = lab.propose(0, write("x"))
        lab.deliver(PreAccept)
        lab.drop()
        lab.disk_slow(1)
        lab.recover(1, id)
        self.assertEqual(lab.wire, [])
        lab.disk_catches_up(1)
        self.assertEqual({type(message) for _, _, message in lab.wire}, {Recover})

    def test_a_restarted_leader_does_not_lead_again(self) -> None:
        """It may have sent an Accept that it no longer knows: it recovers its own instance."""
        lab = Lab(3)
        id = lab.propose(0, write("x"))
        lab.drop()
        lab.crash(0)
        lab.restart(0)
        lab.advance(5)
        self.assertFalse([m for _, _, m in lab.sent[2:] if isinstance(m, PreAccept)])
        self.assertEqual([decided[id].cmd for decided in lab.decided], [NOP] * 3)


class LivenessTests(SynchronousTestCase):
    def test_a_crashed_leaders_instances_are_decided(self) -> None:
        for n in (3, 4, 5, 7):
            for reached in range(n):
                lab = Lab(n)
                id = lab.propose(0, write("x"))
                for acceptor in range(1, reached + 1):
                    lab.deliver(PreAccept, to=acceptor)
                lab.drop()
                lab.crash(0)
                lab.advance(0.1)
                other = lab.propose(1, write("x"))
                lab.advance(10)
                if reached:
                    self.assertIn(id, lab.decided[n - 1], f"n = {n}, {reached} pre-accepted")
                self.assertIn(other, lab.decided[n - 1])

    def test_fast_path_decision_survives_its_leader(self) -> None:
        """The leader told its client and died; every recovery finds the same value."""
        for n in (3, 5, 7):
            for recoverer in range(1, n):
                lab = Lab(n)
                id = lab.propose(0, write("x"))
                lab.deliver(PreAccept)
                lab.deliver(PreAcceptOK)
                self.assertIn(id, lab.decided[0])
                lab.drop()
                lab.crash(0)
                lab.recover(recoverer, id)
                lab.settle()
                lab.advance(5)
                self.assertEqual(lab.decided[recoverer][id].cmd, write("x"))

    def test_late_replica_fetches_what_it_missed(self) -> None:
        lab = Lab(3)
        lab.crash(2)
        ids = set()
        for k in range(600):
            ids.add(lab.propose(k % 2, write(f"key {k % 7}")))
            if k % 10 == 0:
                lab.settle()
        lab.settle()
        lab.restart(2)
        lab.advance(5)
        self.assertEqual({id for id, i in lab.decided[2].items() if i.cmd is not NOP}, ids)
        self.assertEqual(lab.replicas[2].table.committed[:2], (300, 300))
        self.assertEqual(lab.replicas[2].table.committed, lab.replicas[0].table.committed)
