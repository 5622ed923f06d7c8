"""A disk that does not answer, and one that is merely slow."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from epaxos.node.disk_watch import CALM_PATIENCES, PATIENCE_GROWTH_MAX, DiskWatch

LOOK_S = 0.1


class Driver:
    """A watch with a patience of 1 s that is looked at ten times a second."""

    def __init__(self) -> None:
        self.watch = DiskWatch(1.0)
        self.now = 100.0
        self.hangs = 0
        self.resumed = 0

    def run(self, seconds: float) -> None:
        end = self.now + seconds - 1e-9
        while self.now < end:
            self.now = min(end, self.now + LOOK_S)
            self.hangs += self.watch.look(self.now)

    def sync(self, seconds: float) -> None:
        """One write that takes `seconds`."""
        self.watch.on_began(self.now)
        self.run(seconds)
        self.resumed += self.watch.on_answered(self.now)


class DiskWatchTests(SynchronousTestCase):
    def test_a_prompt_disk(self) -> None:
        driver = Driver()
        for _ in range(100):
            driver.sync(0.5)
        self.assertEqual((driver.hangs, driver.resumed, driver.watch.hangs), (0, 0, False))
        self.assertIsNone(driver.watch.due)

    def test_one_that_hangs_and_answers_again(self) -> None:
        driver = Driver()
        driver.watch.on_began(driver.now)
        driver.run(1.0)
        self.assertFalse(driver.watch.hangs)
        driver.run(0.2)
        self.assertTrue(driver.watch.hangs)
        self.assertIsNone(driver.watch.due)
        self.assertGreater(driver.watch.waited_s(driver.now), 1)
        driver.run(60)
        self.assertEqual(driver.hangs, 1)
        self.assertTrue(driver.watch.on_answered(driver.now))
        self.assertFalse(driver.watch.hangs)

    def test_one_that_is_merely_slow_does_not_flap(self) -> None:
        """Syncs of two seconds, and of other times, seeded: only the first may be taken for a hang."""
        for seed in range(50):
            random = Random(seed)
            driver = Driver()
            for _ in range(300):
                driver.sync(2 * random.uniform(0.8, 1.2))
                driver.run(random.choice((0, 0, 0.5, 3)))
            self.assertLessEqual(driver.hangs, 1, seed)
            self.assertEqual(driver.resumed, driver.hangs)

    def test_queued_writes_of_a_slow_disk(self) -> None:
        """Each write waits for those before it, so the oldest counts."""
        driver = Driver()
        for _ in range(20):
            driver.watch.on_began(driver.now)
            driver.watch.on_began(driver.now)
            driver.run(2)
            driver.resumed += driver.watch.on_answered(driver.now)
            driver.resumed += driver.watch.on_answered(driver.now)
        self.assertLessEqual(driver.hangs, 1)

    def test_writes_that_waited_for_the_same_hang(self) -> None:
        """Writes that waited for one hang count as one hang, although they are answered one by one."""
        driver = Driver()
        for _ in range(3):
            driver.watch.on_began(driver.now)
            driver.run(0.3)
        driver.run(30)
        for _ in range(3):
            driver.resumed += driver.watch.on_answered(driver.now)
            driver.run(0.2)
        self.assertEqual((driver.hangs, driver.resumed), (1, 1))

    def test_patience_has_a_limit_and_ends(self) -> None:
        driver = Driver()
        driver.sync(1000)
        driver.watch.on_began(driver.now)
        driver.run(PATIENCE_GROWTH_MAX + 0.5)
        self.assertTrue(driver.watch.hangs, "a later hang is noticed")
        driver.watch.on_answered(driver.now)
        driver.now += CALM_PATIENCES + 1
        driver.sync(0.1)
        driver.watch.on_began(driver.now)
        driver.run(1.2)
        self.assertTrue(driver.watch.hangs, "as strict as at the beginning")

    def test_a_process_that_was_stopped(self) -> None:
        """The disk may have answered while the process was stopped; its answer is only read later."""
        driver = Driver()
        driver.watch.on_began(driver.now)
        driver.run(0.3)
        driver.now += 30
        self.assertFalse(driver.watch.look(driver.now))
        driver.run(0.6)
        self.assertFalse(driver.watch.hangs)
        driver.run(0.3)
        self.assertTrue(driver.watch.hangs, "and if it has not, this is noticed")

    def test_when_to_look(self) -> None:
        watch = DiskWatch(1.0)
        self.assertIsNone(watch.due)
        watch.on_began(5.0)
        self.assertEqual(watch.due, 5.25)
        watch.look(5.9)
        self.assertEqual(watch.due, 6.15)
        watch.look(6.1)
        self.assertEqual(watch.due, 6.35 if not watch.hangs else None)
