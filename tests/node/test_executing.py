"""The node while the state machine takes its time: others get their turn, and nobody sees half a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import sub

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from epaxos.interfaces import Command, IStepwise, Outcome, Ready, Reply, Restored, Steps, Unavailable
from epaxos.node import digest
from epaxos.node.digest import digest_of
from epaxos.node.limits import Batching
from epaxos.node.node import EXECUTE_S, EXECUTED_PER_TURN
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import PreAcceptOK, ReadOK
from tests.node.test_node import Cluster, Log

STEP_S = 0.003
"""What each command takes at replica 0."""
LONG = 40
"""So many commands, in one batch, take a while."""


class Watch:
    """What replica 0 is in the middle of.  Looks at the state then, and other work, are noted."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.step_s = 0.0
        self.begun: str | None = None
        self.wrong: list[str] = []

    def look(self, who: str) -> None:
        if self.begun is not None:
            self.wrong.append(f"{who} during {self.begun}")


class WatchedLog(Log):
    """A Log whose commands take time, and that knows of no steps."""

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
    """The same in steps: of a batch, a command each, and `tidying` ones behind it; of a read, `reading`."""

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


class Case(SynchronousTestCase):
    def setUp(self) -> None:
        self.use(StepLog)

    def use(self, log: Callable[[], WatchedLog], batching: Batching | None = None) -> None:
        self.cluster = Cluster(batching or Batching(window=1000), log)
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
        """The next thing that is due happens."""
        clock = self.cluster.clock
        due = min(call.getTime() for call in clock.getDelayedCalls())
        clock.rightNow = max(clock.rightNow, due)
        call = min(clock.calls, key=lambda call: call.getTime())
        clock.calls.remove(call)
        call.called = 1
        call.func(*call.args, **call.kw)

    def gaps(self, seconds: float) -> float:
        """The longest time that somebody who wants a turn every millisecond waits for it, beyond that."""
        clock = self.cluster.clock
        seen = [clock.seconds()]

        def tick() -> None:
            seen.append(clock.seconds())
            clock.callLater(0.001, tick)

        clock.callLater(0.001, tick)
        self.cluster.run(seconds)
        return max(map(sub, seen[1:], seen)) - 0.001


class GivingWayTests(Case):
    def test_interface(self) -> None:
        verifyObject(IStepwise, StepLog())

    def test_in_the_middle_of_a_batch(self) -> None:
        outcome = self.submit_long()
        self.assertLess(self.gaps(0.5), EXECUTE_S + STEP_S)
        self.assertEqual(outcome, [[b"x" * (k + 1) for k in range(LONG)]])
        self.assertEqual([len(batch) for batch in self.log.batches], [LONG])

    def test_between_batches(self) -> None:
        """Also of a machine that cannot be interrupted: it gets one batch at a time."""
        for log in (StepLog, WatchedLog):
            self.use(log, Batching(commands_max=1, window=1000))
            outcomes = [self.cluster.submit(0, [b"%d" % k, b"x"]) for k in range(LONG)]
            self.assertLess(self.gaps(0.5), EXECUTE_S + STEP_S)
            self.assertEqual(outcomes, [[[b"x"]]] * LONG)

    def test_a_machine_without_steps(self) -> None:
        self.use(WatchedLog)
        outcomes = [self.submit_long(b"a", 10), self.cluster.submit(0, [b"a", b"y"])]
        self.cluster.run(0.5)
        self.assertEqual(outcomes[1], [[b"x" * 10 + b"y"]])
        self.assertEqual(outcomes[0], [[b"x" * (k + 1) for k in range(10)]])

    def test_quick_ones_need_no_turns_of_their_own(self) -> None:
        """As before there was a clock: the whole lot at once, up to EXECUTED_PER_TURN."""
        self.watch.step_s = 0.0
        self.use(StepLog, Batching(commands_max=1, window=1000))
        self.watch.step_s = 0.0
        times: list[float] = []
        for k in range(100):
            self.cluster.nodes[0].submit(
                [[b"%d" % k, b"x"]], lambda _: times.append(self.cluster.clock.seconds())
            )
        self.cluster.run(0.5)
        self.assertEqual((len(times), len(set(times))), (100, 1))
        self.assertGreater(EXECUTED_PER_TURN, 100)

    def test_reads_in_steps(self) -> None:
        assert isinstance(self.log, StepLog)
        self.log.reading = 20
        outcomes = [self.cluster.submit(0, [b"?", b"k"]), self.cluster.submit(0, [b"?", b"j"])]
        self.assertLess(self.gaps(0.3), EXECUTE_S + STEP_S)
        self.assertEqual(outcomes, [[[None]], [[None]]])

    def test_tidying(self) -> None:
        """After the answer, between other batches, and giving way."""
        assert isinstance(self.log, StepLog)
        self.log.tidying = 30
        answered: list[float] = []

        def submit(key: bytes) -> None:
            self.cluster.nodes[0].submit(
                [[key, b"x"]] * 5, lambda _: answered.append(self.cluster.clock.seconds())
            )

        for k in range(3):
            self.cluster.clock.callLater(0.02 * k, submit, b"%d" % k)
        self.assertLess(self.gaps(1), EXECUTE_S + 2 * STEP_S)
        self.assertEqual((len(answered), len(self.log.tidied)), (3, 90))
        self.assertLess(answered[0], self.log.tidied[0])
        self.assertLess(answered[2], self.log.tidied[-1])


