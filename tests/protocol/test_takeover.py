"""How survivors act when a replica becomes suspected: cases of a cluster of bare cores."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import (
    NOP,
    Accept,
    Commit,
    Fetch,
    Heartbeat,
    Phase,
    PreAccept,
    PreAcceptOK,
    Recover,
)
from epaxos.protocol.values.timing import Timing
from tests.protocol.lab import Lab, write

TIMING = Timing()
"""The defaults."""


class TakeoverCase(SynchronousTestCase):
    def lab(self, n: int = 3) -> Lab:
        """A cluster that has run for a while, with all replicas connected."""
        lab = Lab(n, TIMING)
        for replica in lab.replicas:
            for other in range(n):
                if other != replica._state.id:
                    replica.on_connected(other)
        lab.advance(2.0)
        for id in range(n):
            lab.propose(id, write(f"warm {id}"))
            lab.settle()
        return lab

    def die(self, lab: Lab, dead: int, *seen_by: int) -> None:
        """`dead` is gone, and these see its connections end; by default all others."""
        lab.crash(dead)
        for id in seen_by or [id for id in range(lab.n) if id != dead]:
            lab.replicas[id].on_disconnected(dead)
            lab.flush(id)

    def open(self, lab: Lab, *knowing: int) -> InstanceId:
        """An instance that 0 has proposed, whose PreAccept only these replicas have got."""
        id = lab.propose(0, write("k"))
        message = next(m for _, _, m in lab.wire if isinstance(m, PreAccept))
        for replica in knowing:
            lab.replicas[replica].receive(0, message)
            lab.flush(replica)
        lab.wire.clear()
        return id

    def kinds(self, lab: Lab, sender: int) -> list[tuple[int, type]]:
        return [(dest, type(message)) for frm, dest, message in lab.sent if frm == sender]


class LostConnectionTests(TakeoverCase):
    def test_the_first_in_turn_recovers_at_once(self) -> None:
        """In row 0 replica 1 comes after 0, so it recovers at once."""
        for seen_by in ((1,), (1, 2), (2, 1)):
            lab = self.lab()
            id = self.open(lab, 1, 2)
            self.die(lab, 0, *seen_by)
            lab.settle()
            for survivor in (1, 2):
                self.assertEqual(lab.instance(survivor, id).phase, Phase.COMMITTED)
            self.assertEqual([kind for _, kind in self.kinds(lab, 2)].count(Recover), 0)

    def test_it_hears_of_what_only_others_know(self) -> None:
        """Only replica 2, which has the second turn, knows the open instance of row 0."""
        for order in ((1, 2), (2, 1)):
            lab = self.lab()
            id = self.open(lab, 2)
            self.die(lab, 0, *order)
            lab.settle()
            for survivor in (1, 2):
                self.assertEqual(lab.instance(survivor, id).phase, Phase.COMMITTED)
            self.assertNotIn((1, Recover), self.kinds(lab, 2))

    def test_a_decision_that_one_survivor_holds(self) -> None:
        """Of five, replica 4 has the Commit; the replicas that miss it ask all others at once."""
        lab = self.lab(5)
        id = lab.propose(0, write("k"))
        lab.deliver(PreAccept)
        lab.deliver(PreAcceptOK, to=0)
        lab.deliver(Commit, to=4)
        lab.wire.clear()
        self.die(lab, 0)
        lab.settle()
        for survivor in range(1, 5):
            self.assertEqual(lab.instance(survivor, id).phase, Phase.COMMITTED)
            self.assertIsNot(lab.instance(survivor, id).cmd, NOP)

    def test_the_next_in_turn_waits_for_the_first(self) -> None:
        """Replica 1 is not heard: it is 2's turn `turn_s` after its suspicion, not sooner, whenever the
        next heartbeat is due and however long the instance has been open."""
        for open_for_s in (0.0, 0.3, 0.35, 0.4, 0.45):
            lab = self.lab()
            self.open(lab, 1, 2)
            lab.down.add(1)
            lab.advance(open_for_s, step=0.01, deliver=False)
            lab.wire.clear()
            self.die(lab, 0, 2)
            began = lab.now
            self.assertEqual(lab.replicas[2]._takeover.next_deadline(), began + TIMING.turn_s)
            while lab.now < began + TIMING.turn_s - 0.02:
                lab.advance(0.01, step=0.01)
                self.assertNotIn((1, Recover), self.kinds(lab, 2), (open_for_s, lab.now - began))
            lab.advance(0.03, step=0.01)
            self.assertIn((1, Recover), self.kinds(lab, 2))

    def test_turns_begin_anew_when_the_first_in_turn_dies_too(self) -> None:
        """Of five, 0 dies, then 1, which had just begun to recover: 2 recovers without waiting."""
        lab = self.lab(5)
        id = self.open(lab, *range(1, lab.n))
        self.die(lab, 0)
        lab.wire.clear()
        lab.advance(0.01, step=0.01, deliver=False)
        lab.wire.clear()
        self.die(lab, 1)
        lab.settle()
        for survivor in (2, 3, 4):
            self.assertEqual(lab.instance(survivor, id).phase, Phase.COMMITTED)

    def test_own_proposals_do_not_wait_for_the_dead(self) -> None:
        """The named one dies before it answers: the other one is asked at once."""
        lab = self.lab()
        lab.advance(0.3)  # the next PreAccept goes to all, the one after it to the named one alone
        lab.propose(0, write("probe"))
        lab.settle()
        id = lab.propose(0, write("k"))
        (named,) = lab.instance(0, id).fast_quorum
        self.assertEqual([dest for _, dest, m in lab.wire if isinstance(m, PreAccept)], [named])
        self.die(lab, named)
        lab.settle()
        self.assertEqual(lab.instance(0, id).phase, Phase.COMMITTED)

    def test_equal_answers_do_not_wait_for_the_dead(self) -> None:
        """Of five, three have answered, not all the same, when the two others die: the slow path at once."""
        lab = self.lab(5)
        other = lab.propose(1, write("k"))
        lab.wire.clear()
        id = lab.propose(0, write("k"))
        lab.deliver(PreAccept, to=1)
        lab.deliver(PreAccept, to=2)
        lab.deliver(PreAcceptOK, to=0)
        self.assertNotIn((1, Accept), self.kinds(lab, 0))
        self.die(lab, 3, 0)
        self.die(lab, 4, 0)
        self.assertIn((1, Accept), self.kinds(lab, 0))
        lab.settle()
        self.assertEqual(lab.instance(0, id).phase, Phase.COMMITTED)
        self.assertIn(other.slot, lab.instance(0, id).deps)

    def test_nothing_is_open(self) -> None:
        lab = self.lab()
        sent = len(lab.sent)
        self.die(lab, 0)
        self.assertEqual(lab.sent[sent:], [])

    def test_what_others_claim_is_fetched_not_recovered(self) -> None:
        """A replica that is far behind does not recover what was decided long ago."""
        lab = self.lab()
        begin = lab.replicas[2].table.committed[0]
        for slot in range(begin + 1, begin + 21):
            lab.replicas[2].receive(0, Commit(InstanceId(0, slot), 0, write("k"), (slot - 1, 0, 0)))
        lab.flush(2)
        lab.replicas[1].receive(2, Heartbeat(lab.replicas[2].table.committed, (0, 0, 0)))
        lab.flush(1)
        self.die(lab, 0)
        self.assertNotIn(Recover, [kind for _, kind in self.kinds(lab, 1)])
        self.assertIn((2, Fetch), self.kinds(lab, 1))
        lab.settle()
        self.assertEqual(lab.replicas[1].table.committed[0], begin + 20)

    def test_a_fetch_is_no_recovery_while_nobody_is_suspected(self) -> None:
        lab = self.lab()
        lab.replicas[1].receive(2, Fetch((InstanceId(0, 7),)))
        lab.flush(1)
        self.assertNotIn(Recover, [kind for _, kind in self.kinds(lab, 1)])


class SilenceTests(TakeoverCase):
    def test_silence_ends_at_its_deadline(self) -> None:
        """Between two heartbeats, to the millisecond."""
        lab = self.lab()
        id = self.open(lab, 1, 2)
        lab.crash(0)
        begin = lab.now
        while lab.instance(2, id).phase is not Phase.COMMITTED:
            lab.advance(0.001, step=0.001)
            self.assertLess(lab.now - begin, TIMING.suspect_after_s + 0.01)
