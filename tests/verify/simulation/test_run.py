"""Whole runs: the same seed gives the same run, and broken components are found."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from shutil import which
from typing import Any
from unittest.mock import patch

from twisted.logger import Logger
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from epaxos.execution.executor import Executor
from epaxos.interfaces import Ready, Reply
from epaxos.node.node import Node
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import Batch, Commit, Message
from epaxos.statemachines.redis.machine import KeyValueStore
from epaxos.verify.simulation import run
from epaxos.verify.simulation.components import Components
from epaxos.verify.simulation.digests import RecordedRun, digest_of, read_digests
from epaxos.verify.simulation.plan import Plan
from epaxos.verify.simulation.run import Result, simulate

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
DIGESTS = HERE / "digests.txt"
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
_PRINT_DIGESTS = """
import sys
from pathlib import Path
from epaxos.verify.simulation.digests import digest_of, read_digests
for run in read_digests(Path(sys.argv[1])):
    print(run.seed, digest_of(run.seed, run.profile, run.n))
"""


def digests_of(python: str, hash_seed: str) -> dict[int, str]:
    """The digests of the recorded runs, computed by a fresh interpreter."""
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    out = subprocess.run(
        [python, "-c", _PRINT_DIGESTS, str(DIGESTS)],
        env=environment, cwd=ROOT, check=True, capture_output=True, text=True, timeout=300,
    ).stdout  # fmt: skip
    return {int(seed): digest for seed, digest in map(str.split, out.splitlines())}


def other_pythons() -> list[str]:
    """Interpreters of other versions in which the simulator can be imported."""
    found = []
    for version in PYTHONS:
        if version == f"{sys.version_info[0]}.{sys.version_info[1]}":
            continue
        for python in (str(ROOT / f".venv-{version}" / "bin" / "python"), which(f"python{version}")):
            if python is not None and _can_simulate(python):
                found.append(python)
                break
    return found


def _can_simulate(python: str) -> bool:
    try:
        found = subprocess.run(
            [python, "-c", "import epaxos.verify.simulation.run"],
            env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, timeout=60,
        )  # fmt: skip
    except OSError:
        return False
    return found.returncode == 0


class DeterminismTests(SynchronousTestCase):
    def recorded(self) -> dict[int, str]:
        return {each.seed: each.digest for each in read_digests(DIGESTS)}

    def assert_known(self, found: dict[int, str], where: str) -> None:
        self.assertEqual(
            found,
            self.recorded(),
            f"{where}: if what replicas say was changed on purpose, run `make digests`",
        )

    def test_the_same_twice(self) -> None:
        for seed in (11, 12):
            first, second = ([], [])  # type: tuple[list[str], list[str]]
            one = simulate(Plan.of(seed), trace=True, show=first.append)
            two = simulate(Plan.of(seed), trace=True, show=second.append)
            self.assertEqual(first, second)
            self.assertEqual(one, two)
            self.assertTrue(one.digest)

    def test_tracing_changes_nothing(self) -> None:
        traced, silent = simulate(Plan.of(13), trace=True), simulate(Plan.of(13))
        traced.digest = ""
        self.assertEqual(traced, silent)

    def test_what_they_were(self) -> None:
        runs = read_digests(DIGESTS)
        self.assert_known({seed: digest_of(seed, profile, n) for seed, profile, n, _ in runs}, "here")

    def test_in_fresh_interpreters_with_other_hash_seeds(self) -> None:
        for hash_seed in ("0", "4242"):
            self.assert_known(digests_of(sys.executable, hash_seed), f"PYTHONHASHSEED={hash_seed}")

    def test_in_other_versions(self) -> None:
        pythons = other_pythons()
        if not pythons:
            raise SkipTest("no other Python has what the simulator needs")
        for python in pythons:
            self.assert_known(digests_of(python, "random"), python)

    def test_reading_digests(self) -> None:
        self.assertIn(RecordedRun(2, "chaos", 3, self.recorded()[2]), read_digests(DIGESTS))


class _LosesIncrements(KeyValueStore):
    """Runs the third INCR without effect."""

    def __init__(self) -> None:
        super().__init__()
        self._applied = 0

    def apply(self, ready: Sequence[Ready]) -> list[Sequence[Reply]]:
        replies = super().apply(ready)
        self._applied += len(ready)
        if self._applied > 5 and b"c0" in self._state.data:
            self._state.data[b"c0"] = b"0"
        return replies


class _DiffersByReplica(KeyValueStore):
    """A state machine whose state depends on its replica."""

    machines = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).machines += 1
        self._number = b"%d" % self.machines

    def apply(self, ready: Sequence[Ready]) -> list[Sequence[Reply]]:
        replies = super().apply(ready)
        self._state.data[b"me"] = self._number
        return replies


class _Unordered(Executor):
    """Runs every instance as soon as it is committed."""

    def commit(self, id: InstanceId, batch: Batch, deps: Any) -> None:
        super().commit(id, batch, tuple(0 for _ in deps))


class _NeverExecutes(Executor):
    """Takes commits and never runs anything."""

    busy = False

    def run(self, limit: int | None = None) -> list[tuple[InstanceId, Batch]]:
        return []


class _Forgetful(Executor):
    """Claims after a restart to have executed nothing."""

    def restore(self, executed: Any, beyond: Iterable[InstanceId]) -> None:
        super().restore(tuple(0 for _ in executed), ())


class _Raises(Node):
    """Fails when an instance is decided."""

    def _on_decided(self, decided: list[Any]) -> None:
        if decided:
            raise RuntimeError("a bug")


class _Logs(Node):
    """Goes on after a bug, and logs it."""

    def _on_decided(self, decided: list[Any]) -> None:
        try:
            assert not decided, "a bug that is only logged"
        except AssertionError:
            Logger().failure("something went wrong")
        super()._on_decided(decided)


def _garbled(message: Message, n: int) -> Message:
    """A codec that changes one dependency of each Commit."""
    if isinstance(message, Commit) and n > 1:
        return message._replace(deps=(*message.deps[:-1], message.deps[-1] + 1))
    return message


class FindingTests(SynchronousTestCase):
    """Runs with a broken component.  `epaxos/verify/mutants` breaks the protocol itself."""

    def find(
        self, components: Components, *expected: str, seeds: Iterable[int] = range(12), n: int = 3
    ) -> Result:
        """A run that fails as expected."""
        self.addCleanup(self.flushLoggedErrors)
        texts = []
        for seed in seeds:
            result = simulate(Plan.of(seed, n, "chaos"), components=components)
            texts += [violation[:100] for violation in result.violations]
            if any(violation.startswith(expected) for violation in result.violations):
                return result
        raise self.failureException(f"{expected} was not found, but {texts}")

    def test_nothing_is_found_where_nothing_is_broken(self) -> None:
        for profile in ("lan", "wan", "chaos"):
            result = simulate(Plan.of(1, 3, profile))
            self.assertEqual(result.violations, [])
            self.assertGreater(result.answered, 0)
            self.assertGreater(result.counters["fast_path"], 0)

    def test_a_state_machine_that_is_wrong_everywhere(self) -> None:
        self.find(Components(state_machine=_LosesIncrements), "Linearizability: ", "Digest: ")

    def test_a_state_machine_that_differs(self) -> None:
        self.find(Components(state_machine=_DiffersByReplica), "Digest: ")

    def test_an_executor_that_heeds_no_order(self) -> None:
        self.find(Components(executor=_Unordered), "Order: ")

    def test_an_executor_that_does_nothing(self) -> None:
        result = self.find(Components(executor=_NeverExecutes), "Liveness: ")
        self.assertIn(" s after the faults", result.violations[0])

    def test_an_executor_that_forgets(self) -> None:
        self.find(Components(executor=_Forgetful), "replica ")

    def test_a_node_that_breaks(self) -> None:
        self.find(Components(node=_Raises), "replica 0: internal error")

    def test_a_traceback_in_the_log(self) -> None:
        self.find(Components(node=_Logs), "something went wrong")

    def test_a_codec_that_garbles(self) -> None:
        recoded = [seed for seed in range(60) if Plan.of(seed, 3, "chaos").network.recoded]
        self.find(Components(recode=_garbled), "Agreement: ", "replica ", seeds=recoded)

    def test_what_never_comes_to_an_end(self) -> None:
        class Busy(Executor):
            busy = True

        with patch.object(run, "_EVENTS_MAX", 5000):
            self.find(Components(executor=Busy), "more than 5000 events: something never comes to an end")

    def test_a_run_ends_with_the_first_finding(self) -> None:
        result = self.find(Components(executor=_Unordered), "Order: ")
        self.assertLess(result.seconds, result.plan.active_us / 1e6 + 60)