class WholenessTests(Case):
    """Reads, checkpoints, the digest and other batches wait until a batch is whole."""

    def test_reads_without_an_instance(self) -> None:
        self.cluster.submit(0, [b"k", b"v"])
        self.cluster.run(0.1)
        self.submit_long()
        self.run_into_the_long_one()
        outcome = self.cluster.submit(0, [b"?", b"k"])
        for _ in range(20):
            self.step()
        self.assertIsNotNone(self.watch.begun)
        self.assertEqual(outcome, [])
        self.cluster.run(0.2)
        self.assertEqual(outcome, [[b"v"]])

    def test_a_read_does_not_wait_for_a_long_row_of_batches(self) -> None:
        self.cluster.submit(0, [b"k", b"v"])
        self.cluster.run(0.1)
        for k in range(20):
            self.submit_long(b"%d" % k, 10)
            self.cluster.clock.advance(0)
        self.run_into_the_long_one()
        outcome = self.cluster.submit(1, [b"?", b"k"])
        own: list[int] = []
        self.cluster.nodes[0].submit([[b"?", b"k"]], lambda _: own.append(len(self.log.batches)))
        self.cluster.run(1.5)
        self.assertEqual(outcome, [[b"v"]])
        self.assertEqual(len(self.log.batches), 21)
        (batches,) = own
        self.assertEqual(self.log.texts[b"19"], b"x" * 10)
        self.assertLess(batches, 21, "it comes after those that were proposed, and no others")

    def test_a_read_of_another_replica_comes_between_the_batches(self) -> None:
        """What replica 1 proposed is a long row here; the read names none of it, and does not wait for it."""
        for k in range(20):
            self.cluster.submit(1, *[[b"%d" % k, b"x"]] * 10)
            self.cluster.clock.advance(0)
        self.run_into_the_long_one()
        done: list[int] = []
        self.cluster.nodes[0].submit([[b"?", b"other"]], lambda _: done.append(len(self.log.batches)))
        self.cluster.run(1.5)
        self.assertEqual(len(self.log.batches), 20)
        self.assertLess(done[0], 5)

    def test_a_read_sees_what_is_executed_and_not_applied(self) -> None:
        """It has to come after the last of a row of batches of replica 1: it waits for just these."""
        for k in range(10):
            self.cluster.submit(1, *[[b"%d" % k, b"x"]] * 5)
            self.cluster.clock.advance(0)
        self.run_into_the_long_one()
        outcomes = [self.cluster.submit(0, [b"?", b"%d" % k]) for k in range(10)]
        self.cluster.run(1)
        self.assertEqual(outcomes, [[[b"x" * 5]]] * 10)

    def test_a_read_that_came_before_is_not_overtaken(self) -> None:
        """It is ready, and has no time left: the own batch that follows must not be seen by it."""
        assert isinstance(self.log, StepLog)
        self.log.reading = 3
        outcomes = []
        for k in range(6):
            outcomes += [self.cluster.submit(0, [b"?", b"k"]), self.cluster.submit(0, [b"?", b"j"])]
            self.cluster.clock.advance(0)
            self.submit_long(b"k", 2 + k)
            self.cluster.clock.advance(0)
        self.cluster.run(1)
        lengths = [len(outcome[0][0] or b"") for outcome in outcomes[::2]]  # type: ignore[index,arg-type]
        self.assertEqual(lengths, [0, 2, 5, 9, 14, 20])

    def hold_two_reads(self) -> list[list[Outcome]]:
        """Of j, and of k, which an own batch then writes.  All become ready, in this order, and take long."""
        assert isinstance(self.log, StepLog)
        self.log.reading = 3
        self.cluster.held |= {ReadOK, PreAcceptOK}
        outcomes = []
        for command in ([b"?", b"j"], [b"?", b"k"], [b"k", b"x"]):
            outcomes.append(self.cluster.submit(0, command))
            self.cluster.run(0.01)
        self.cluster.release(ReadOK)
        self.run_into_the_long_one()
        self.cluster.release(PreAcceptOK)
        return outcomes

    def test_a_read_that_is_ready_is_not_overtaken(self) -> None:
        outcomes = self.hold_two_reads()
        self.cluster.run(0.3)
        self.assertEqual(outcomes, [[[None]], [[None]], [[b"x"]]])

    def test_reads_that_are_ready_are_told_of_a_failure(self) -> None:
        outcomes = self.hold_two_reads()
        self.cluster.nodes[0].fail("the disk is gone")
        self.cluster.fatal.clear()
        for outcome in outcomes:
            self.assertIsInstance(outcome[0], Unavailable)

    def test_reads_that_are_ready_are_told_in_time(self) -> None:
        self.use(StepLog, Batching(request_timeout_s=0.2))
        outcomes = self.hold_two_reads()
        assert isinstance(self.log, StepLog)
        self.log.reading = 200
        self.cluster.run(0.5)
        self.assertEqual(outcomes[0], [[None]])
        self.assertIsInstance(outcomes[1][0], Unavailable)

    def test_other_batches(self) -> None:
        """Those of other keys, too: the state machine does one thing at a time."""
        self.submit_long(b"a")
        self.run_into_the_long_one()
        outcome = self.cluster.submit(0, [b"b", b"y"])
        barrier = self.cluster.submit(0, [b"!", b"!"])
        self.cluster.run(0.3)
        self.assertEqual((len(outcome), len(barrier)), (1, 1))
        self.assertEqual(self.log.batches[0], [b"a x"] * LONG)

    def checkpoints(self) -> Iterator[dict[bytes, bytes]]:
        """The state after the batches of each checkpoint of replica 0 so far."""
        log = Log()
        for checkpoint in self.cluster.disks[0].checkpoints():
            for _, batch in checkpoint.batches:
                log.run(batch)
            yield dict(log.texts)

    def test_checkpoints(self) -> None:
        """One that is due in the middle comes at the end of all that the executor has let go."""
        self.use(StepLog, Batching(checkpoint_s=0.01))
        disk = self.cluster.disks[0]
        disk.wants_state = True
        self.submit_long(b"a")
        self.cluster.clock.advance(0)
        self.submit_long(b"b")
        self.run_into_the_long_one()
        before = len(disk.checkpoints())
        began = self.cluster.clock.seconds()
        while self.cluster.clock.seconds() < began + 0.05:
            self.step()
        self.assertIsNotNone(self.watch.begun)
        self.assertEqual(len(disk.checkpoints()), before)
        self.cluster.run(0.3)
        for checkpoint, state in zip(disk.checkpoints(), self.checkpoints()):
            assert checkpoint.state is not None
            self.assertEqual(dict(checkpoint.state), state)
            self.assertEqual(sum(checkpoint.executed), sum(len(text) for text in state.values()) // LONG)
        self.assertEqual(state, {b"a": b"x" * LONG, b"b": b"x" * LONG})

    def test_checkpoints_between_batches(self) -> None:
        """A turn for each batch, and none is ever applied in part when a checkpoint is due."""
        self.use(StepLog, Batching(commands_max=1, window=1000, checkpoint_s=0.004))
        self.watch.step_s = 2 * EXECUTE_S
        for k in range(20):
            self.cluster.submit(0, [b"%d" % k, b"x"])
        self.cluster.run(0.5)
        found = self.cluster.disks[0].checkpoints()
        self.assertEqual(sum(len(checkpoint.batches) for checkpoint in found), 20)
        for checkpoint, state in zip(found, self.checkpoints()):
            self.assertEqual(sum(checkpoint.executed) + len(checkpoint.beyond), len(state))

    def test_a_checkpoint_that_many_commands_call_for(self) -> None:
        self.patch(self.cluster.nodes[0], "_checkpoint_commands", LONG + 1)
        self.submit_long(b"a")
        self.cluster.clock.advance(0)
        self.submit_long(b"b")
        self.cluster.run(0.4)
        self.assertEqual(list(self.checkpoints()), [{b"a": b"x" * LONG, b"b": b"x" * LONG}])

    def test_status(self) -> None:
        self.submit_long()
        self.run_into_the_long_one()
        early = self.cluster.nodes[0].status()
        self.assertNoResult(early)
        self.cluster.run(0.3)
        status = self.successResultOf(early)
        self.assertEqual(status["digest"], digest_of({b"long": b"x" * LONG}.items()))
        self.assertEqual(status["executed"], [1, 0, 0])
        self.assertEqual(status["counters"]["commands_executed"], LONG)

    def test_a_status_that_is_given_up(self) -> None:
        """Before the batch is whole, or while its digest is computed."""
        self.patch(digest, "STEP_S", 0.0)
        self.patch(digest, "PORTION_BYTES", 1)
        self.submit_long()
        self.run_into_the_long_one()
        node = self.cluster.nodes[0]
        before, between, other = (node.status() for _ in range(3))
        before.cancel()
        self.failureResultOf(before, CancelledError)
        self.assertEqual(len(node._status_waits), 2)
        while node._status_waits:
            self.step()
        between.cancel()
        self.failureResultOf(between, CancelledError)
        self.assertEqual(len(node._digest._jobs[0].waiting), 1)
        other.cancel()
        self.failureResultOf(other, CancelledError)
        self.assertEqual(len(node._digest._jobs), 0)
        later = node.status()
        self.cluster.run(0.3)
        status = self.successResultOf(later)
        self.assertEqual(status["counters"]["commands_executed"], LONG)

    def test_status_between_batches(self) -> None:
        """It tells what is in the state, not what the executor has let go."""
        for k in range(5):
            self.submit_long(b"%d" % k, 7)
            self.cluster.clock.advance(0)
        self.run_into_the_long_one()
        statuses = []
        while len(self.log.batches) < 5:
            status = self.cluster.nodes[0].status()
            for _ in range(100):
                if status.called:
                    break
                self.step()
            found = self.successResultOf(status)
            statuses.append(found["executed"][0])
            texts = {b"%d" % k: b"x" * 7 for k in range(statuses[-1])}
            self.assertEqual(found["digest"], digest_of(texts.items()))
            self.assertEqual(found["executed"][0] + found["counters"]["instances_waiting"], 5)
            self.step()
        self.assertGreater(len(set(statuses)), 2)

    def test_a_failure_in_the_middle(self) -> None:
        outcome = self.submit_long()
        self.run_into_the_long_one()
        status = self.cluster.nodes[0].status()
        read = self.cluster.submit(0, [b"?", b"long"])
        self.cluster.nodes[0].fail("the disk is gone")
        self.assertEqual(self.successResultOf(status)["digest"], None)
        self.assertIsInstance(outcome[0], Unavailable)
        self.assertIsInstance(read[0], Unavailable)
        self.cluster.run(0.3)
        self.assertEqual(len(outcome), 1)
        self.assertEqual(self.cluster.fatal, ["the disk is gone"])
        self.cluster.fatal.clear()

    def test_a_batch_that_turns_out_to_be_foreign_in_the_middle(self) -> None:
        for wanted in (5, 0):
            self.use(StepLog)
            run = self.log.run
            self.log.run = lambda batch, run=run: run(  # type: ignore[method-assign]
                batch._replace(payload=b"poison") if batch.payload == b"k bad" else batch
            )
            commands = [[b"k", b"x"]] * wanted + [[b"k", b"bad"]]
            outcome = self.cluster.submit(0, *commands)
            self.cluster.run(0.2)
            self.assertEqual(self.cluster.fatal, ["a committed batch cannot be applied: poison"])
            self.assertIsInstance(outcome[0], Unavailable)
            self.assertEqual(self.cluster.disks[0].checkpoints(), [])
            self.cluster.fatal.clear()

    def test_one_that_waits_long_for_its_turn_is_told_in_time(self) -> None:
        """Nothing else is answered late because a batch stands in the middle."""
        self.use(StepLog, Batching(request_timeout_s=0.2))
        long = self.submit_long(b"long", 200)
        self.run_into_the_long_one()
        late = self.cluster.submit(0, [b"k", b"x"])
        self.cluster.run(0.35)
        for outcome in (long, late):
            self.assertIsInstance(outcome[0], Unavailable)
        self.cluster.run(1)
        self.assertEqual((len(long), len(late)), (1, 1))
        self.assertEqual(self.log.texts, {b"long": b"x" * 200, b"k": b"x"})

    def stopped(self) -> list[list[bytes]]:
        """Stop replica 0; the batches of its checkpoints."""
        self.successResultOf(self.cluster.nodes[0].stop())
        return self.cluster.disks[0].batches()

    def test_stop_in_the_middle(self) -> None:
        """No checkpoint then: a start executes it again, from the beginning."""
        outcome = self.submit_long()
        self.run_into_the_long_one()
        self.assertEqual(self.stopped(), [])
        self.assertIsInstance(outcome[0], Unavailable)
        written = self.cluster.disks[0].written
        batches = {id: batch for write_set in written for id, batch in write_set.batches}
        records = {record.id: record for write_set in written for record in write_set.records}
        self.assertEqual(list(batches), [InstanceId(0, 1)])
        self.watch.begun = None
        again = WatchedLog()
        self.cluster.logs[0] = again
        self.cluster.disks[0].restored = Restored(
            False,
            max(write_set.reserved or 0 for write_set in written),
            (0, 0, 0),
            (0, 0, 0),
            (),
            [(records[id], batch) for id, batch in batches.items()],
            {},
            (),
        )
        self.cluster.nodes[0] = self.cluster.new(0, Batching())
        self.cluster.nodes[0].start()
        self.cluster.run(2)
        self.assertEqual(again.texts, {b"long": b"x" * LONG})

    def test_stop_at_rest(self) -> None:
        self.submit_long()
        self.cluster.run(0.3)
        self.assertEqual(len(self.stopped()), 1)
