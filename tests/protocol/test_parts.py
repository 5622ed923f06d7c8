"""The small parts of the core, by tables of cases."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.coordinators.fast_path import FastPath, judge_equal, judge_named
from epaxos.protocol.memory.deadlines import Deadlines
from epaxos.protocol.memory.failures import FailureDetector
from epaxos.protocol.memory.interference import InterferenceIndex, interferes
from epaxos.protocol.memory.latency import Latency
from epaxos.protocol.memory.slots import SLOTS_RESERVED, OwnSlots
from epaxos.protocol.memory.table import InstanceTable
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import Deps, InstanceId, is_in, merge, next_ballot, owner
from epaxos.protocol.values.instance import Instance
from epaxos.protocol.values.messages import NOP, Batch, Phase
from epaxos.protocol.values.quorums import Quorums


class QuorumTests(SynchronousTestCase):
    def test_sizes(self) -> None:
        """n -> f, e, slow quorum, fast quorum (EPaxos*, section 3)."""
        for n, f, e, slow, fast in (
            (1, 0, 0, 1, 1),
            (2, 0, 0, 2, 2),
            (3, 1, 1, 2, 2),
            (4, 1, 1, 3, 3),
            (5, 2, 2, 3, 3),
            (6, 2, 2, 4, 4),
            (7, 3, 2, 4, 5),
            (9, 4, 3, 5, 6),
        ):
            quorums = Quorums.of(Epoch.first(n))
            self.assertEqual((quorums.f, quorums.e, quorums.slow, quorums.fast), (f, e, slow, fast))

    def test_bounds(self) -> None:
        """n >= max(2e+f-1, 2f+1): what the proof of recovery needs, for every n."""
        for n in range(1, 40):
            quorums = Quorums.of(Epoch.first(n))
            self.assertGreaterEqual(n, max(2 * quorums.e + quorums.f - 1, 2 * quorums.f + 1))

    def test_no_cluster(self) -> None:
        self.assertRaises(ValueError, Epoch.first, 0)
        self.assertRaises(ValueError, Quorums.of, Epoch(0, ()))

    def test_a_fast_quorum_is_named_where_a_recovery_asks_all_of_it(self) -> None:
        """Any n-f replicas without the leader must include all others: f <= 1."""
        self.assertEqual([Quorums.of(Epoch.first(n)).named for n in range(1, 8)], [True] * 4 + [False] * 3)
        for n in range(1, 5):
            self.assertEqual(Quorums.of(Epoch.first(n)).slow, Quorums.of(Epoch.first(n)).fast)
        self.assertFalse(Quorums.of(Epoch.first(3), named=False).named)
        self.assertRaises(ValueError, Quorums.of, Epoch.first(5), named=True)


class FastPathTests(SynchronousTestCase):
    def test_equal_answers(self) -> None:
        """n = 5, f = e = 2: three equal to D0, the leader's own included."""
        quorums, zero, other = Quorums.of(Epoch.first(5)), (0,) * 5, (0, 1, 0, 0, 0)
        cases: list[tuple[dict[int, Deps], set[int], FastPath]] = [
            ({0: zero, 1: zero, 2: zero}, set(), FastPath.TAKEN),
            ({0: zero, 1: zero, 2: other, 3: zero}, set(), FastPath.TAKEN),
            ({0: zero, 1: zero}, {2, 3, 4}, FastPath.OPEN),
            ({0: zero, 1: zero, 2: other}, {3}, FastPath.OPEN),
            ({0: zero, 1: zero, 2: other}, set(), FastPath.CLOSED),
            ({0: zero, 1: other, 2: other}, {3}, FastPath.CLOSED),
            ({0: zero, 1: other, 2: other, 3: other}, {3, 4}, FastPath.CLOSED),
        ]
        for answers, awaited, expected in cases:
            found, deps = judge_equal(quorums, zero, answers, awaited.__contains__)
            self.assertEqual((found, deps), (expected, zero), answers)

    def test_named_answers(self) -> None:
        cases: list[tuple[tuple[int, ...], dict[int, Deps], set[int], FastPath, Deps]] = [
            ((1,), {0: (0, 0, 0), 1: (0, 2, 0)}, set(), FastPath.TAKEN, (0, 2, 0)),
            ((1,), {0: (0, 0, 0), 2: (0, 0, 0)}, {1}, FastPath.OPEN, ()),
            ((1,), {0: (0, 0, 0), 2: (0, 0, 0)}, {2}, FastPath.CLOSED, ()),
            ((1,), {1: (0, 0, 0), 2: (0, 0, 0)}, {0}, FastPath.OPEN, ()),
            (
                (1, 2),
                {0: (0, 0, 1), 1: (0, 2, 1), 2: (3, 0, 1), 3: (9, 9, 9)},
                set(),
                FastPath.TAKEN,
                (3, 2, 1),
            ),
            ((1, 2), {0: (0, 0, 1), 1: (0, 2, 1), 3: (9, 9, 9)}, {2}, FastPath.OPEN, ()),
            ((), {0: (0,)}, set(), FastPath.TAKEN, (0,)),
        ]
        for named, answers, awaited, expected, deps in cases:
            found = judge_named(0, named, answers, awaited.__contains__)
            self.assertEqual(found, (expected, deps), answers)


