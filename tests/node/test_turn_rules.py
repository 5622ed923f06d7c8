"""When epochs end: operators, and how much is held."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import IStateMachine, ITransport, Refusal
from epaxos.node.candidates import CANDIDATES_MAX, CAUGHT_UP_BYTES, FRESH_S, Candidates
from epaxos.node.following import Following
from epaxos.node.limits import Keep
from epaxos.node.turns import LOOK_EVERY_S, OVER_S, PATIENCE, TURN_EVERY_S, TURN_S, Turns
from epaxos.node.versions import Versions
from epaxos.protocol.replica import Replica
from epaxos.protocol.values.changes import Add, Change, Move, Nothing, Remove, Replace, changed
from epaxos.protocol.values.control import Candidate
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.membership import FIRST_VERSION, VERSION, Member, Membership
from epaxos.protocol.values.messages import Batch

TIMEOUT_S = 2.0
AT = 1_700_000_000
UUID = 77
FIRST = Membership(UUID, 0, VERSION, (Member(0, 10), Member(1, 11), Member(2, 12)))
KEEP = Keep(1000, 100_000)
PLAIN = Nothing()


class Transport:
    batch_bytes_max: int | None = None

    def __init__(self) -> None:
        self.unchanging: set[int] = set()
        self.old: set[int] = set()
        self.away: set[int] = set()
        self.versions: dict[int, int] = {}
        self.uids: dict[int, int] = {member: 10 + member for member in range(3)}

    def is_connected(self, replica: int) -> bool:
        return replica not in self.away

    def speaks_epochs(self, replica: int) -> bool:
        return not (replica in self.old or replica in self.away)

    def speaks_members(self, replica: int) -> bool:
        return replica not in self.unchanging and self.speaks_epochs(replica)

    def version_of(self, replica: int) -> int:
        return 0 if replica in self.away else self.versions.get(replica, VERSION)

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
        self.candidates = Candidates(self.clock.seconds)
        self.following = Following(self.row, Epoch.first(self.n))
        transport = cast(ITransport, self.transport)
        self.outdated: list[str] = []
        self.turns = Turns(
            self.row,
            self.following,
            transport,
            self.candidates,
            Versions(self.row, transport, cast(IStateMachine, object()), self.outdated.append),
            self.clock.seconds,
            TIMEOUT_S,
            KEEP,
            lambda: UUID,
            lambda: AT,
        )

    def ask(self, change: Change = PLAIN, force: bool = False) -> Deferred[Membership]:
        return self.turns.ask(self.membership, change, force)

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

    def end(self, durable: bool = True, change: Change = PLAIN) -> None:
        """The present epoch ends."""
        membership = self.membership or FIRST._replace(number=self.following.number)
        self.begun = changed(membership, change).successor("somebody else")
        if self.membership is not None:
            self.membership = self.begun
        self.following.move(self.begun.epoch)
        self.fake.endings = False
        self.turns.on_begun(self.begun)
        if durable:
            self.following.on_durable()

    def follow(self, *members: int) -> None:
        for member in members:
            self.following.on_opened(member, self.following.number)
        if self.following.is_safe:
            self.turns.on_safe(self.begun)

    def refused(self, turned: Deferred[Membership]) -> str:
        return str(self.failureResultOf(turned, Refusal).value)


class OperatorTests(TurnsCase):
    def test_answered_when_it_is_safe(self) -> None:
        turned = self.ask()
        self.assertTrue(self.turns.wanted)
        self.propose()
        self.assertEqual(self.fake.proposed, [Batch.opening(FIRST.successor("turn, by replica 0", AT))])
        self.end()
        self.assertNoResult(turned)
        self.assertFalse(self.turns.wanted)
        self.follow(2)
        self.assertEqual(self.successResultOf(turned).number, 1)

    def test_two_operators(self) -> None:
        """Both get the same epoch, whoever proposed it."""
        turned = [self.ask(), self.ask()]
        self.end()
        self.follow(2)
        self.assertEqual([self.successResultOf(each).number for each in turned], [1, 1])

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
        first = FIRST._replace(version=FIRST_VERSION)
        self.assertEqual(self.fake.proposed, [Batch.opening(first.successor("turn, by replica 0", AT))])


NEW = Member(3, 13, "tcp:new")


class ChangeTests(TurnsCase):
    """An operator wants other members."""

    def candidate(self, behind: int | None = 0, member: Member = NEW) -> None:
        self.candidates.on_candidate(Candidate(member, behind))

    def test_what_is_proposed(self) -> None:
        self.candidate(CAUGHT_UP_BYTES)
        wanted = self.ask(Replace(2, NEW))
        self.propose()
        successor = changed(FIRST, Replace(2, NEW)).successor("replace 2 by 3, by replica 0", AT)
        self.assertEqual(self.fake.proposed, [Batch.opening(successor)])
        self.end(change=Replace(2, NEW))
        self.assertNoResult(wanted)
        self.follow(1)
        self.assertEqual(self.successResultOf(wanted), self.begun)

    def test_it_is_safe_when_most_of_the_new_members_have_it(self) -> None:
        self.candidate()
        wanted = self.ask(Replace(2, NEW))
        self.end(change=Replace(2, NEW))
        self.follow(2)
        self.assertNoResult(wanted)
        self.follow(3)
        self.successResultOf(wanted)

    def test_what_is_so_already(self) -> None:
        """It is answered at once, when it is safe, and nothing is proposed."""
        self.assertEqual(self.successResultOf(self.ask(Move(1))), FIRST)
        self.end(change=Remove(2))
        wanted = self.ask(Remove(2))
        self.assertFalse(self.turns.wanted)
        self.assertNoResult(wanted)
        self.follow(1)
        self.assertEqual(self.successResultOf(wanted), self.begun)

    def test_the_second_operator(self) -> None:
        """Of two R the first counts.  Who wanted the same has it, and who wanted something else is told."""
        self.candidate()
        for one in (1, 2):
            same, other, plain = self.ask(Remove(2)), self.ask(Add(NEW)), self.ask()
            self.end(change=Remove(2) if one == 1 else Move(1, "tcp:there"))
            text = self.refused(other)
            self.assertEqual(text, f"superseded by epoch {one} (somebody else): ask again")
            self.follow(1, 2)
            self.assertEqual(self.successResultOf(plain), self.begun)
            if one == 1:
                self.assertEqual(self.successResultOf(same), self.begun)

    def test_there_are_not_enough_of_the_new(self) -> None:
        """Present members that are connected count, and candidates that have caught up."""
        self.transport.away = {2}
        for behind, change, text in (
            (None, Add(NEW), "replica 3 has not begun to take the state (FORCE goes on without it)"),
            (CAUGHT_UP_BYTES + 1, Add(NEW), "replica 3 still lacks 1.0 MB of the state (FORCE goes on"),
            (0, Remove(1), "of the 2 new members 2 have to be there, and only 0 is (FORCE goes on)"),
            (0, Add(NEW), "of the 4 new members 3 have to be there, and only 0, 1, 3 is"),
        ):
            self.candidate(behind)
            if isinstance(change, Add) and not behind and behind is not None:
                self.transport.away = {1}  # a majority of the present ones is connected, and not of the new
                self.candidates.on_candidate(Candidate(NEW._replace(uid=99), 0))
                text = "replica 3 does not ask to join any more (FORCE goes on without it)"
            self.assertIn(text, self.refused(self.ask(change)))
            self.assertFalse(self.turns.wanted)
            self.assertNoResult(self.ask(change, force=True))
            self.begin()

    def test_force_does_not_make_the_present_epoch_safe(self) -> None:
        self.end()
        text = self.refused(self.ask(Remove(1), force=True))
        self.assertEqual(text, "epoch 1 has not begun at a majority of the members")

    def test_a_candidate_that_has_fallen_silent(self) -> None:
        self.candidate()
        self.clock.advance(FRESH_S + 1)
        self.assertIn("does not ask to join any more", self.refused(self.ask(Add(NEW))))
        self.assertEqual(self.candidates.all(), [])

    def test_a_candidate_that_is_gone_when_it_is_proposed(self) -> None:
        self.candidate()
        wanted = self.ask(Add(NEW))
        self.clock.advance(FRESH_S + 1)
        self.propose()
        self.assertEqual(self.fake.proposed, [])
        self.assertIn("does not ask to join any more", self.refused(wanted))

    def test_candidates_are_bounded(self) -> None:
        for number in range(3, 3 + 2 * CANDIDATES_MAX):
            self.candidate(member=Member(number, number))
        heard = [one.member.number for one in self.candidates.all()]
        self.assertEqual(heard, list(range(3 + CANDIDATES_MAX, 3 + 2 * CANDIDATES_MAX)))

    def test_what_makes_no_sense(self) -> None:
        text = self.refused(self.ask(Remove(7), force=True))
        self.assertEqual(text, "there is no member 7: the members are 0, 1, 2")

    def test_a_version_that_knows_of_no_changes(self) -> None:
        self.transport.unchanging = {1}
        text = self.refused(self.ask(Remove(2), force=True))
        self.assertEqual(text, "replica 1 is of a version that knows of no changes of the members")
        self.assertNoResult(self.ask())

    def test_a_list_that_no_datagram_carries(self) -> None:
        self.transport.batch_bytes_max = 300
        text = self.refused(self.ask(Move(1, "x" * 200), force=True))
        self.assertIn("and a datagram carries 300", text)

    def test_nothing_is_kept_on_disk(self) -> None:
        self.turns.strict = True
        self.assertIn("nothing is kept on disk", self.refused(self.ask(Remove(2), force=True)))

    def test_the_first_list_is_not_made_yet(self) -> None:
        self.membership = None
        self.assertIn("the list of members is not made yet", self.refused(self.ask(Remove(2))))

    def test_who_is_no_member_changes_nothing(self) -> None:
        self.end(change=Remove(0))
        self.follow(1, 2)
        self.assertEqual(self.refused(self.ask(Remove(1))), "this replica is not a member: ask one")

    def test_it_is_not_safe_in_time(self) -> None:
        wanted = self.ask(Remove(2))
        self.look(TIMEOUT_S)
        self.assertEqual(
            self.refused(wanted),
            "remove 2: epoch 1 may still begin, and is not safe after 2 s: do not stop who is removed, and"
            " ask again",
        )
        wanted = self.ask(Remove(2))
        self.end(change=Remove(2))
        self.look(TIMEOUT_S)
        self.assertIn("epoch 1 has begun, and is not safe", self.refused(wanted))

    def test_what_would_come_of_it(self) -> None:
        self.transport.away = {2}
        self.candidate()
        lines = self.turns.foresee(self.membership, Replace(2, NEW), False)
        self.assertEqual(
            lines,
            [
                "now: 3 members, of which 1 may fail: 0, 1, 2 (not there)",
                "then: 3 members, of which 1 may fail: 0, 1, 3",
                "replica 2 leaves",
                "replica 3 joins",
            ],
        )
        self.assertEqual(self.fake.proposed, [])
        self.assertFalse(self.turns.wanted)
        self.assertRaises(Refusal, self.turns.foresee, self.membership, Remove(7), True)

    def test_where_a_member_would_be_found(self) -> None:
        """Only what changes is named, so that a wrong address is seen before it counts."""
        lines = self.turns.foresee(
            self.membership, Move(1, "tcp:10.0.0.9:7000", "", "tcp:10.0.0.9:7200"), False
        )
        self.assertEqual(lines[2:], ["replica 1 moves: peer tcp:10.0.0.9:7000, status tcp:10.0.0.9:7200"])

    def test_a_candidate_waits_for_a_state(self) -> None:
        """In epoch 0 there is none to give, so the next one begins by itself; later there is."""
        self.candidate()
        self.look()
        self.assertFalse(self.look(OVER_S / 2))
        self.candidate()
        self.assertTrue(self.look(OVER_S / 2))
        self.propose()
        (batch,) = self.fake.proposed
        assert batch.successor is not None
        self.assertEqual(batch.successor.why, "a candidate waits for a state, by replica 0")
        self.end()
        self.follow(1)
        self.clock.advance(TURN_EVERY_S)
        self.candidate()
        self.look()
        self.candidate()
        self.assertFalse(self.look(OVER_S))


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
        why = "1000 instances are held for others, about 0.0 MB, by replica 0"
        self.assertEqual(self.fake.proposed, [Batch.opening(FIRST.successor(why, AT))])

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
        self.assertEqual(self.successResultOf(turned).number, 1)


class FollowingTests(SynchronousTestCase):
    def test_how_many_are_enough(self) -> None:
        """f+1 of 2f+1."""
        for n, enough in ((1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (7, 4)):
            following = Following(n, Epoch(1, tuple(range(n))))  # who looks on is not a member
            following.on_durable()
            for opened in range(n):
                self.assertEqual(following.is_safe, opened >= enough, (n, opened))
                self.assertFalse(following.is_settled)
                following.on_opened(opened, 1)
            self.assertTrue(following.is_safe and following.is_settled)

    def test_nothing_is_taken_back(self) -> None:
        following = Following(1, Epoch(2, (0, 1, 2)))
        following.on_opened(0, 2)
        following.on_opened(0, 1)
        self.assertEqual(following.behind(), [2])
        self.assertFalse(following.is_durable)
        following.on_durable()
        opened = [following.opened(member) for member in range(3)]
        self.assertEqual((following.own, following.is_durable, opened), (2, True, [2, 2, 0]))

    def test_strangers_are_bounded(self) -> None:
        """Members are remembered, whoever else says anything."""
        following = Following(0, Epoch(1, (0, 1, 2)))
        following.on_opened(1, 3)
        for number in range(100, 300):
            following.on_opened(number, 5)
        self.assertEqual((following.opened(1), following.opened(100), following.opened(299)), (3, 0, 5))

    def test_other_members_count_from_now_on(self) -> None:
        """Numbers are not rows, and who has left counts no more."""
        following = Following(0, Epoch(1, (0, 1, 2)))
        following.on_durable()
        following.on_opened(1, 1)
        self.assertTrue(following.is_safe and following.is_member)
        following.on_opened(7, 2)
        following.move(Epoch(2, (2, 5, 7)))
        following.on_durable()
        following.on_opened(1, 2)
        self.assertEqual((following.is_safe, following.is_member, following.behind()), (False, False, [2, 5]))
        following.on_opened(2, 2)
        self.assertTrue(following.is_safe)


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
