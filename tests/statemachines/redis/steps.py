"""How long the steps of a test take, in processor time of its thread: whatever else runs does not count."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from time import thread_time
from typing import TypeVar

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import CommandError, Ready
from epaxos.statemachines.redis.machine import KeyValueStore
from tests.statemachines.redis.lab import ID

__all__ = ["Steps"]

_Result = TypeVar("_Result")
_END = object()


class Steps:
    """Measures calls under names.

    The collector of garbage sleeps until the test ends, because it takes its time whatever runs: a process of
    tests has many more objects than a replica, which also freezes what it begins with.
    """

    def __init__(self, test: SynchronousTestCase) -> None:
        self.longest: dict[str, float] = {}
        self._test = test
        gc.disable()
        test.addCleanup(gc.enable)

    def __call__(self, name: str, call: Callable[[], _Result]) -> _Result:
        """The result of `call`, which is a step of this name."""
        began = thread_time()
        result = call()
        self.longest[name] = max(self.longest.get(name, 0.0), thread_time() - began)
        return result

    def all_of(self, name: str, steps: Iterator[object]) -> int:
        """Exhaust `steps`, each of which is a step of this name; their number."""
        count = 0
        while self(name, lambda: next(steps, _END)) is not _END:
            count += 1
        return count

    def run(self, store: KeyValueStore, command: list[bytes], may_fail: bool = False) -> int:
        """Run a command that changes something, or reads; the number of its steps."""
        name = b" ".join(command)[:60].decode(errors="replace")
        batch = store.batch([command])
        steps = self(name, lambda: iter(store.apply_in_steps(Ready(ID, batch, True))))
        count = 0
        while (found := self(name, lambda: next(steps, _END))) is not _END:
            count += 1
            if found and not may_fail:  # else it is a step in the middle
                self._test.assertFalse(isinstance(found[0], CommandError), name)
        return count

    def fastest(self, call: Callable[[], object]) -> float:
        """The seconds that `call` takes where nothing disturbs it: the least of five."""
        least = float("inf")
        for _ in range(5):
            began = thread_time()
            call()
            least = min(least, thread_time() - began)
        return least

    def check(self, bound_s: float = 0.02) -> None:
        """The test fails if a step took longer than this."""
        slowest = max(self.longest, key=self.longest.__getitem__)
        self._test.assertLess(self.longest[slowest], bound_s, slowest)