class LatencyTests(SynchronousTestCase):
    def nearest(self, latency: Latency, count: int = 1, *suspected: int) -> tuple[int, ...]:
        return latency.fastest(count, suspected.__contains__)

    def test_unknown_ones_come_in_order(self) -> None:
        latency = Latency(1, Epoch.first(4), 1.0)
        self.assertEqual(self.nearest(latency), (2,))
        self.assertEqual(self.nearest(latency, 2), (2, 3))
        self.assertEqual(self.nearest(latency, 2, 2), (0, 3))
        self.assertEqual(self.nearest(latency, 2, 0, 2, 3), (2, 3), "better a suspected one than none")

    def test_those_that_answer_fastest(self) -> None:
        latency = Latency(0, Epoch.first(3), 1.0)
        for k in range(20):
            id = InstanceId(0, k + 1)
            latency.asks_all(id, k)
            latency.on_answer(InstanceId(0, 999), 2, k)
            latency.on_answer(id, 2, k + (0.01 if k < 10 else 0.09))
            latency.on_answer(id, 1, k + 0.05)
            latency.on_answer(id, 1, k + 0.9)
            if k == 9:
                self.assertEqual(self.nearest(latency), (2,))
                self.assertAlmostEqual(latency.usual_s((1, 2)), 0.05)
                self.assertEqual(latency.usual_s(()), 0.0)
        self.assertEqual(self.nearest(latency), (1,), "the newest answers count most")

    def test_one_that_does_not_answer_is_far(self) -> None:
        latency = Latency(0, Epoch.first(3), 1.0)
        latency.asks_all(InstanceId(0, 1), 0.0)
        latency.on_answer(InstanceId(0, 1), 2, 0.5)
        latency.asks_all(InstanceId(0, 2), 0.6)
        self.assertEqual(self.nearest(latency), (1,), "it may still answer")
        latency.asks_all(InstanceId(0, 3), 1.5)
        self.assertEqual(self.nearest(latency), (2,))

    def test_one_that_was_missed_comes_after_others_until_it_answers(self) -> None:
        latency = Latency(0, Epoch.first(4), 1.0)
        latency.on_silence([1])
        self.assertEqual(self.nearest(latency, 2), (2, 3))
        self.assertEqual(self.nearest(latency, 2, 2, 3), (1, 2), "better than a suspected one")
        latency.on_answer(InstanceId(0, 7), 1, 0.0)
        self.assertEqual(self.nearest(latency, 2), (1, 2))

    def test_when_all_are_asked(self) -> None:
        """Until all are known; then four times in the time that an answer is waited for, but not while
        the last such answers are.  An answer to what not all were asked says nothing."""
        latency = Latency(0, Epoch.first(3), 1.0)
        steps: list[tuple[float, bool, tuple[int, ...]]] = [
            (0.0, True, ()),
            (0.1, True, (1, 2)),
            (1.0, True, (1,)),
            (1.25, False, (1, 2)),
            (1.99, False, ()),
            (2.0, True, (1, 2)),
            (2.24, False, (1,)),
            (2.25, True, ()),
        ]
        for slot, (now, expected, answers) in enumerate(steps):
            id = InstanceId(0, slot)
            self.assertEqual(latency.asks_all(id, now), expected, f"at {now}")
            for replica in answers:
                latency.on_answer(id, replica, now)
        self.assertGreater(latency.usual_s((2,)), latency.usual_s((1,)))

    def test_silence_counts_no_longer_than_it_is_waited_for(self) -> None:
        """Or one lost answer before an hour's rest would keep leaders waiting for the fast path."""
        latency = Latency(0, Epoch.first(3), 1.0)
        latency.asks_all(InstanceId(0, 1), 0.0)
        latency.asks_all(InstanceId(0, 2), 3600.0)
        latency.on_answer(InstanceId(0, 2), 2, 7200.0)
        self.assertLessEqual(latency.usual_s((1, 2)), 1.0)


