"""Well-formed messages that lie, and the harm that they must not do."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import (
    NOP,
    Accept,
    Commit,
    Conflict,
    Heartbeat,
    Message,
    Phase,
    Recover,
    RecoverOK,
    Validate,
    ValidateOK,
    Waiting,
)
from tests.protocol.lab import Lab, write

LAST = 2**63 - 1


class UnusedSlotTests(SynchronousTestCase):
    """No other replica can know anything of a slot that a replica has not used yet."""

    def lie(self, lab: Lab, *messages: Message) -> None:
        for message in messages:
            lab.replicas[0].receive(1, message)
            lab.flush(0)

    def test_nothing_happens_to_them(self) -> None:
        lab = Lab(3)
        for slot in (1, 2, LAST):
            id = InstanceId(0, slot)
            self.lie(
                lab,
                Commit(id, 0, NOP, (0, 0, 0)),
                Accept(id, 1, NOP, (0, 0, 0)),
                Recover(id, 4),
                Validate(id, 0, write("a"), (0, 0, 0)),
                Waiting(id, 3),
            )
        self.assertEqual(len(lab.replicas[0].table), 0)
        lab.wire.clear()
        mine = lab.propose(0, write("a"))
        lab.settle()
        self.assertEqual(lab.instance(0, mine).phase, Phase.COMMITTED)
        self.assertEqual(lab.instance(0, mine).cmd, write("a"))

    def test_they_are_not_used_up_by_a_restart(self) -> None:
        """An instance of the last possible slot on disk would leave no slot for proposals."""
        lab = Lab(3)
        self.lie(lab, Recover(InstanceId(0, LAST), 4))
        lab.crash(0)
        lab.restart(0)
        self.assertLess(lab.replicas[0].next_slot, 1000)

    def test_they_are_not_recovered(self) -> None:
        """They are not recovered when others claim to have heard of them, nor as conflicts of a value."""
        lab = Lab(3)
        self.lie(lab, Heartbeat((0, LAST, 0), (0, 0, LAST)), Commit(InstanceId(1, 1), 0, NOP, (LAST, 0, 0)))
        lab.advance(10, deliver=False)
        self.assertEqual(len(lab.replicas[0].table.rows[0]), 0)
        id = InstanceId(2, 1)
        lab.recover(0, id)
        ballot = lab.instance(0, id).bal
        vote = RecoverOK(id, ballot, 0, Phase.PREACCEPTED, write("a"), (0, 0, 0), (0, 0, 0))
        self.lie(lab, vote, ValidateOK(id, ballot, (Conflict(InstanceId(0, 5), False),)))
        lab.advance(10, deliver=False)
        self.assertIsNone(lab.replicas[0].table.find(InstanceId(0, 5)))


class BallotTests(SynchronousTestCase):
    def test_no_ballot_that_nobody_takes_is_sent(self) -> None:
        """An honest replica would close the connection for it, again and again."""
        for n, highest in ((3, LAST), (3, LAST - 1), (3, LAST - 2), (2, LAST), (5, LAST - 3)):
            lab = Lab(n)
            id = InstanceId(1, 1)
            sender = highest % n
            if sender == 0:
                continue
            lab.replicas[0].receive(sender, Recover(id, highest))
            lab.flush(0)
            lab.recover(0, id)
            lab.advance(30, deliver=False)
            ballots = [message.ballot for _, _, message in lab.sent if isinstance(message, Recover)]
            self.assertLessEqual(max(ballots, default=0), LAST)
            self.assertEqual(lab.replicas[0].recoveries, 0 if not ballots else 1)


class ContradictoryAnswersTests(SynchronousTestCase):
    def test_a_commit_and_an_accepted_value_of_one_ballot(self) -> None:
        """Both come late, from outside Q: the decision stays a decision."""
        lab = Lab(5)
        id, other, batch, none = InstanceId(0, 1), InstanceId(3, 5), write("a"), (0,) * 5
        lab.recover(1, id)
        replica = lab.replicas[1]
        ballot = lab.instance(1, id).bal
        vote = RecoverOK(id, ballot, 0, Phase.PREACCEPTED, batch, none, none)
        committed = RecoverOK(id, ballot, 0, Phase.COMMITTED, batch, none, none)
        accepted = RecoverOK(id, ballot, 0, Phase.ACCEPTED, NOP, none, None)
        for sender, message in (
            *((2, vote), (3, vote), (0, committed), (4, accepted)),
            *((2, ValidateOK(id, ballot, ())), (3, ValidateOK(id, ballot, (Conflict(other, False),)))),
        ):
            replica.receive(sender, message)
            lab.flush(1)
        self.assertEqual((lab.instance(1, id).phase, lab.instance(1, id).cmd), (Phase.COMMITTED, batch))
        self.assertEqual([message for _, _, message in lab.sent if isinstance(message, Accept)], [])

    def test_a_validation_by_one_that_was_not_asked(self) -> None:
        """Its answer does not count instead of one of Q."""
        lab = Lab(5)
        id, batch, none = InstanceId(0, 1), write("a"), (0,) * 5
        lab.recover(1, id)
        ballot = lab.instance(1, id).bal
        vote = RecoverOK(id, ballot, 0, Phase.PREACCEPTED, batch, none, none)
        for sender, message in (
            (2, vote),
            (3, vote),
            (2, ValidateOK(id, ballot, ())),
            (4, ValidateOK(id, ballot, ())),
        ):
            lab.replicas[1].receive(sender, message)
            lab.flush(1)
        self.assertEqual([message for _, _, message in lab.sent if isinstance(message, Accept)], [])
        lab.replicas[1].receive(3, ValidateOK(id, ballot, ()))
        lab.flush(1)
        self.assertEqual(lab.instance(1, id).phase, Phase.ACCEPTED)
