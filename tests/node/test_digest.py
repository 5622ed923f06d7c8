"""The digest: what it depends on, and how it is computed bit by bit."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from weakref import ref

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import ITimeoutService
from epaxos.node.digest import QUANTA_PER_STEP, QUANTUM_BYTES, STEP_S, StateDigest, digest_of
from epaxos.service.timeouts import ReactorTimeouts
from epaxos.statemachines.redis.shards import ShardedDict

Entries = list[tuple[bytes, bytes]]


class Timeouts:
    """Timeouts whose clock goes on by `look_s` seconds at each look."""

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
        """Make the call that is due first."""
        call = self.calls.pop(0)
        call()  # type: ignore[operator]


class Snapshot:
    """Entries that live as long as something refers to them."""

    def __init__(self, state: Entries) -> None:
        self.state = state

    def entries(self) -> Iterator[tuple[bytes, bytes]]:
        yield from self.state


class DigestTests(SynchronousTestCase):
    def make(self, look_s: float = 0.0) -> tuple[Timeouts, StateDigest]:
        timeouts = Timeouts(look_s)
        service: ITimeoutService = timeouts
        return timeouts, StateDigest(service)

    def test_a_pause_after_each_step(self) -> None:
        """QUANTA_PER_STEP quanta at a time, as the clock stands still meanwhile."""
        clock = Clock()
        entries = [(b"%d" % number, bytes(QUANTUM_BYTES)) for number in range(2 * QUANTA_PER_STEP + 1)]
        digest = StateDigest(ReactorTimeouts(clock), 0.5).of(1, lambda: entries)
        for _ in range(2):
            self.assertNoResult(digest)
            clock.advance(0.4)
            self.assertNoResult(digest)
            clock.advance(0.1)
        self.assertEqual(self.successResultOf(digest), digest_of(entries))

    def test_known(self) -> None:
        """Replicas of different versions compare digests, so their values must not change."""
        self.assertEqual(digest_of([]), "0" * 32)
        self.assertEqual(digest_of([(b"k", b"a")]), "f6e29f22c1fc81e713e9845353675092")

    def test_only_the_entries_count(self) -> None:
        entries = [(b"%d" % number, b"v" * (number % 7)) for number in range(5000)]
        entries.append((b"long", b"x" * (3 * QUANTUM_BYTES + 1)))
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
        """Steps end by time and by the number of quanta, and long values are cut."""
        entries = [(b"%d" % number, b"v") for number in range(20_000)]
        quanta = 20_000 * 1001 // QUANTUM_BYTES
        self.assertGreaterEqual(self.steps(entries, STEP_S), quanta)
        self.assertGreaterEqual(self.steps(entries, 0), quanta // QUANTA_PER_STEP)
        self.assertLess(self.steps(entries, 0), quanta // QUANTA_PER_STEP + 3)
        self.assertGreaterEqual(self.steps([(b"k", bytes(20 * QUANTUM_BYTES))], STEP_S), 20)

    def test_one_after_the_other(self) -> None:
        """Each request gets the digest of the state at its time; requests of one state share a digest."""
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

    def test_given_up(self) -> None:
        """A digest that nobody waits for is dropped, begun or not, with its snapshot."""
        for given_up in ((), (0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2)):
            for steps in (0, 3):
                with self.subTest(given_up=given_up, steps=steps):
                    self.check_given_up(given_up, steps)

    def check_given_up(self, given_up: tuple[int, ...], steps: int) -> None:
        timeouts, digest = self.make(STEP_S)
        states = [[(b"%d" % number, b"%d" % version) for number in range(2000)] for version in range(3)]
        snapshots = [Snapshot(state) for state in states]
        held = [ref(snapshot) for snapshot in snapshots]
        waiting = [digest.of(version, snapshots[version].entries) for version in range(3)]
        snapshots.clear()
        for _ in range(steps):
            timeouts.step()
        for version in given_up:
            waiting[version].cancel()
            self.failureResultOf(waiting[version], CancelledError)
        for version in range(3):
            self.assertEqual(held[version]() is None, version in given_up)
        taken = self.run_all(timeouts)
        left = [version for version in range(3) if version not in given_up]
        for version in left:
            self.assertEqual(self.successResultOf(waiting[version]), digest_of(states[version]))
        self.assertLess(taken, 2 + 10 * len(left))
        self.assertEqual(self.asked_later(timeouts, digest, states[2]), digest_of(states[2]))

    def run_all(self, timeouts: Timeouts) -> int:
        taken = 0
        while timeouts.calls:
            self.assertLessEqual(len(timeouts.calls), 1)
            timeouts.step()
            taken += 1
        return taken

    def asked_later(self, timeouts: Timeouts, digest: StateDigest, state: Entries) -> str:
        """A request after that is answered, too."""
        waiting = digest.of(9, lambda: iter(state))
        self.run_all(timeouts)
        return self.successResultOf(waiting)

    def test_one_of_several_gives_up(self) -> None:
        """Other requests for the same version are answered, and so is a new one after all have given up."""
        entries = [(b"%d" % number, b"v") for number in range(2000)]
        for before in (False, True):
            timeouts, digest = self.make(STEP_S)
            waiting = [digest.of(1, lambda: iter(entries)) for _ in range(3)]
            waiting[0].cancel()
            waiting[2].cancel()
            if before:
                waiting[1].cancel()
                waiting.append(digest.of(1, lambda: iter(entries)))
            self.run_all(timeouts)
            for number, one in enumerate(waiting):
                if number == (3 if before else 1):
                    self.assertEqual(self.successResultOf(one), digest_of(entries))
                else:
                    self.failureResultOf(one, CancelledError)

    def test_given_up_while_others_are_told(self) -> None:
        entries = [(b"%d" % number, b"v") for number in range(2000)]
        timeouts, digest = self.make(STEP_S)
        waiting = [digest.of(1, lambda: iter(entries)) for _ in range(4)]
        told: list[int] = []
        for number, one in enumerate(waiting):
            one.addCallbacks(lambda _, number=number: told.append(number), lambda _: None)
        waiting[0].addCallback(lambda _: [waiting[number].cancel() for number in (0, 1, 3)])
        self.run_all(timeouts)
        self.assertEqual(told, [0, 2])

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
