"""Catching up: what others claim is fetched, or recovered when it cannot be fetched."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.upkeep import catch_up
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import (
    NOP,
    Batch,
    Commit,
    Fetch,
    Heartbeat,
    Message,
    Phase,
    PreAccept,
    PreAcceptOK,
    Recover,
)
from epaxos.protocol.values.timing import Timing
from tests.protocol.lab import Lab, write

BARRIER = Batch((), (), b"all", 1, True)
BOUND_S = 2 * 0.2 + 3 * 0.5 + 2 * 0.15 + 1.5
"""Heartbeats, a Fetch to each replica and one twice, the turns, and at most 1.5 s for the recovery."""


def hush(lab: Lab, sender: int, *kinds: type) -> None:
    """Deliver everything but these kinds of messages of `sender`, which are lost."""
    for _ in range(100):
        for kind in kinds:
            lab.drop(kind, frm=sender)
        if not lab.deliver():
            return


def pass_time(lab: Lab, seconds: float, ill: int, *lost: type, deaf: bool = False) -> None:
    """As `Lab.advance`, but messages of these kinds of the replica `ill` are lost; if `deaf`, all to it."""
    end = lab.now + seconds
    while lab.now < end:
        lab.advance(0.05, deliver=False)
        if deaf:
            lab.drop(to=ill)
        hush(lab, ill, *lost)
        if deaf:
            lab.drop(to=ill)


def lab_with_a_claim() -> Lab:
    """Three replicas: 1 tells 2 that it holds 500 instances of its row, which only it knows."""
    lab = Lab(3)
    lab.advance(0.3)
    lab.replicas[2].receive(1, Heartbeat((0, 500, 0), (0, 0, 0)))
    lab.flush(2)
    lab.sent.clear()
    return lab


def said(lab: Lab, sender: int, kind: type) -> list[Message]:
    return [message for s, _, message in lab.sent if s == sender and isinstance(message, kind)]


class ClaimTests(SynchronousTestCase):
    """A replica that is not suspected claims to hold commits that it does not send."""

    def assert_decided_without(self, lab: Lab, ill: int, *ids: InstanceId) -> None:
        for replica in range(lab.n):
            if replica != ill:
                for id in ids:
                    self.assertIn(id, lab.decided[replica], f"{id} at {replica}")

    def test_a_the_disk_of_the_leader_hangs(self) -> None:
        """Its heartbeats claim its decision, but neither the Commit nor an answer to Fetch ever leaves.  A
        barrier of another replica waits for it."""
        for n in (3, 5):
            for batch in (write("x"), BARRIER):
                lab = Lab(n)
                lab.advance(0.3)
                lab.disk_slow(0)
                mine = lab.propose(0, batch)
                lab.settle()
                self.assertEqual(lab.instance(0, mine).phase, Phase.COMMITTED)
                other = lab.propose(1, BARRIER)
                lab.settle()
                self.assertNotIn(mine, lab.decided[1])
                lab.advance(BOUND_S + n * 0.5)
                self.assert_decided_without(lab, 0, mine, other)
                self.assertFalse(lab.replicas[1].suspects(0), "its heartbeats go on")
                lab.disk_catches_up(0)
                lab.settle()
                self.assertIn(mine, lab.decided[0])

    def test_b_one_that_is_heard_and_hears_nobody(self) -> None:
        lab = Lab(3)
        lab.advance(0.3)
        mine = lab.propose(0, write("x"))
        lab.deliver(PreAccept)
        lab.deliver(PreAcceptOK)
        self.assertEqual(lab.instance(0, mine).phase, Phase.COMMITTED)
        lab.drop(Commit)
        lab.propose(1, BARRIER)
        pass_time(lab, BOUND_S + 1, 0, deaf=True)
        self.assert_decided_without(lab, 0, mine)
        self.assertFalse(lab.replicas[1].suspects(0))

    def test_c_claims_from_before_a_common_loss_of_power(self) -> None:
        """Over UDP they may come after it, and no replica holds the commits that they claim."""
        lab = Lab(3)
        lab.advance(0.3)
        for id in range(3):
            lab.crash(id)
        for id in range(3):
            lab.restart(id)
        late = Heartbeat((3, 2, 1), (0, 0, 0))
        for sender, dest in ((0, 1), (1, 2), (2, 0)):
            lab.replicas[dest].receive(sender, late)
            lab.flush(dest)
        lab.advance(BOUND_S + 2)
        for replica in range(3):
            self.assertEqual(lab.replicas[replica].table.committed[:2], lab.replicas[0].table.committed[:2])
            self.assertEqual(lab.replicas[replica].table.committed[0] >= 3, True)
            self.assertEqual(lab.decided[replica][InstanceId(1, 1)].cmd, NOP)

    def test_no_recovery_while_answers_come(self) -> None:
        """A slow answer, too, shows that the claim can be fetched."""
        lab = Lab(3)
        lab.advance(0.3)
        for _ in range(20):
            lab.propose(0, write("x"))
            lab.deliver(to=1)
            lab.deliver(to=0)
            lab.drop(to=2)
        lab.sent.clear()
        for _ in range(40):
            lab.advance(0.2, deliver=False)
            lab.deliver(Heartbeat)
            lab.deliver(Fetch)
            for envelope in [e for e in lab.wire if isinstance(e[2], Commit) and e[1] == 2][:1]:
                lab.wire.remove(envelope)
                lab.replicas[2].receive(envelope[0], envelope[2])
                lab.flush(2)
            lab.drop(Commit)
        self.assertGreater(len(lab.decided[2]), 8)
        self.assertEqual(said(lab, 2, Recover), [])

    def test_what_is_claimed_is_recovered_in_parts(self) -> None:
        """A replica that can answer after all would answer each with the whole batch."""
        lab = lab_with_a_claim()
        for _ in range(200):
            lab.advance(0.05, deliver=False)
            lab.deliver(Heartbeat)
            lab.wire.clear()
            recovered = {m.id for sender, _, m in lab.sent if isinstance(m, Recover)}
            if recovered:
                break
        self.assertEqual(len(recovered), catch_up.RECOVERIES_OF_CLAIMED)

    def test_an_answer_ends_the_recoveries(self) -> None:
        lab = lab_with_a_claim()
        while not said(lab, 2, Recover):
            lab.advance(0.05, deliver=False)
            lab.deliver(Heartbeat, to=2)
            lab.wire.clear()
            self.assertLess(lab.now, 10)
        peer, asked = next((d, m) for s, d, m in reversed(lab.sent) if s == 2 and isinstance(m, Fetch))
        lab.replicas[2].receive(peer, Commit(asked.ids[0], 0, NOP, (0, 0, 0)))
        lab.flush(2)
        recovered = {m.id for m in said(lab, 2, Recover) if isinstance(m, Recover)}
        for _ in range(10):
            lab.advance(0.05, deliver=False)
            lab.deliver(Heartbeat, to=2)
            lab.wire.clear()
        after = {m.id for m in said(lab, 2, Recover) if isinstance(m, Recover)}
        self.assertEqual(after, recovered)

    def test_one_that_leads_is_left_alone(self) -> None:
        """The claim is about an instance that this replica proposed, and still leads."""
        lab = Lab(3)
        lab.advance(0.3)
        mine = lab.propose(0, write("x"))
        lab.wire.clear()
        lab.sent.clear()
        pass_time(lab, 3, 0, PreAccept)
        self.assertEqual([m for s, _, m in lab.sent if isinstance(m, Recover) and s == 0], [])
        self.assertNotIn(mine, lab.decided[0])


class CatchUpTests(SynchronousTestCase):
    """The next Fetch leaves when an answer has come."""

    def missed(self, count: int, payload: str = "w", timing: Timing | None = None, n: int = 3) -> Lab:
        """A lab in which replica 2 was down while 0 decided `count` instances."""
        lab = Lab(n, timing)
        lab.advance(0.3)
        lab.crash(2)
        for number in range(count):
            lab.propose(0, write(f"k{number % 7}", payload=payload))
            lab.settle()
            if number % 100 == 99:  # more slots are reserved
                lab.advance(0.05)
        lab.settle()
        lab.sent.clear()
        return lab

    def ids(self, messages: list[Message]) -> int:
        return sum(len(message.ids) for message in messages if isinstance(message, Fetch))

    def test_no_time_passes(self) -> None:
        """Catching up goes from the start to the last commit, although the timers take hours."""
        hours = Timing(heartbeat_s=5000, resend_s=5000, suspect_after_s=20000)
        lab = self.missed(700, timing=hours)
        lab.restart(2)
        lab.replicas[2].tick(lab.now)
        lab.flush(2)
        self.assertEqual(lab.replicas[2].table.committed[0], 0)
        lab.settle(10_000)
        self.assertEqual(lab.replicas[2].table.committed[0], 700)
        self.assertFalse(lab.replicas[2].catching_up)

    def test_it_asks_again_when_it_was_not_connected(self) -> None:
        hours = Timing(heartbeat_s=5000, resend_s=5000, suspect_after_s=20000)
        lab = self.missed(3, timing=hours)
        lab.restart(2)
        lab.replicas[2].tick(lab.now)
        lab.flush(2)
        for _ in range(5):  # nothing of it arrives
            lab.wire.clear()
            self.assertLess(lab.replicas[2].next_deadline() - lab.now, 2)
            lab.now = max(lab.now, lab.replicas[2].next_deadline())
            lab.replicas[2].tick(lab.now)
            lab.flush(2)
        lab.settle()
        self.assertEqual(lab.replicas[2].table.committed[0], 3)

    def test_it_does_not_ask_for_ever(self) -> None:
        """It does not ask those that have told it, and leaves the rest to heartbeats."""
        lab = Lab(3)
        lab.down.add(1)
        lab.advance(60)
        asked = [(s, d) for s, d, m in lab.sent if m == Fetch(()) and s == 0]
        self.assertLessEqual(len(asked), 6)
        self.assertGreaterEqual(len([d for _, d in asked if d == 1]), len([d for _, d in asked if d == 2]))

    def test_answers_that_are_cut(self) -> None:
        """The asker knows the end of an answer by its size, whatever it asked for beyond."""
        self.patch(catch_up, "FETCH_BYTES", 2000)
        hours = Timing(heartbeat_s=5000, resend_s=5000, suspect_after_s=20000)
        lab = self.missed(100, payload="v" * 300, timing=hours)
        lab.restart(2)
        lab.replicas[2].tick(lab.now)
        lab.flush(2)
        lab.settle(10_000)
        self.assertEqual(lab.replicas[2].table.committed[0], 100)
        commits = [m for s, d, m in lab.sent if isinstance(m, Commit) and d == 2]
        self.assertEqual(len(commits), 100, "nothing is sent twice")
        self.assertEqual(len({d for s, d, m in lab.sent if s == 2 and isinstance(m, Fetch) and m.ids}), 1)

    def test_doubled_late_and_disordered_answers_start_nothing(self) -> None:
        """Everything that replica 2 is sent comes twice, in the wrong order, and once more at the end."""
        self.patch(catch_up, "FETCH_BYTES", 2000)
        lab = self.missed(100, payload="v" * 300)
        lab.restart(2)
        lab.replicas[2].tick(lab.now)
        lab.flush(2)
        late: list[tuple[int, Message]] = []
        for _ in range(300):
            commits = [e for e in lab.wire if e[1] == 2 and isinstance(e[2], Commit)]
            lab.wire = [e for e in lab.wire if e not in commits]
            for sender, _, message in [*reversed(commits), *commits]:
                late.append((sender, message))
                lab.replicas[2].receive(sender, message)
                lab.flush(2)
            lab.settle(1000)
            if lab.replicas[2].table.committed[0] == 100:
                break
            lab.advance(0.05, deliver=False)
        self.assertEqual(lab.replicas[2].table.committed[0], 100)
        fetches = len(said(lab, 2, Fetch))
        self.assertLess(fetches, 100, "no more than answers")
        for sender, message in late:
            lab.replicas[2].receive(sender, message)
            lab.flush(2)
        self.assertEqual(len(said(lab, 2, Fetch)), fetches)

    def test_one_commit_that_comes_again_and_again(self) -> None:
        """A commit that was not asked for does not count as the size of an answer."""
        self.patch(catch_up, "FETCH_BYTES", 2000)
        lab = self.missed(50, payload="v" * 300)
        lab.restart(2)
        lab.replicas[2].tick(lab.now)
        lab.flush(2)
        lab.deliver(Fetch)
        lab.deliver(Heartbeat, to=2)
        lab.deliver(Fetch)
        self.assertEqual(self.ids(said(lab, 2, Fetch)), 50)
        first = next(e for e in lab.wire if isinstance(e[2], Commit) and e[1] == 2)
        for _ in range(20):
            lab.replicas[2].receive(first[0], first[2])
            lab.flush(2)
        self.assertEqual(self.ids(said(lab, 2, Fetch)), 50)
        lab.deliver(Commit, to=2)
        self.assertGreater(self.ids(said(lab, 2, Fetch)), 50)

    def test_an_answer_that_takes_long_is_not_asked_for_twice(self) -> None:
        lab = self.missed(12)
        lab.restart(2)
        lab.replicas[2].tick(lab.now)
        lab.flush(2)
        lab.deliver(Fetch)
        lab.deliver(Heartbeat, to=2)
        lab.deliver(Fetch)
        answer = [e for e in lab.wire if isinstance(e[2], Commit) and e[1] == 2]
        self.assertEqual(len(answer), 12)
        for sender, _, message in answer:  # three seconds, and `resend_s` is half a second
            lab.advance(0.25, deliver=False)
            lab.wire = [e for e in lab.wire if not isinstance(e[2], Commit)]
            lab.deliver(Heartbeat)
            lab.replicas[2].receive(sender, message)
            lab.flush(2)
        self.assertEqual(lab.replicas[2].table.committed[0], 12)
        self.assertEqual(self.ids(said(lab, 2, Fetch)), 12)

    def test_lost_answers_are_asked_for_again(self) -> None:
        """A gap before the end of an answer is part of the next Fetch; a lost end waits for `resend_s`."""
        lab = self.missed(60)
        lab.restart(2)
        lab.replicas[2].tick(lab.now)
        lab.flush(2)
        lost = 0
        for _ in range(100):
            for envelope in [e for e in lab.wire if e[1] == 2 and isinstance(e[2], Commit)]:
                if envelope[2].id.slot % 3 == 0 and lost < 20:
                    lab.wire.remove(envelope)
                    lost += 1
            lab.deliver()
            lab.advance(0.05, deliver=False)
        self.assertEqual(lost, 20)
        self.assertEqual(lab.replicas[2].table.committed[0], 60)
        self.assertLess(self.ids(said(lab, 2, Fetch)), 60 + 20 + 60)

    def test_it_says_that_it_catches_up(self) -> None:
        lab = self.missed(600)
        lab.restart(2)
        lab.replicas[2].tick(lab.now)
        lab.flush(2)
        self.assertFalse(lab.replicas[2].catching_up)
        lab.deliver(Fetch)
        lab.deliver(Heartbeat, to=2)
        self.assertTrue(lab.replicas[2].catching_up)
        lab.settle(1000)
        self.assertFalse(lab.replicas[2].catching_up)

    def test_what_cannot_be_fetched_is_no_catching_up(self) -> None:
        lab = Lab(3)
        lab.advance(0.3)
        lab.disk_slow(0)
        lab.propose(0, write("x"))
        lab.settle()
        lab.down.add(1)  # nobody is left to recover with
        lab.advance(4)
        self.assertFalse(lab.replicas[2].catching_up)
