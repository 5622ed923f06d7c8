"""Whose messages count, by the lists of members that are known."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.membership import Member, Membership
from epaxos.protocol.values.messages import AcceptOK, PreAcceptOK
from epaxos.transport.roster import Roster
from epaxos.wire.codec import WireError, encode


def listed(epoch: int, *numbers: int, at: str = "") -> Membership:
    """The list of an epoch with these members; `at` stands before the number in their addresses."""
    members = tuple(Member(number, 100 + number, at and f"{at}{number}") for number in numbers)
    return Membership(7, epoch, 1, members, next_number=9)


def row(number: int) -> bytes:
    """A message about an instance of this row, in a frame."""
    return encode(AcceptOK(InstanceId(number, 1), 1))


def vector(n: int) -> bytes:
    """A message with a vector of n rows, in a frame."""
    return encode(PreAcceptOK(InstanceId(0, 5), (1,) * n))


class RosterTests(SynchronousTestCase):
    def test_before_there_is_a_list(self) -> None:
        for founding, others, n in ((Epoch.first(3), (0, 2), 3), (None, (), 0)):
            roster = Roster(1, founding)
            self.assertEqual((roster.others, roster.n), (others, n))
            self.assertEqual((roster.has(2), roster.uid_of(2)), (bool(founding), None))
            self.assertEqual(roster.address_of(2), "")
            self.assertEqual(roster.decode(2, 0, row(0)) is None, founding is None)

    def test_two_lists(self) -> None:
        """The newer one says where a member is; one that has left is at its old address."""
        roster = Roster(1, Epoch.first(3))
        old, new = listed(4, 0, 1, 2, at="a"), listed(5, 1, 2, 5, at="b")
        roster.know(new, old)
        self.assertEqual((roster.others, roster.n), ((0, 2, 5), 3))
        self.assertEqual([roster.address_of(number) for number in (0, 2, 5, 9)], ["a0", "b2", "b5", ""])
        self.assertEqual([roster.uid_of(number) for number in (0, 2, 5, 9)], [100, 102, 105, None])
        roster.know(new)
        self.assertEqual(roster.others, (2, 5))
        self.assertEqual((roster.has(0), roster.uid_of(0)), (False, None))

    def test_the_first_members_are_where_the_configuration_says(self) -> None:
        """Unless it says nothing of them, as that of a replica that joins."""
        first = listed(0, 0, 1, 2, at="a")._replace(next_number=0)
        for founding, address in ((Epoch.first(3), ""), (None, "a0")):
            roster = Roster(1, founding)
            roster.know(first._replace(number=3), first._replace(number=2))
            self.assertEqual(roster.address_of(0), address)

    def test_who_may_speak_of_which_epoch(self) -> None:
        """Rows are those of the epoch: there are three in epoch 4, and one in epoch 5."""
        roster = Roster(0, Epoch.first(3))
        roster.know(listed(5, 5), listed(4, 0, 1, 2))
        for sender, epoch, frame, is_read in (
            (1, 4, row(2), True),
            (1, 4, vector(3), True),
            (5, 5, row(0), True),
            (5, 5, vector(1), True),
            (5, 4, row(0), False),  # it was no member then
            (1, 5, row(0), False),  # and this one is none any more
            (9, 5, row(0), False),
            (1, 3, row(0), False),  # that is over
        ):
            self.assertEqual(roster.decode(sender, epoch, frame) is not None, is_read, (sender, epoch))
        for sender, epoch, frame in ((1, 4, row(3)), (1, 4, vector(1)), (5, 5, row(1)), (5, 5, b"\xff")):
            self.assertRaises(WireError, roster.decode, sender, epoch, frame)

    def test_of_an_epoch_that_is_not_known_yet(self) -> None:
        """It is read by the rows of the newest one; what does not fit is of an epoch with other members."""
        roster = Roster(0, Epoch.first(3))
        roster.know(listed(4, 0, 1, 2))
        self.assertEqual(roster.decode(1, 5, vector(3)), [PreAcceptOK(InstanceId(0, 5), (1, 1, 1))])
        for sender, frame in ((1, vector(5)), (1, row(3)), (5, vector(3))):
            self.assertIsNone(roster.decode(sender, 6, frame))
