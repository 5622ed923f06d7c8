"""The cluster clock: the median, jumps, and when it is not to be trusted."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from epaxos.node.cluster_clock import FRESH_MS, LOOK_MS, SETTLE_S, ClusterClock
from epaxos.protocol.values.clocks import NOT_HEARD, Clocks, Echo

EPOCH_S = 1_700_000_000.0
BEAT_S = 0.2
TOLERANCE_MS = 6


class World:
    """Members with a steady clock and a wall clock each, which tell each other what these show.

    `walls`: by how many seconds each wall clock is ahead.  `delay_s`: of each message.  `cut`: who hears
    nobody and is heard by nobody.
    """

    def __init__(self, walls: Sequence[float], delay_s: float = 0.005, began: int | None = None) -> None:
        self.time = 0.0
        self.walls = list(walls)
        self.delay_s = delay_s
        self.cut: set[int] = set()
        members = tuple(range(len(walls)))
        self.clocks = [self.new(number) for number in members[:began]]
        for number, clock in enumerate(self.clocks):
            clock.move(number, members)

    def new(self, number: int) -> ClusterClock:
        # each steady clock has a zero of its own
        return ClusterClock(
            lambda: self.time + 1000 * number,
            lambda: EPOCH_S + self.time + self.walls[number],
            settle_s=SETTLE_S,
        )

    def run(self, seconds: float) -> None:
        """Send heartbeats for this time."""
        ends = self.time + seconds
        while self.time < ends - 1e-6:
            said = [clock.stamp() for clock in self.clocks]
            self.time += self.delay_s
            for to, clock in enumerate(self.clocks):
                for row, clocks in enumerate(said):
                    if row != to and not {row, to} & self.cut:
                        clock.on_clocks(row, clocks)
            self.time += BEAT_S - self.delay_s

    @property
    def off_ms(self) -> list[int]:
        """How far each cluster clock is ahead of the true time."""
        return [round(clock.now_ms() - (EPOCH_S + self.time) * 1000) for clock in self.clocks]

    @property
    def trusted(self) -> list[bool]:
        return [clock.is_trusted for clock in self.clocks]


def near(case: SynchronousTestCase, found: float, wanted: float, delta: float, text: str = "") -> None:
    case.assertLessEqual(abs(found - wanted), delta, text or f"{found} is not {wanted}")


class SettlingTests(SynchronousTestCase):
    def test_until_a_majority_is_known(self) -> None:
        for walls, cut, settling in (
            ((0.0,), (), [False]),
            ((0.0, 0.0, 0.0), (), [False] * 3),
            ((0.0, 0.0, 9.0), (), [False] * 3),  # one is off, and known to be
            ((0.0, 0.0, 0.0), (1,), [False, True, False]),
            ((0.0, 0.0, 0.0), (0, 1, 2), [True] * 3),
            ((0.0,) * 5, (0, 1, 2), [True] * 5),
        ):
            world = World(walls)
            world.cut = set(cut)
            self.assertEqual([clock.is_settling for clock in world.clocks], [len(walls) > 1] * len(walls))
            world.run(5 * SETTLE_S)
            self.assertEqual([clock.is_settling for clock in world.clocks], settling, f"{walls} {cut}")

    def test_members_that_tell_no_clocks(self) -> None:
        """They are of version 1: what is not known SETTLE_S after a majority was met, nobody will know."""
        world = World((0.0,) * 5)
        one = world.clocks[0]
        one.on_met(1)
        world.time += 10 * SETTLE_S
        one.look()
        self.assertEqual((one.is_settling, one.settles_by), (True, None), "two are no majority of five")
        one.on_met(2)
        one.look()
        world.time += SETTLE_S / 2
        one.look()
        self.assertTrue(one.is_settling)
        world.time += SETTLE_S / 2
        one.look()
        self.assertEqual((one.is_settling, one.is_trusted), (False, False))

    def test_it_ends_once(self) -> None:
        world = World((0.0, 0.0, 0.0))
        world.run(1)
        world.cut = {0}
        world.run(FRESH_MS / 1000 + 1)
        self.assertEqual((world.trusted[0], world.clocks[0].is_settling), (False, False))


class MedianTests(SynchronousTestCase):
    def test_what_it_shows(self) -> None:
        """After a second, before which nobody has relied on it."""
        for walls, off_s, trusted in (
            ((0.0,), 0.0, [True]),
            ((7.0,), 7.0, [True]),
            ((0.0, 0.4), 0.2, [True, True]),
            ((0.0, 1.2), 0.6, [False, False]),
            ((0.0, 0.0, 0.0), 0.0, [True] * 3),
            ((-0.3, 0.0, 0.4), 0.0, [True] * 3),
            ((0.0, 0.1, 3600.0), 0.1, [True, True, False]),
            ((-3600.0, 0.1, 0.0), 0.0, [False, True, True]),
            ((-9.0, 9.0, 0.0, 0.1, 0.2), 0.1, [False, False, True, True, True]),
        ):
            world = World(walls)
            world.run(1.0)
            for off_ms in world.off_ms:
                near(self, off_ms, off_s * 1000, TOLERANCE_MS, f"{walls}")
            self.assertEqual(world.trusted, trusted, f"{walls}")

    def test_the_round_trip_does_not_count(self) -> None:
        for delay_s in (0.001, 0.05, 0.19):
            world = World((0.0, 0.0, 0.3), delay_s)
            world.run(2.0)
            for off_ms in world.off_ms:
                near(self, off_ms, 0, TOLERANCE_MS, f"{delay_s}")

    def test_an_answer_that_was_slow_does_not_replace_a_better_one(self) -> None:
        world = World((0.0, 0.3, 0.3))
        world.run(1.0)
        world.delay_s = 0.19
        one = world.clocks[0].stamp()
        said = [clock.stamp() for clock in world.clocks]
        world.time += 0.3  # to the second, and no time at all back
        world.clocks[1].on_clocks(0, one)
        said[1] = world.clocks[1].stamp()
        world.clocks[0].on_clocks(1, said[1])
        near(self, world.clocks[0].offset_ms, -300, TOLERANCE_MS)

    def test_under_load_it_is_not_looked_at_for_each_heartbeat(self) -> None:
        world = World((0.0, 0.0, 0.0))
        world.run(1.0)
        clock = world.clocks[0]
        clock.look()
        world.walls[0] = 10.0
        for passed_s, is_trusted in ((0.0, True), (LOOK_MS / 2000, True), (LOOK_MS / 1000, False)):
            world.time += passed_s
            clock.stamp()
            self.assertEqual(clock.is_trusted, is_trusted)

    def test_an_answer_that_is_too_slow_tells_nothing(self) -> None:
        world = World((0.0, 0.0), delay_s=0.0)
        world.run(BEAT_S)
        for clock in world.clocks:
            clock.move(world.clocks.index(clock), ())
            clock.move(world.clocks.index(clock), (0, 1))
        one = world.clocks[0].stamp()
        world.time += 1.2
        world.clocks[1].on_clocks(0, one)
        world.clocks[0].on_clocks(1, world.clocks[1].stamp())
        self.assertFalse(world.clocks[0].is_trusted)

    def test_what_an_earlier_process_said_is_not_measured(self) -> None:
        clock = ClusterClock(lambda: 5.0, lambda: EPOCH_S)
        clock.move(0, (0, 1))
        clock.on_clocks(1, Clocks(1, int(EPOCH_S * 1000), 0, (Echo(9_000_000, 3), NOT_HEARD)))
        self.assertFalse(clock.is_trusted)

    def test_who_waits_for_an_echo(self) -> None:
        clock = ClusterClock(lambda: 5.0, lambda: EPOCH_S)
        clock.move(0, (0, 1))
        wall_ms = int(EPOCH_S * 1000)
        self.assertTrue(clock.on_clocks(1, Clocks(1, wall_ms, 0, (NOT_HEARD, NOT_HEARD))))
        self.assertFalse(clock.on_clocks(1, Clocks(2, wall_ms, 0, (Echo(5000, 0), NOT_HEARD))))
        self.assertTrue(clock.is_trusted)
        self.assertEqual(clock.stamp().echoes, (NOT_HEARD, Echo(2, 0)))


class JumpTests(SynchronousTestCase):
    def test_never_back_and_never_fast(self) -> None:
        """One member alone, whose clock is set."""
        for jump_s in (10.0, 0.3, -0.3, -10.0, -4000.0):
            world = World((0.0,))
            clock = world.clocks[0]
            world.run(1.0)
            world.walls[0] += jump_s
            before = clock.now_ms()
            for _ in range(40):
                world.run(BEAT_S)
                passed_ms = clock.now_ms() - before
                before += passed_ms
                self.assertGreaterEqual(passed_ms, BEAT_S * 1000 * 0.5 - 1, f"{jump_s}")
                self.assertLessEqual(passed_ms, BEAT_S * 1000 * 1.5 + 1, f"{jump_s}")
            self.assertEqual(world.trusted, [True])
            world.run(22.0)
            if jump_s > -1000:
                near(self, world.off_ms[0], jump_s * 1000, 1)

    def test_one_of_three_jumps(self) -> None:
        """The others hold the median, so that its clock goes on as before; alone it is not to be trusted."""
        world = World((0.0, 0.0, 0.0))
        world.run(1.0)
        world.walls[2] = -100.0
        for _ in range(20):
            world.run(BEAT_S)
            for off_ms in world.off_ms:
                near(self, off_ms, 0, TOLERANCE_MS)
        self.assertEqual(world.trusted, [True, True, False])
        self.assertIn("100.000 s behind", world.clocks[2].why_not)
        world.walls[2] = 0.0
        world.run(1.0)
        self.assertEqual(world.trusted, [True, True, True])

    def test_the_majority_jumps(self) -> None:
        """All follow at the same rate.  The two are trusted, because they agree."""
        world = World((0.0, 0.0, 0.0))
        world.run(1.0)
        world.walls[:2] = 5.0, 5.0
        world.run(4.0)
        self.assertEqual(world.trusted, [True, True, False])
        self.assertLess(max(world.off_ms) - min(world.off_ms), 2 * TOLERANCE_MS + BEAT_S * 1000)
        near(self, world.off_ms[0], 2000, 200)
        world.run(10.0)
        near(self, world.off_ms[2], 5000, TOLERANCE_MS)

    def test_who_comes_back_with_a_clock_that_ran_away(self) -> None:
        """While it heard nobody it went by its own clock.  So it is ahead, although the clock of its host is
        right again."""
        world = World((0.0, 0.0, 0.0))
        world.run(1.0)
        world.cut = {2}
        world.walls[2] = 20.0
        world.run(FRESH_MS / 1000 + 15.0)
        self.assertEqual(world.trusted, [True, True, False])
        self.assertGreater(world.off_ms[2], 5000)
        world.cut = set()
        world.walls[2] = 0.0
        world.run(1.0)
        self.assertEqual(world.trusted, [True, True, False])
        self.assertIn("has not caught up", world.clocks[2].why_not)
        world.run(20.0)
        self.assertEqual(world.trusted, [True, True, True])

    def test_who_starts_with_a_wrong_clock(self) -> None:
        """It shows the right time at once, because nobody has relied on it."""
        world = World((0.0, 0.0, 3600.0), began=2)
        world.run(1.0)
        late = world.new(2)
        late.move(2, (0, 1, 2))
        self.assertFalse(late.is_trusted)
        world.clocks.append(late)
        world.run(1.0)
        near(self, world.off_ms[2], 0, TOLERANCE_MS)
        self.assertFalse(late.is_trusted)
        world.walls[2] = 0.0
        world.run(BEAT_S * 2)
        self.assertTrue(late.is_trusted)


class TrustTests(SynchronousTestCase):
    def test_until_a_majority_was_heard(self) -> None:
        for n in (1, 2, 3, 5):
            clock = World((0.0,) * n).clocks[0]
            self.assertIs(clock.is_trusted, n == 1)
            self.assertEqual(clock.status()["offset_s"], 0.0 if n == 1 else None)

    def test_while_one_is_away(self) -> None:
        world = World((0.0, 0.1, 0.2))
        world.run(1.0)
        world.cut = {2}
        world.run(100.0)
        self.assertEqual(world.trusted, [True, True, False])
        self.assertEqual(
            world.clocks[2].status(),
            {
                "offset_s": None,
                "trusted": False,
                "why_not": "the clocks of a majority of the members were not heard",
            },
        )

    def test_who_is_no_member_any_more_does_not_count(self) -> None:
        world = World((0.0, 0.0, 0.3))
        world.run(1.0)
        near(self, world.clocks[2].offset_ms, 300, TOLERANCE_MS)
        world.clocks[2].move(0, (2,))
        self.assertEqual(world.clocks[2].offset_ms, 0)
        self.assertTrue(world.clocks[2].is_trusted)

    def test_the_rows_of_an_epoch(self) -> None:
        """Members are known by their numbers, whatever their rows are."""
        world = World((0.0, 0.0, 0.0))
        world.run(1.0)
        for number, clock in enumerate(world.clocks):
            clock.move(number, (2, 0, 1))
            self.assertTrue(clock.is_trusted)
        (told,) = {clock.stamp().echoes[(number + 1) % 3] for number, clock in enumerate(world.clocks[:1])}
        self.assertEqual(told, NOT_HEARD, "its own row")
