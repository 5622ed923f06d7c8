"""Who takes: what it asks and when, whom, and what it installs."""

from __future__ import annotations

import math
from typing import NamedTuple

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.values.transfer import PIECE_BYTES_MAX, Piece, PieceAsk, StateAsk
from epaxos.transfer.target import ASKS_MAX, GROWTH_BYTES, ROUNDS_MAX, WAITS_FOR_ROOM_S, Progress
from tests.transfer.disk import membership
from tests.transfer.lab import AGAIN_S, Lab, Weather

BASE, LOG = (1, True), (1, False)


class Case(SynchronousTestCase):
    def setUp(self) -> None:
        self.lab = Lab()
        for disk in self.lab.disks.values():
            disk.grow(BASE, 500, 40, 2_000)
            disk.grow(LOG, 90, 90, 20_000)

    def run_to_install(self) -> None:
        self.lab.run(lambda: bool(self.lab.installed))

    def asked(self) -> list[int]:
        """Whom the state was asked of, in order; each as often as it was asked."""
        return [to for to, control in self.lab.sent if isinstance(control, StateAsk)]


class TakingTests(Case):
    def test_a_state_is_taken_and_installed(self) -> None:
        self.assertFalse(self.lab.target.is_active)
        self.assertIsNone(self.lab.target.progress)
        self.lab.begin()
        self.assertEqual(self.lab.target.progress, Progress(1, 2, 0, 0))
        self.run_to_install()
        offer = self.lab.judge(1)
        self.assertEqual(offer, self.lab.disks[1].offer())
        size = offer.bytes
        self.assertEqual(self.lab.target.progress, Progress(1, 3, size, size))
        self.assertEqual((self.lab.target.bytes_taken, self.lab.sources[1].bytes_given), (size, size))
        self.assertEqual(self.asked(), [1, 1])
        self.assertEqual((self.lab.target.due, self.lab.target.is_active), (math.inf, True))
        self.assertEqual(len(self.lab.told), 1)

    def test_nothing_is_done_after_it(self) -> None:
        self.lab.begin()
        self.run_to_install()
        sent = len(self.lab.sent)
        self.lab.begin(beyond=3)
        self.lab.target.on_offer(1, self.lab.installed[0])
        self.lab.target.on_piece(1, Piece(1, True, 0, b"x"))
        self.lab.now += 60
        self.lab.target.on_time()
        self.assertEqual((len(self.lab.sent), len(self.lab.installed)), (sent, 1))

    def test_a_state_without_files(self) -> None:
        self.lab.disks[1].files.clear()
        self.lab.begin()
        self.run_to_install()
        self.assertEqual(self.lab.judge(1).parts, ())

    def test_without_sources_nothing_happens(self) -> None:
        self.lab.target.begin(1, [])
        self.assertEqual((self.lab.target.is_active, self.lab.target.due), (False, math.inf))

    def test_a_new_process_goes_on_with_what_was_taken(self) -> None:
        self.lab.begin()
        self.lab.run(lambda: self.lab.target.bytes_taken > 2_000)
        self.lab.calls.clear()
        self.lab.own.is_busy = False
        self.lab.target = self.lab.new_target()
        self.lab.begin()
        self.run_to_install()
        size = self.lab.judge(1).bytes
        self.assertLess(self.lab.target.bytes_taken, size - 500)

    def test_given_up(self) -> None:
        self.lab.begin()
        self.lab.run(lambda: self.lab.own.is_busy)
        self.lab.target.give_up()
        self.assertEqual((self.lab.target.is_active, self.lab.own.given_up), (False, 1))
        self.assertEqual((self.lab.target.due, self.lab.target.progress), (math.inf, None))
        self.lab.target.give_up()
        self.assertEqual(self.lab.own.given_up, 1)
        self.lab.run_for(1)
        self.assertEqual(self.lab.installed, [])

    def test_it_begins_again_after_it_was_given_up(self) -> None:
        """The store says no more of the piece that it was taking."""
        self.lab.begin()
        self.lab.run(lambda: self.lab.own.is_busy)
        self.lab.target.give_up()
        self.lab.begin()
        self.run_to_install()
        self.lab.judge(1)


class Ignored(NamedTuple):
    """An offer that comes instead of that of replica 1, in epoch 3, to a replica beyond epoch 1."""

    what: str
    sender: int = 1
    epoch: int = 3
    uuid: int = 77


