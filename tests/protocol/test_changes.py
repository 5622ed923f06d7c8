"""Changes of the list of members: what comes of each, and what is refused."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.values.changes import (
    Add,
    Change,
    Move,
    Nothing,
    Remove,
    Replace,
    changed,
    describe,
    located,
)
from epaxos.protocol.values.membership import ADDRESS_BYTES_MAX, MEMBERS_MAX, VERSION, Member, Membership

FIRST = Membership(7, 4, VERSION, (Member(0, 10), Member(1, 11), Member(2, 12, "tcp:a", "tcp:b")))
NEW = Member(3, 13, "tcp:c")


def after(*changes: Change) -> Membership:
    """FIRST after all of `changes`."""
    membership = FIRST
    for change in changes:
        membership = changed(membership, change)
    return membership


def numbers(membership: Membership) -> list[int]:
    return [member.number for member in membership.members]


class LocatedTests(SynchronousTestCase):
    """Where a configuration says that members are."""

    def test_first_members_are_where_it_says(self) -> None:
        """An operator may have edited it since the list was made."""
        found_at = {1: Member(1, 0, "tcp:n"), 2: Member(2, 0, "tcp:m", "", "tcp:s"), 3: NEW}
        self.assertEqual(
            located(FIRST, found_at).members,
            (Member(0, 10), Member(1, 11, "tcp:n"), Member(2, 12, "tcp:m", "tcp:b", "tcp:s")),
        )
        self.assertEqual(located(FIRST, {}), FIRST)

    def test_it_fills_in_what_a_list_does_not_say_that_was_changed(self) -> None:
        found_at = {number: Member(number, 0, f"tcp:n{number}", f"tcp:m{number}") for number in range(5)}
        membership = located(after(Add(NEW), Remove(0)), found_at)
        self.assertEqual(
            membership.members,
            (
                Member(1, 11, "tcp:n1", "tcp:m1"),
                Member(2, 12, "tcp:a", "tcp:b"),
                Member(3, 13, "tcp:c", "tcp:m3"),
            ),
        )
        self.assertEqual(membership.next_number, 4)


class ChangedTests(SynchronousTestCase):
    def test_what_comes_of_each(self) -> None:
        for change, expected, unused in (
            (Add(NEW), [0, 1, 2, 3], 4),
            (Remove(0), [1, 2], 3),
            (Remove(2), [0, 1], 3),
            (Replace(0, NEW), [1, 2, 3], 4),
            (Replace(2, Member(9, 13)), [0, 1, 9], 10),
            (Move(1, "tcp:x"), [0, 1, 2], 3),
        ):
            one = changed(FIRST, change)
            self.assertEqual((numbers(one), one.next_number), (expected, unused), change)
            self.assertEqual((one.uuid, one.number, one.version), FIRST[:3])

    def test_nothing_is_the_same_list(self) -> None:
        self.assertIs(changed(FIRST, Nothing()), FIRST)

    def test_a_move_leaves_the_addresses_that_it_does_not_name(self) -> None:
        moved = changed(FIRST, Move(2, client_connect="tcp:new"))
        self.assertEqual(moved.find(2), Member(2, 12, "tcp:a", "tcp:new"))

    def test_what_is_done_already_changes_nothing(self) -> None:
        for change in (Add(NEW), Remove(0), Replace(0, NEW), Move(1, "tcp:x")):
            once = after(change)
            self.assertIsNot(once, FIRST)
            self.assertIs(changed(once, change), once, change)

    def test_a_number_is_never_used_again(self) -> None:
        """Neither after it was removed, nor when nobody with a higher number is left."""
        for before in ((Remove(2),), (Remove(2), Remove(1)), (Add(Member(8, 18)), Remove(8))):
            for number in range(after(*before).unused):
                change = Add(Member(number, 99))
                text = str(self.assertRaises(ValueError, after, *before, change))
                self.assertIn(f"has the number {after(*before).unused}", text)
        self.assertEqual(after(Add(Member(8, 18)), Remove(8)).unused, 9)

    def test_what_makes_no_sense_is_refused(self) -> None:
        for changes, text in (
            ((Remove(5),), "there is no member 5: the members are 0, 1, 2"),
            ((Replace(5, NEW),), "there is no member 5"),
            ((Move(5, "tcp:x"),), "there is no member 5"),
            ((Add(Member(1, 99)),), "replica 1 is a member"),
            ((Replace(1, Member(1, 99)),), "replica 1 is a member"),
            ((Add(Member(3, 11)),), "is that of another member"),
            ((Remove(0), Remove(1), Remove(2)), "the only member"),
            ((Move(1, "tcp:a\x07"),), "an address is printable"),
            ((Move(1, "", "x" * (ADDRESS_BYTES_MAX + 1)),), "has at most 256 bytes"),
            ((Move(1, "", "", "\xe4" * (ADDRESS_BYTES_MAX // 2 + 1)),), "has at most 256 bytes"),
        ):
            self.assertIn(text, str(self.assertRaises(ValueError, after, *changes)))

    def test_the_number_of_members_is_bounded(self) -> None:
        full = FIRST._replace(members=tuple(Member(number, number + 1) for number in range(MEMBERS_MAX)))
        self.assertRaises(ValueError, changed, full, Add(Member(MEMBERS_MAX, 5000)))
        self.assertEqual(len(changed(full, Replace(0, Member(MEMBERS_MAX, 5000))).members), MEMBERS_MAX)

    def test_everybody_may_be_replaced(self) -> None:
        one = after(*(Replace(number, Member(number + 3, 20 + number)) for number in range(3)))
        self.assertEqual(numbers(one), [3, 4, 5])

    def test_it_is_said_in_words(self) -> None:
        said = [describe(one) for one in (Add(NEW), Remove(0), Replace(0, NEW), Move(1), Nothing())]
        self.assertEqual(said, ["add 3", "remove 0", "replace 0 by 3", "move 1", "turn"])
