"""Measures the time of execution: `python -m tests.execution.measure [size]`."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable
from random import Random
from time import process_time

from epaxos.execution.executor import Executor
from epaxos.protocol.values.epoch import Epoch
from tests.execution import histories
from tests.execution.histories import Decided


def measure(name: str, n: int, decided: Iterable[Decided], every: int = 1, limit: int | None = None) -> None:
    """Commit all instances, call `run` after each `every` of them, and print the time for one instance."""
    decided = list(decided)
    gc.collect()
    executor = Executor(Epoch.first(n))
    done = longest = 0.0
    start = process_time()
    for count, arguments in enumerate(decided, 1):
        executor.commit(*arguments)
        if count % every == 0 or count == len(decided):
            began = process_time()
            done += len(executor.run(limit))
            longest = max(longest, process_time() - began)
    while executor.busy:
        began = process_time()
        done += len(executor.run(limit))
        longest = max(longest, process_time() - began)
    spent = process_time() - start
    assert done == len(decided), (done, len(decided))
    print(
        f"{name:48} {len(decided):7} instances {spent:7.2f} s"
        f" {spent / len(decided) * 1e6:7.2f} us each, longest run() {longest * 1e3:7.1f} ms"
    )


def main(size: int) -> None:
    """Measure every kind of history."""
    random = Random(1)
    for keys in (1, 100):
        for n in (3, 5):
            steady = histories.backlog(n, size // 10, keys, 1_000_000, random, "none")
            measure(f"steady, {keys} random keys, n={n}", n, steady)
            measure(f"steady, {keys} random keys, n={n}, run every 20", n, steady, every=20)
    for n in (1, 3, 5):
        for name, decided in (
            ("chain", histories.chain(n, size)),
            ("cycle", histories.cycle(n, size)),
            ("cycle of all", histories.cycle(n, size, everybody=True)),
        ):
            if n == 1 and name != "chain":
                continue
            measure(f"{name}, n={n}, in order", n, decided)
            measure(f"{name}, n={n}, backwards", n, decided[::-1])
            measure(f"{name}, n={n}, shuffled", n, histories.shuffled(decided, 3))
            measure(f"{name}, n={n}, shuffled, limit 100", n, histories.shuffled(decided, 3), limit=100)
    for blocker in ("prefix", "edge"):
        for batches in (size // 40, size // 20, size // 10):
            decided = histories.backlog(3, batches, 100, batches * 100, random, blocker)
            blocked = decided[1:] + decided[:1]
            measure(f"backlog of 100 keys, {blocker}", 3, blocked)
        measure(f"backlog of 100 keys, {blocker}, shuffled", 3, histories.shuffled(blocked, 4))
        measure(f"backlog of 100 keys, {blocker}, limit 100", 3, blocked, limit=100)
    measure("readers and writers of one key", 3, histories.readers_and_writers(size))
    measure("readers and writers, shuffled", 3, histories.shuffled(histories.readers_and_writers(size), 5))
    measure("a barrier after 10 writes", 3, histories.barriers(size, 10))
    measure("a barrier after 1000 writes", 3, histories.barriers(size, 1000))
    for part in (size // 4, size // 2, size):
        measure("others around a stuck one", 3, histories.around_a_stuck_one(part))
        measure("a chain peeled and grown", 3, histories.peeled(part))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
