"""Whole transfers in bad weather, each judged by the bytes that are installed."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from tests.transfer.lab import Lab, Weather

SEEDS = 150


def run(seed: int) -> Lab:
    """A transfer in which the source grows, gets new bases, and may die, and the target may restart."""
    random = Random(seed)
    weather = Weather(
        lost=random.choice([0, 0, 0.05, 0.3]),
        doubled=random.choice([0, 0.1, 0.5]),
        late=random.choice([0, 0.1, 0.4]),
        changed=random.choice([0, 0, 0.02]),
    )
    lab = Lab(seed, weather)
    for disk in lab.disks.values():
        disk.grow((1, True), *[random.randrange(1, 3_000) for _ in range(random.randrange(12))])
        disk.grow((1, False), *[random.randrange(1, 500) for _ in range(random.randrange(12))])
    lab.begin()
    for fault in range(random.randrange(6)):
        wait_s = random.random() * random.choice([0.02, 0.1, 2])
        end = lab.now + wait_s
        lab.later(wait_s, lambda: None)
        lab.run(lambda end=end: bool(lab.installed) or lab.now >= end)  # type: ignore[misc]
        if lab.installed:
            break
        happen(lab, random, fault)
    lab.alive = {1, 2}
    lab.run(lambda: bool(lab.installed), 1_000_000)
    return lab


def happen(lab: Lab, random: Random, fault: int) -> None:
    number = random.choice([1, 2])
    disk = lab.disks[number]
    kind = random.randrange(6)
    if kind == 0:
        disk.rebase(10 + fault, *[random.randrange(1, 3_000) for _ in range(random.randrange(12))])
    elif kind == 1:
        lab.alive ^= {number}
    elif kind == 2:
        lab.target = lab.new_target()
        lab.own.is_busy = False
        lab.calls = [each for each in lab.calls if "arrive" in each[2].__code__.co_names]
        lab.begin()
    elif kind == 3:
        disk.epoch += 1
    else:
        disk.grow((max(disk.files)[0], False), *[random.randrange(1, 900) for _ in range(9)])


class WeatherTests(SynchronousTestCase):
    def test_what_is_installed_is_what_was_offered(self) -> None:
        givers = set()
        for seed in range(SEEDS):
            lab = run(seed)
            giver = lab.own.source
            assert giver is not None
            givers.add(giver)
            offer = lab.judge(giver - 10)
            self.assertGreater(offer.membership.number, 1, seed)
        self.assertEqual(givers, {11, 12})

    def test_the_same_seed_is_the_same_run(self) -> None:
        for seed in range(5):
            first, second = run(seed), run(seed)
            self.assertEqual((first.now, first.sent), (second.now, second.sent))
