"""Which Commits are delayed, how long, and what ends it."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from epaxos.node.backoff import UNTRIED_MAX
from epaxos.node.outbox import WAIT_MIN_S, WAIT_S, Outbox
from epaxos.protocol.values.clocks import NOT_HEARD, Clocks
from epaxos.protocol.values.ids import Deps, InstanceId
from epaxos.protocol.values.messages import Commit, Heartbeat, PreAcceptOK, Read, ReadOK
from tests.node.lab import Cluster

EXECUTED = (5, 5, 5)
CLOCKS = Clocks(1, 2, 3, (NOT_HEARD,) * 3)


def commit(slot: int, deps: Deps = (0, 0, 0)) -> Commit:
    return Commit(InstanceId(0, slot), 0, None, deps)


def vote(slot: int) -> PreAcceptOK:
    return PreAcceptOK(InstanceId(1, slot), (0, 0, 0))


class DelayTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.time = 0.0
        self.sent: list[object] = []
        self.renew()

    def renew(self) -> None:
        self.outbox = Outbox(lambda _, sent: self.sent.extend(sent), lambda: self.time, lambda: CLOCKS)

    def turn(self, now: float, *outgoing: object) -> list[object]:
        """What leaves in a turn with these messages."""
        self.time = now
        self.sent.clear()
        self.outbox.add(outgoing)  # type: ignore[arg-type]
        self.outbox.flush(EXECUTED)
        return list(self.sent)

    def test_what_is_not_a_commit_leaves_at_once(self) -> None:
        beat = Heartbeat((0, 0, 0), (0, 0, 0), CLOCKS)
        for outgoing in ([(1, vote(1)), (2, beat)], [(1, Read(1, (b"a",)))], [(2, ReadOK(1, (0, 0, 0)))]):
            self.assertEqual(self.turn(1.0, *outgoing), outgoing)
        self.assertIsNone(self.outbox.due)

    def test_a_heartbeat_leaves_with_the_clocks(self) -> None:
        """It stays one message when it goes to several replicas, because each message is encoded once."""
        beat = Heartbeat((1, 0, 0), (0, 0, 0))
        sent: Any = self.turn(1.0, (1, beat), (1, vote(1)), (2, beat))
        self.assertEqual(
            sent, [(1, beat._replace(clocks=CLOCKS)), (1, vote(1)), (2, beat._replace(clocks=CLOCKS))]
        )
        self.assertIs(sent[0][1], sent[2][1])

    def test_a_commit_leaves_with_what_comes(self) -> None:
        """The Commit leaves before that message, to the same replica alone."""
        self.assertEqual(self.turn(1.0, (1, commit(1)), (2, commit(1))), [])
        self.assertEqual(self.outbox.due, 1.0 + WAIT_S)
        self.assertEqual(self.turn(1.0004, (1, vote(1))), [(1, commit(1)), (1, vote(1))])
        self.assertEqual(self.outbox.due, 1.0 + WAIT_S)
        self.assertEqual(self.turn(1.0 + WAIT_S), [(2, commit(1))])
        self.assertIsNone(self.outbox.due)

    def test_no_longer_than_that(self) -> None:
        """Later Commits do not delay the first one further, and leave with it."""
        self.turn(1.0, (1, commit(1)))
        self.assertEqual(self.turn(1.0 + 0.9 * WAIT_MIN_S, (1, commit(2)), (2, commit(2))), [])
        self.assertEqual(self.outbox.due, 1.0 + WAIT_S)
        leaving = self.turn(1.0011, (2, commit(3)))
        self.assertEqual(leaving, [(1, commit(1)), (1, commit(2)), (2, commit(2)), (2, commit(3))])

    def test_after_the_least_time_with_whatever_is_done(self) -> None:
        for outgoing in ([], [(2, vote(1))], [(2, commit(2))]):
            self.turn(1.0, (1, commit(1)))
            self.assertEqual(
                self.turn(1.0 + 1.1 * WAIT_MIN_S, *outgoing), [(1, commit(1)), *outgoing], outgoing
            )
            self.assertIsNone(self.outbox.due)
            self.renew()

    def test_nothing_waits_where_all_have_company(self) -> None:
        outgoing = [(1, commit(1)), (1, vote(1)), (2, vote(1)), (2, commit(1))]
        self.assertEqual(self.turn(1.0, *outgoing), outgoing)
        self.assertIsNone(self.outbox.due)

    def test_what_others_may_wait_for_leaves_at_once(self) -> None:
        """A Commit that names what is not executed here is not delayed, because commands interfere now."""
        for deps in ((6, 0, 0), (0, 0, 6)):
            self.assertEqual(self.turn(1.0, (1, commit(1, deps))), [(1, commit(1, deps))])
        self.assertEqual(self.turn(1.0, (1, commit(1, EXECUTED))), [])
        hot = commit(2, (0, 6, 0))
        self.assertEqual(self.turn(1.0001, (1, hot)), [(1, commit(1, EXECUTED)), (1, hot)])
        self.assertIsNone(self.outbox.due)

    def test_waits_in_vain_become_rare(self) -> None:
        waits = []
        for turn in range(300):
            now = 1.0 + turn
            if not self.turn(now, (1, commit(turn))):
                waits.append(turn)
                self.assertEqual(len(self.turn(now + WAIT_S)), 1)
        self.assertEqual(waits, [0, 2, 6, 14, 30, 62, 126, 190, 254])
        self.assertEqual(waits[-1] - waits[-2], UNTRIED_MAX + 1)

    def test_company_makes_them_frequent_again(self) -> None:
        for company in ((1, vote(1)), (1, commit(99))):
            self.renew()
            self.turn(1.0, (1, commit(1)))
            self.turn(1.0 + WAIT_S)  # in vain
            self.assertEqual(len(self.turn(2.0, (1, commit(2)))), 1)
            self.assertEqual(self.turn(3.0, (1, commit(3))), [])
            self.turn(3.0004, company)
            self.turn(3.0 + WAIT_S)
            self.assertEqual(self.turn(4.0, (1, commit(4))), [])

    def test_delayed_ones_leave_when_no_turn_follows(self) -> None:
        self.outbox.send_delayed()
        self.assertEqual(self.sent, [])
        self.turn(1.0, (1, commit(1)), (2, commit(1)))
        self.outbox.send_delayed()
        self.assertEqual(self.sent, [(1, commit(1)), (2, commit(1))])
        self.assertIsNone(self.outbox.due)
        self.sent.clear()
        self.outbox.send_delayed()
        self.assertEqual(self.sent, [])

    def test_drop(self) -> None:
        self.turn(1.0, (1, commit(1)))
        self.outbox.add([(2, vote(1))])
        self.outbox.drop()
        self.assertIsNone(self.outbox.due)
        self.assertEqual(self.turn(2.0), [])

    def test_only_commits(self) -> None:
        self.assertTrue(self.outbox.has_only_commits)
        self.outbox.add([(1, commit(1)), (2, commit(1))])
        self.assertTrue(self.outbox.has_only_commits)
        self.outbox.add([(2, vote(1))])
        self.assertFalse(self.outbox.has_only_commits)


class TurnTests(SynchronousTestCase):
    """What a node sends in a turn, and when."""

    def test_one_send_a_turn(self) -> None:
        cluster = Cluster().start()
        cluster.submit(0, [b"k", b"x"])
        sends = len(cluster.wires[0].sends)
        cluster.clock.advance(0)
        self.assertEqual(len(cluster.wires[0].sends), sends + 1)

    def test_clients_are_answered_before_the_others_get_the_commit(self) -> None:
        cluster = Cluster().start()
        sent: list[int] = []
        for _ in range(2):  # held back for company or not
            cluster.nodes[0].submit([[b"k", b"a"]], lambda _: sent.append(len(cluster.sent(0, Commit))))
            cluster.run(1)
        self.assertEqual(sent, [0, 2])
        self.assertEqual(len(cluster.sent(0, Commit)), 4)
