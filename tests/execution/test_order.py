"""The executor against the literal rule, on thousands of small histories."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from random import Random

from twisted.trial.unittest import SynchronousTestCase

import epaxos
from epaxos.execution import conflicts
from epaxos.execution.conflicts import Conflicts
from epaxos.execution.executor import Executor
from epaxos.execution.waiting import WaitingInstance
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import NOP
from tests.execution.histories import Decided, interferes, random_history
from tests.execution.reference import Reference

HISTORIES = 2500


def history_of(seed: int, size_max: int = 16) -> tuple[Random, int, list[Decided]]:
    """A generator for further choices, the cluster size and the history of a seed."""
    random = Random(seed)
    n = random.randint(1, 5)
    return random, n, random_history(random, n, random.randint(1, size_max))


def commit_order(random: Random, history: list[Decided]) -> list[Decided]:
    """The history as proposed, reversed, slightly or wholly shuffled, or one row after the other."""
    kind = random.randrange(5)
    if kind == 0:
        return list(history)
    if kind == 1:
        return history[::-1]
    if kind == 2:
        places = [place + random.uniform(0, 4) for place in range(len(history))]
        return [history[place] for place in sorted(range(len(history)), key=places.__getitem__)]
    if kind == 3:
        return sorted(history)
    return random.sample(history, len(history))


class OrderTests(SynchronousTestCase):
    def test_histories_are_what_they_should_be(self) -> None:
        """The generator keeps Visibility, and makes every kind of history that is tested."""
        kinds: set[str] = set()
        for seed in range(300):
            _, _, history = history_of(seed)
            reference = Reference(history)
            for place, x in enumerate(history):
                self.assertLess(x.deps[x.id.replica], x.id.slot)
                kinds.add("nop" if x.batch is NOP else "barrier" if x.batch.barrier else "batch")
                kinds.add(f"component of {min(len(reference.component(x.id)), 5)}")
                for y in history[:place]:
                    if interferes(x.batch, y.batch):
                        self.assertTrue(y.id in reference.reach[x.id] or x.id in reference.reach[y.id])
        self.assertEqual(
            kinds, {"nop", "barrier", "batch"} | {f"component of {size}" for size in (1, 2, 3, 4, 5)}
        )

    def check(self, seed: int, limits: tuple[int | None, ...], size_max: int = 16) -> None:
        """Commit a history in some order with runs in between.  After each run, exactly what may run has
        run."""
        random, n, history = history_of(seed, size_max)
        reference = Reference(history)
        executor = Executor(Epoch.first(n))
        committed: set[InstanceId] = set()
        order: list[InstanceId] = []
        commits = commit_order(random, history)
        run_often = random.choice((1.0, 0.5, 0.1))
        for decided in commits:
            executor.commit(*decided)
            committed.add(decided.id)
            if random.random() < 0.1:
                executor.commit(*random.choice(commits[: len(committed)]))
            if random.random() > run_often and len(committed) < len(commits):
                continue
            limit = random.choice(limits)
            runnable = reference.runnable(committed) - reference.nops
            results = executor.run(limit)
            ran = [id for id, _ in results]
            order += ran
            self.assertLessEqual(set(order), runnable)
            for id in ran:
                self.assertLessEqual(reference.component(id), set(ran))
            if limit is None or not ran:
                self.assertEqual(set(order), runnable)
            if limit is None:
                self.assertFalse(executor.busy)
                executed = {id for id in reference.ids if id.slot <= executor.executed[id.replica]} | set(
                    executor.executed_beyond()
                )
                self.assertEqual(executed, reference.runnable(committed))
                self.assertEqual(executor.waiting, len(committed) - len(executed))
        while executor.busy:
            order += [id for id, _ in executor.run(1)]
        self.assertEqual(len(order), len(set(order)))
        self.assertEqual(set(order), set(reference.ids) - reference.nops)
        self.assertEqual(list(reference.misordered(order)), [])
        slots = tuple(sum(id.replica == row for id in reference.ids) for row in range(n))
        self.assertEqual((executor.executed, executor.committed), (slots, slots))
        self.assertEqual((executor.executed_beyond(), executor.waiting), ((), 0))

    def test_everything_runs_in_order_and_as_soon_as_it_may(self) -> None:
        for seed in range(HISTORIES):
            self.check(seed, (None,))

    def test_longer_histories(self) -> None:
        for seed in range(500):
            self.check(seed, (None,), size_max=60)

    def test_with_limits(self) -> None:
        """Components stay together, and a result is empty only when nothing may run."""
        for seed in range(HISTORIES, HISTORIES + 1000):
            self.check(seed, (1, 2, 5, None))

    def test_with_indexes_rebuilt_all_the_time(self) -> None:
        self.patch(conflicts, "SLACK", -1_000_000)
        for seed in range(600):
            self.check(seed, (None, 1))

    def test_interfering_instances_run_alike_in_any_order_of_commits(self) -> None:
        """Two replicas learn the decisions in different orders."""
        for seed in range(500):
            random, n, history = history_of(seed)
            places: list[dict[InstanceId, int]] = []
            for _ in range(2):
                executor = Executor(Epoch.first(n))
                order: list[InstanceId] = []
                for decided in commit_order(random, history):
                    executor.commit(*decided)
                    order += [id for id, _ in executor.run()]
                places.append({id: place for place, id in enumerate(order)})
            one, other = places
            for x in history:
                for y in history:
                    if interferes(x.batch, y.batch):
                        self.assertEqual(one[x.id] < one[y.id], other[x.id] < other[y.id], (x, y))

    def test_the_result_does_not_depend_on_the_hash_seed(self) -> None:
        program = (
            "from tests.execution.test_order import transcript\n"
            "for seed in range(150): print(transcript(seed))\n"
        )
        outputs = []
        for hash_seed in ("1", "2", "77"):
            environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
            outputs.append(
                subprocess.run(
                    [sys.executable, "-c", program],
                    cwd=Path(epaxos.__file__).parent.parent,
                    env=environment,
                    capture_output=True,
                    check=True,
                ).stdout
            )
        self.assertEqual(len(outputs[0].splitlines()), 150)
        self.assertEqual(len(set(outputs)), 1)


def transcript(seed: int) -> list[list[str]]:
    """The result of every run, in order."""
    random, n, history = history_of(seed)
    executor = Executor(Epoch.first(n))
    runs = []
    for place, decided in enumerate(commit_order(random, history)):
        executor.commit(*decided)
        if place % 3 == 2 or place == len(history) - 1:
            runs.append([str(id) for id, _ in executor.run()])
    return runs


class ReductionTests(SynchronousTestCase):
    """The reduced graph reaches what the full one reaches."""

    def test_same_reachability(self) -> None:
        for seed in range(HISTORIES):
            random, n, history = history_of(seed)
            reference = Reference(history)
            waiting: list[dict[int, WaitingInstance]] = [{} for _ in range(n)]
            for id, batch, deps in history:
                waiting[id.replica][id.slot] = WaitingInstance(id, batch, deps)
            index = Conflicts(waiting)
            edges = {
                id: [target.id for target in index.edges(waiting[id.replica][id.slot], [0] * n)]
                for id, _, _ in commit_order(random, history)
            }
            for id in reference.ids:
                self.assertEqual(Reference._reach(id, edges), reference.reach[id])
