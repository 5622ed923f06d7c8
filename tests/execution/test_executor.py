"""The execution rule case by case (docs: protocol/rules, "Execution"), and the contract of IExecutor."""

from __future__ import annotations

import gc
import sys
from types import FunctionType, ModuleType
from typing import NamedTuple

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from epaxos.execution.executor import Executor
from epaxos.interfaces import IExecutor
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import Deps, InstanceId
from epaxos.protocol.values.messages import NOP, Batch
from tests.execution.histories import barriers, batch, chain

W, R, B = batch("k"), batch(reads="k"), batch(barrier=True)
OTHER, BOTH, NOTHING = batch("x"), batch("kx"), batch()


class Case(NamedTuple):
    """Commits, each with the ids that `run` is expected to return after it."""

    name: str
    steps: list[tuple[tuple[int, int], Batch, Deps, list[str]]]


CASES = [
    Case("alone", [((0, 1), W, (0, 0, 0), ["0.1"])]),
    Case("NOP runs unseen", [((0, 1), NOP, (0, 0, 0), [])]),
    Case(
        "a dependency must be committed",
        [((1, 1), W, (1, 0, 0), []), ((0, 1), W, (0, 0, 0), ["0.1", "1.1"])],
    ),
    Case(
        "also one that does not interfere, and then it is not waited for",
        [
            ((1, 1), W, (1, 0, 0), []),
            ((0, 1), OTHER, (0, 0, 1), ["1.1"]),
            ((2, 1), NOP, (0, 0, 0), ["0.1"]),
        ],
    ),
    Case(
        "a dependency vector names prefixes",
        [
            ((1, 1), W, (2, 0, 0), []),
            ((0, 2), W, (1, 0, 0), []),
            ((0, 1), W, (0, 0, 0), ["0.1", "0.2", "1.1"]),
        ],
    ),
    Case(
        "the latest of a row became NOP, the one before counts still",
        [
            ((1, 1), W, (2, 0, 0), []),
            ((0, 2), NOP, (0, 0, 0), []),
            ((0, 1), W, (0, 0, 0), ["0.1", "1.1"]),
        ],
    ),
    Case(
        "what is reachable over an interfering edge must be committed",
        [
            ((2, 1), W, (0, 1, 0), []),
            ((1, 1), BOTH, (1, 0, 0), []),
            ((0, 1), OTHER, (0, 0, 0), ["0.1", "1.1", "2.1"]),
        ],
    ),
    Case(
        "what is reachable over another is not",
        [((2, 1), W, (0, 1, 0), []), ((1, 1), OTHER, (1, 0, 0), ["2.1"])],
    ),
    Case(
        "reads do not wait for each other",
        [((2, 1), R, (0, 1, 0), []), ((1, 1), R, (1, 0, 0), ["2.1"])],
    ),
    Case(
        "a write waits for a read",
        [
            ((2, 1), W, (0, 1, 0), []),
            ((1, 1), R, (1, 0, 0), []),
            ((0, 1), W, (0, 0, 0), ["0.1", "1.1", "2.1"]),
        ],
    ),
    Case(
        "a barrier waits for a read, and a read for a barrier",
        [
            ((2, 1), batch(reads="y"), (0, 1, 0), []),
            ((1, 1), B, (1, 0, 0), []),
            ((0, 1), R, (0, 0, 0), ["0.1", "1.1", "2.1"]),
        ],
    ),
    Case(
        "a barrier interferes with a batch without keys, but not with NOP",
        [
            ((2, 1), NOTHING, (0, 1, 0), []),
            ((1, 1), B, (1, 0, 0), []),
            ((0, 1), NOP, (0, 0, 0), ["1.1", "2.1"]),
        ],
    ),
    Case(
        "two that name each other run by slot, then replica",
        [
            ((0, 1), NOP, (0, 0, 0), []),
            ((0, 2), W, (0, 1, 0), []),
            ((1, 1), W, (2, 0, 0), ["1.1", "0.2"]),
            ((2, 1), W, (2, 2, 0), []),
            ((1, 2), W, (2, 1, 1), ["2.1", "1.2"]),
        ],
    ),
    Case(
        "same slots: by replica",
        [((1, 1), W, (0, 0, 1), []), ((2, 1), W, (0, 1, 0), ["1.1", "2.1"])],
    ),
    Case(
        "a ring of three, closed by the last commit; one that follows comes after",
        [
            ((0, 2), W, (0, 0, 1), []),
            ((0, 1), NOP, (0, 0, 0), []),
            ((1, 1), W, (1, 0, 1), []),
            ((2, 1), W, (0, 1, 0), ["1.1", "2.1", "0.2"]),
        ],
    ),
    Case(
        "a ring closes where the way on led past it before: 2.3, 1.1, 0.2, 2.2, 1.2; then 0.2 needs 1.1",
        [
            ((0, 1), NOP, (0, 0, 0), []),
            ((2, 1), NOP, (0, 0, 0), []),
            ((1, 2), batch("c"), (3, 0, 0), []),
            ((1, 1), batch("bd"), (2, 0, 0), []),
            ((0, 2), batch("ab"), (1, 1, 2), []),
            ((2, 2), batch("ac"), (0, 2, 0), []),
            ((2, 3), batch("d"), (0, 1, 0), []),
            ((0, 3), NOP, (0, 0, 0), ["1.2", "2.2", "1.1", "0.2", "2.3"]),
        ],
    ),
    Case(
        "a ring waits for what one member names outside",
        [
            ((0, 1), W, (0, 1, 0), []),
            ((1, 1), BOTH, (1, 0, 1), []),
            ((2, 1), OTHER, (0, 0, 0), ["2.1", "0.1", "1.1"]),
        ],
    ),
]


