"""Who is let in without being a member, how many, and for how long."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.values.membership import Member, Membership
from epaxos.transport.acquaintances import Acquaintances
from epaxos.transport.guests import GUEST_GONE_S, GUESTS_MAX, Guest, Guests
from epaxos.transport.introductions import Introduction, Refusal, Refused
from tests.transport.lab import introduction
from tests.transport.test_acquaintances import Case

AT = "tcp:10.0.0.7:7000"
LATER = Membership(7, 4, 1, tuple(Member(number, 100 + number) for number in (1, 3, 5)), next_number=7)
"""Members 1, 3 and 5; 0, 2, 4 and 6 were members once."""


def joiner(number: int, **changes: Any) -> Introduction:
    return introduction(number, joins=True, address=AT, **changes)


class GuestsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.guests = Guests(self.clock.seconds)

    def test_one(self) -> None:
        self.guests.admit(8, joiner(8))
        self.assertIn(8, self.guests)
        self.assertEqual(self.guests.items(), [(8, Guest(108, AT))])
        self.assertEqual((self.guests.uid_of(8), self.guests.uid_of(9)), (108, None))
        self.guests.admit(8, joiner(8)._replace(address="tcp:b:1"))
        self.assertEqual(self.guests.items(), [(8, Guest(108, "tcp:b:1"))])
        self.guests.forget(8)
        self.assertNotIn(8, self.guests)

    def test_two_with_one_number(self) -> None:
        self.guests.admit(8, joiner(8))
        text = str(self.assertRaises(Refused, self.guests.admit, 8, joiner(8, uid=5)))
        self.assertIn("another folder with the number 8 asks already (uid 000000000000006c)", text)

    def test_no_more_than_the_bound(self) -> None:
        for number in range(GUESTS_MAX):
            self.guests.admit(number, joiner(number))
        self.assertRaises(Refused, self.guests.admit, GUESTS_MAX, joiner(GUESTS_MAX))
        self.guests.admit(3, joiner(3))

    def test_who_is_silent_is_forgotten(self) -> None:
        self.guests.admit(8, joiner(8))
        self.guests.admit(9, joiner(9))
        self.clock.advance(GUEST_GONE_S)
        self.guests.hear(9)
        self.guests.hear(7)
        self.assertEqual(self.guests.gone(), [])
        self.clock.advance(1)
        self.assertEqual(self.guests.gone(), [8])
        self.assertEqual([number for number, _ in self.guests.items()], [9])


class AdmittedTests(Case):
    """What a member says to those that its lists do not have."""

    def member(self) -> Acquaintances:
        return self.make(membership=LATER)

    def test_who_is_a_guest(self) -> None:
        for number, who in (
            (7, joiner(7)),
            (900, joiner(900)),
            (7, joiner(7, uuid=7)),  # it has been told a list meanwhile
            (0, introduction(0, uuid=7, address=AT)),  # it slept while it was replaced
            (8, introduction(8, uuid=7, address=AT)),  # a member of an epoch that is not known here yet
        ):
            known = self.member()
            known.examine(number, who, None)
            self.assertEqual([number], [guest for guest, _ in known.guests.items()])
            self.assertEqual(known.uid_of(number), who.uid)
            known.on_accepted(number, who, 0)
            self.assertRaises(Refused, known.on_accepted, number, who._replace(uid=5), 0)

    def test_who_is_not(self) -> None:
        for number, who, kind, text in (
            (
                6,
                joiner(6),
                Refusal.USED,
                "or one with a higher number was, and no number is used again: a new",
            ),
            (3, joiner(3, uid=5), Refusal.USED, "a new member has the number 7 or more"),
            (7, joiner(7, uuid=8), Refusal.FOREIGN, "another uuid"),
            (0, introduction(0, address=AT), Refusal.WIPED, "in no list of members"),
            (0, introduction(0, uuid=7), Refusal.WIPED, "in no list of members"),  # nobody could tell it
            (0, introduction(0, uuid=7, wire=3, address=AT), Refusal.WIPED, "in no list of members"),
            (3, introduction(3, uid=5, uuid=7, address=AT), Refusal.WIPED, "was here before"),
        ):
            known = self.member()
            refusal = self.assertRaises(Refused, known.examine, number, who, None)
            self.assertEqual((refusal.kind, known.guests.items()), (kind, []))
            self.assertIn(text, str(refusal))

    def test_one_that_joins_and_is_a_member_already(self) -> None:
        """The list with it is known here; it has not yet taken the state that would let it vote."""
        known = self.member()
        known.examine(3, joiner(3), None)
        self.assertEqual(known.guests.items(), [])

    def test_a_guest_becomes_a_member(self) -> None:
        known = self.member()
        known.examine(7, joiner(7, written=4), None)
        members = (*LATER.members, Member(7, 107))
        known.know(LATER._replace(number=5, members=members, next_number=8), LATER)
        self.assertEqual(known.guests.items(), [])
        self.assertEqual(known.heard_of(7), (4, 207))
        known.examine(7, joiner(7, written=4), None)

    def test_a_member_becomes_a_guest(self) -> None:
        """It is there, so it can be told; one of whom nothing was heard comes by itself."""
        for who, is_guest in (
            (introduction(5, uuid=7, address=AT), True),
            (introduction(5, uuid=7), False),
            (introduction(5, uuid=7, wire=3, address=AT), False),
        ):
            known = self.member()
            known.examine(5, who, None)
            known.know(LATER._replace(number=5, members=LATER.members[:2]), LATER)
            self.assertEqual(known.guests.items(), [])
            known.know(LATER._replace(number=5, members=LATER.members[:2]))
            self.assertEqual([number for number, _ in known.guests.items()], [5] if is_guest else [])
            self.assertEqual(known.heard_of(5)[1], 205 if is_guest else 0)

    def test_no_list_to_join(self) -> None:
        for known in (self.make(), self.make(unfounded=True)):
            refusal = self.assertRaises(Refused, known.examine, 7, joiner(7), None)
            self.assertEqual(refusal.kind, Refusal.OTHER)
            self.assertIn("the first members of this cluster are not known yet", str(refusal))

    def test_what_was_heard_of_one_that_is_gone(self) -> None:
        known = self.member()
        known.examine(7, joiner(7, written=4), None)
        self.clock.advance(GUEST_GONE_S + 1)
        self.assertFalse(known.forget_guests([7]))
        self.clock.advance(GUEST_GONE_S + 1)
        self.assertTrue(known.forget_guests([3]))
        self.assertEqual((known.heard_of(7), known.uid_of(7)), ((0, 0), None))


class JoiningTests(Case):
    """What a replica that joins says to others."""

    def joins(self) -> Acquaintances:
        return self.make(seed=AT)

    def test_it_believes_whom_it_was_told_to_ask(self) -> None:
        """Until it has heard of the cluster there, it takes nobody, and afterwards nobody of another one."""
        known = self.joins()
        member = introduction(0, uuid=7, address=AT)
        refusal = self.assertRaises(Refused, known.examine, 0, member, None)
        self.assertEqual(refusal.kind, Refusal.LATER)
        known.on_accepted(4, introduction(4, uuid=7), 0)
        known.examine(0, member, None)
        self.assertIn(0, known.guests)
        refusal = self.assertRaises(Refused, known.examine, 3, introduction(3, uuid=8, address=AT), None)
        self.assertEqual(refusal.kind, Refusal.FOREIGN)
        self.assertRaises(Refused, known.on_accepted, 3, introduction(3, uuid=8), 0)
        for who in (None, joiner(8), introduction(3)):
            self.assertRaises(Refused, known.examine, 3, who, None)

    def test_it_is_told_a_list(self) -> None:
        known = self.joins()
        known.on_accepted(4, introduction(4, uuid=7), 0)
        known.examine(3, introduction(3, uuid=7, address=AT), None)
        known.know(LATER)
        self.assertEqual(known.guests.items(), [])
        known.examine(3, introduction(3, uuid=7), None)
        self.assertRaises(Refused, known.examine, 3, introduction(3, uuid=7, uid=5), None)
        self.assertTrue(known.myself.introduction().joins)
        self.assertEqual(known.myself.introduction().uuid, 7)

    def test_a_number_that_was_used_stops_it(self) -> None:
        known = self.joins()
        known.on_refused(0, Refusal.USED, introduction(0), 0)
        self.assertEqual(
            self.wrong, ["the number 1 is or was that of a member, says the member that was asked"]
        )