class IdTests(SynchronousTestCase):
    def test_ballots(self) -> None:
        for n in (1, 2, 3, 5):
            for replica in range(n):
                ballot = 0
                for _ in range(4):
                    above = next_ballot(ballot, replica, Epoch.first(n))
                    self.assertTrue(ballot < above <= ballot + n)
                    self.assertEqual(above % n, replica)
                    ballot = above

    def test_owner(self) -> None:
        self.assertEqual(owner(0, InstanceId(2, 9), Epoch.first(3)), 2)
        self.assertEqual(owner(4, InstanceId(2, 9), Epoch.first(3)), 1)

    def test_vectors(self) -> None:
        self.assertEqual(merge([(1, 5, 0), (2, 3, 0)]), (2, 5, 0))
        self.assertTrue(is_in(InstanceId(1, 5), (0, 5, 0)))
        self.assertFalse(is_in(InstanceId(1, 6), (9, 5, 9)))


class InterferenceTests(SynchronousTestCase):
    def test_pairs(self) -> None:
        w, r = Batch((b"x",), (), b"", 1), Batch((), (b"x",), b"", 1)
        y, barrier = Batch((b"y",), (b"z",), b"", 1), Batch((), (), b"", 1, True)
        for a, b, expected in (
            (w, w, True),
            (w, r, True),
            (r, r, False),
            (w, y, False),
            (y, Batch((), (b"z",), b"", 1), False),
            (y, Batch((b"z",), (), b"", 1), True),
            (barrier, y, True),
            (barrier, barrier, True),
        ):
            self.assertEqual((interferes(a, b), interferes(b, a)), (expected, expected))

    def test_what_is_forgotten_is_named(self) -> None:
        """Else a vote that does not name it would not mean that the voter did not know it."""
        index = InterferenceIndex(Epoch.first(3))
        x, y = Batch((b"x",), (), b"", 1), Batch((b"y",), (), b"", 1)
        index.add(InstanceId(0, 4), x)
        index.add(InstanceId(1, 2), x)
        self.assertEqual(index.deps_of(InstanceId(2, 1), y), (0, 0, 0))
        index.forget((4, 1, 0))
        self.assertEqual(index.deps_of(InstanceId(2, 1), y), (0, 0, 0), "not all of it is executed by all")
        index.forget((9, 2, 0))
        self.assertEqual((index.keys, index.deps_of(InstanceId(2, 1), y)), (0, (4, 2, 0)))
        index.restore((9, 2, 0))
        self.assertEqual(index.deps_of(InstanceId(0, 7), y), (6, 2, 0), "in the own row only what is below")

    def test_index_against_all_pairs(self) -> None:
        """The index finds, per row, the highest interfering slot, in whatever order ids are added."""
        for seed in range(200):
            random = Random(seed)
            index, known = InterferenceIndex(Epoch.first(3)), {}
            for _ in range(random.randrange(40)):
                id = InstanceId(random.randrange(3), random.randrange(1, 30))
                if id not in known:
                    known[id] = self.batch(random)
                    index.add(id, known[id])
            for _ in range(10):
                id, batch = InstanceId(random.randrange(3), random.randrange(1, 30)), self.batch(random)
                expected = [0, 0, 0]
                for other, carried in known.items():
                    if interferes(batch, carried):
                        expected[other.replica] = max(expected[other.replica], other.slot)
                expected[id.replica] = min(expected[id.replica], id.slot - 1)
                self.assertEqual(index.deps_of(id, batch), tuple(expected), f"seed {seed}")

    @staticmethod
    def batch(random: Random) -> Batch:
        keys = random.sample([b"a", b"b", b"c", b"d", b"e", b"f"], 4)
        writes, reads = random.randrange(3), random.randrange(3)
        return Batch(tuple(keys[:writes]), tuple(keys[2 : 2 + reads]), b"", 1, random.random() < 0.1)

    def test_memory_is_bounded(self) -> None:
        """What every member has executed is forgotten; what it has not is not."""
        index = InterferenceIndex(Epoch.first(2))
        for slot in range(1, 200):
            index.add(
                InstanceId(0, slot), Batch(tuple(b"%d %d" % (slot, k) for k in range(1000)), (), b"", 1000)
            )
            index.forget((max(0, slot - 10), 0))
            self.assertLess(index.keys, 40_000)
        recent = Batch((b"195 7",), (), b"", 1)
        self.assertEqual(index.deps_of(InstanceId(1, 1), recent), (195, 0))

    def test_unknown_proposals_interfere_with_everything(self) -> None:
        index, batch = InterferenceIndex(Epoch.first(2)), Batch((b"k",), (), b"", 1)
        index.set_unknown(InstanceId(1, 7))
        self.assertEqual(index.deps_of(InstanceId(0, 1), batch), (0, 7))
        self.assertEqual(index.deps_of(InstanceId(1, 9), batch), (0, 7))
        index.set_unknown(None)
        self.assertEqual(index.deps_of(InstanceId(0, 1), batch), (0, 0))