class RuleTests(SynchronousTestCase):
    def test_table(self) -> None:
        for name, steps in CASES:
            executor = Executor(Epoch.first(3))
            for place, (id, commands, deps, expected) in enumerate(steps):
                executor.commit(InstanceId(*id), commands, deps)
                ran = executor.run()
                self.assertEqual([str(id) for id, _ in ran], expected, f"{name}, step {place}")
            self.assertEqual(executor.run(), [], name)

    def test_the_batch_is_handed_out(self) -> None:
        executor = Executor(Epoch.first(1))
        commands = batch("k")
        executor.commit(InstanceId(0, 1), commands, (0,))
        [(id, handed)] = executor.run()
        self.assertEqual(id, InstanceId(0, 1))
        self.assertIs(handed, commands)

    def test_one_key_for_the_search_is_no_key_of_a_client(self) -> None:
        """The key that stands for all keys differs from every key, also from the empty one."""
        executor = Executor(Epoch.first(2))
        empty = Batch((b"",), (), b"", 1)
        executor.commit(InstanceId(1, 1), empty, (1, 0))
        executor.commit(InstanceId(0, 1), W, (0, 0))
        executor.commit(InstanceId(1, 2), Batch((), (b"",), b"", 1), (0, 1))
        self.assertEqual([str(id) for id, _ in executor.run()], ["0.1", "1.1", "1.2"])


