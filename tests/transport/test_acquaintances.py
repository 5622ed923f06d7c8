"""Who is refused for its folder or its process, and who stops because others refuse it."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.membership import VERSION, Membership
from epaxos.transport.acquaintances import Acquaintances
from epaxos.transport.introductions import Introduction, Refusal, Refused
from epaxos.transport.roster import Roster
from tests.transport.lab import introduction, membership, myself

PATIENCE_S = 1.0


class Case(SynchronousTestCase):
    def make(self, n: int = 3, written: int = 0, **changes: Any) -> Acquaintances:
        """Replica 1 of n; what stops it is in `wrong`."""
        self.clock = Clock()
        self.wrong: list[str] = []
        self.outdated: list[str] = []
        me = myself(1, written, **changes)
        roster = Roster(1, None if me.seed else Epoch.first(n))
        if me.membership is not None:
            roster.know(me.membership)
        ends = (self.wrong.append, self.outdated.append)
        return Acquaintances(1, roster, "home", me, PATIENCE_S, self.clock.seconds, *ends)

    def founded(self, n: int = 3, written: int = 0) -> Acquaintances:
        return self.make(n, written, membership=membership(n))

    def refused(self, known: Acquaintances, who: Introduction | None, frames: int | None = None) -> Refused:
        return self.assertRaises(Refused, known.examine, 0, who, frames)


class FolderTests(Case):
    def test_who_is_let_in(self) -> None:
        uuid = membership().uuid
        for known, who in (
            (self.founded(), introduction(0, uuid=uuid)),
            (self.founded(), introduction(0, unfounded=True)),  # in the list, and not told yet
            (self.founded(), introduction(0)),  # it was asleep over the first turn
            (self.founded(), None),  # an older version, put back
            (self.make(), introduction(0)),
            (self.make(), None),
            (self.make(), introduction(0, uuid=uuid)),
            (self.make(unfounded=True), introduction(0, unfounded=True)),
            (self.make(unfounded=True), introduction(0, uuid=uuid)),
        ):
            known.examine(0, who, None)

    def test_who_is_refused(self) -> None:
        turned: Membership = membership()._replace(number=3)
        for known, who, kind, text in (
            (
                self.founded(),
                introduction(0, uid=5),
                Refusal.WIPED,
                "replica 0 was here before under another uid",
            ),
            (
                self.founded(),
                introduction(0, uid=5, unfounded=True),
                Refusal.WIPED,
                "0000000000000064, not 0000",
            ),
            (
                self.founded(),
                introduction(0, uuid=8),
                Refusal.FOREIGN,
                "cluster 'home' has another uuid here",
            ),
            (self.make(), introduction(0, unfounded=True), Refusal.EMPTY, "the folder of replica 0 is empty"),
            (self.make(membership=turned), None, Refusal.OTHER, "its version knows of no uids"),
        ):
            refusal = self.refused(known, who)
            self.assertEqual(refusal.kind, kind)
            self.assertIn(text, str(refusal))

    def test_a_number_that_is_in_no_list(self) -> None:
        known = self.make(membership=membership(2))
        refusal = self.assertRaises(Refused, known.examine, 2, introduction(2), None)
        self.assertEqual((refusal.kind, str(refusal)), (Refusal.WIPED, "replica 2 is in no list of members"))

    def test_before_there_is_a_list_what_was_heard_counts(self) -> None:
        known = self.make()
        known.examine(0, introduction(0), None)
        self.assertEqual(self.refused(known, introduction(0, uid=5)).kind, Refusal.WIPED)
        known = self.make(unfounded=True)
        known.examine(0, introduction(0, unfounded=True), None)
        known.examine(0, introduction(0, uid=5, unfounded=True), None)  # neither had promised anything


class ProcessTests(Case):
    def second(self, known: Acquaintances, frames: int | None, **changes: Any) -> Refused:
        return self.refused(known, introduction(0, process=9, **changes), frames)

    def test_the_next_process_of_a_folder(self) -> None:
        known = self.founded()
        known.examine(0, introduction(0, written=5), None)
        self.assertEqual(known.heard_of(0), (5, 200))
        known.examine(0, introduction(0, process=9, written=6), None)
        self.assertEqual(known.heard_of(0), (6, 9))
        self.assertEqual(known.heard_of(2), (0, 0))

    def test_two_that_speak_at_a_time(self) -> None:
        known = self.founded()
        known.examine(0, introduction(0), None)
        self.assertEqual(self.second(known, 10).kind, Refusal.LATER)
        self.assertFalse(known.is_banned(0))
        self.clock.advance(PATIENCE_S / 2)
        self.assertEqual(self.second(known, 20).kind, Refusal.LATER)
        self.clock.advance(PATIENCE_S / 2)
        self.assertEqual(self.second(known, 21).kind, Refusal.DOUBLED)
        self.assertTrue(known.is_banned(0))
        self.assertEqual(self.refused(known, introduction(0, process=9), None).kind, Refusal.DOUBLED)
        self.assertEqual(self.refused(known, introduction(0, process=200), None).kind, Refusal.DOUBLED)
        known.examine(0, introduction(0, process=10), None)  # the right one is started again
        self.assertFalse(known.is_banned(0))

    def test_one_that_is_silent_has_ended(self) -> None:
        """As when its host has lost power: its connection does not end."""
        known = self.founded()
        known.examine(0, introduction(0), None)
        for waited_s in (0, 0.5, 1, 0.4):
            self.clock.advance(waited_s)
            self.assertEqual(self.second(known, 10).kind, Refusal.LATER)
        self.clock.advance(0.2)
        known.examine(0, introduction(0, process=9), 10)
        self.assertEqual(known.heard_of(0), (0, 9))

    def test_a_third_one_begins_to_wait_anew(self) -> None:
        known = self.founded()
        known.examine(0, introduction(0), None)
        self.second(known, 10)
        self.clock.advance(0.5)
        self.second(known, 10)
        self.clock.advance(2)
        self.assertEqual(self.refused(known, introduction(0, process=10), 10).kind, Refusal.LATER)

    def test_a_folder_that_was_put_back(self) -> None:
        known = self.founded()
        known.examine(0, introduction(0, written=5), None)
        known.on_written(0, 50)
        known.on_written(0, 40)
        known.on_written(2, 40)
        self.assertEqual(self.second(known, None, written=49).kind, Refusal.OLDER)
        known.examine(0, introduction(0, process=9, written=50), None)


class VersionTests(Case):
    """Who is in a cluster at a later version than its program can do is refused, and told so."""

    def later(self, **changes: Any) -> Acquaintances:
        return self.make(membership=membership()._replace(version=2), **changes)

    def test_who_is_too_old(self) -> None:
        known = self.later()
        for who in (None, introduction(0, version=1)):
            why = self.refused(known, who)
            self.assertEqual(why.kind, Refusal.OUTDATED)
            self.assertEqual(
                str(why),
                "the cluster is at version 2, and the program of replica 0 knows version 1: upgrade it",
            )
            self.assertRaises(Refused, known.on_accepted, 0, who, 0)
        known.examine(0, introduction(0, version=2), None)
        known.examine(2, introduction(2, version=3), None)

    def test_who_joins(self) -> None:
        joins = introduction(3, joins=True, address="tcp:a:1", version=1)
        why = self.assertRaises(Refused, self.later().examine, 3, joins, None)
        self.assertEqual(why.kind, Refusal.OUTDATED)

    def test_what_is_known(self) -> None:
        """The last word counts, because a program may be put back; and it may come from either side."""
        known = self.founded()
        self.assertEqual([known.version_of(number) for number in (0, 1, 2)], [0, VERSION, 0])
        known.examine(0, introduction(0, version=5), None)
        known.on_accepted(2, introduction(2, version=4), 0)
        self.assertEqual([known.version_of(number) for number in (0, 1, 2)], [5, VERSION, 4])
        known.examine(0, None, None)
        self.assertEqual(known.version_of(0), 1)

    def test_it_is_too_old_itself(self) -> None:
        known = self.founded()
        known.on_refused(0, Refusal.OUTDATED, introduction(0), 0)
        (text,) = self.outdated
        self.assertEqual(
            text,
            f"the cluster is at a later version than {VERSION}, which this program knows, says replica 0:"
            " upgrade replica 1, and start it again",
        )
        self.assertEqual(self.wrong, [])


class AnswerTests(Case):
    def test_accepted(self) -> None:
        known = self.founded(written=50)
        known.on_accepted(0, introduction(0, uuid=7), 50)
        known.on_accepted(0, None, 0)
        self.assertEqual(self.wrong, [])

    def test_who_is_not_the_one_that_was_dialled(self) -> None:
        known = self.founded()
        for by in (introduction(0, uid=5), introduction(0, uuid=9)):
            self.assertRaises(Refused, known.on_accepted, 0, by, 0)
        self.assertEqual(self.wrong, [])

    def test_a_folder_that_is_older_than_what_it_has_said(self) -> None:
        known = self.founded(written=50)
        known.on_accepted(0, introduction(0), 51)
        known.on_refused(2, Refusal.OLDER, introduction(2), 60)
        first, second = self.wrong
        self.assertIn("replica 0 has heard of its write 51, and it holds 50", first)
        self.assertIn("replica 2 has heard of its write 60, and it holds 50", second)

    def test_what_stops_it(self) -> None:
        for kind, text in (
            (Refusal.WIPED, "replica 1 was here before under another uid, says replica 0"),
            (Refusal.WIPED, "start a replica of a new number with --join"),
            (
                Refusal.DOUBLED,
                "another process has the uid of this folder (0000000000000065), says replica 0",
            ),
            (Refusal.EMPTY, "this folder is empty, and replica 0 has data of this cluster"),
        ):
            known = self.founded()
            known.on_refused(0, kind, introduction(0), 0)
            (line,) = self.wrong
            self.assertIn(text, line)

    def test_what_does_not(self) -> None:
        known = self.founded()
        for kind in (Refusal.OTHER, Refusal.LATER, 99):
            known.on_refused(0, kind, introduction(0), 0)
        self.assertEqual(self.wrong, [])

    def test_another_cluster_of_the_name(self) -> None:
        """The one that most others refuse is wrong, unless one of its own cluster knows it."""
        for n, refusals in ((2, 1), (3, 2), (5, 3)):
            known = self.founded(n)
            others = [number for number in range(n) if number != 1]
            for count, peer in enumerate(others, 1):
                known.on_refused(others[0], Refusal.FOREIGN, introduction(0, uuid=9), 0)
                known.on_refused(peer, Refusal.FOREIGN, introduction(peer, uuid=9), 0)
                self.assertEqual(bool(self.wrong), count >= refusals, (n, count))
            self.assertIn(f"its uuid is {9:032x}, and that of this folder is {7:032x}", self.wrong[0])
        known = self.founded()
        known.on_accepted(2, introduction(2, uuid=7), 0)
        for peer in (0, 2):
            known.on_refused(peer, Refusal.FOREIGN, introduction(peer, uuid=9), 0)
        self.assertEqual(self.wrong, [])
