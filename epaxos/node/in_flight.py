"""Bundles of this replica, from the proposal to the replies."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter

from epaxos.interfaces import Reply
from epaxos.node.bundle import Bundle
from epaxos.node.cluster_clock import ClusterClock
from epaxos.node.intake import Intake
from epaxos.node.pacing import Pacing
from epaxos.node.reads import PendingRead, Reads
from epaxos.node.separation import Separation
from epaxos.node.step_times import StepTimes
from epaxos.node.submissions import Submission
from epaxos.protocol.replica import Replica
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.instance import Instance
from epaxos.protocol.values.messages import NOP, Batch
from epaxos.protocol.values.output import Output

__all__ = ["InFlight"]


class InFlight:
    """Proposes what waits in the intake when `pacing` allows it, and hands the replies back.

    `now`: the clock of `ITimeoutService`.  While an instance is known that may end the epoch, what waits is
    held back until `hold_ends`, at most `hold_s` seconds, because it would most likely be proposed in vain.
    Reads do not wait (docs: protocol/epochs, T10).  While `clock` settles after a start, everything waits, so
    that no command with a time is refused, and no key that is due is read.
    """

    def __init__(
        self,
        core: Replica,
        intake: Intake,
        pacing: Pacing,
        reads: Reads,
        now: Callable[[], float],
        steps: StepTimes,
        hold_s: float = 0.0,
        clock: ClusterClock | None = None,
    ) -> None:
        self.hold_ends: float | None = None
        self._hold_s = hold_s
        self._core = core
        self._intake = intake
        self._pacing = pacing
        self._reads = reads
        self._now = now
        self._steps = steps
        self._settling = clock
        self._by_instance: dict[InstanceId, Bundle] = {}
        self._again: deque[tuple[Bundle, PendingRead | None]] = deque()

    def propose(self) -> Output:
        """Propose while something waits and the window is open; the core's output after that.

        Called last in a turn, so that clients answered in this turn can join the batch.
        """
        core, pacing = self._core, self._pacing
        if self._settling is not None and self._settles(self._settling):
            return core.take_output()
        if core.endings:
            if self._is_held_back():
                self._start_reads()
                return core.take_output()
        elif self.hold_ends is not None:
            self.hold_ends = None
        while self._again and core.can_propose and core.in_flight < pacing.window:
            self._start_again(*self._again.popleft())
        if self._again:
            return core.take_output()
        while (
            self._intake.queue
            and (pacing.wait_ends is None or pacing.is_complete(self._now(), self._intake.commands))
            and core.can_propose
            and core.in_flight < pacing.window
        ):
            taken = self._intake.take()
            if taken is not None:
                self._begin(*taken)
        return core.take_output()

    def _begin(self, separation: Separation, submissions: Sequence[Submission]) -> None:
        now = self._now()
        self._steps.on_proposed(now, submissions)
        self._start(Bundle(separation, submissions, now, self._reads.reruns, self._steps))

    def _start(self, bundle: Bundle) -> None:
        """Propose the batch, then start the reads, because they come after every own proposal."""
        separation, id = bundle.separation, None
        if separation.batch is not None:
            id = self._core.propose(separation.batch)
            self._by_instance[id] = bundle
        if separation.reads:
            self._reads.start(bundle)
        if self._steps.tracer.is_on:
            self._steps.tracer.on_proposed(bundle.since, bundle.submissions, id, bundle.read_number)

    def _start_reads(self) -> None:
        """Start the reads that may pass what is held back.  None passes what has to be proposed again."""
        if not self._again:
            for separation, submissions in self._intake.take_reads():
                self._begin(separation, submissions)

    def _settles(self, clock: ClusterClock) -> bool:
        clock.look()
        self.hold_ends = clock.settles_by
        if not clock.is_settling:
            self._settling = self.hold_ends = None
        return clock.is_settling

    def _is_held_back(self) -> bool:
        now = self._now()
        if self.hold_ends is None:
            self.hold_ends = now + self._hold_s
        return now < self.hold_ends

    # -- the next epoch

    def move(self, core: Replica) -> None:
        """The epoch has ended, and `core` is that of the next one.

        Own batches that have not run are void: nobody else proposes them again (docs: protocol/epochs, T4).
        They are proposed again, and reads are started again, in the order in which they were begun and
        before everything that waits.  So a client's read comes after what the client wrote before it.
        """
        void = {id(bundle): slot for (_, slot), bundle in self._by_instance.items()}
        begun: list[tuple[int, int, Bundle, PendingRead | None]] = [
            (slot, 0, bundle, None) for (_, slot), bundle in self._by_instance.items()
        ]
        begun += [
            (read.since, -1, bundle, read)
            for read, bundle in self._reads.leave(core)
            if id(bundle) not in void
        ]
        self._by_instance.clear()
        self._core = core
        self.hold_ends = None
        begun.sort(key=itemgetter(0, 1))
        earlier = list(self._again)
        self._again.clear()
        self._again.extend((bundle, read) for _, _, bundle, read in begun)
        self._again.extend(earlier)

    def _start_again(self, bundle: Bundle, read: PendingRead | None) -> None:
        if not bundle.wanted:
            return
        if read is None:
            self._start(bundle)
        else:
            self._reads.start_again(read, bundle)

    def on_decided(self, decided: Sequence[Instance]) -> None:
        """These instances are decided.  Pacing expects the clients of own ones to ask again."""
        own: list[Bundle] = []
        for instance in decided:
            bundle = self._by_instance.get(instance.id)
            if bundle is None:
                continue
            if instance.cmd is NOP:
                self._propose_again(instance.id)
            else:
                own.append(bundle)
        if own:
            self._on_quorum(own)

    def _propose_again(self, id: InstanceId) -> None:
        """The own instance `id` became NOP.  Its commands can never run there, so they get a new
        instance, before everything that waits."""
        bundle = self._by_instance.pop(id)
        self._reads.end(bundle)
        self._intake.add_first([submission for submission in bundle.submissions if submission.done])

    def on_readable(self, bundles: Sequence[Bundle]) -> None:
        """The reads of these bundles may run.  The clients of those with a batch, too, are
        expected to ask again only when the batch is decided."""
        alone = [bundle for bundle in bundles if bundle.separation.batch is None]
        if alone:
            self._on_quorum(alone)

    def _on_quorum(self, bundles: Sequence[Bundle]) -> None:
        now, steps = self._now(), self._steps
        total = 0
        for bundle in bundles:
            commands = bundle.commands
            total += commands
            bundle.decided = now
            steps.on_quorum(now - bundle.since, commands)
        self._pacing.on_decided(now, now - bundles[-1].since, total, self._intake.commands)

    def is_wanted(self, id: InstanceId) -> bool:
        """Whether a client of this replica waits for the replies of the own instance `id`."""
        bundle = self._by_instance.get(id)
        return bundle is not None and bundle.wanted

    def on_own_batch(self, id: InstanceId, batch: Batch) -> None:
        """The own instance `id` is about to run: answer before it what it overtakes."""
        self._reads.on_own_batch(id, batch)
        bundle = self._by_instance.get(id)
        self._reads.reruns.on_own_batch(batch, () if bundle is None else bundle.submissions)

    def on_applied(self, id: InstanceId, replies: Sequence[Reply]) -> bool:
        """The own instance `id` was applied.  No replies: nobody wanted them.

        Returns whether it is known to hold one submission alone.
        """
        bundle = self._by_instance.pop(id, None)
        if bundle is not None and replies:
            self._steps.execution.add(self._now() - bundle.decided, bundle.commands)
            bundle.on_applied(replies)
        return bundle is not None and len(bundle.submissions) == 1

    def bundles(self) -> Iterator[Bundle]:
        """All bundles that are not answered, those with a batch and reads twice."""
        yield from self._by_instance.values()
        yield from self._reads.bundles()
        yield from (bundle for bundle, _ in self._again)

    def end_unwanted_reads(self) -> None:
        """End the reads for which nobody waits any more."""
        for bundle in list(self.bundles()):
            if not bundle.wanted:
                self._reads.end(bundle)

    def clear(self) -> None:
        """Forget everything: nobody waits any more."""
        self._by_instance.clear()
        self._again.clear()
        self._reads.clear()
