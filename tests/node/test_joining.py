"""How a replica asks to join: what it says, whom it asks for the state, and when it gives up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import IStateMachine, ITransport
from epaxos.node.joining import SAY_EVERY_S, Joining
from epaxos.node.transfers import Transfers
from epaxos.node.versions import Versions
from epaxos.protocol.values.changes import Add, Remove, Replace, changed
from epaxos.protocol.values.control import Candidate, Control, EpochIs
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.membership import VERSION, Member, Membership
from epaxos.protocol.values.transfer import StateOffer

FIRST = Membership(77, 4, VERSION, (Member(0, 10), Member(1, 11), Member(2, 12)))
SELF = Member(3, 13, "tcp:here")


class Transport:
    def __init__(self) -> None:
        self.said: list[tuple[int, Control]] = []
        self.known: list[tuple[Membership, Membership | None]] = []

    def send_control(self, replica: int, control: Control) -> bool:
        self.said.append((replica, control))
        return True

    def version_of(self, replica: int) -> int:
        return VERSION

    def know(self, membership: Membership, previous: Membership | None = None) -> None:
        self.known.append((membership, previous))


class RecordedTransfers:
    def __init__(self) -> None:
        self.behind: int | None = None
        self.wanted: list[tuple[int, int, list[tuple[int, int]]]] = []

    def want(self, own: int, newest: Membership, sources: Sequence[tuple[int, int]]) -> None:
        self.wanted.append((own, newest.number, list(sources)))


class JoiningTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.transport = Transport()
        self.transfers = RecordedTransfers()
        self.ended: list[str] = []
        self.outdated: list[str] = []
        self.joining = Joining(
            SELF,
            cast(Transfers, self.transfers),
            cast(ITransport, self.transport),
            Versions(
                3, cast(ITransport, self.transport), cast(IStateMachine, object()), self.outdated.append
            ),
            self.clock.seconds,
            self.ended.append,
        )

    def told(self, membership: Membership, previous: Membership | None = None) -> None:
        self.joining.on_epoch_is(EpochIs(membership, InstanceId(0, 1), previous))

    def test_a_program_that_is_too_old(self) -> None:
        """It takes nothing that it may not understand."""
        self.told(FIRST._replace(version=VERSION + 1))
        (text,) = self.outdated
        self.assertIn(f"epoch 4 is of version {VERSION + 1}", text)
        self.assertEqual((self.ended, self.transport.known, self.transfers.wanted), ([], [], []))

    def test_it_says_who_and_how_far_it_is(self) -> None:
        self.joining.on_connection(1, True)
        self.assertEqual(self.transport.said, [(1, Candidate(SELF, None))])
        self.transfers.behind = 17
        self.joining.on_time()
        self.joining.on_time()
        self.assertEqual(self.transport.said[1:], [(1, Candidate(SELF, 17))])
        self.clock.advance(SAY_EVERY_S)
        self.joining.on_connection(1, False)
        self.joining.on_connection(2, True)
        self.joining.on_time()
        self.assertEqual([to for to, _ in self.transport.said[2:]], [2, 2])

    def test_whom_it_asks_for_the_state(self) -> None:
        """Members, those first to whom it is connected; and who has just been removed."""
        self.joining.on_connection(2, True)
        self.told(FIRST)
        self.assertEqual(self.transfers.wanted, [(0, 4, [(2, 12), (0, 10), (1, 11)])])
        self.assertEqual(self.transport.known, [(FIRST, None)])
        named = changed(FIRST, Replace(2, SELF)).successor()
        self.told(named, FIRST)
        self.assertEqual(self.transfers.wanted[1:], [(0, 5, [(2, 12), (0, 10), (1, 11)])])
        self.assertEqual(self.transport.known[1:], [(named, FIRST)])
        self.assertEqual(self.joining.newest, named)

    def test_an_old_list_takes_nothing_back(self) -> None:
        later = changed(FIRST, Remove(0)).successor()
        self.told(later)
        self.told(FIRST)
        self.assertEqual((self.joining.newest, self.transport.known), (later, [(later, None)]))
        self.assertEqual(self.transfers.wanted[-1], (0, 5, [(1, 11), (2, 12)]))

    def test_another_cluster(self) -> None:
        self.told(FIRST)
        self.told(FIRST._replace(uuid=78, number=9))
        self.assertEqual((self.joining.newest, len(self.transfers.wanted)), (FIRST, 1))

    def test_which_states_are_for_it(self) -> None:
        """Those that name its number and its folder."""
        other = SELF._replace(uid=14)
        for members, is_for_us in (
            (FIRST, False),
            (changed(FIRST, Add(SELF)), True),
            (changed(FIRST, Add(other)), False),
            (changed(FIRST, Add(SELF._replace(number=4))), False),
        ):
            offer = StateOffer(members.successor(), InstanceId(0, 1), FIRST, (0,), (), ())
            self.assertIs(self.joining.is_for_us(offer), is_for_us)

    def test_a_number_that_was_used(self) -> None:
        once = changed(changed(FIRST, Add(SELF._replace(uid=14))), Remove(3))
        self.told(once)
        self.assertEqual(
            self.ended,
            [
                "replica 3 of this cluster was a member before, or one with a higher number was, and no"
                " number is used again: a new member has the number 4, or a higher one"
            ],
        )
        self.assertEqual(self.transfers.wanted, [])

    def test_a_higher_number_is_added_first(self) -> None:
        """Whoever joins with a lower number ends, and is not told that it was a member."""
        self.told(changed(FIRST, Add(SELF._replace(number=4, uid=14))))
        self.assertRegex(self.ended[0], "^replica 3 .* or one with a higher number was, .* has the number 5")

    def test_a_number_of_another_folder(self) -> None:
        self.told(changed(FIRST, Add(SELF._replace(uid=14))))
        self.assertIn("is a member with another data folder", self.ended[0])

    def test_it_is_named(self) -> None:
        self.told(changed(FIRST, Add(SELF)).successor(), FIRST)
        self.assertEqual(self.ended, [])
