"""Large and hostile histories: the work stays in proportion to their size.

A quadratic step would take hours here, so a generous bound on the time finds it.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from time import perf_counter

from twisted.trial.unittest import SynchronousTestCase

from epaxos.execution.conflicts import Conflicts
from epaxos.execution.executor import Executor
from epaxos.execution.waiting import WaitingInstance
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import InstanceId
from tests.execution import histories
from tests.execution.histories import Decided

BOUND_S = 60.0


def execution_order(history: list[Decided]) -> list[InstanceId]:
    return sorted((id for id, _, _ in history), key=lambda id: (id.slot, id.replica))


class ScaleTests(SynchronousTestCase):
    def run_all(self, n: int, commits: Iterable[Decided], limit: int | None = None) -> list[InstanceId]:
        """Commit the instances one by one and run after each; in the end all have run."""
        began = perf_counter()
        executor = Executor(Epoch.first(n))
        order: list[InstanceId] = []
        count = 0
        for decided in commits:
            executor.commit(*decided)
            order += [id for id, _ in executor.run(limit)]
            count += 1
        while executor.busy:
            order += [id for id, _ in executor.run(limit)]
        self.assertEqual((len(order), executor.waiting, executor.executed_beyond()), (count, 0, ()))
        self.assertLess(perf_counter() - began, BOUND_S)
        return order

    def test_chain(self) -> None:
        for n, size in ((3, 100_000), (1, 20_000), (5, 20_000)):
            history = histories.chain(n, size)
            expected = execution_order(history)
            for commits in (history, history[::-1], histories.shuffled(history)):
                self.assertEqual(self.run_all(n, commits), expected)

    def test_cycle(self) -> None:
        for n, size, everybody in ((3, 10_000, False), (3, 10_000, True), (5, 10_000, False)):
            history = histories.cycle(n, size, everybody)
            expected = execution_order(history)
            for commits in (history, history[::-1], histories.shuffled(history)):
                self.assertEqual(self.run_all(n, commits, limit=100), expected)

    def test_a_cycle_of_100_000(self) -> None:
        history = histories.cycle(3, 100_000)
        self.assertEqual(self.run_all(3, histories.shuffled(history)), execution_order(history))

    def test_backlog_of_a_million_commands(self) -> None:
        """10 000 batches of 100 random keys, blocked by one instance; fewer where edges are searched."""
        for blocker, size in (("prefix", 10_000), ("edge", 2_000)):
            blocking, *rest = histories.backlog(3, size, 100, 100 * size, Random(2), blocker)
            for commits in ([*rest, blocking], [*histories.shuffled(rest), blocking]):
                order = self.run_all(3, commits, limit=100)
                self.assertEqual(order[0], blocking.id)

    def test_readers_and_writers_of_one_key(self) -> None:
        history = list(histories.readers_and_writers(20_000))
        for commits in (history, histories.shuffled(history)):
            order = self.run_all(3, commits)
            self.assertEqual(order[0], InstanceId(0, 1))
            self.assertEqual(
                order[1:], [InstanceId(row, slot) for slot in range(1, 10_001) for row in (1, 2)]
            )

    def test_barriers(self) -> None:
        for every in (1, 10, 1000):
            order = self.run_all(3, histories.barriers(10_000, every))
            place = {id: place for place, id in enumerate(order)}
            for fence in range(1, 10_000 // every + 1):
                self.assertLess(place[InstanceId(1, fence * every)], place[InstanceId(2, fence)])
                if fence * every < 10_000:
                    self.assertLess(place[InstanceId(2, fence)], place[InstanceId(1, fence * every + 1)])

    def test_others_go_on_around_a_stuck_one(self) -> None:
        order = self.run_all(3, histories.around_a_stuck_one(60_000))
        self.assertEqual(order[-2:], [InstanceId(0, 1), InstanceId(1, 1)])

    def test_a_chain_that_loses_its_head_and_grows_a_tail(self) -> None:
        order = self.run_all(3, histories.peeled(60_000))
        chained = [id.slot for id in order if id.replica == 1]
        self.assertEqual(chained, list(range(1, 30_001)))


class EdgesTests(SynchronousTestCase):
    def test_the_reduced_graph_is_linear(self) -> None:
        """An instance has a few edges on average, where the full graph has thousands."""
        table: list[tuple[str, int, Iterable[Decided], float]] = [
            ("chain", 3, histories.chain(3, 6000), 3),
            ("cycle", 5, histories.cycle(5, 6000, everybody=True), 5),
            ("readers and writers", 3, histories.readers_and_writers(6000), 2),
            ("barriers", 3, histories.barriers(6000, 10), 2),
            ("barriers, many", 3, histories.barriers(6000, 1), 3),
        ]
        for name, n, commits, edges_max in table:
            waiting: list[dict[int, WaitingInstance]] = [{} for _ in range(n)]
            for id, commands, deps in commits:
                waiting[id.replica][id.slot] = WaitingInstance(id, commands, deps)
            index = Conflicts(waiting)
            instances = [instance for row in waiting for instance in row.values()]
            edges = sum(len(index.edges(instance, [0] * n)) for instance in instances)
            self.assertGreater(edges, len(instances) / 2, name)
            self.assertLessEqual(edges / len(instances), edges_max, name)
