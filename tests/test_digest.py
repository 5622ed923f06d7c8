"""The digest: what it depends on, and how it is computed bit by bit."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from epaxos.digest import PORTION_BYTES, PORTIONS_PER_STEP, STEP_S, StateDigest, digest_of
from epaxos.interfaces import ITimeoutService
from epaxos.statemachines.shards import ShardedDict

Entries = list[tuple[bytes, bytes]]


class Timeouts:
    """Every look at the clock takes `look_s`."""

    def __init__(self, look_s: float = 0.0) -> None:
        self.look_s = look_s
        self.time = 0.0
        self.calls: list[object] = []

    def now(self) -> float:
        self.time += self.look_s
        return self.time

    def call_later(self, delay_s: float, call: object) -> None:
        assert not delay_s
        self.calls.append(call)

    def step(self) -> None:
        """The turn of one call."""
        call = self.calls.pop(0)
        call()  # type: ignore[operator]


class DigestTests(SynchronousTestCase):
    def make(self, look_s: float = 0.0) -> tuple[Timeouts, StateDigest]:
        timeouts = Timeouts(look_s)
        service: ITimeoutService = timeouts
        return timeouts, StateDigest(service)

    def test_known(self) -> None:
        """It is compared between versions: what it was, it stays."""
        self.assertEqual(digest_of([]), "0" * 32)
        self.assertEqual(digest_of([(b"k", b"a")]), "f6e29f22c1fc81e713e9845353675092")

    def test_only_the_entries_count(self) -> None:
        entries = [(b"%d" % number, b"v" * (number % 7)) for number in range(5000)]
        entries.append((b"long", b"x" * (3 * PORTION_BYTES + 1)))
        digest = digest_of(entries)
        Random(1).shuffle(entries)
        self.assertEqual(digest_of(entries), digest)
        for other in (
            entries[1:],
            [*entries[:-1], (entries[-1][0], b"other")],
            [(b"ab", b"c"), (b"a", b"bc")],
        ):
            self.assertNotEqual(digest_of(other), digest)
        self.assertNotEqual(digest_of([(b"ab", b"c")]), digest_of([(b"a", b"bc")]))

    def steps(self, entries: Entries, look_s: float) -> int:
        timeouts, digest = self.make(look_s)
        waiting = digest.of(1, lambda: iter(entries))
        steps = 1
        while timeouts.calls:
            self.assertNoResult(waiting)
            timeouts.step()
            steps += 1
        self.assertEqual(self.successResultOf(waiting), digest_of(entries))
        return steps

    def test_a_step_is_bounded(self) -> None:
        """By time; by the number of portions; and a long value is cut."""
        entries = [(b"%d" % number, b"v") for number in range(20_000)]
        portions = 20_000 * 1001 // PORTION_BYTES
        self.assertGreaterEqual(self.steps(entries, STEP_S), portions)
        self.assertGreaterEqual(self.steps(entries, 0), portions // PORTIONS_PER_STEP)
        self.assertLess(self.steps(entries, 0), portions // PORTIONS_PER_STEP + 3)
        self.assertGreaterEqual(self.steps([(b"k", bytes(20 * PORTION_BYTES))], STEP_S), 20)

    def test_one_after_the_other(self) -> None:
        """Whoever asks gets the state as it was then; one that is computed is shared."""
        timeouts, digest = self.make(STEP_S)
        data: ShardedDict[bytes] = ShardedDict()
        states: list[Entries] = []
        waiting: list[Deferred[str]] = []
        for version in range(3):
            data.update((b"%d" % (number * (version + 1)), b"%d" % version) for number in range(2000))
            states.append(list(data.entries()))
            for _ in range(2):
                waiting.append(digest.of(version, data.entries))
                self.assertLessEqual(len(timeouts.calls), 1)
        data.clear()
        order: list[int] = []
        for number, one in enumerate(waiting):
            one.addCallback(self.note, order, number)
        while timeouts.calls:
            timeouts.step()
            self.assertLessEqual(len(timeouts.calls), 1)
        self.assertEqual(order, list(range(6)))
        expected = [digest_of(state) for state in states for _ in range(2)]
        self.assertEqual(list(map(self.successResultOf, waiting)), expected)

    @staticmethod
    def note(result: str, order: list[int], number: int) -> str:
        order.append(number)
        return result

    def test_it_is_remembered_until_the_state_changes(self) -> None:
        _, digest = self.make()
        looks = 0

        def entries() -> Iterator[tuple[bytes, bytes]]:
            nonlocal looks
            looks += 1
            return iter([(b"k", b"v")])

        for version, expected in ((1, 1), (1, 1), (2, 2), (2, 2)):
            self.assertEqual(self.successResultOf(digest.of(version, entries)), digest_of([(b"k", b"v")]))
            self.assertEqual(looks, expected)