class TableTests(SynchronousTestCase):
    def test_watermark(self) -> None:
        table = InstanceTable(Epoch.first(2))
        seen = []
        for slot in (1, 3, 2, 5, 4):
            table.get(InstanceId(0, slot)).phase = Phase.COMMITTED
            table.on_committed(InstanceId(0, slot))
            seen.append(table.committed[0])
        self.assertEqual(seen, [1, 1, 3, 3, 5])
        self.assertEqual(table.known, (5, 0))

    def test_uncommitted(self) -> None:
        table = InstanceTable(Epoch.first(1))
        for slot in (1, 3, 6):
            table.get(InstanceId(0, slot)).phase = Phase.COMMITTED
            table.on_committed(InstanceId(0, slot))
        self.assertEqual([id.slot for id in table.uncommitted(0, 6, 9)], [2, 4, 5])
        self.assertEqual([id.slot for id in table.uncommitted(0, 6, 2)], [2, 4])
        self.assertEqual([id.slot for id in table.uncommitted(0, 3, 9)], [2])

    def test_forget(self) -> None:
        table = InstanceTable(Epoch.first(2))
        for slot in (1, 2, 4):
            table.get(InstanceId(1, slot))
        self.assertEqual(table.forget((3, 2)), [InstanceId(1, 1), InstanceId(1, 2)])
        self.assertEqual((len(table), table.committed, table.known), (1, (3, 2), (3, 4)))
        self.assertTrue(table.is_forgotten(InstanceId(1, 2)))
        self.assertFalse(table.is_forgotten(InstanceId(1, 3)))

    def test_above(self) -> None:
        table = InstanceTable(Epoch.first(2))
        for id in ((1, 5), (0, 2), (1, 3), (0, 1)):
            table.get(InstanceId(*id))
        self.assertEqual([i.id for i in table.above((1, 3))], [(0, 2), (1, 5)])


