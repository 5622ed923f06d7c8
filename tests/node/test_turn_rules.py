"""When epochs end: operators, and how much is held."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import ITransport, Refusal
from epaxos.node.following import Following
from epaxos.node.limits import Keep
from epaxos.node.turns import LOOK_EVERY_S, OVER_S, PATIENCE, TURN_EVERY_S, TURN_S, Turns
from epaxos.protocol.replica import Replica
from epaxos.protocol.values.membership import VERSION, Member, Membership
from epaxos.protocol.values.messages import Batch

TIMEOUT_S = 2.0
UUID = 77
FIRST = Membership(UUID, 0, VERSION, (Member(0, 10), Member(1, 11), Member(2, 12)))
KEEP = Keep(1000, 100_000)


class Transport:
    def __init__(self) -> None:
        self.old: set[int] = set()
        self.away: set[int] = set()
        self.uids: dict[int, int] = {member: 10 + member for member in range(3)}

    def is_connected(self, replica: int) -> bool:
        return replica not in self.away

    def speaks_epochs(self, replica: int) -> bool:
        return not (replica in self.old or replica in self.away)

    def uid_of(self, replica: int) -> int | None:
        return self.uids.get(replica)


class Holding:
    def __init__(self) -> None:
        self.instances = 0
        self.size = 0
        self.awaits_failed = False

    def bytes(self) -> int:
        return self.size


class Core:
    """As much of the core as the turns see."""

    def __init__(self) -> None:
        self.endings = False
        self.can_propose = True
        self.holding = Holding()
        self.proposed: list[Batch] = []

    def propose(self, batch: Batch) -> None:
        self.proposed.append(batch)
        self.endings = True


class TurnsCase(SynchronousTestCase):
    n = 3
    row = 0

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(100)
        self.transport = Transport()
        self.fake = Core()
        self.core = cast(Replica, self.fake)
        self.membership: Membership | None = FIRST
        self.begin()

    def begin(self) -> None:
        self.following = Following(self.row, self.n)
        self.turns = Turns(
            self.row,
            self.n,
            self.following,
            cast(ITransport, self.transport),
            self.clock.seconds,
            TIMEOUT_S,
            KEEP,
            lambda: UUID,
        )

    def ask(self) -> Deferred[int]:
        return self.turns.ask(self.membership)

    def propose(self) -> None:
        self.turns.propose(self.core, self.membership)

    def look(self, seconds: float = 0.0) -> bool:
        """Whether a turn is wanted after this time."""
        self.clock.advance(seconds)
        self.turns.on_time(self.core, self.membership)
        return self.turns.wanted

    def look_for(self, seconds: float) -> list[float]:
        """The times, from now on, at which a turn is wanted."""
        looks = range(1, round(seconds / LOOK_EVERY_S) + 1)
        return [look * LOOK_EVERY_S for look in looks if self.look(LOOK_EVERY_S)]

    def end(self, durable: bool = True) -> None:
        """The present epoch ends."""
        self.following.number += 1
        if self.membership is not None:
            self.membership = self.membership.successor()
        self.fake.endings = False
        self.turns.on_begun()
        if durable:
            self.following.on_durable()

    def follow(self, *members: int) -> None:
        for member in members:
            self.following.on_opened(member, self.following.number)
        if self.following.is_safe:
            self.turns.on_safe()

    def refused(self, turned: Deferred[int]) -> str:
        return str(self.failureResultOf(turned, Refusal).value)


class OperatorTests(TurnsCase):
    def test_answered_when_it_is_safe(self) -> None:
        turned = self.ask()
        self.assertTrue(self.turns.wanted)
        self.propose()
        self.assertEqual(self.fake.proposed, [Batch.opening(FIRST.successor())])
        self.end()
        self.assertNoResult(turned)
        self.assertFalse(self.turns.wanted)
        self.follow(2)
        self.assertEqual(self.successResultOf(turned), 1)

    def test_two_operators(self) -> None:
        """Both get the same epoch, whoever proposed it."""
        turned = [self.ask(), self.ask()]
        self.end()
        self.follow(2)
        self.assertEqual([self.successResultOf(each) for each in turned], [1, 1])

    def test_a_member_may_be_away(self) -> None:
        self.transport.away = {1}
        self.assertNoResult(self.ask())
        self.transport.away = {1, 2}
        self.assertEqual(self.refused(self.ask()), "no majority of the members is connected")

    def test_a_member_may_be_behind(self) -> None:
        self.end()
        self.assertEqual(self.refused(self.ask()), "epoch 1 has not begun at a majority of the members")
        self.follow(1)
        self.assertNoResult(self.ask())

    def test_nothing_can_be_transferred(self) -> None:
        """Then nobody may be left behind."""
        self.turns.strict = True
        self.transport.away = {1}
        self.assertEqual(
            self.refused(self.ask()),
            "replica 1 is not connected, and could not come back, as nothing is kept on disk",
        )
        self.transport.away = set()
        self.assertNoResult(self.ask())
        self.end()
        self.follow(1)
        self.assertEqual(
            self.refused(self.ask()), "epoch 1 has not begun at every member: replica 2 is behind"
        )
        self.follow(2)
        self.assertNoResult(self.ask())

    def test_an_older_version(self) -> None:
        self.transport.old = {1}
        self.assertEqual(self.refused(self.ask()), "replica 1 is of a version that knows of no epochs")
        self.assertFalse(self.turns.wanted)

    def test_nobody_answers_in_time(self) -> None:
        turned = self.ask()
        self.look(TIMEOUT_S - 0.01)
        self.assertNoResult(turned)
        self.assertLessEqual(self.turns.due, self.clock.seconds() + 0.02)
        self.assertLessEqual(self.turns.deadline, self.clock.seconds() + 0.02)
        self.look(0.02)
        self.assertEqual(
            self.refused(turned),
            "no majority of the members has answered within 2 s; the next epoch may still begin",
        )
        self.assertFalse(self.turns.wanted)
        self.assertEqual(self.turns.deadline, math.inf)

    def test_each_operator_waits_as_long(self) -> None:
        first = self.ask()
        self.look(TIMEOUT_S / 2)
        second = self.ask()
        self.look(TIMEOUT_S / 2)
        self.refused(first)
        self.assertNoResult(second)
        self.look(TIMEOUT_S / 2)
        self.refused(second)

    def test_a_replica_that_stops(self) -> None:
        turned = self.ask()
        self.turns.refuse("the replica is stopping")
        self.assertEqual(self.refused(turned), "the replica is stopping")

    def test_it_is_not_proposed_twice(self) -> None:
        self.ask()
        self.fake.can_propose = False
        self.propose()
        self.assertEqual(self.fake.proposed, [])
        self.fake.can_propose = True
        self.propose()
        self.propose()
        self.assertEqual(len(self.fake.proposed), 1)
        self.fake.endings = False  # it became NOP
        self.propose()
        self.assertEqual(len(self.fake.proposed), 2)

    def test_it_is_not_wanted_once_it_has_begun(self) -> None:
        """Another replica's turn has opened the epoch that the operator waits for."""
        turned = self.ask()
        self.end()
        self.assertFalse(self.turns.wanted)
        self.assertNoResult(turned)
        self.assertFalse(self.look(LOOK_EVERY_S), "it waits until the epoch is safe")

    def test_a_cluster_that_was_founded_without_a_list(self) -> None:
        """The first list is made of what the others said when they connected."""
        self.membership = None
        self.transport.away = {2}
        self.assertEqual(
            self.refused(self.ask()), "replica 2 is not connected, and the list of members is not made yet"
        )
        self.transport.away = set()
        del self.transport.uids[2]
        self.ask()
        self.propose()
        self.assertEqual(self.fake.proposed, [], "the uid of one is not known")
        self.transport.uids[2] = 12
        self.propose()
        self.assertEqual(self.fake.proposed, [Batch.opening(FIRST.successor())])


