"""Commit, rule by rule (docs: protocol/rules, "Commit"): state, event, expected effect."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import (
    NOP,
    Accept,
    AcceptOK,
    Commit,
    Fetch,
    Phase,
    PreAccept,
    PreAcceptOK,
)
from tests.protocol.lab import Lab, read, write


class FastPathTests(SynchronousTestCase):
    def test_one_round_trip_without_interference(self) -> None:
        """With equal answers of a fast quorum it commits after PreAccept and its answers, for every n."""
        for n in range(1, 8):
            lab = Lab(n)
            id = lab.propose(0, write("x"))
            lab.deliver(PreAccept)
            lab.deliver(PreAcceptOK)
            self.assertIn(id, lab.decided[0], f"n = {n}")
            lab.settle()
            self.assertEqual([list(decided) for decided in lab.decided], [[id]] * n)
            self.assertEqual(lab.replicas[0].counters.fast_path, 1)
            self.assertFalse([m for _, _, m in lab.sent if isinstance(m, Accept)])

    def test_needs_a_fast_quorum(self) -> None:
        """One answer less than a fast quorum commits nothing."""
        for n, fast in ((3, 2), (4, 3), (5, 3), (6, 4), (7, 5), (9, 6)):
            lab = Lab(n)
            id = lab.propose(0, write("x"))
            for acceptor in range(1, fast):
                self.assertNotIn(id, lab.decided[0], f"n = {n}")
                lab.deliver(PreAccept, to=acceptor)
                lab.deliver(PreAcceptOK, frm=acceptor)
            self.assertIn(id, lab.decided[0], f"n = {n}")

    def test_unequal_answers_are_no_fast_quorum(self) -> None:
        """n = 5: with two answers equal to D0 beside its own the leader commits; with one it does not."""
        for equal, decided in ((2, True), (1, False)):
            lab = Lab(5)
            lab.propose(4, write("x"))
            for acceptor in range(1, 4 - equal):
                lab.deliver(PreAccept, to=acceptor)
            lab.drop()
            id = lab.propose(0, write("x"))
            lab.deliver(PreAccept, to=1)
            lab.deliver(PreAccept, to=2)
            lab.deliver(PreAccept, to=3)
            lab.deliver(PreAcceptOK)
            self.assertEqual(id in lab.decided[0], decided)

    def test_known_interference_everywhere_stays_fast(self) -> None:
        """D0 already names an instance that all replicas know, so the answers are equal."""
        lab = Lab(3)
        first = lab.propose(0, write("x"))
        lab.settle()
        second = lab.propose(1, write("x"))
        lab.settle()
        self.assertEqual(lab.decided[2][second].deps, (first.slot, 0, 0))
        self.assertEqual(lab.replicas[1].counters.fast_path, 1)

    def test_reads_do_not_interfere(self) -> None:
        lab = Lab(3)
        lab.propose(0, read("x"))
        lab.propose(1, read("x"))
        lab.settle()
        self.assertEqual([lab.replicas[i].counters.fast_path for i in (0, 1)], [1, 1])

    def test_the_batch_is_sent_once(self) -> None:
        """The PreAccept carried it to all; a replica that missed the PreAccept asks for it."""
        lab = Lab(3)
        id = lab.propose(0, write("x"))
        lab.deliver(PreAccept, to=1)
        lab.drop(PreAccept)
        lab.deliver(PreAcceptOK)
        commits = {dest: message for _, dest, message in lab.wire if isinstance(message, Commit)}
        self.assertEqual([commits[1].batch, commits[2].batch], [None, None])
        lab.settle()
        self.assertEqual(lab.decided[2][id].cmd, write("x"))

    def test_commit_without_the_batch_is_fetched(self) -> None:
        """A replica that gets a Commit, and does not hold the batch, asks for it."""
        lab = Lab(3)
        id = lab.propose(0, write("x"))
        lab.drop(PreAccept, to=2)
        lab.settle()
        lab.decided[2].clear()
        fresh = Lab(3)
        fresh.replicas[2].receive(0, Commit(id, 0, None, (0, 0, 0)))
        fresh.flush(2)
        self.assertEqual(fresh.wire, [(2, 0, Fetch((id,)))])
        self.assertNotIn(id, fresh.decided[2])

    def test_what_is_asked_for_exists(self) -> None:
        """No replica may hold it any more, so a replica that is asked notes that it has to be recovered."""
        lab = Lab(3)
        lab.crash(2)
        ids = (InstanceId(2, 4), InstanceId(2, 3))
        lab.replicas[1].receive(0, Fetch(ids))
        self.assertEqual(lab.replicas[1].table.known, (0, 0, 4))
        lab.advance(5)
        self.assertEqual([lab.decided[1][id].cmd for id in ids], [NOP, NOP])


class SlowPathTests(SynchronousTestCase):
    def setUp(self) -> None:
        """Two interfering proposals cross: each acceptor has seen another one first."""
        self.lab = Lab(3, named=False)
        self.a = self.lab.propose(0, write("x", payload="a"))
        self.b = self.lab.propose(1, write("x", payload="b"))

    def test_different_answers_take_two_round_trips(self) -> None:
        lab = self.lab
        lab.deliver(PreAccept, to=1)
        lab.deliver(PreAccept, to=2)
        lab.settle()
        counters = [lab.replicas[i].counters for i in (0, 1)]
        self.assertEqual(sum(c.fast_path + c.slow_path for c in counters), 2)
        self.assertEqual(counters[1].slow_path, 1)
        self.assertEqual(lab.decided[2][self.b].deps, (1, 0, 0))

    def test_visibility(self) -> None:
        """Of two committed interfering instances at least one names the other, in whatever order
        the messages come."""
        for order in range(24):
            lab = Lab(3)
            a, b = lab.propose(0, write("x")), lab.propose(1, write("x"))
            pairs = [(0, 1), (0, 2), (1, 0), (1, 2)]
            for k in (4, 3, 2, 1):
                frm, to = pairs.pop(order % k)
                order //= k
                lab.deliver(PreAccept, frm=frm, to=to)
            lab.settle()
            for decided in lab.decided:
                self.assertTrue(decided[a].deps[1] >= 1 or decided[b].deps[0] >= 1)

    def test_short_wait_for_the_fast_path(self) -> None:
        """A slow quorum of unequal answers has come, and a fast quorum may still come: wait a little."""
        lab = self.lab
        lab.deliver(PreAccept, frm=0, to=1)
        lab.deliver(PreAcceptOK, to=0)
        self.assertFalse([m for _, _, m in lab.sent if isinstance(m, Accept)])
        lab.advance(0.01, step=0.01, deliver=False)
        self.assertTrue([m for _, _, m in lab.sent if isinstance(m, Accept) and m.ballot == 0])

    def test_accept_needs_a_slow_quorum(self) -> None:
        lab = Lab(5)
        lab.disk_slow(0)  # no own votes
        other = lab.propose(1, write("x"))
        lab.deliver(PreAccept, to=2)
        lab.deliver(PreAccept, to=3)
        lab.deliver(PreAccept, to=4)
        lab.drop()
        id = lab.propose(0, write("x"))
        lab.deliver(PreAccept)
        lab.deliver(PreAcceptOK)
        lab.deliver(Accept, to=1)
        lab.deliver(Accept, to=2)
        lab.deliver(AcceptOK)
        self.assertNotIn(id, lab.decided[0])
        lab.deliver(Accept, to=3)
        lab.deliver(AcceptOK)
        self.assertIn(id, lab.decided[0])
        self.assertEqual(lab.decided[0][id].deps, (0, other.slot, 0, 0, 0))


class NamedFastQuorumTests(SynchronousTestCase):
    """docs: protocol/fast-path: f = 1."""

    def test_whatever_interferes_it_is_one_round_trip(self) -> None:
        for n in (2, 3, 4):
            lab = Lab(n)
            ids = [lab.propose(leader, write("x")) for leader in range(n)]
            lab.deliver(PreAccept)
            lab.deliver(PreAcceptOK)
            self.assertEqual([id in lab.decided[id.replica] for id in ids], [True] * n, f"n = {n}")
            lab.settle()
            self.assertEqual([set(decided) for decided in lab.decided], [set(ids)] * n)
            self.assertFalse([m for _, _, m in lab.sent if isinstance(m, Accept)])

    def test_the_named_ones_answer_is_the_value(self) -> None:
        """Replica 1 is named, and has seen an interfering instance; no answer of replica 2 is needed."""
        lab = Lab(3)
        other = lab.propose(2, write("x"))
        lab.deliver(PreAccept, to=1)
        lab.drop()
        id = lab.propose(0, write("x"))
        named = {m.fast_quorum for _, _, m in lab.sent if isinstance(m, PreAccept) and m.id == id}
        self.assertEqual(named, {(1,)})
        lab.deliver(PreAccept, to=1)
        lab.deliver(PreAcceptOK)
        self.assertEqual(lab.decided[0][id].deps, (0, 0, other.slot))

    def test_another_ones_answer_is_not(self) -> None:
        """Only the answer of the named replica counts; without it the slow path follows."""
        lab = Lab(3)
        id = lab.propose(0, write("x"))
        lab.deliver(PreAccept, to=2)
        lab.deliver(PreAcceptOK)
        self.assertNotIn(id, lab.decided[0])
        lab.advance(0.01, step=0.01, deliver=False)
        self.assertEqual(len([m for _, _, m in lab.sent if isinstance(m, Accept) and m.ballot == 0]), 2)
        lab.deliver(Accept, to=2)
        lab.deliver(AcceptOK)
        self.assertIn(id, lab.decided[0])

    def test_four_replicas_name_two(self) -> None:
        lab = Lab(4)
        other = lab.propose(3, write("x"))
        lab.deliver(PreAccept, to=2)
        lab.drop()
        id = lab.propose(0, write("x"))
        lab.deliver(PreAccept, to=1)
        lab.deliver(PreAcceptOK)
        self.assertNotIn(id, lab.decided[0])
        lab.deliver(PreAccept, to=2)
        lab.deliver(PreAcceptOK)
        self.assertEqual(lab.decided[0][id].deps, (0, 0, 0, other.slot))

    def test_a_suspected_one_is_not_named(self) -> None:
        lab = Lab(3)
        lab.crash(1)
        lab.advance(2)
        id = lab.propose(0, write("x"))
        lab.deliver(PreAccept)
        lab.deliver(PreAcceptOK)
        self.assertIn(id, lab.decided[0])
        self.assertEqual(lab.replicas[0].counters.fast_path, 1)

    def test_the_same_one_is_named_when_it_is_sent_again(self) -> None:
        lab = Lab(3)
        lab.propose(0, write("x"))
        lab.drop()
        lab.crash(1)
        lab.advance(2, deliver=False)
        named = {m.fast_quorum for _, _, m in lab.sent if isinstance(m, PreAccept)}
        self.assertEqual(named, {(1,)})

    def test_the_nearest_is_named(self) -> None:
        """Replica 2 answers within 20 ms, replica 1 after 50: from the second instance on 2 is named."""
        lab = Lab(3)
        lab.propose(0, write("x"))
        for milliseconds, acceptor in ((20, 2), (50, 1)):
            lab.deliver(PreAccept, to=acceptor)
            lab.now = milliseconds / 1000
            lab.replicas[0].tick(lab.now)
            lab.deliver(PreAcceptOK, frm=acceptor)
        lab.settle()
        id = lab.propose(0, write("x"))
        named = {m.fast_quorum for _, _, m in lab.sent if isinstance(m, PreAccept) and m.id == id}
        self.assertEqual(named, {(2,)})


class ThriftTests(SynchronousTestCase):
    """docs: protocol/fast-path: the PreAccept goes to those that were named alone."""

    def after_a_probe(self, n: int = 3, answer_s: float = 0.0, named: bool | None = None) -> Lab:
        """All have answered replica 0 within this time; the messages until then are dropped."""
        lab = Lab(n, named=named)
        lab.propose(0, write("x"))
        lab.deliver(PreAccept)
        self.pass_time(lab, answer_s)
        lab.settle()
        lab.sent.clear()
        return lab

    def pass_time(self, lab: Lab, seconds: float) -> None:
        """Tick replica 0, and deliver nothing."""
        lab.now += seconds
        lab.replicas[0].tick(lab.now)
        lab.flush(0)

    def sent_to(self, lab: Lab, kind: type) -> list[int]:
        """The receivers of replica 0's messages of this kind."""
        return sorted(dest for sender, dest, m in lab.sent if sender == 0 and isinstance(m, kind))

    def test_whom_to_ask(self) -> None:
        cases = [
            (2, None, [1]),
            (3, None, [1]),
            (3, False, [1, 2]),
            (4, None, [1, 2]),
            (5, None, [1, 2, 3, 4]),
        ]
        for n, named, asked in cases:
            lab = self.after_a_probe(n, named=named)
            id = lab.propose(0, write("x"))
            self.assertEqual(self.sent_to(lab, PreAccept), asked, f"n = {n}")
            lab.settle()
            self.assertEqual([id in decided for decided in lab.decided], [True] * n, f"n = {n}")
            self.assertEqual(lab.replicas[0].counters.fast_path, 2)
            self.assertFalse([m for _, _, m in lab.sent if isinstance(m, Fetch)])

    def test_now_and_then_all_are_asked(self) -> None:
        """The next probe leaves after a quarter of `suspect_after_s`."""
        lab = self.after_a_probe()
        for seconds, asked in ((0.1, [1]), (0.1, [1]), (0.1, [1, 2]), (0.1, [1]), (10.0, [1, 2])):
            self.pass_time(lab, seconds)
            lab.settle()
            lab.sent.clear()
            lab.propose(0, write("x"))
            self.assertEqual(self.sent_to(lab, PreAccept), asked)

    def test_all_are_asked_while_one_is_not_known(self) -> None:
        """Replica 2 never answers.  After the patience its latency counts as the patience."""
        lab = Lab(3)
        for seconds, asked in ((0.0, [1, 2]), (0.1, [1, 2]), (0.5, [1, 2]), (0.5, [1, 2]), (0.1, [1])):
            self.pass_time(lab, seconds)
            lab.drop(to=2)
            lab.settle()
            lab.sent.clear()
            lab.propose(0, write("x"))
            self.assertEqual(self.sent_to(lab, PreAccept), asked)

    def test_the_commit_brings_the_batch_to_those_that_were_not_asked(self) -> None:
        lab = self.after_a_probe(4)
        id = lab.propose(0, write("x"))
        lab.deliver(PreAccept)
        lab.deliver(PreAcceptOK)
        commits = {dest: m.batch for _, dest, m in lab.wire if isinstance(m, Commit)}
        self.assertEqual(commits, {1: None, 2: None, 3: write("x")})
        lab.deliver(Commit)
        self.assertEqual(lab.decided[3][id].cmd, write("x"))

    def test_what_is_committed_unasked_interferes(self) -> None:
        lab = self.after_a_probe()
        id = lab.propose(0, write("x"))
        lab.settle()
        later = lab.propose(2, write("x"))
        self.assertEqual(lab.instance(2, later).deps, (id.slot, 0, 0))

    def test_the_patience_with_those_that_were_named(self) -> None:
        """Twice their usual time, and `fast_path_wait_s` at least; then the rest is asked, and when a
        slow quorum has answered, there is nothing more to wait for."""
        for answer_s, patience_s in ((0.0, 0.005), (0.04, 0.08)):
            lab = self.after_a_probe(answer_s=answer_s)
            id = lab.propose(0, write("x"))
            self.pass_time(lab, patience_s - 0.001)
            self.assertEqual(self.sent_to(lab, PreAccept), [1])
            self.pass_time(lab, 0.002)
            self.assertEqual(self.sent_to(lab, PreAccept), [1, 2])
            lab.deliver(PreAccept, to=2)
            lab.deliver(PreAcceptOK)
            accepts = {dest: m.batch for _, dest, m in lab.wire if isinstance(m, Accept)}
            self.assertEqual(accepts, {1: write("x"), 2: None})
            lab.settle()
            self.assertEqual([id in decided for decided in lab.decided], [True] * 3)

    def test_all_asked_at_once_have_the_same_patience(self) -> None:
        """Replica 1 is named, and 2 answers: the leader waits for twice the usual time of 1, not longer."""
        lab = self.after_a_probe(answer_s=0.04)
        self.pass_time(lab, 0.25)
        lab.propose(0, write("x"))
        self.assertEqual(self.sent_to(lab, PreAccept), [1, 2])
        lab.deliver(PreAccept, to=2)
        lab.deliver(PreAcceptOK)
        for seconds, accepts in ((0.079, []), (0.002, [1, 2])):
            self.pass_time(lab, seconds)
            self.assertEqual(self.sent_to(lab, Accept), accepts)

    def test_a_named_one_that_answers_late_still_makes_the_fast_path(self) -> None:
        lab = self.after_a_probe()
        id = lab.propose(0, write("x"))
        self.pass_time(lab, 0.01)
        lab.deliver(PreAccept, to=1)
        lab.deliver(PreAcceptOK)
        self.assertIn(id, lab.decided[0])
        commits = {dest: m.batch for _, dest, m in lab.wire if isinstance(m, Commit)}
        self.assertEqual(commits, {1: None, 2: None}, "the PreAccept is on its way to 2")

    def test_one_that_is_silent_is_not_named_until_it_answers(self) -> None:
        lab = self.after_a_probe()
        lab.propose(0, write("x"))
        self.pass_time(lab, 0.01)
        lab.sent.clear()
        lab.propose(0, write("x"))
        self.assertEqual(self.sent_to(lab, PreAccept), [2])
        lab.deliver(PreAccept, to=1)
        lab.deliver(PreAcceptOK, frm=1)
        lab.sent.clear()
        lab.propose(0, write("x"))
        self.assertEqual(self.sent_to(lab, PreAccept), [1])

    def test_a_crashed_one_holds_nothing_up_longer_than_the_patience(self) -> None:
        """It may be suspected yet, or when it was named, or only when the patience ends."""
        for n, crashed_s in ((3, 0.0), (3, 0.999), (3, 2.0), (4, 0.0), (4, 2.0)):
            lab = self.after_a_probe(n)
            lab.crash(1)
            lab.advance(crashed_s)
            id = lab.propose(0, write("x"))
            lab.settle()
            lab.advance(0.006, step=0.006)
            self.assertIn(id, lab.decided[0], f"n = {n}, after {crashed_s} s")

    def test_what_is_lost_is_sent_again_to_all(self) -> None:
        lab = self.after_a_probe()
        id = lab.propose(0, write("x"))
        self.pass_time(lab, 0.01)
        lab.drop()
        lab.sent.clear()
        lab.advance(0.5, deliver=False)
        self.assertEqual(self.sent_to(lab, PreAccept), [1, 2])
        lab.settle()
        self.assertEqual([id in decided for decided in lab.decided], [True] * 3)

    def test_a_slow_patience_does_not_delay_asking_again(self) -> None:
        """It usually takes 0.4 s, but after `resend_s`, 0.5 s, a message may have been lost."""
        lab = self.after_a_probe(answer_s=0.4)
        id = lab.propose(0, write("x"))
        lab.drop(to=1)
        self.pass_time(lab, 0.501)
        lab.deliver(PreAccept, to=2)
        lab.deliver(PreAcceptOK)
        self.assertEqual(self.sent_to(lab, Accept), [])
        self.pass_time(lab, 0.3)
        lab.settle()
        self.assertIn(id, lab.decided[0])