class InstanceTests(SynchronousTestCase):
    def test_records_restore_what_they_were_made_of(self) -> None:
        batch = Batch((b"x",), (), b"p", 1)
        for cmd, proposed in ((None, None), (NOP, None), (NOP, batch), (batch, batch), (None, batch)):
            instance = Instance(InstanceId(1, 4), (0, 3))
            instance.phase, instance.bal, instance.abal = Phase.ACCEPTED, 7, 5
            instance.cmd, instance.proposed = cmd, proposed
            again = Instance.restore(instance.record(), proposed)
            self.assertEqual(again.record(), instance.record())
            self.assertIs(again.cmd, cmd)
            self.assertIs(again.proposed, proposed)

    def test_a_missing_batch_is_noticed(self) -> None:
        instance = Instance(InstanceId(1, 4), (0, 3))
        instance.cmd = instance.proposed = Batch((b"x",), (), b"p", 1)
        self.assertRaises(ValueError, Instance.restore, instance.record(), None)


class DeadlineTests(SynchronousTestCase):
    def test_order_and_replacement(self) -> None:
        alarms: Deadlines[str] = Deadlines()
        for key, at in (("a", 3.0), ("b", 1.0), ("c", 2.0), ("b", 2.0), ("d", 1.0)):
            alarms.set(key, at)
        alarms.clear("d")
        self.assertEqual(alarms.next(), 2.0)
        self.assertEqual(alarms.pop_due(1.5), [])
        self.assertEqual(alarms.pop_due(2.0), ["c", "b"])
        self.assertEqual((alarms.next(), len(alarms)), (3.0, 1))

    def test_setting_again_and_again_takes_no_memory(self) -> None:
        alarms: Deadlines[str] = Deadlines()
        for at in range(10_000):
            alarms.set("key", float(at))
        self.assertLess(len(alarms._heap), 100)
        self.assertEqual(alarms.pop_due(1e9), ["key"])


class SlotTests(SynchronousTestCase):
    def test_blocks(self) -> None:
        slots = OwnSlots()
        self.assertFalse(slots.available)
        self.assertEqual(slots.wanted(), SLOTS_RESERVED)
        self.assertIsNone(slots.wanted(), "asked for once")
        slots.on_durable(SLOTS_RESERVED)
        self.assertEqual([slots.take() for _ in range(3)], [1, 2, 3])
        wanted = None
        while slots.available and wanted is None:
            slots.take()
            wanted = slots.wanted()
        self.assertTrue(slots.available, "the next block is asked for before the last is used up")
        self.assertGreater(wanted or 0, SLOTS_RESERVED)

    def test_restart(self) -> None:
        slots = OwnSlots()
        slots.restore(SLOTS_RESERVED)
        self.assertFalse(slots.available)
        slots.on_durable(slots.wanted() or 0)
        self.assertEqual(slots.take(), SLOTS_RESERVED + 1)