class BoundTests(TurnsCase):
    def test_little_is_held(self) -> None:
        self.fake.holding.instances = KEEP.instances - 1
        self.fake.holding.size = KEEP.bytes - 1
        self.assertEqual(self.look_for(30), [])

    def test_too_many_instances(self) -> None:
        self.fake.holding.instances = KEEP.instances
        self.look()
        self.assertEqual(self.look_for(OVER_S + 1)[0], OVER_S)
        self.propose()
        self.assertEqual(self.fake.proposed, [Batch.opening(FIRST.successor())])

    def test_too_many_bytes(self) -> None:
        self.fake.holding.size = KEEP.bytes
        self.look()
        self.assertEqual(self.look_for(OVER_S + 1)[0], OVER_S)

    def test_somebody_is_merely_slow(self) -> None:
        for _ in range(20):
            self.fake.holding.instances = KEEP.instances
            self.look()
            self.assertEqual(self.look_for(OVER_S - LOOK_EVERY_S), [])
            self.fake.holding.instances = 0
            self.assertFalse(self.look(LOOK_EVERY_S))

    def test_rows_take_turns(self) -> None:
        """The next one proposes when the one before has not."""
        self.row = 2
        self.begin()
        self.fake.holding.instances = KEEP.instances
        self.look()
        self.assertEqual(self.look_for(OVER_S + 3 * TURN_S)[0], OVER_S + 2 * TURN_S)

    def test_not_too_often(self) -> None:
        self.end()
        self.follow(1, 2)
        self.fake.holding.instances = KEEP.instances
        self.look()
        self.assertEqual(self.look_for(TURN_EVERY_S + 1)[0], TURN_EVERY_S)

    def test_it_stops_when_it_has_begun(self) -> None:
        self.fake.holding.instances = KEEP.instances
        self.look()
        self.assertTrue(self.look_for(OVER_S))
        self.fake.holding.instances = 0
        self.end()
        self.assertFalse(self.turns.wanted)

    def test_instances_of_a_failed_replica_are_open(self) -> None:
        """The turn would wait for them; but not for ever."""
        self.fake.holding.instances = KEEP.instances
        self.fake.holding.awaits_failed = True
        self.look()
        self.assertEqual(self.look_for(30), [])
        self.fake.holding.instances = int(PATIENCE * KEEP.instances)
        self.assertTrue(self.look(LOOK_EVERY_S))

    def test_no_turn_is_possible(self) -> None:
        """It says so, not too often, and goes on when it is."""
        self.fake.holding.instances = KEEP.instances
        self.transport.away = {1, 2}
        self.look()
        self.assertEqual(self.look_for(30), [])
        self.transport.away = {1}
        self.assertTrue(self.look(LOOK_EVERY_S))

    def test_an_operator_waits_as_well(self) -> None:
        turned = self.ask()
        self.fake.holding.instances = KEEP.instances
        self.look()
        self.assertTrue(self.look_for(1.5))
        self.end()
        self.follow(1)
        self.assertEqual(self.successResultOf(turned), 1)