class DurabilityTests(SynchronousTestCase):
    def test_promises_wait_for_the_disk(self) -> None:
        lab = Lab(3)
        id = lab.propose(0, write("x"))
        lab.disk_slow(1)
        lab.drop(to=2)
        lab.deliver(PreAccept)
        self.assertEqual(lab.instance(1, id).phase, Phase.PREACCEPTED)
        self.assertEqual(lab.wire, [])
        lab.disk_catches_up(1)
        self.assertEqual(lab.wire, [(1, 0, PreAcceptOK(id, (0, 0, 0)))])

    def test_pre_accept_leaves_before_the_leaders_record_is_durable(self) -> None:
        lab = Lab(3)
        lab.disk_slow(0)
        id = lab.propose(0, write("x"))
        self.assertEqual(len(lab.wire), 2)
        lab.deliver(PreAccept)
        lab.deliver(PreAcceptOK)
        self.assertEqual(lab.decided[0], {}, "decided on the fast path, and not durable yet")
        self.assertEqual([m for _, _, m in lab.wire if isinstance(m, Commit)], [])
        lab.disk_catches_up(0)
        self.assertIn(id, lab.decided[0])
        self.assertEqual(len([m for _, _, m in lab.wire if isinstance(m, Commit)]), 2)

    def test_own_vote_counts_only_when_durable(self) -> None:
        lab = Lab(5)
        lab.disk_slow(0)
        id = lab.propose(0, write("x"))
        for replica in (1, 2):
            lab.deliver(PreAccept, to=replica)
        lab.deliver(PreAcceptOK)
        self.assertEqual(lab.instance(0, id).phase, Phase.PREACCEPTED)
        lab.disk_catches_up(0)
        self.assertEqual(lab.instance(0, id).phase, Phase.COMMITTED)

    def test_with_a_named_fast_quorum_the_leader_writes_nothing_before_the_decision(self) -> None:
        for n in (3, 4):
            lab = Lab(n)
            lab.disk_slow(0)
            id = lab.propose(0, write("x"))
            self.assertEqual([records for _, records in lab.unwritten[0] if records], [])
            lab.deliver(PreAccept)
            lab.deliver(PreAcceptOK)
            self.assertEqual(lab.instance(0, id).phase, Phase.COMMITTED)
            ((output, (record,)),) = [write for write in lab.unwritten[0] if write[1]]
            self.assertEqual(output.batches, [(id, write("x"))])
            self.assertEqual((record.id, record.phase), (id, Phase.COMMITTED))
            self.assertEqual(lab.decided[0], {}, "it is not told before it is durable")

    def test_a_leader_that_forgets_an_undecided_proposal_makes_it_nop(self) -> None:
        lab = Lab(3)
        id = lab.propose(0, write("x"))
        lab.deliver(PreAccept)
        lab.drop()
        lab.crash(0)
        lab.restart(0)
        self.assertIsNone(lab.replicas[0].table.find(id))
        lab.advance(5)
        for decided in lab.decided:
            self.assertIs(decided[id].cmd, NOP)

    def test_slots_are_reserved_before_use(self) -> None:
        lab = Lab(3)
        lab.disk_slow(0)
        used = 0
        while lab.replicas[0].can_propose:
            lab.propose(0, write("x"))
            used += 1
        self.assertEqual(used, lab.disks[0].reserved)
        lab.crash(0)
        lab.restart(0)
        lab.advance(1)
        self.assertEqual(lab.propose(0, write("x")).slot, used + 1)


