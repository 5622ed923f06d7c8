"""The search for conflicts among waiting instances."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.execution import conflicts
from epaxos.execution.conflicts import Row, latest, touches
from epaxos.execution.waiting import WaitingInstance
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import Batch
from tests.execution.histories import batch


def waiting(slot: int, commands: Batch) -> WaitingInstance:
    return WaitingInstance(InstanceId(0, slot), commands, (0,))


def slots(instances: object) -> list[int]:
    return [instance.id.slot for instance in instances]  # type: ignore[attr-defined]


class RowTests(SynchronousTestCase):
    def test_touches(self) -> None:
        table = [
            (batch("ab", "c"), ((b"a", b"b"), (b"c", None))),
            (batch(), ((), (None,))),
            (batch(barrier=True), ((None,), ())),
            (batch("a", "b", barrier=True), ((None,), ())),
        ]
        for commands, expected in table:
            self.assertEqual(touches(commands), expected)

    def test_latest(self) -> None:
        table = [
            (3, 2, 0),
            (3, 3, 3),
            (3, 4, 3),
            ([3, 5, 9], 2, 0),
            ([3, 5, 9], 3, 3),
            ([3, 5, 9], 8, 5),
            ([3, 5, 9], 9, 9),
            ([3, 5, 9], 99, 9),
            ([], 5, 0),
        ]
        for given, bound, expected in table:
            self.assertEqual(latest(given, bound), expected, (given, bound))

    def test_writers(self) -> None:
        row = Row()
        instances = [waiting(1, batch("ab")), waiting(2, batch("a", "b")), waiting(5, batch("ac"))]
        for instance in instances:
            row.add(instance)
        table = [
            ("a", 5, [5]),
            ("a", 4, [2]),
            ("a", 1, [1]),
            ("a", 0, []),
            ("b", 5, [1]),
            ("c", 4, []),
            ("d", 5, []),
        ]
        for key, bound, expected in table:
            self.assertEqual(slots(row.latest_writers([key.encode()], bound)), expected, (key, bound))
            writer = row.writer(key.encode(), bound)
            self.assertEqual([] if writer is None else [writer.id.slot], expected, (key, bound))
        self.assertEqual(sorted(slots(row.latest_writers([b"a", b"b", b"z"], 5))), [1, 5])
        row.remove(instances[1])
        self.assertEqual(
            slots(row.latest_writers([b"a"], 4)), []
        )  # 1 cannot be waiting, were this not a test
        self.assertIsNone(row.writer(b"a", 4))

    def test_readers_are_those_above_the_floor_and_up_to_the_bound(self) -> None:
        row = Row()
        for slot in (2, 3, 5, 7):
            row.add(waiting(slot, batch(reads="k")))
        row.add(waiting(8, batch(reads="x")))
        table = [
            (b"k", 0, 9, [2, 3, 5, 7]),
            (b"k", 2, 7, [3, 5, 7]),
            (b"k", 3, 6, [5]),
            (b"k", 5, 6, []),
            (b"k", 7, 3, []),
            (b"x", 7, 8, [8]),
            (b"x", 8, 9, []),
            (b"x", 0, 7, []),
            (None, 3, 8, [5, 7, 8]),
        ]
        for key, floor, bound, expected in table:
            self.assertEqual(slots(row.readers_between(key, floor, bound)), expected, (key, floor, bound))

    def test_executed_readers_are_looked_at_once(self) -> None:
        row = Row()
        instances = [waiting(slot, batch(reads="k")) for slot in range(1, 10)]
        for instance in instances:
            row.add(instance)
        for instance in instances[1:6]:
            row.remove(instance)
        self.assertEqual(slots(row.readers_between(b"k", 0, 4)), [1])
        self.assertEqual(row.readers[b"k"], [1, 5, 6, 7, 8, 9])
        self.assertEqual(slots(row.readers_between(b"k", 0, 9)), [1, 7, 8, 9])
        self.assertEqual(row.readers[b"k"], [1, 7, 8, 9])

    def test_rebuilt_when_most_is_stale(self) -> None:
        self.patch(conflicts, "SLACK", 10)
        row = Row()
        instances = [waiting(slot, Batch((b"%d" % slot, b"k"), (), b"", 1)) for slot in range(1, 101)]
        for instance in instances:
            row.add(instance)
        for instance in instances[:90]:
            row.remove(instance)
            self.assertLessEqual(len(row.writers), 4 * (len(row.instances) + 1) + 10)
        self.assertEqual(slots(row.instances.values()), list(range(91, 101)))
        self.assertEqual(slots(row.latest_writers([b"k"], 95)), [95])
        self.assertEqual(slots(row.latest_writers([b"93"], 95)), [93])
        for instance in instances[90:]:
            row.remove(instance)
        self.assertEqual((row.writers, row.readers, row.instances), ({}, {}, {}))