class FollowingTests(SynchronousTestCase):
    def test_how_many_are_enough(self) -> None:
        """f+1 of 2f+1."""
        for n, enough in ((1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (7, 4)):
            following = Following(0, n)
            following.number = 1
            for opened in range(n):
                self.assertEqual(following.is_safe, opened >= enough, (n, opened))
                self.assertFalse(following.is_settled)
                following.on_opened(opened, 1)
            self.assertTrue(following.is_safe and following.is_settled)

    def test_nothing_is_taken_back(self) -> None:
        following = Following(1, 3)
        following.number = 2
        following.on_opened(0, 2)
        following.on_opened(0, 1)
        self.assertEqual(following.behind(), [2])
        self.assertFalse(following.is_durable)
        following.on_durable()
        self.assertEqual((following.own, following.is_durable, following.opened), (2, True, [2, 2, 0]))


class LogTests(TurnsCase):
    def test_why_it_cannot(self) -> None:
        from twisted.logger import globalLogPublisher

        lines: list[str] = []

        def note(event: SimpleNamespace) -> None:
            lines.append(str(event.get("why")))  # type: ignore[attr-defined]

        globalLogPublisher.addObserver(note)  # type: ignore[arg-type]
        self.addCleanup(globalLogPublisher.removeObserver, note)
        self.fake.holding.instances = KEEP.instances
        self.transport.away = {1, 2}
        self.look()
        self.look_for(30)
        self.assertEqual(lines, ["no majority of the members is connected"])
