"""State machines whose commands take time, in steps, and a cluster with one of them at replica 0."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import sub

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from epaxos.interfaces import Command, IStepwise, Outcome, Ready, Reply, Steps
from epaxos.node.limits import Batching
from tests.defaults import default_batching
from tests.node.lab import Cluster, Log

STEP_S = 0.003
"""The time of each command at replica 0."""
LONG = 40
"""The number of commands of a batch that takes many steps."""


class Watch:
    """Notes who looks at the state of replica 0, or begins work, during a batch or a read."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.step_s = 0.0
        self.begun: str | None = None
        self.wrong: list[str] = []

    def look(self, who: str) -> None:
        if self.begun is not None:
            self.wrong.append(f"{who} during {self.begun}")


class WatchedLog(Log):
    """A Log whose commands take time, and which does not provide IStepwise."""

    def __init__(self) -> None:
        super().__init__()
        self.watch = Watch()

    def read(self, commands: Sequence[Command]) -> Sequence[Reply]:
        self.watch.look("a read")
        return super().read(commands)

    def entries(self) -> Iterable[tuple[bytes, bytes]]:
        self.watch.look("entries")
        return super().entries()

    def apply(self, ready: Sequence[Ready]) -> list[Sequence[Reply]]:
        self.watch.look("a batch")
        self.watch.clock.rightNow += self.watch.step_s * sum(one.batch.commands for one in ready)
        return super().apply(ready)


@implementer(IStepwise)
class StepLog(WatchedLog):
    """A Log in steps: one for each command, then `tidying` more; `reading` ones for a read."""

    tidying = 0
    reading = 0

    def __init__(self) -> None:
        super().__init__()
        self.tidied: list[float] = []

    def apply_in_steps(self, ready: Ready) -> Steps:
        self.watch.look("a batch")
        lines = ready.batch.payload.split(b"\n")
        replies: list[Reply] = []
        for number, line in enumerate(lines):
            if number:
                yield None
            self.watch.begun = f"{ready.id}"
            self.watch.clock.rightNow += self.watch.step_s
            replies += self.run(ready.batch._replace(payload=line))
        self.watch.begun = None
        self.batches.append(lines)
        yield replies if ready.wanted else ()
        for _ in range(self.tidying):
            self.watch.look("tidying")
            self.watch.clock.rightNow += self.watch.step_s
            self.tidied.append(self.watch.clock.seconds())
            yield None

    def read_in_steps(self, commands: Sequence[Command]) -> Steps:
        self.watch.look("a read")
        for _ in range(self.reading):
            self.watch.begun = "a read"
            self.watch.clock.rightNow += self.watch.step_s
            yield None
        self.watch.begun = None
        yield self.read(commands)


class SteppedCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.use(StepLog)

    def use(self, log: Callable[[], WatchedLog], batching: Batching | None = None) -> None:
        self.cluster = Cluster(batching or default_batching(window=1000), log)
        self.log = self.cluster.logs[0]
        assert isinstance(self.log, WatchedLog)
        self.watch = self.log.watch
        self.watch.clock = self.cluster.clock
        self.watch.step_s = STEP_S
        self.cluster.start()
        self.addCleanup(self.look_back)

    def look_back(self) -> None:
        self.assertEqual(self.watch.wrong, [])
        self.assertEqual(self.cluster.fatal, [])

    def submit_long(self, key: bytes = b"long", count: int = LONG) -> list[Outcome]:
        return self.cluster.submit(0, *[[key, b"x"]] * count)

    def run_into_the_long_one(self) -> None:
        for _ in range(1000):
            if self.watch.begun is not None:
                return
            self.step()
        self.fail("nothing is being applied")

    def step(self) -> None:
        """Let the earliest delayed call happen."""
        clock = self.cluster.clock
        due = min(call.getTime() for call in clock.getDelayedCalls())
        clock.rightNow = max(clock.rightNow, due)
        call = min(clock.calls, key=lambda call: call.getTime())
        clock.calls.remove(call)
        call.called = 1
        call.func(*call.args, **call.kw)

    def gaps(self, seconds: float) -> float:
        """The longest delay, in seconds, of a call that is due every millisecond."""
        clock = self.cluster.clock
        seen = [clock.seconds()]

        def tick() -> None:
            seen.append(clock.seconds())
            clock.callLater(0.001, tick)

        clock.callLater(0.001, tick)
        self.cluster.run(seconds)
        return max(map(sub, seen[1:], seen)) - 0.001