class IdempotenceTests(SynchronousTestCase):
    def test_doubled_messages_change_nothing(self) -> None:
        lab = Lab(3)
        a, b = lab.propose(0, write("x")), lab.propose(1, write("x"))
        for _ in range(40):
            envelopes, lab.wire = lab.wire, []
            for sender, dest, message in [e for e in envelopes for _ in (1, 2)]:
                lab.replicas[dest].receive(sender, message)
                lab.flush(dest)
        for decided in lab.decided:
            self.assertEqual(set(decided), {a, b})

    def test_lost_messages_are_sent_again(self) -> None:
        for kind in (PreAccept, PreAcceptOK, Accept, AcceptOK, Commit):
            lab = Lab(3)
            a, b = lab.propose(0, write("x")), lab.propose(1, write("x"))
            for _ in range(10):
                lab.drop(kind)
                lab.deliver()
            lab.advance(5)
            self.assertEqual([set(decided) for decided in lab.decided], [{a, b}] * 3, kind.__name__)

    def test_committed_answers_with_the_commit(self) -> None:
        lab = Lab(3)
        batch = write("x")
        id = lab.propose(0, batch)
        lab.settle()
        for message in (PreAccept(id, batch, (0, 0, 0)), Accept(id, 0, NOP, (0, 0, 0))):
            lab.replicas[1].receive(0, message)
            lab.flush(1)
            self.assertEqual(lab.wire, [(1, 0, Commit(id, 0, batch, (0, 0, 0)))])
            lab.wire.clear()

    def test_only_the_owner_of_a_ballot_is_heard(self) -> None:
        lab = Lab(3)
        id = lab.propose(0, write("x"))
        lab.deliver(PreAccept)
        lab.drop()
        for sender, message in (
            (2, PreAccept(id, write("y"), (0, 0, 0))),
            (2, Accept(id, 0, NOP, (0, 0, 0))),
            (2, Accept(id, 4, NOP, (0, 0, 0))),
        ):
            lab.replicas[1].receive(sender, message)
            lab.flush(1)
            self.assertEqual((lab.wire, lab.instance(1, id).phase), ([], Phase.PREACCEPTED))