class ContractTests(SynchronousTestCase):
    def test_interface(self) -> None:
        verifyObject(IExecutor, Executor(Epoch.first(3)))

    def test_what_is_executed_is_known(self) -> None:
        executor = Executor(Epoch.first(2))
        self.assertEqual((executor.executed, executor.committed, executor.busy), ((0, 0), (0, 0), False))
        executor.commit(InstanceId(0, 2), W, (1, 0))
        executor.commit(InstanceId(1, 2), OTHER, (0, 0))
        executor.commit(InstanceId(1, 3), NOP, (0, 0))
        self.assertEqual((executor.waiting, executor.executed_beyond(), executor.busy), (3, (), True))
        self.assertEqual(len(executor.run()), 1)
        self.assertEqual((executor.executed, executor.committed), ((0, 0), (0, 0)))
        self.assertEqual(executor.executed_beyond(), (InstanceId(1, 2), InstanceId(1, 3)))
        self.assertEqual((executor.waiting, executor.busy), (1, False))
        executor.commit(InstanceId(1, 1), W, (0, 0))
        executor.commit(InstanceId(0, 1), W, (0, 0))
        self.assertEqual(executor.committed, (2, 3))
        self.assertEqual(executor.executed, (0, 0))
        self.assertEqual(len(executor.run()), 3)
        self.assertEqual((executor.executed, executor.executed_beyond()), ((2, 3), ()))

    def test_a_second_commit_is_ignored(self) -> None:
        executor = Executor(Epoch.first(2))
        for _ in range(2):
            executor.commit(InstanceId(0, 1), W, (0, 1))  # waits
            executor.commit(InstanceId(0, 3), OTHER, (0, 0))  # runs beyond
            executor.commit(InstanceId(0, 2), OTHER, (0, 0))
        self.assertEqual(executor.waiting, 3)
        self.assertEqual([str(id) for id, _ in executor.run()], ["0.3", "0.2"])
        for slot in (1, 2, 3):
            executor.commit(InstanceId(0, slot), OTHER, (0, 0))
        self.assertEqual((executor.run(), executor.waiting), ([], 1))
        executor.commit(InstanceId(1, 1), NOP, (0, 0))
        self.assertEqual([str(id) for id, _ in executor.run()], ["0.1"])
        executor.commit(InstanceId(0, 1), W, (0, 1))
        self.assertEqual((executor.run(), executor.waiting), ([], 0))

    def test_restored_instances_are_executed_and_committed(self) -> None:
        executor = Executor(Epoch.first(3))
        executor.restore((4, 0, 2), iter([InstanceId(1, 2), InstanceId(2, 5)]))
        self.assertEqual((executor.executed, executor.committed), ((4, 0, 2), (4, 0, 2)))
        self.assertEqual(executor.executed_beyond(), (InstanceId(1, 2), InstanceId(2, 5)))
        for id in ((0, 4), (1, 2), (2, 1), (2, 5)):
            executor.commit(InstanceId(*id), W, (0, 0, 0))
        self.assertEqual((executor.run(), executor.waiting), ([], 0))
        executor.commit(InstanceId(0, 5), W, (4, 2, 2))
        self.assertEqual(executor.run(), [])
        executor.commit(InstanceId(1, 1), W, (1, 0, 0))
        self.assertEqual([str(id) for id, _ in executor.run()], ["1.1", "0.5"])
        self.assertEqual(executor.executed, (5, 2, 2))

    def test_a_restart_goes_on_where_a_run_of_any_length_ended(self) -> None:
        """After a restart between two runs the rest runs in the same order."""
        history = chain(3, 60)
        whole = Executor(Epoch.first(3))
        for decided in history:
            whole.commit(*decided)
        expected = [id for id, _ in whole.run()]
        for limit in (1, 7, 30, 59):
            first = Executor(Epoch.first(3))
            for decided in history[::-1]:
                first.commit(*decided)
            ran = [id for id, _ in first.run(limit)]
            second = Executor(Epoch.first(3))
            second.restore(first.executed, first.executed_beyond())
            for decided in history[::-1]:
                second.commit(*decided)
            self.assertEqual(ran + [id for id, _ in second.run()], expected)

    def test_limits(self) -> None:
        executor = Executor(Epoch.first(1))
        for decided in chain(1, 1000):
            executor.commit(*decided)
        self.assertEqual(len(executor.run(1)), 1)
        self.assertEqual(len(executor.run(10)), 10)
        self.assertEqual(executor.executed, (11,))
        self.assertTrue(executor.busy)
        self.assertEqual(len(executor.run(900)), 900)
        self.assertEqual(len(executor.run(900)), 89)
        self.assertEqual((executor.run(1), executor.busy), ([], False))

    def test_a_component_is_not_separated_by_a_limit(self) -> None:
        executor = Executor(Epoch.first(2))
        executor.commit(InstanceId(0, 1), W, (0, 1))
        executor.commit(InstanceId(1, 1), W, (1, 0))
        executor.commit(InstanceId(0, 2), W, (1, 1))
        self.assertEqual([str(id) for id, _ in executor.run(1)], ["0.1", "1.1"])
        self.assertEqual([str(id) for id, _ in executor.run(1)], ["0.2"])

    def test_an_empty_result_means_that_nothing_may_run(self) -> None:
        """However many instances had to be examined before one was found."""
        executor = Executor(Epoch.first(3))
        for decided in chain(1, 500):
            executor.commit(InstanceId(1, decided.id.slot), W, (0, decided.id.slot - 1, 1))
        executor.commit(InstanceId(2, 1), W, (1, 0, 0))
        executor.commit(InstanceId(2, 2), OTHER, (0, 0, 0))
        self.assertEqual([str(id) for id, _ in executor.run(1)], ["2.2"])
        self.assertEqual(executor.run(1), [])
        self.assertFalse(executor.busy)

    def test_what_runs_around_a_bound_on_looks_comes_later(self) -> None:
        """A call that has an instance to return does not examine all others first."""
        executor = Executor(Epoch.first(2))
        executor.commit(InstanceId(1, 1), OTHER, (0, 0))
        executor.commit(InstanceId(1, 2), W, (1, 0))
        for slot in range(3, 1000):
            executor.commit(InstanceId(1, slot), NOP, (0, 0))
        self.assertEqual(len(executor.run(10)), 1)
        self.assertTrue(executor.busy)
        self.assertLess(executor.executed_beyond()[-1].slot, 100)
        self.assertEqual(executor.run(10), [])
        self.assertEqual(executor.executed_beyond()[-1], InstanceId(1, 999))

    def test_bad_input_is_refused(self) -> None:
        table: list[tuple[tuple[int, int], Deps]] = [
            ((3, 1), (0, 0, 0)),
            ((-1, 1), (0, 0, 0)),
            ((0, 0), (0, 0, 0)),
            ((0, 1), (0, 0)),
            ((0, 1), (0, 0, 0, 0)),
            ((0, 1), (1, 0, 0)),
            ((0, 3), (4, 0, 0)),
        ]
        executor = Executor(Epoch.first(3))
        for id, deps in table:
            self.assertRaises(ValueError, executor.commit, InstanceId(*id), W, deps)
        self.assertEqual((executor.waiting, executor.committed), (0, (0, 0, 0)))
        self.assertRaises(ValueError, Executor, Epoch(0, ()))
        for limit in (0, -1):
            self.assertRaises(ValueError, executor.run, limit)
        self.assertRaises(ValueError, executor.restore, (0, 0), ())
        self.assertRaises(ValueError, executor.restore, (0, 0, -1), ())
        self.assertRaises(ValueError, executor.restore, (0, 0, 0), [InstanceId(3, 1)])
        executor.restore((1, 0, 0), ())
        self.assertRaises(ValueError, executor.restore, (1, 0, 0), ())
        used = Executor(Epoch.first(1))
        used.commit(InstanceId(0, 1), W, (0,))
        self.assertRaises(ValueError, used.restore, (0,), ())


