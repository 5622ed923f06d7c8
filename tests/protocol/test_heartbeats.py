"""Heartbeats that show that a replica is doubled or has lost its data."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.memory.state import DoubledError
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import (
    NOP,
    Accept,
    Commit,
    Fetch,
    Heartbeat,
    Message,
    Phase,
    Validate,
)
from tests.protocol.lab import Lab, new_disk, write


class DoubledTests(SynchronousTestCase):
    """Another process has the same id, or this replica lost its data."""

    def stops(self, lab: Lab, message: Message, sender: int = 1) -> str:
        error = self.assertRaises(DoubledError, lab.replicas[0].receive, sender, message)
        self.assertNotIn("\n", str(error))
        return str(error)

    def test_a_heartbeat_that_claims_what_was_never_used(self) -> None:
        lab = Lab(3)
        for _ in range(3):
            lab.propose(0, write("x"))
        lab.settle()
        for fine in (Heartbeat((3, 9, 9), (3, 0, 0)), Heartbeat((0, 0, 0), (0, 0, 0))):
            lab.replicas[0].receive(1, fine)
        for committed, executed in (((4, 0, 0), (0, 0, 0)), ((0, 0, 0), (4, 0, 0))):
            text = self.stops(lab, Heartbeat(committed, executed))
            for word in ("replica 1", "slot 4", "replica 0", "used 3"):
                self.assertIn(word, text)

    def test_after_a_restart_all_that_was_reserved_may_have_been_used(self) -> None:
        lab = Lab(3)
        lab.advance(0.1)
        lab.crash(0)
        reserved = lab.disks[0].reserved
        lab.restart(0)
        self.assertGreater(reserved, 0)
        lab.replicas[0].receive(1, Heartbeat((reserved, 0, 0), (0, 0, 0)))
        self.stops(lab, Heartbeat((reserved + 1, 0, 0), (0, 0, 0)))

    def test_a_wiped_one(self) -> None:
        """It stops at the first heartbeat, before or after its first proposal."""
        for proposes in (False, True):
            lab = Lab(3)
            for _ in range(3):
                lab.propose(0, write("x"))
            lab.settle()
            lab.crash(0)
            lab.disks[0] = new_disk(0, 3)
            lab.restart(0)
            lab.replicas[0].tick(lab.now)
            lab.flush(0)
            if proposes:
                lab.propose(0, write("y"))
            self.assertRaises(DoubledError, lab.settle)

    def test_a_wiped_one_whose_proposal_meets_its_old_decision(self) -> None:
        lab = Lab(3)
        lab.propose(0, write("x"))
        lab.settle()
        lab.crash(0)
        lab.disks[0] = new_disk(0, 3)
        lab.restart(0)
        lab.replicas[0].tick(lab.now)
        lab.flush(0)
        lab.propose(0, write("y"))
        lab.wire = [e for e in lab.wire if not isinstance(e[2], (Heartbeat, Fetch))]
        error = self.assertRaises(DoubledError, lab.settle)
        self.assertIn("slot 1 of the row of replica 0", str(error))

    def test_another_batch_in_an_own_slot(self) -> None:
        for message in (
            Commit(InstanceId(0, 1), 0, write("x", payload="other"), (0, 0, 0)),
            Accept(InstanceId(0, 1), 4, write("x", payload="other"), (0, 0, 0)),
            Validate(InstanceId(0, 1), 0, write("y"), (0, 0, 0)),
        ):
            lab = Lab(3)
            lab.propose(0, write("x"))
            self.assertIn("did not propose", self.stops(lab, message))

    def test_the_same_batch_and_nop_are_fine(self) -> None:
        for batch in (write("x"), NOP, None):
            lab = Lab(3)
            id = lab.propose(0, write("x"))
            lab.replicas[0].receive(1, Commit(id, 0, batch, (0, 0, 0)))
            lab.flush(0)
            self.assertEqual(lab.instance(0, id).phase, Phase.COMMITTED)

    def test_in_the_rows_of_others_it_is_ignored(self) -> None:
        """The others learn what the first process told them; the doubled one has to stop."""
        lab = Lab(3)
        id = lab.propose(0, write("x"))
        lab.settle()
        lab.replicas[1].receive(0, Commit(id, 0, write("y"), (0, 0, 0)))
        self.assertEqual(lab.instance(1, id).cmd, write("x"))