IGNORED = [
    Ignored("of another replica than was asked", sender=2),
    Ignored("of the own epoch", epoch=1),
    Ignored("of an earlier epoch", epoch=0),
    Ignored("of another cluster", uuid=78),
]


class OfferTests(Case):
    def test_what_is_ignored(self) -> None:
        for row in IGNORED:
            lab = Lab()
            offer = lab.disks[1].offer()
            assert offer is not None
            lab.begin()
            asked = len(lab.sent)
            lab.target.on_offer(
                row.sender, offer._replace(membership=membership(row.epoch)._replace(uuid=row.uuid))
            )
            self.assertEqual((len(lab.sent), lab.own.begun), (asked, []), row.what)

    def test_an_offer_that_nobody_asked_for(self) -> None:
        offer = self.lab.disks[1].offer()
        assert offer is not None
        self.lab.target.on_offer(1, offer)
        self.assertFalse(self.lab.target.is_active)
        self.lab.begin()
        self.lab.run(lambda: self.lab.target.bytes_taken > 0)
        self.lab.target.on_offer(1, offer._replace(parts=()))
        self.run_to_install()
        self.assertEqual(self.lab.judge(1), offer)

    def test_an_offer_that_is_late(self) -> None:
        """An older offer than the one that was taken changes nothing."""
        disk = self.lab.disks[1]
        first = disk.offer()
        disk.grow(LOG, 30)
        assert first is not None
        self.lab.begin()
        self.lab.run(lambda: len(self.asked()) == 2)
        for late in (first, first._replace(executed=(1, 0, 0), parts=())):
            self.lab.target.on_offer(1, late)
            self.assertEqual(self.lab.installed, [])
        self.run_to_install()
        self.assertEqual(self.lab.judge(1), disk.offer())

    def test_no_room(self) -> None:
        """Nothing is taken before the disk has room for all of it; the source is asked again now and then."""
        disk = self.lab.own
        disk.free = 22_000
        self.lab.begin()
        begin = self.lab.now
        self.lab.run(lambda: self.lab.now - begin > 3 * WAITS_FOR_ROOM_S)
        self.assertFalse([control for _, control in self.lab.sent if isinstance(control, PieceAsk)])
        self.assertIn(len(self.asked()), (3, 4))
        self.assertIn("the disk has room for 0.0 MB", self.lab.told[0])
        disk.free = 23_000
        self.run_to_install()
        self.lab.judge(1)

    def test_growth(self) -> None:
        """Little is left to the protocol; much is taken, too."""
        for size, is_taken in ((1_000, False), (GROWTH_BYTES + 1, True)):
            lab = Lab(piece_bytes=PIECE_BYTES_MAX)
            lab.disks[1].grow(LOG, 100)
            lab.begin()
            lab.run(lambda lab=lab: sum(isinstance(c, StateAsk) for _, c in lab.sent) == 2)  # type: ignore[misc]
            lab.disks[1].grow(LOG, *[50_000] * (size // 50_000), size % 50_000)
            lab.run(lambda lab=lab: bool(lab.installed))  # type: ignore[misc]
            self.assertEqual(lab.judge(1) == lab.disks[1].offer(), is_taken)

    def test_growth_of_a_later_epoch_is_taken_however_little(self) -> None:
        self.lab.begin()
        self.lab.run(lambda: len(self.asked()) == 2)
        self.lab.disks[1].epoch = 4
        self.run_to_install()
        self.assertEqual(self.lab.judge(1).membership.number, 4)

    def test_growth_that_never_ends(self) -> None:
        """A source that grows faster than it is taken from: the last of ten offers is installed."""
        self.lab = Lab(piece_bytes=PIECE_BYTES_MAX)
        disk = self.lab.disks[1]
        self.lab.begin()
        rounds = 0
        while not self.lab.installed:
            if len(self.asked()) > rounds:
                rounds += 1
                disk.grow(LOG, *[99_000] * 11)
            self.lab.step()
        self.assertEqual(rounds, ROUNDS_MAX)
        self.assertEqual(self.lab.judge(1), disk.offer())
        self.assertEqual(self.lab.target.bytes_taken, self.lab.judge(1).bytes)

    def test_a_new_base(self) -> None:
        """What is not named any more is not taken further; what is named now is."""
        self.lab.begin()
        self.lab.run(lambda: self.lab.target.bytes_taken > 900)
        self.lab.disks[1].rebase(5, 1_000, 1_000)
        self.run_to_install()
        offer = self.lab.judge(1)
        self.assertEqual([part[:2] for part in offer.parts], [(5, True), (5, False)])
        self.assertEqual(self.asked(), [1, 1, 1])

    def test_a_file_that_is_offered_and_not_there(self) -> None:
        """Each time it asks for another offer; then it asks another replica."""
        self.lab.disks[1].lost.add(LOG)
        self.lab.begin()
        self.run_to_install()
        self.lab.judge(2)
        self.assertEqual(self.asked(), [1] * ASKS_MAX + [2, 2])

    def test_a_file_that_has_become_shorter(self) -> None:
        """What was taken of this uid cannot be used: it begins anew."""
        self.lab.begin()
        self.lab.run(lambda: self.lab.target.bytes_taken > 2_000)
        self.lab.calls.clear()
        self.lab.own.is_busy = False
        self.lab.disks[1].files[BASE].clear()
        self.lab.disks[1].crcs[BASE] = 0
        self.lab.disks[1].grow(BASE, 70)
        self.lab.target = self.lab.new_target()
        self.lab.begin()
        self.run_to_install()
        self.lab.judge(1)
        self.assertEqual(self.lab.own.given_up, 1)


class SourcesTests(Case):
    def test_who_does_not_answer_is_asked_three_times(self) -> None:
        self.lab.alive = {2}
        self.lab.begin()
        self.run_to_install()
        self.lab.judge(2)
        self.assertEqual(self.asked(), [1, 1, 1, 2, 2])
        self.assertTrue(3 * AGAIN_S <= self.lab.now < 4 * AGAIN_S, self.lab.now)

    def test_round_and_round_until_somebody_is_there(self) -> None:
        self.lab.alive = set()
        self.lab.begin()
        self.lab.run_for(13 * AGAIN_S - 0.01)
        self.assertEqual(self.asked(), [1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2, 1])
        self.assertEqual(self.lab.told, [])
        self.lab.alive = {1}
        self.run_to_install()
        self.lab.judge(1)

    def test_a_source_that_dies(self) -> None:
        self.lab.begin()
        self.lab.run(lambda: self.lab.target.bytes_taken > 900)
        self.lab.alive = {2}
        self.run_to_install()
        self.lab.judge(2)
        self.assertEqual(self.lab.own.begun, [11, 12])
        self.assertIn("replica 1 does not answer", self.lab.told[1])

    def test_a_source_that_comes_back_before_another_has_answered(self) -> None:
        """Nothing that was taken is lost."""
        self.lab.begin()
        self.lab.run(lambda: self.lab.target.bytes_taken > 900)
        taken = self.lab.target.bytes_taken
        self.lab.alive = set()
        self.lab.run(lambda: self.asked()[-1] == 2)
        self.lab.alive = {1}
        self.run_to_install()
        size = self.lab.judge(1).bytes
        self.assertLess(self.lab.sources[1].bytes_given, size + taken)

    def test_a_source_that_dies_when_all_is_there(self) -> None:
        self.lab.begin()
        self.lab.run(lambda: len(self.asked()) == 2)
        self.lab.alive = set()
        self.run_to_install()
        self.lab.judge(1)
        self.assertEqual(self.asked(), [1, 1, 1, 1])

    def test_a_source_that_is_left_while_the_store_is_busy(self) -> None:
        """The store says no more of the piece that it was taking."""
        self.lab.begin()
        self.lab.run(lambda: self.lab.target.bytes_taken > 900)
        self.lab.own.later = lambda call: self.lab.later(60, call)
        self.lab.alive = {2}
        self.lab.run(lambda: self.asked()[-1] == 2)
        self.assertTrue(self.lab.own.is_busy)
        self.lab.own.later = lambda call: self.lab.later(0.002, call)
        self.run_to_install()
        self.lab.judge(2)
        self.assertLess(self.lab.now, 60)

    def test_a_late_word_of_the_store(self) -> None:
        """What it says of a piece of an earlier attempt counts for nothing."""
        self.lab.begin()
        self.lab.target.begin(1, [(1, 99)])
        self.lab.run(lambda: self.lab.target.bytes_taken > 900)
        taken, sent = self.lab.target.bytes_taken, len(self.lab.sent)
        self.lab.target._on_taken(1, (1, True), 10**6, True)
        self.lab.target._on_taken(1, (1, True), 10**6, False)
        self.assertEqual((self.lab.target.bytes_taken, len(self.lab.sent)), (taken, sent))

    def test_an_unknown_source_is_not_left_while_it_answers(self) -> None:
        self.lab.begin()
        self.lab.target.begin(1, [(2, 12)])
        self.run_to_install()
        self.lab.judge(1)

    def test_a_number_with_another_uid(self) -> None:
        self.lab.begin()
        self.lab.run(lambda: self.lab.target.bytes_taken > 900)
        self.lab.target.begin(1, [(2, 12), (1, 99)])
        self.run_to_install()
        self.lab.judge(1)
        self.assertEqual(self.lab.own.begun, [11, 99])

    def test_a_state_that_is_of_no_use_any_more(self) -> None:
        """This replica has reached epoch 3 by itself, as the source had then."""
        self.lab.begin()
        self.lab.run(lambda: self.lab.target.bytes_taken > 900)
        self.lab.begin(beyond=3)
        self.assertEqual(self.lab.target.progress, Progress(1, 4, 0, 0))
        self.lab.run_for(0.1)
        self.lab.disks[1].epoch = 4
        self.run_to_install()
        self.assertEqual(self.lab.judge(1).membership.number, 4)

    def test_twice_the_same_damage(self) -> None:
        self.lab.disks[1].files[BASE][600] ^= 1
        self.lab.begin()
        self.run_to_install()
        self.lab.judge(2)
        self.assertEqual((self.lab.own.begun, self.lab.own.given_up), ([11, 11, 11, 12], 1))
        self.assertIn(
            "replica 1 gives bytes of its file 1.base that were never written there", self.lab.told[1]
        )

    def test_nobody_can_give_it(self) -> None:
        """Round after round it waits longer, and goes on once somebody can."""
        for disk in self.lab.disks.values():
            disk.lost = {BASE}
        self.lab.begin()
        self.lab.run_for(60)
        lines = len(self.lab.told)
        self.assertLess(len(self.asked()), 100)
        self.lab.run_for(60)
        self.assertLess(len(self.lab.told) - lines, 24)
        self.lab.disks[2].lost.clear()
        self.run_to_install()
        self.lab.judge(2)

    def test_damage_of_the_only_source_does_not_spin(self) -> None:
        self.lab.disks[1].files[BASE][600] ^= 1
        self.lab.target.begin(1, [(1, 11)])
        self.lab.run_for(10)
        self.assertLessEqual(len(self.asked()), 10 / AGAIN_S)
        self.assertGreater(len(self.asked()), 3)


class RefusedTests(Case):
    """What the store refuses to install: a new process begins from nothing."""

    def test_a_wrong_length_in_the_last_header(self) -> None:
        """It looks like the beginning of a longer piece, so nobody sees that it is wrong before."""
        file = self.lab.disks[1].files[LOG]
        good = file[-20_008 + 1]
        file[-20_008 + 1] ^= 0x80
        self.lab.begin()
        self.lab.run(lambda: bool(self.lab.refused))
        file[-20_008 + 1] = good
        self.run_to_install()
        self.lab.judge(1)
        self.assertEqual((len(self.lab.refused), self.lab.own.given_up), (1, 1))


class TimeTests(Case):
    def test_a_piece_is_asked_for_again(self) -> None:
        self.lab.begin()
        self.lab.run(lambda: self.lab.target.bytes_taken > 900)
        self.lab.weather = Weather(lost=1.0)
        asks = [control for _, control in self.lab.sent if isinstance(control, PieceAsk)]
        self.lab.run_for(1.2 * AGAIN_S)
        again = [control for _, control in self.lab.sent if isinstance(control, PieceAsk)]
        self.assertLess(len(set(again)), len(again))
        self.assertGreater(len(again), len(asks))
        self.lab.weather = Weather()
        self.run_to_install()
        self.lab.judge(1)
        self.assertEqual(set(self.asked()), {1})

    def test_nothing_before_it_is_due(self) -> None:
        self.lab.begin()
        self.assertEqual(self.lab.target.due, AGAIN_S)
        self.lab.now = AGAIN_S - 0.001
        self.lab.target.on_time()
        self.assertEqual(self.asked(), [1])
        self.lab.now = AGAIN_S
        self.lab.target.on_time()
        self.assertEqual(self.asked(), [1, 1])

    def test_a_disk_that_is_slow_is_waited_for(self) -> None:
        """No more is asked for than there is room for, and nobody is blamed."""
        self.lab.own.later = lambda call: self.lab.later(5.0, call)
        self.lab.begin()
        self.run_to_install()
        self.lab.judge(1)
        self.assertEqual(set(self.asked()), {1})
        self.assertEqual(self.lab.sources[1].bytes_given, self.lab.target.bytes_taken)
