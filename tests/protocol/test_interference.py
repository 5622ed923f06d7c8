"""Which instances interfere with a batch."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.memory.interference import GENERATION_KEYS, InterferenceIndex, interferes
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.membership import VERSION, Member, Membership
from epaxos.protocol.values.messages import Batch

SUCCESSOR = Membership(7, 1, VERSION, tuple(Member(number, 100 + number) for number in range(3)))


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
        """A vote that does not name an instance has to mean that the voter did not know it."""
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
        """The index finds the highest interfering slot of each row, whatever the order of additions."""
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

    def test_what_a_read_names(self) -> None:
        """The writes of its keys and the barriers, but nothing that opens the next epoch."""
        for seed in range(200):
            random = Random(seed)
            index, known = InterferenceIndex(Epoch.first(3)), {}
            for _ in range(random.randrange(40)):
                id = InstanceId(random.randrange(3), random.randrange(1, 30))
                if id not in known:
                    known[id] = Batch.opening(SUCCESSOR) if random.random() < 0.2 else self.batch(random)
                    index.add(id, known[id])
            for key in (b"a", b"f", b"z"):
                expected = [0, 0, 0]
                for other, carried in known.items():
                    if carried.successor is None and (carried.barrier or key in carried.writes):
                        expected[other.replica] = max(expected[other.replica], other.slot)
                self.assertEqual(index.writes_of((key,)), tuple(expected), f"seed {seed}")

    def test_a_read_names_what_changes_the_members(self) -> None:
        """Who has voted in the next epoch may never have left this one."""
        joined = SUCCESSOR._replace(members=(*SUCCESSOR.members, Member(9, 9)))
        replaced = SUCCESSOR._replace(members=(*SUCCESSOR.members[:-1], Member(9, 9)))
        moved = SUCCESSOR._replace(
            members=tuple(member._replace(peer_connect="tcp:a:1") for member in SUCCESSOR.members)
        )
        for successor, named in ((joined, True), (replaced, True), (moved, False), (SUCCESSOR, False)):
            index = InterferenceIndex(Epoch(0, SUCCESSOR.epoch.members))
            index.add(InstanceId(1, 5), Batch.opening(successor))
            self.assertEqual(index.writes_of((b"a",))[1], 5 if named else 0, successor)

    def test_a_read_of_what_was_written_long_ago(self) -> None:
        """What an older generation holds, what is forgotten, and what may be forgotten is named, too."""
        index = InterferenceIndex(Epoch.first(3))
        index.add(InstanceId(0, 4), Batch((b"x", *(b"%d" % k for k in range(GENERATION_KEYS))), (), b"", 1))
        index.add(InstanceId(1, 2), Batch((b"x",), (), b"", 1))
        self.assertEqual(index.writes_of((b"x", b"y")), (4, 2, 0))
        self.assertEqual(index.writes_of((b"y",)), (0, 0, 0))
        index.forget((4, 1, 0))
        self.assertEqual(index.writes_of((b"y",)), (4, 0, 0))
        index.set_unknown(InstanceId(2, 7))
        self.assertEqual(index.writes_of((b"y",)), (4, 0, 7))

    @staticmethod
    def batch(random: Random) -> Batch:
        keys = random.sample([b"a", b"b", b"c", b"d", b"e", b"f"], 4)
        writes, reads = random.randrange(3), random.randrange(3)
        return Batch(tuple(keys[:writes]), tuple(keys[2 : 2 + reads]), b"", 1, random.random() < 0.1)

    def test_memory_is_bounded(self) -> None:
        """Only a generation that every member has executed is forgotten."""
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