class FailureDetectorTests(SynchronousTestCase):
    def test_silence(self) -> None:
        detector = FailureDetector(0, Epoch.first(3), 1.0)
        detector.advance(100.0)
        for now, heard in ((100.6, 1), (101.1, 1), (101.7, 1)):
            detector.advance(now)
            detector.on_heard(heard)
        self.assertEqual([detector.suspects(r) for r in range(3)], [False, False, True])

    def trusting(self, n: int = 3, at: float = 100.0) -> FailureDetector:
        """A detector whose others have been connected for long."""
        detector = FailureDetector(0, Epoch.first(n), 1.0)
        detector.advance(at - 60)
        for replica in range(1, n):
            detector.on_connected(replica)
        detector.advance(at)
        return detector

    def test_silence_is_noticed_at_its_deadline(self) -> None:
        """Not with the next heartbeat; and told once."""
        detector = self.trusting()
        detector.advance(100.5)
        detector.on_heard(1)
        detector.advance(100.6)
        self.assertEqual(detector.next_deadline(), 101.0)
        detector.advance(100.999)
        self.assertEqual(detector.newly_suspected, [])
        detector.advance(101.0)
        self.assertEqual((detector.newly_suspected, detector.suspected_at(2)), ([2], 101.0))
        self.assertEqual(detector.next_deadline(), 101.6)
        detector.on_heard(2)
        detector.advance(101.6)
        self.assertEqual(detector.newly_suspected, [2, 1])
        self.assertFalse(detector.suspects(2))
        self.assertEqual(detector.next_deadline(), 102.6)

    def test_what_a_late_process_reads_has_just_come(self) -> None:
        """It was starved for 0.9 s; what it finds then says that the sender lives now."""
        detector = self.trusting()
        detector.on_heard(1)
        detector.advance(100.9)
        for now in (101.5, 101.8):
            detector.advance(now)
        self.assertEqual(detector.newly_suspected, [2])

    def test_lost_connections(self) -> None:
        detector = self.trusting()
        detector.on_disconnected(1)
        self.assertEqual((detector.newly_suspected, detector.suspected_at(1)), ([1], 100.0))
        detector.on_disconnected(1)
        self.assertEqual(detector.newly_suspected, [1])
        detector.on_connected(1)
        self.assertEqual([detector.suspects(r) for r in range(3)], [False] * 3)

    def test_connections_that_are_lost_again_and_again(self) -> None:
        """At most one suspicion per `suspect_after_s` comes of them; silence still shows a failure."""
        detector = self.trusting()
        now = 100.0
        for _ in range(200):
            now += 0.05
            detector.advance(now)
            detector.on_disconnected(1)
            detector.on_connected(1)
            detector.on_heard(2)
        self.assertLessEqual(len(detector.newly_suspected), 10)
        self.assertGreater(len(detector.newly_suspected), 0)
        detector.newly_suspected.clear()
        detector.on_disconnected(1)
        detector.advance(now)
        detector.advance(now + 0.9)
        self.assertEqual(detector.newly_suspected, [])
        detector.on_heard(2)
        detector.advance(now + 1.0)
        self.assertEqual(detector.newly_suspected, [1])

    def test_connections_before_the_first_tick(self) -> None:
        detector = FailureDetector(0, Epoch.first(2), 1.0)
        detector.on_disconnected(1)
        detector.on_connected(1)
        detector.advance(5.0)
        self.assertFalse(detector.suspects(1))

    def test_a_process_that_was_stopped_suspects_nobody(self) -> None:
        detector = FailureDetector(0, Epoch.first(3), 1.0)
        detector.advance(100.0)
        detector.advance(160.0)
        self.assertEqual([detector.suspects(r) for r in range(3)], [False] * 3)

    def test_rank(self) -> None:
        detector = FailureDetector(2, Epoch.first(5), 1.0)
        detector.advance(0.0)
        self.assertEqual([detector.rank(row) for row in range(5)], [2, 1, 0, 4, 3])
        self.assertEqual(detector.next_deadline(), 1.0)
        for now in (0.6, 1.2):
            detector.advance(now)
            for alive in (0, 4):
                detector.on_heard(alive)
        self.assertEqual([detector.rank(row) for row in range(5)], [1, 0, 0, 2, 2])