class MemoryTests(SynchronousTestCase):
    def test_a_batch_that_ran_is_not_kept(self) -> None:
        """Not even while instances that had edges to it still wait."""
        executor = Executor(Epoch.first(3))
        ring = [Batch((b"k",), (), b"payload", 1) for _ in range(2)]
        executor.commit(InstanceId(0, 1), ring[0], (0, 1, 1))
        executor.commit(InstanceId(1, 1), ring[1], (1, 0, 0))
        executor.commit(InstanceId(2, 1), W, (2, 0, 0))
        executor.commit(InstanceId(1, 2), batch("q"), (3, 0, 0))
        executor.commit(InstanceId(2, 2), batch("kq"), (1, 2, 1))
        self.assertEqual(executor.run(), [])
        executor.commit(InstanceId(0, 2), NOP, (0, 0, 0))
        self.assertEqual([str(id) for id, _ in executor.run()], ["0.1", "1.1", "2.1"])
        self.assertEqual(executor.waiting, 2)
        for commands in ring:
            self.assertEqual(sys.getrefcount(commands), 3)  # the list, this name and the argument

    def test_nothing_is_left_of_what_ran(self) -> None:
        """Keys and instances are forgotten: an executor that ran many is as small as one that ran few."""
        sizes = []
        for size in (0, 70, 4000):
            executor = Executor(Epoch.first(3))
            for decided in barriers(size, 7):
                executor.commit(*decided)
                executor.run()
            self.assertEqual(executor.waiting, 0)
            sizes.append(reachable_objects(executor))
        self.assertLess(max(sizes), 80)

    def test_keys_are_forgotten_while_one_goes_on_waiting(self) -> None:
        sizes = []
        for size in (4000, 8000):
            executor = Executor(Epoch.first(3))
            executor.commit(InstanceId(1, 1), W, (1, 0, 0))
            for slot in range(1, size):
                keys = (b"%d" % slot, b"x")
                executor.commit(InstanceId(1, slot + 1), Batch(keys, (), b"", 1), (0, slot, slot - 1))
                executor.commit(InstanceId(2, slot), Batch(keys, (), b"", 1), (0, slot + 1, slot - 1))
                executor.run()
            self.assertEqual(executor.waiting, 1)
            sizes.append(reachable_objects(executor) - len(executor.executed_beyond()))
        self.assertLess(max(sizes), 3000)


def reachable_objects(start: object) -> int:
    """How many objects can be reached from `start`, without its class and modules."""
    seen: dict[int, object] = {}
    todo: list[object] = [start]
    while todo:
        found = todo.pop()
        if id(found) in seen or isinstance(found, (type, ModuleType, FunctionType)):
            continue
        seen[id(found)] = found
        todo += gc.get_referents(found)
    return len(seen)
